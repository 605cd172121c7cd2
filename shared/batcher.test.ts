import { describe, expect, it } from 'vitest';
import { Batcher } from './batcher.ts';

/** Doubles numbers; keeps the batches it was given. */
function doubler(options: { maxItems?: number; concurrency?: number } = {}) {
  const batches: number[][] = [];
  let underWay = 0;
  let most = 0;
  const batcher = new Batcher<number, number>({
    maxItems: 100,
    concurrency: 1,
    ...options,
    run: async (items) => {
      batches.push(items);
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      if (items.includes(-1)) throw new Error('all of it');
      return items.map((item) => (item === -2 ? new Error('that one') : item * 2));
    },
  });
  return { batcher, batches, most: () => most };
}
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('a batcher', () => {
  it('answers each item its own answer', async () => {
    const { batcher } = doubler({ maxItems: 7, concurrency: 3 });
    const answers = await Promise.all(upTo(100).map((item) => batcher.add(item)));
    expect(answers).toEqual(upTo(100).map((item) => item * 2));
    expect(batcher.waiting).toBe(0);
  });

  it('makes one call of what comes together, and of what comes while it is busy', async () => {
    const { batcher, batches } = doubler();
    await Promise.all([1, 2, 3].map((item) => batcher.add(item)));
    expect(batches).toEqual([[1, 2, 3]]);
    const first = batcher.add(4);
    await expect.poll(() => batches.length, { interval: 1 }).toBe(2);
    await Promise.all([first, ...[5, 6].map((item) => batcher.add(item))]);
    expect(batches.flat()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('keeps to its limits', async () => {
    const { batcher, batches, most } = doubler({ maxItems: 10, concurrency: 2 });
    await Promise.all(upTo(95).map((item) => batcher.add(item)));
    expect(batches.map((batch) => batch.length)).toEqual([...Array<number>(9).fill(10), 5]);
    expect(most()).toBe(2);
  });

  it('an error of one item is its own, an error of the call is everybody’s, and it goes on', async () => {
    const { batcher } = doubler();
    const one = await Promise.allSettled([1, -2, 3].map((item) => batcher.add(item)));
    expect(one.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const all = await Promise.allSettled([1, -1].map((item) => batcher.add(item)));
    expect(all.map((outcome) => outcome.status)).toEqual(['rejected', 'rejected']);
    expect(await batcher.add(8)).toBe(16);
  });

  it('an item that the call forgot is told so', async () => {
    const batcher = new Batcher<number, number>({
      maxItems: 5,
      concurrency: 1,
      run: async () => [1],
    });
    const outcomes = await Promise.allSettled([batcher.add(1), batcher.add(2)]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected']);
  });
});
