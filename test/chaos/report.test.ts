import { expect, test } from 'vitest';
import { makePlan } from './plan.ts';
import { describeFaults, isSound } from './report.ts';
import type { ChaosReport } from './outcome.ts';

const PLANNED = { seed: '42', deliveries: 3, kills: 2, ratePerS: 1, spared: [] };

function reportOf(changes: Partial<ChaosReport>): ChaosReport {
  return {
    options: { ...PLANNED, clockRate: 30, settleWithinMs: 60_000, directory: '', say: () => undefined },
    plan: makePlan({ ...PLANNED, links: [] }),
    history: {
      accepted: [{ key: 'chaos-0', answers: ['del_1'] }],
      events: [
        {
          delivery_id: 'del_1',
          sequence: 1,
          type: 'delivery.created',
          status: 'created',
          occurred_at: '2026-03-01T12:00:00.000Z',
          data: {},
        },
      ],
      reservations: [
        {
          id: 'rsv_1',
          delivery_id: 'del_1',
          drone_id: 'drn_1',
          step_key: 'del_1/reserve/1',
          token: 1,
          state: 'ended',
          loading: 'loaded',
          created_at: '2026-03-01T12:01:00.000Z',
          ended_at: '2026-03-01T12:05:00.000Z',
        },
      ],
      milestones: [
        {
          deliveryId: 'del_1',
          reservationId: 'rsv_1',
          droneId: 'drn_1',
          kind: 'took_off',
          occurredAt: '2026-03-01T12:02:00.000Z',
        },
      ],
      authorizations: [],
      creditNotes: [],
      packages: [],
      bookings: [],
      deliveries: [],
    },
    faults: [],
    surprises: [],
    crashes: [],
    unsettled: undefined,
    waiting: [],
    replayed: { deliveries: 3, others: 0, errors: [] },
    logs: '/somewhere/logs',
    ...changes,
  } as unknown as ChaosReport;
}

test('A sound run has nothing to say', () => {
  expect(isSound(reportOf({}))).toBe(true);
  expect(describeFaults(reportOf({}))).toBe('');
});

test('A fault comes with the story of its delivery in order, then the seed, the plan, the logs and the command to run it again', () => {
  const text = describeFaults(
    reportOf({ faults: [{ kind: 'double_load', deliveryId: 'del_1', what: '2 drones loaded for it' }] }),
  );
  const inOrder = [
    '✗ double_load: del_1: 2 drones loaded for it',
    'del_1, asked for by chaos-0',
    '2026-03-01T12:00:00.000Z  event 1 delivery.created',
    '2026-03-01T12:01:00.000Z  rsv_1 of drn_1',
    '2026-03-01T12:02:00.000Z  milestone took_off of drn_1',
    '2026-03-01T12:05:00.000Z  rsv_1 ends',
    'seed 42: 3 requests',
    'kill ',
    'logs: /somewhere/logs',
    'npm run chaos -- --seed 42 --deliveries 3 --kills 2 --rate 1 --clock-rate 30 --settle 60',
  ];
  let from = 0;
  for (const part of inOrder) {
    const at = text.indexOf(part, from);
    expect(at, `${part} in\n${text}`).toBeGreaterThanOrEqual(0);
    from = at;
  }
});

test.each([
  ['what does not settle', { unsettled: '3 are open' }, /did not settle within 60 s: 3 are open/],
  [
    'what does not settle, for what it waits for,',
    { unsettled: '1 is open', waiting: ['del_1 has not ended'] },
    /1 is open\s+del_1 has not ended/,
  ],
  [
    'a history that does not replay',
    { replayed: { deliveries: 3, others: 0, errors: ['del_1 does not replay: TMPRL1100'] } },
    /✗ del_1 does not replay: TMPRL1100/,
  ],
  ['a surprised caller', { surprises: ['request 2 was not accepted'] }, /request 2 was not accepted/],
])('%s makes a run unsound', (_, changes, says) => {
  expect(isSound(reportOf(changes))).toBe(false);
  expect(describeFaults(reportOf(changes))).toMatch(says);
});
