// The matrix's judge judged: a sound voyage has nothing wrong, and each violation that is planted is named.
import { expect, test } from 'vitest';
import type { HeldRow } from '../../checker/held-rows.ts';
import { type Planted, sound, stepOf } from './sound-voyage.ts';
import { violationsOf } from './violations.ts';

interface Plant {
  name: string;
  plant: (planted: Planted) => void;
  /** All that is wrong then. */
  says: RegExp[];
}

const HELD: HeldRow = {
  kind: 'reservation',
  id: 'rsv_1',
  stepKey: 'del_1/reserve/1',
  what: 'drn_1 held on_base',
  homeward: false,
};

/** The step is repeated, with the same answer. */
function repeat(planted: Planted, key: string, change: { body?: string; operation?: string } = {}): void {
  const { call, request } = stepOf(planted, key);
  const again = { ...call, began: 1_000, ended: 1_009 };
  planted.voyage.calls.push(again);
  planted.voyage.requests.push({ ...request, ...change, at: 1_005, call: again });
}

/** Its event is told again, at another time. */
function askAnew(
  planted: Planted,
  { isLocal, tasksLost }: { isLocal: boolean; tasksLost: number },
  otherwise: object = {},
): void {
  const told = { type: 'delivery.cancelled', occurred_at: '2026-03-01T12:00:00.100Z' };
  const { call, request } = stepOf(planted, 'event_cancelled/1');
  call.isLocal = isLocal;
  request.body = JSON.stringify(told);
  planted.voyage.tasksLost = tasksLost;
  const later = { ...told, occurred_at: '2026-03-01T12:00:00.178Z', ...otherwise };
  repeat(planted, 'event_cancelled/1', { body: JSON.stringify(later) });
}

