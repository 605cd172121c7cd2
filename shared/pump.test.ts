import { afterEach, describe, expect, it } from 'vitest';
import { createLogger } from './logger.ts';
import { backoffWithJitterMs, Pump, type PumpOptions } from './pump.ts';

const WITHIN = { timeout: 10_000, interval: 5 };
const HOUR_MS = 3_600_000;
let pump: Pump;
afterEach(() => pump.stop());

function aPump(round: PumpOptions['round'], options: Partial<PumpOptions> = {}): Pump {
  pump = new Pump({
    name: 'test',
    logger: createLogger({ role: 'test', level: 'silent' }),
    lookEveryMs: HOUR_MS,
    backoffMs: { first: 1, longest: 5 },
    round,
    ...options,
  });
  return pump;
}

describe('a pump', () => {
  it('works until nothing is left, and again when it is nudged', async () => {
    let work = 5;
    let rounds = 0;
    aPump(async () => {
      rounds += 1;
      if (work > 0) work -= 1;
      return work > 0;
    }).start();
    await expect.poll(() => work, WITHIN).toBe(0);
    const before = rounds;
    work = 3;
    pump.nudge();
    await expect.poll(() => work, WITHIN).toBe(0);
    expect(rounds).toBe(before + 3);
  });

  it('looks by itself when no nudge comes', async () => {
    let rounds = 0;
    aPump(async () => ((rounds += 1), false), { lookEveryMs: 5 }).start();
    await expect.poll(() => rounds, WITHIN).toBeGreaterThan(5);
  });

  it('loses no nudge that comes while a round is under way', async () => {
    let work = 0;
    let nudges = 0;
    aPump(async () => {
      const seen = work;
      await new Promise((resolve) => setImmediate(resolve));
      work -= seen;
      return false;
    }).start();
    const nudgeAgain = (): void => {
      work += 1;
      nudges += 1;
      pump.nudge();
      if (nudges < 500) setImmediate(nudgeAgain);
    };
    nudgeAgain();
    await expect.poll(() => [nudges, work], WITHIN).toEqual([500, 0]);
  });

  it('never runs two rounds at once', async () => {
    let running = 0;
    let most = 0;
    let rounds = 0;
    aPump(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      rounds += 1;
      return rounds < 50;
    }).start();
    for (let index = 0; index < 50; index += 1) pump.nudge();
    await expect.poll(() => rounds, WITHIN).toBeGreaterThanOrEqual(50);
    expect(most).toBe(1);
  });

  it('goes on after errors, counts them, and is not hurried by nudges meanwhile', async () => {
    let rounds = 0;
    aPump(
      async () => {
        rounds += 1;
        if (rounds <= 3) throw new Error('down');
        return false;
      },
      { backoffMs: { first: 20, longest: 20 } },
    ).start();
    await expect.poll(() => pump.failures, WITHIN).toBe(1);
    for (let index = 0; index < 100; index += 1) pump.nudge();
    expect(rounds).toBe(1);
    await expect.poll(() => [rounds >= 4, pump.failures], WITHIN).toEqual([true, 0]);
  });

  it('stopped begins no other round, and lets the one under way end', async () => {
    let begun = 0;
    let ended = 0;
    let end: () => void = () => undefined;
    aPump(async () => {
      begun += 1;
      await new Promise<void>((resolve) => (end = resolve));
      ended += 1;
      return true;
    }).start();
    await expect.poll(() => begun, WITHIN).toBe(1);
    const stopping = pump.stop();
    end();
    await stopping;
    pump.nudge();
    await new Promise((resolve) => setImmediate(resolve));
    expect([begun, ended]).toEqual([1, 1]);
  });

  it('driven by hand does all that is due, and throws what stands in the way', async () => {
    let work = 4;
    aPump(async () => {
      if (work === 2) throw new Error('stuck');
      work -= 1;
      return work > 0;
    });
    await expect(pump.runDue()).rejects.toThrow('stuck');
    work = 1;
    await pump.runDue();
    expect(work).toBe(0);
  });
});

describe('the backoff', () => {
  it('doubles up to the longest, with half of it left to chance', () => {
    for (const [failures, full] of [
      [1, 100],
      [2, 200],
      [5, 1600],
      [7, 5000],
      [1000, 5000],
    ] as const) {
      for (let index = 0; index < 50; index += 1) {
        const waitMs = backoffWithJitterMs(failures, 100, 5000);
        expect(waitMs).toBeGreaterThanOrEqual(full / 2);
        expect(waitMs).toBeLessThanOrEqual(full);
      }
    }
  });
});
