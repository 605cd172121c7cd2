import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openLoop } from './open-loop.ts';

describe('an open loop', () => {
  it('sends at its rate and does not count the warm-up', async () => {
    let sent = 0;
    const { latency, failed } = await openLoop({
      perSecond: 200,
      warmUpS: 0.1,
      measureS: 0.2,
      send: async () => {
        sent += 1;
      },
    });
    expect(sent).toBe(60);
    expect(latency.samples).toBe(40);
    expect(failed).toBe(0);
  });

  it('charges a stall to everybody who would have waited', async () => {
    const stallMs = 300;
    let free = Promise.resolve();
    let requests = 0;
    // A server that answers one after the other, the tenth only after a stall.
    const send = (): Promise<void> => {
      requests += 1;
      const tookMs = requests === 10 ? stallMs : 0;
      free = free.then(async () => {
        if (tookMs > 0) await sleep(tookMs);
      });
      return free;
    };
    const { latency } = await openLoop({ perSecond: 100, warmUpS: 0, measureS: 0.5, send });
    // 30 of 50 requests were due during the stall: half of all waited for a good part of it.
    expect(latency.p50Ms).toBeGreaterThan(stallMs / 10);
    expect(latency.maxMs).toBeGreaterThan(stallMs * 0.9);
  });

  it('counts failures and keeps the first one', async () => {
    let requests = 0;
    const send = async () => {
      requests += 1;
      if (requests > 2) throw new Error(`refused ${requests}`);
    };
    const result = await openLoop({ perSecond: 100, warmUpS: 0, measureS: 0.05, send });
    expect(result).toMatchObject({ failed: 3, failure: 'Error: refused 3' });
    expect(result.latency.samples).toBe(2);
  });
});
