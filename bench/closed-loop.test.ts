import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { closedLoop } from './closed-loop.ts';

describe('a closed loop', () => {
  it('keeps as many under way as asked for, and ends when all have ended', async () => {
    let underWay = 0;
    let most = 0;
    const result = await closedLoop({
      inFlight: 4,
      warmUpMs: 10,
      measureMs: 50,
      one: async () => {
        underWay += 1;
        most = Math.max(most, underWay);
        await sleep(5);
        underWay -= 1;
      },
    });
    expect(most).toBe(4);
    expect(underWay).toBe(0);
    expect(result.total).toBeGreaterThan(result.completed);
    expect(result.perSecond).toBeCloseTo(result.completed / result.windowS, 6);
  });

  it('keeps the window open until as many as are in flight have completed', async () => {
    const { completed } = await closedLoop({
      inFlight: 2,
      warmUpMs: 0,
      measureMs: 1,
      one: async () => {
        await sleep(60);
      },
    });
    expect(completed).toBeGreaterThanOrEqual(2);
  });

  it('fails with the first error, once everything else has ended', async () => {
    let begun = 0;
    let ended = 0;
    const run = closedLoop({
      inFlight: 3,
      warmUpMs: 0,
      measureMs: 10_000,
      one: async () => {
        begun += 1;
        const isFirst = begun === 1;
        await sleep(isFirst ? 5 : 30);
        ended += 1;
        if (isFirst) throw new Error('a delivery got lost');
      },
    });
    await expect(run).rejects.toThrow('a delivery got lost');
    expect([begun, ended]).toEqual([3, 3]);
  });
});
