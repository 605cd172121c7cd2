import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrderedInbox } from './inbox.ts';

const drain = (inbox: OrderedInbox<{ sequence: number }>) => {
  const taken: number[] = [];
  for (let next = inbox.take(); next; next = inbox.take()) taken.push(next.sequence);
  return taken;
};

describe('OrderedInbox', () => {
  it('gives every milestone once and in order, however they arrive and however often', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }).chain((count) =>
          fc.tuple(
            fc.constant(count),
            fc.shuffledSubarray(
              Array.from({ length: count * 2 }, (_, index) => (index % count) + 1),
              { minLength: count * 2 },
            ),
            fc.array(fc.boolean(), { minLength: count * 2, maxLength: count * 2 }),
          ),
        ),
        ([count, arrivals, drainAfter]) => {
          const inbox = new OrderedInbox<{ sequence: number }>();
          const taken = arrivals.flatMap((sequence, index) => {
            inbox.add({ sequence });
            return drainAfter[index] === true ? drain(inbox) : [];
          });
          taken.push(...drain(inbox));
          expect(taken).toEqual(Array.from({ length: count }, (_, index) => index + 1));
          expect(inbox.lastSequence).toBe(count);
        },
      ),
    );
  });

  it('says that it has a gap while a later milestone waits for an earlier one', () => {
    const inbox = new OrderedInbox<{ sequence: number }>();
    expect(inbox.hasGap).toBe(false);
    inbox.add({ sequence: 2 });
    expect(inbox.hasGap).toBe(true);
    expect(inbox.take()).toBeUndefined();
    inbox.add({ sequence: 1 });
    expect(inbox.hasGap).toBe(false);
    expect(drain(inbox)).toEqual([1, 2]);
  });
});
