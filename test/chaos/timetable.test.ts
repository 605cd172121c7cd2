import { expect, test } from 'vitest';
import { atTheirTimes } from './timetable.ts';

const items = [0, 5, 5, 10].map((atMs, number) => ({ atMs, number }));
const since = (signal = new AbortController().signal) => ({ begunMs: Date.now(), signal });

test('Each begins in its turn although those before it have not ended, and all are waited for', async () => {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const done = atTheirTimes(items, since(), async ({ number }) => {
    begun.push(number);
    await new Promise<void>((resolve) => ends.push(resolve));
  });
  await expect.poll(() => begun).toEqual([0, 1, 2, 3]);
  for (const end of ends) end();
  await done;
});

test('When one fails nothing is begun any more, and it fails with that', async () => {
  const begun: number[] = [];
  const failing = atTheirTimes([...items, { atMs: 3_600_000, number: 4 }], since(), async ({ number }) => {
    begun.push(number);
    if (number === 3) throw new Error('the third');
  });
  await expect(failing).rejects.toThrow('the third');
  expect(begun).toEqual([0, 1, 2, 3]);
});

test('When it is given up it ends with the reason', async () => {
  const giveUp = new AbortController();
  const given = atTheirTimes([{ atMs: 3_600_000 }], since(giveUp.signal), () => Promise.resolve());
  giveUp.abort(new Error('enough'));
  await expect(given).rejects.toThrow('enough');
});

/** What keeps the process alive because it waits for its time. */
const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('Ten thousand wait for their times with one timer, that of the next', async () => {
  const many = Array.from({ length: 10_000 }, (_, number) => ({ atMs: 500 + number / 50, number }));
  const before = timers();
  let [begun, most] = [0, 0];
  const done = atTheirTimes(many, since(), async () => {
    begun += 1;
    most = Math.max(most, timers());
  });
  expect(begun).toBe(0);
  expect(timers()).toBeLessThanOrEqual(before + 1);
  await done;
  expect(begun).toBe(10_000);
  // Those of the test's own runner come and go.
  expect(most).toBeLessThan(before + 10);
});
