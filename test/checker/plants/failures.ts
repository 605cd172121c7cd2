/** Deliveries that failed, and might not have: each reason without what must speak for it. */
import type { FailureReason } from '../../../services/delivery/contract/index.ts';
import { type Plant, replace, told } from '../planting.ts';
import { at, DROPOFF, FARTHER, PICKUP, type Planted, window } from '../kept-delivery.ts';

const by = (id: string) => (one: { id: string }) => one.id === id;

/** Fails it with another reason. */
function failedAs(history: Planted, id: string, failure_reason: FailureReason): void {
  replace(history.deliveries, by(id), { failure_reason });
}

/** When it failed. */
function failedAt(history: Planted, id: string, minute: number): void {
  replace(history.events, (one) => one.delivery_id === (id as never) && one.type === 'delivery.failed', {
    occurred_at: at(minute),
  });
}

function plantOf(of: string, name: string, says: RegExp, plant: Plant['plant']): Plant {
  return { name, plant, kind: 'failure', of, says };
}

const REASONS: [FailureReason, RegExp][] = [
  ['step_failed', /failed as step_failed: no step may fail for good/],
  ['aborted', /failed as aborted: an abort ends it as cancelled/],
  ['account_unknown', /failed as account_unknown: its account is known/],
  ['account_suspended', /failed as account_suspended: its account is active/],
  ['account_closed', /failed as account_closed: its account is active/],
  ['credit_exceeded', /failed as credit_exceeded: its account has 1000000, and never used more than 609/],
  ['payload_too_heavy', /failed as payload_too_heavy: the fleet carries 5 kg, and it weighs 1/],
  ['out_of_range', /failed as out_of_range: it is 1001 m by way of its pickup, and the fleet flies 10000/],
  ['drone_lost', /failed as drone_lost: it had all the time there is/],
  ['pickup_window_missed', /failed as pickup_window_missed: it has no pickup window/],
  ['carrier_unavailable', /failed as carrier_unavailable: its account wants none/],
  ['carrier_failed', /failed as carrier_failed: no carrier gave it up/],
  ['package_lost', /failed as package_lost: nobody has given it up for lost/],
  ['workflow_terminated', /failed as workflow_terminated: nobody terminated it/],
];

