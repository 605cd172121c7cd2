import { describe, expect, it } from 'vitest';
import type { Compensations } from './compensation.ts';
import { forgetRaises, raiseTo } from './money.ts';
import type { DeliveryRun } from './run.ts';

const usd = (amount: number) => ({ amount, currency: 'USD' });
const AUTHORIZED = { outcome: 'authorized', expires_at: null };

/** A delivery with 10.00 authorized, whose account service answers when the test lets it. */
function delivery() {
  let answerNow: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    answerNow = resolve;
  });
  let keys = 0;
  const asked: number[] = [];
  const run = {
    input: { price: usd(1_000) },
    ids: {},
    raises: [],
    givenUpRaises: new Set<string>(),
    record: { key: (step: string) => `del_1/${step}/${(keys += 1)}` },
    compensations: {
      prepare: (_: string, { input }: { input: { amount: { amount: number } } }) => {
        asked.push(input.amount.amount);
        return async () => {
          await answered;
          return AUTHORIZED;
        };
      },
      discharge: () => undefined,
    } as unknown as Compensations,
  } as unknown as DeliveryRun;
  return { run, asked, answerNow };
}

const atLeisure = <T>(step: () => Promise<T>) => step();

describe('a raise', () => {
  it('counts when it is made', async () => {
    const { run, asked, answerNow } = delivery();
    answerNow();
    expect(await raiseTo(run, usd(1_300), [], atLeisure)).toBeUndefined();
    expect(await raiseTo(run, usd(1_300), [], atLeisure)).toBeUndefined();
    expect(asked).toEqual([300]);
    expect(run.raises).toMatchObject([{ amount: usd(300), compensation: 'void_reauthorization/1' }]);
  });

  it('that was given up before its answer comes does not count, however it was made: the next one asks for all of it', async () => {
    const { run, asked, answerNow } = delivery();
    const done: string[] = [];
    const raising = raiseTo(run, usd(1_300), done, atLeisure);
    forgetRaises(run, done);
    answerNow();
    expect(await raising).toMatchObject({ reason: 'service_unavailable' });
    expect(run.raises).toEqual([]);
    await raiseTo(run, usd(1_300), [], atLeisure);
    expect(asked).toEqual([300, 300]);
    expect(run.raises).toMatchObject([{ compensation: 'void_reauthorization/2' }]);
  });
});
