// What happens at a wait counts only while that wait is on.
import { describe, expect, it } from 'vitest';
import { type AtWait, type Look, WaitedFor } from './at-a-wait.ts';
import type { OrderAnswer } from './people.ts';

const WAIT = 'the drone at the dropoff';
const look = (nowMs: number, change: Partial<Look> = {}): Look => ({
  waitingFor: WAIT,
  untilMs: 1_000,
  nowMs,
  calls: [],
  ...change,
});
const call = {} as Look['calls'][number];
const REFUSED: OrderAnswer = { outcome: 'refused', reason: 'already_picked_up', detail: null };

async function watched(at: AtWait, looks: Look[], answer?: OrderAnswer) {
  const asked: string[] = [];
  const waited = new WaitedFor(at, (what) => {
    asked.push(what);
    return Promise.resolve({
      answer: () => (answer ? Promise.resolve(answer) : Promise.reject(new Error('it has no answer'))),
    });
  });
  const heard = [];
  for (const one of looks) if (!waited.isOver) heard.push(await waited.look(one));
  return { asked, heard, violations: waited.violations(), outcome: await waited.outcome() };
}

describe('an order', () => {
  const at = { wait: WAIT, order: 'cancel' } as const;

  it('that is refused there has taken effect', async () => {
    expect(await watched(at, [look(0, { waitingFor: null }), look(1), look(2)], REFUSED)).toEqual({
      asked: ['cancel'],
      heard: ['free', 'acted', 'free'],
      violations: [],
      outcome: 'refused (already_picked_up)',
    });
  });

  it.each([
    { what: 'has ended the wait', next: look(2, { waitingFor: null }) },
    { what: 'has led to a call', next: look(2, { calls: [call] }) },
  ])('that $what has taken effect, whatever is answered', async ({ next }) => {
    expect((await watched(at, [look(1), next])).violations).toEqual([]);
  });

  it('that nobody hears has not', async () => {
    expect((await watched(at, [look(1), look(2)])).violations).toEqual([
      'the cancel never took effect while it waited for the drone at the dropoff',
    ]);
  });

  it('is not given when the wait never comes', async () => {
    const { asked, violations } = await watched(at, [look(1, { waitingFor: 'the carrier' })]);
    expect(asked).toEqual([]);
    expect(violations).toHaveLength(1);
  });
});

describe('the end of the time', () => {
  const at = { wait: WAIT, order: 'deadline' } as const;

  it('takes effect when the wait ends with it, and nothing else happens until then', async () => {
    expect(await watched(at, [look(1), look(999), look(1_000, { waitingFor: null, untilMs: null })])).toEqual(
      {
        asked: [],
        heard: ['hold', 'hold', 'free'],
        violations: [],
        outcome: 'then its end',
      },
    );
  });

  it('takes effect when there is another time to look again', async () => {
    const { violations, outcome } = await watched(at, [look(1), look(1_000, { untilMs: 5_000 })]);
    expect(violations).toEqual([]);
    expect(outcome).toBe('then it goes on waiting');
  });

  it.each([
    { what: 'the wait ended before', looks: [look(1), look(999, { waitingFor: 'the carrier' })] },
    { what: 'it was moved before', looks: [look(1), look(999, { untilMs: 5_000 })] },
    { what: 'it was over and nothing came of it', looks: [look(1), look(1_000), look(2_000)] },
    { what: 'the wait has no end', looks: [look(1, { untilMs: null }), look(9_000, { waitingFor: null })] },
  ])('does not when $what', async ({ looks }) => {
    expect((await watched(at, looks)).violations).toEqual([
      'the deadline never took effect while it waited for the drone at the dropoff',
    ]);
  });

  it('of a wait that ends by itself is its end, not what has to be done meanwhile', async () => {
    const wait = 'the pickup window';
    const on = (nowMs: number, untilMs: number) => look(nowMs, { waitingFor: wait, untilMs });
    const renewed = [on(1, 1_000), on(1_000, 5_000)];
    expect((await watched({ wait, order: 'deadline' }, renewed)).violations).toHaveLength(1);
    const over = [...renewed, look(5_000, { waitingFor: 'a free drone' })];
    expect(await watched({ wait, order: 'deadline' }, over)).toMatchObject({
      violations: [],
      outcome: 'then a free drone',
    });
  });
});