export const FAILURE_PLANTS: Plant[] = [
  ...REASONS.map(([reason, says]) =>
    plantOf('del_3', `a failure that could not be: ${reason}`, says, (history) =>
      failedAs(history, 'del_3', reason),
    ),
  ),
  plantOf(
    'del_3',
    'a failure for want of a drone after half an hour',
    /it waited 1800 s for one, and not 3600/,
    (history) => failedAt(history, 'del_3', 33),
  ),
  plantOf(
    'del_poor',
    'a failure for want of a drone that had never been waited for',
    /no_drone_available: it never waited for one/,
    (history) => failedAs(history, 'del_poor', 'no_drone_available'),
  ),
  plantOf(
    'del_3',
    'a failure for want of a drone while its pickup window was open',
    /no_drone_available: there were 960 s left/,
    (history) => replace(history.deliveries, by('del_3'), { pickup_window: window(20) }),
  ),
  plantOf(
    'del_3',
    'a failure for want of a drone before its deadline',
    /no_drone_available: there were 360 s left/,
    (history) => replace(history.deliveries, by('del_3'), { deadline: at(70) }),
  ),
  plantOf(
    'del_3',
    'a failure for want of a drone of an account that takes a carrier',
    /no_drone_available: its account takes a carrier then/,
    (history) =>
      replace(history.accounts, by('acc_drones'), {
        preferences: { carrier_fallback: true, carrier_price_cap: null },
      }),
  ),
  plantOf(
    'del_poor',
    'a delivery whose drones all failed, of which it never had one',
    /drone_lost: it never had one/,
    (history) => failedAs(history, 'del_poor', 'drone_lost'),
  ),
  plantOf(
    'del_carrier',
    'a carrier that is said not to be had, and was booked',
    /carrier_unavailable: Courier was booked/,
    (history) =>
      replace(history.deliveries, by('del_carrier'), {
        status: 'failed',
        failure_reason: 'carrier_unavailable',
      }),
  ),
  plantOf(
    'del_carrier',
    'a carrier that is said not to be had, and refused nothing',
    /carrier_unavailable: none refused it, nor asked too much/,
    (history) => {
      history.bookings = [];
      replace(history.deliveries, by('del_carrier'), {
        status: 'failed',
        failure_reason: 'carrier_unavailable',
      });
    },
  ),
  plantOf(
    'del_absent',
    'a sender who is said to have been absent after five minutes',
    /sender_absent: its drone waited 300 s, and not 600/,
    (history) => failedAt(history, 'del_absent', 7),
  ),
  plantOf(
    'del_absent',
    'a sender who is said to have been absent when the pickup window had just begun',
    /sender_absent: its drone waited 180 s, and not 600/,
    (history) => replace(history.deliveries, by('del_absent'), { pickup_window: window(10) }),
  ),
  plantOf(
    'del_absent',
    'a sender who is said to have been absent, for whom no drone had come',
    /sender_absent: no drone had come/,
    (history) =>
      (history.milestones = history.milestones.filter(
        ({ kind, deliveryId }) => deliveryId !== 'del_absent' || kind !== 'arrived_at_pickup',
      )),
  ),
  plantOf(
    'del_lost',
    'a package that the system itself gave up for lost',
    /package_lost: nobody has given it up for lost/,
    (history) => {
      told(history, 'del_lost');
      const [question] = history.deliveries.find(by('del_lost'))!.interventions;
      replace(history.deliveries, by('del_lost'), {
        interventions: [{ ...question!, resolution: { answer: 'lost', by: 'system', why: 'test' } }],
      });
    },
  ),
  plantOf(
    'del_lost',
    'a package given up for lost that nobody had picked up',
    /package_lost: nobody had picked it up/,
    (history) => {
      replace(history.reservations, by('res_del_lost'), { loading: 'barred' });
      replace(
        history.events,
        (one) => one.delivery_id === ('del_lost' as never) && one.status === 'picked_up',
        { status: 'arrived_at_pickup' },
      );
    },
  ),
  plantOf(
    'del_3',
    'a failure with the package aboard, by the reservation',
    /failed as no_drone_available, and drn_2 had taken it aboard/,
    (history) => replace(history.reservations, by('res_del_3'), { loading: 'loaded' }),
  ),
  plantOf(
    'del_3',
    'a failure with the package aboard, by what the aircraft told',
    /and drn_2 had taken it aboard/,
    (history) => {
      const landed = history.milestones.find(
        ({ kind, deliveryId }) => deliveryId === 'del_3' && kind === 'landed',
      )!;
      history.milestones.push({ ...landed, kind: 'loaded', position: PICKUP });
    },
  ),
  plantOf(
    'del_carrier',
    'a failure with the package in the carrier’s hands',
    /failed as carrier_failed, and its carrier had taken it aboard/,
    (history) => {
      replace(history.bookings, () => true, { state: 'failed' });
      replace(history.deliveries, by('del_carrier'), { status: 'failed', failure_reason: 'carrier_failed' });
    },
  ),
  plantOf(
    'del_lost',
    'a failure of what a drone had let go at the dropoff',
    /it failed, and drn_5 had delivered it/,
    (history) => {
      const landed = history.milestones.find(
        ({ kind, deliveryId }) => deliveryId === 'del_lost' && kind === 'landed',
      )!;
      history.milestones.push({ ...landed, kind: 'released', position: DROPOFF });
    },
  ),
  plantOf(
    'del_carrier',
    'a failure of what a carrier had delivered',
    /it failed, and Courier had delivered it/,
    (history) =>
      replace(history.deliveries, by('del_carrier'), { status: 'failed', failure_reason: 'carrier_failed' }),
  ),
];

/** What failed and had to: each must leave the judge silent. */
export const RIGHT_FAILURES: { name: string; change: (history: Planted) => void }[] = [
  {
    name: 'a package that was given up for lost, and let go after that by a drone that nobody could hear',
    change: (history) => {
      const landed = history.milestones.find(
        ({ kind, deliveryId }) => deliveryId === 'del_lost' && kind === 'landed',
      )!;
      history.milestones.push({ ...landed, kind: 'released', position: DROPOFF, occurredAt: at(8) });
    },
  },
  {
    name: 'a package that a drone let go elsewhere, where people lost it',
    change: (history) => {
      const landed = history.milestones.find(
        ({ kind, deliveryId }) => deliveryId === 'del_lost' && kind === 'landed',
      )!;
      history.milestones.push({ ...landed, kind: 'set_down', position: FARTHER });
    },
  },
  {
    name: 'a delivery for which no drone was free until its pickup window was over',
    change: (history) => {
      replace(history.deliveries, by('del_3'), { pickup_window: window(3) });
      const [request] = history.accepted.filter(({ answers }) => answers.includes('del_3'));
      Object.assign(request!.requested!, { pickupWindow: window(3) });
    },
  },
];