const PLANTS: Plant[] = [
  {
    name: 'a reservation that is left when the workflow has ended, and given back by its lease',
    plant: ({ voyage }) => voyage.heldAtItsEnd.push(HELD),
    says: [/^left at its end: reservation of del_1\/reserve\/1/],
  },
  {
    name: 'a reservation that a late call takes, and its lease gives back',
    plant: ({ voyage }) => voyage.heldSinceLate.push(HELD),
    says: [/^taken by a call that came late: reservation of del_1\/reserve\/1/],
  },
  {
    name: 'a reservation that is left for good',
    plant: ({ voyage }) => voyage.held.push(HELD),
    says: [/^left: reservation of del_1\/reserve\/1/],
  },
  {
    name: 'an intervention that is open when nobody is left to hear the answer',
    plant: ({ voyage }) => voyage.openInterventions.push('overdue'),
    says: [/intervention overdue: still open/],
  },
  {
    name: 'an intervention that did not name what was held',
    plant: ({ voyage }) =>
      voyage.asked.push({
        kind: 'compensation:release_drone',
        answer: 'retry',
        unnamed: ['drone is not named'],
      }),
    says: [/intervention compensation:release_drone: drone is not named/],
  },
  {
    name: 'a charge that nobody was told of',
    plant: ({ voyage }) => (voyage.charged = { amount: 1234, told: 494 }),
    says: [/1234 captured, and 494 told/],
  },
  {
    name: 'a package that was set down elsewhere',
    plant: ({ voyage }) => (voyage.offTheMarkM = 31),
    says: [/set down 31 m from where it was to be/],
  },
  {
    name: 'a loss that was not credited',
    plant: ({ voyage }) => {
      voyage.end = 'failed (package_lost)';
      voyage.outcome = {
        status: 'failed',
        reason: 'package_lost',
        compensation: 'complete',
        attempts: 1,
      };
    },
    says: [/0 credit notes, and 1 are due/],
  },
  {
    name: 'a credit for what was not lost',
    plant: ({ voyage }) => (voyage.creditNotes = 1),
    says: [/1 credit notes, and 0 are due/],
  },
  {
    name: 'one key for two activities',
    plant: (planted) => {
      repeat(planted, 'release/1');
      for (const call of planted.voyage.calls.slice(-1)) call.activity = 'recallDrone';
    },
    says: [/del_1\/release\/1 is of releaseDrone and of recallDrone/],
  },
  {
    name: 'a step whose ordinal falls',
    plant: (planted) => {
      const [first, second] = [stepOf(planted, 'recall/1'), stepOf(planted, 'recall/2')];
      [first.call.key, second.call.key] = [second.call.key, first.call.key];
      [first.request.key, second.request.key] = [second.request.key, first.request.key];
    },
    says: [/del_1\/recall\/1 came after recall\/2/],
  },
  {
    name: 'a key of another delivery',
    plant: (planted) => {
      const { call, request } = stepOf(planted, 'release/1');
      call.key = request.key = 'del_2/release/1';
    },
    says: [/releaseDrone was called with the key del_2\/release\/1/],
  },
  {
    name: 'an activity that sends another key than its step’s',
    plant: (planted) => (stepOf(planted, 'release/1').request.key = 'del_1/release/9'),
    says: [
      /releaseDrone of del_1\/release\/1 asked some.release with the key del_1\/release\/9 instead of del_1\/release\/1/,
      /came del_1\/release\/9 instead of del_1\/release\/1/,
    ],
  },
  {
    name: 'a write without a key',
    plant: (planted) => (stepOf(planted, 'release/1').request.key = undefined),
    says: [
      /asked some.release with the key undefined instead of del_1\/release\/1/,
      /instead of del_1\/release\/1/,
    ],
  },
  {
    name: 'a read with a key',
    plant: (planted) => (stepOf(planted, '').request.key = 'del_1/read/1'),
    says: [/with the key del_1\/read\/1 instead of undefined/, /came del_1\/read\/1 instead of/],
  },
  {
    name: 'a repetition, which is none',
    plant: (planted) => repeat(planted, 'release/1'),
    says: [],
  },
  {
    name: 'a repetition with another body',
    plant: (planted) => repeat(planted, 'release/1', { body: '{}' }),
    says: [/del_1\/release\/1 was repeated with another body: \{"operation":"release"\}, then \{\}/],
  },
  {
    name: 'what was done locally in a workflow task that was lost, and is done anew at another time, which is none',
    plant: (planted) => askAnew(planted, { isLocal: true, tasksLost: 1 }),
    says: [],
  },
  {
    name: 'the same when no task was lost',
    plant: (planted) => askAnew(planted, { isLocal: true, tasksLost: 0 }),
    says: [/del_1\/event_cancelled\/1 was repeated with another body/],
  },
  {
    name: 'the same of an activity that is not lost with a task',
    plant: (planted) => askAnew(planted, { isLocal: false, tasksLost: 1 }),
    says: [/del_1\/event_cancelled\/1 was repeated with another body/],
  },
  {
    name: 'something else than before, done in place of what was lost with a task',
    plant: (planted) => askAnew(planted, { isLocal: true, tasksLost: 1 }, { type: 'delivery.failed' }),
    says: [/del_1\/event_cancelled\/1 was repeated with another body/],
  },
  {
    name: 'a repetition of another operation',
    plant: (planted) => repeat(planted, 'release/1', { operation: 'recall' }),
    says: [/del_1\/release\/1 was used for some.release and for some.recall/],
  },
  {
    name: 'a request that is of no call',
    plant: (planted) =>
      planted.voyage.requests.push({
        ...stepOf(planted, 'release/1').request,
        key: 'del_1/release/2',
        call: undefined,
      }),
    says: [
      /some.release was asked with the key del_1\/release\/2 by nobody who was called/,
      /nobody was called for del_1\/release\/2/,
    ],
  },
  {
    name: 'a call that never reached its service',
    plant: ({ voyage }) => voyage.requests.pop(),
    says: [/after del_1\/release\/1 came nothing instead of del_1\/void_packages\/1/],
  },
  {
    name: 'one that was cut off before, which is none',
    plant: (planted) => {
      planted.voyage.requests.pop();
      for (const call of planted.voyage.calls.slice(-1)) call.acted = false;
    },
    says: [],
  },
  {
    name: 'calls that reach their services in another order',
    plant: ({ voyage }) => voyage.requests.push(...voyage.requests.splice(-2).reverse()),
    says: [/came del_1\/void_packages\/1 instead of del_1\/release\/1/],
  },
  {
    name: 'the same of two calls at the same time, which is none',
    plant: (planted) => {
      const { requests } = planted.voyage;
      stepOf(planted, 'release/1').call.ended = 1_000;
      requests.push(...requests.splice(-2).reverse());
    },
    says: [],
  },
  {
    name: 'the first step undone first',
    plant: (planted) => {
      const [release, packages] = [stepOf(planted, 'release/1'), stepOf(planted, 'void_packages/1')];
      [release.call.refersTo, packages.call.refersTo] = [packages.call.refersTo, release.call.refersTo];
      [release.call.activity, packages.call.activity] = [packages.call.activity, release.call.activity];
    },
    says: [/undone in another order than last step first/],
  },
  {
    name: 'a gap in the events',
    plant: ({ events }) => events.splice(1, 1),
    says: [/after event 1 comes 3/],
  },
  {
    name: 'two endings',
    plant: ({ events }) => events.push({ sequence: 5, type: 'delivery.delivered' }),
    says: [/2 endings: delivery.cancelled, delivery.delivered/],
  },
  {
    name: 'no ending',
    plant: ({ events }) => events.splice(2),
    says: [/0 endings/],
  },
  {
    name: 'a workflow that says something else than the record',
    plant: ({ voyage }) =>
      (voyage.outcome = { status: 'delivered', reason: null, compensation: 'none', attempts: 1 }),
    says: [/its workflow says delivered, its record cancelled/],
  },
  {
    name: 'a compensation that is never complete',
    plant: ({ voyage }) => {
      if (voyage.outcome) voyage.outcome.compensation = 'pending';
    },
    says: [/its compensation is pending/],
  },
];

function judged({ voyage, events }: Planted): string[] {
  return violationsOf(voyage, events);
}

test('a sound voyage has nothing wrong', () => {
  expect(judged(sound())).toEqual([]);
});

test.each(PLANTS)('$name', ({ plant, says }) => {
  const planted = sound();
  plant(planted);
  expect(judged(planted)).toEqual(says.map((one) => expect.stringMatching(one) as string));
});
