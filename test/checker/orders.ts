/** What became of what was asked for after the accept: whoever got an answer can rely on it. */
import { isFinal } from '../../services/delivery/contract/index.ts';
import { timeMsOf } from '../../shared/clock.ts';
import type { Location, PickupWindow } from '../../shared/schemas.ts';
import { answerFaults } from './answers.ts';
import { type Dossier, isEndedByHand, isTerminated, ordersOf } from './dossier.ts';
import type { Order } from './history.ts';

/** A drone that takes off for a window is there with its beginning, as far as its ETA is right; not so much earlier. */
const LOADED_EARLY_MS = 5 * 60_000;

export function orderFaults(dossier: Dossier): string[] {
  return [
    ...refusalFaults(dossier),
    ...cancelFaults(dossier),
    ...cancellationFaults(dossier),
    ...nativeCancelFaults(dossier),
    ...abortFaults(dossier),
    ...reassignFaults(dossier),
    ...dropoffFaults(dossier),
    ...windowFaults(dossier),
    ...answerFaults(dossier),
  ];
}

/** Whoever is refused hears why, and it is true: what is said to be aboard was loaded, what has ended so has. */
function refusalFaults(dossier: Dossier): string[] {
  const { asked, events } = dossier;
  return (asked.orders ?? []).flatMap((one) => {
    const { kind, answer, reason } = one;
    if (answer !== 'refused' || TO_TEMPORAL.has(kind)) return [];
    const order = kind.replaceAll('_', ' ');
    if (reason === undefined) return [`the ${order} was refused without a reason`];
    if (reason === 'already_picked_up') {
      return wasPickedUp(dossier) ? [] : [`the ${order} was refused as picked up, and nobody had loaded it`];
    }
    if (reason === 'pickup_window.end') {
      return isOver(one) ? [] : [`the ${order} was refused as to a window that is over, which it was not`];
    }
    if (!reason.startsWith('already_') || reason === 'already_released' || reason === 'already_ended')
      return [];
    return events.some(({ status }) => reason === `already_${status}`)
      ? []
      : [`the ${order} was refused as ${reason}, which it never was`];
  });
}

/** It was asked for a window that was over when the answer came. */
function isOver(order: Order): boolean {
  if (order.kind !== 'reschedule' || order.answeredAt === undefined) return false;
  return timeMsOf(order.window.end) <= timeMsOf(order.answeredAt);
}

/** These are refused only where there is no workflow any more. */
const TO_TEMPORAL: ReadonlySet<Order['kind']> = new Set(['terminate', 'native_cancel', 'reset']);

function wasPickedUp({ reservations, events }: Dossier): boolean {
  return (
    reservations.some(({ loading }) => loading === 'loaded') ||
    events.some(({ status }) => status === 'picked_up')
  );
}

/** A cancel that was granted, refused or left to the aircraft is. */
function cancelFaults(dossier: Dossier): string[] {
  const { status } = dossier.delivery;
  const isOthers = isAskedBy(dossier, 'operator');
  return ordersOf(dossier, 'cancel').flatMap(({ answer }) => {
    if (answer === 'done' && status !== 'cancelled') return ['its sender was told that it is cancelled'];
    if (answer === 'refused' && status === 'cancelled' && !isOthers) {
      return ['its sender was told that it can not be cancelled'];
    }
    // The aircraft had the last word: empty it is cancelled, loaded it goes on.
    const isSettled = status === 'cancelled' || wasPickedUp(dossier) || isTerminated(dossier);
    return answer === 'pending' && isFinal(status) && !isSettled
      ? ['its sender was told that it is cancelled unless it is loaded, and neither came to pass']
      : [];
  });
}

/** It is cancelled for whoever asked for that. */
function cancellationFaults(dossier: Dossier): string[] {
  const { status, cancellation_reason: reason } = dossier.delivery;
  if (status !== 'cancelled' || dossier.asked.orders === undefined) return [];
  const isAsked =
    reason === 'requested_by_operator'
      ? isAskedBy(dossier, 'operator')
      : reason === 'requested_by_sender'
        ? isAskedBy(dossier, 'sender')
        : isAskedBy(dossier, 'sender') || isAskedBy(dossier, 'operator');
  return isAsked ? [] : [`nobody asked for it to be cancelled (${reason ?? 'no reason'})`];
}

/** Whether a sender, or an operator (by the API or by Temporal), asked for its end and was not refused. */
function isAskedBy(dossier: Dossier, who: 'sender' | 'operator'): boolean {
  const orders =
    who === 'sender'
      ? ordersOf(dossier, 'cancel')
      : [...ordersOf(dossier, 'abort'), ...ordersOf(dossier, 'native_cancel')];
  return orders.some(({ answer }) => answer !== 'refused');
}

/** Cancelled in Temporal's own way before the pickup, it is cancelled; afterwards a person is asked. It never just goes on. */
function nativeCancelFaults(dossier: Dossier): string[] {
  const { delivery, events } = dossier;
  const isHeard =
    delivery.status === 'cancelled' ||
    delivery.status === 'failed' ||
    events.some(({ type }) => type === 'delivery.cancel_requested') ||
    delivery.interventions.some(({ kind }) => kind === 'cancel_requested');
  const isIgnored = ordersOf(dossier, 'native_cancel').some(
    ({ answer, answeredAt }) =>
      answer === 'done' && answeredAt !== undefined && hadTimeFor(dossier, timeMsOf(answeredAt)) && !isHeard,
  );
  return isIgnored
    ? [`its workflow was cancelled, and it was ${delivery.status} as if nothing had been asked`]
    : [];
}

/**
 * Its workflow did two things between then and when the package was let go: the second one with what it had heard in hand. One
 * whose worker was down meanwhile may hear of the package first.
 */
function hadTimeFor({ events, milestones }: Dossier, sinceMs: number): boolean {
  const release = milestones.findLast(({ kind }) => kind === 'released');
  if (release === undefined) return false;
  const untilMs = timeMsOf(release.occurredAt);
  return events.filter(({ recorded_at: at }) => timeMsOf(at) > sinceMs && timeMsOf(at) < untilMs).length > 1;
}

function abortFaults(dossier: Dossier): string[] {
  const { delivery } = dossier;
  return ordersOf(dossier, 'abort').flatMap(({ answer, returning }) => {
    if (answer !== 'done') return [];
    if (!returning)
      return delivery.status === 'cancelled' ? [] : ['the operator was told that it is cancelled'];
    const isDelivered = delivery.status === 'delivered' && !isEndedByHand(delivery);
    return isDelivered ? ['the operator was told that it flies back'] : [];
  });
}

/** Whoever was told that another drone is taken: what was carried after all was carried by another one. */
function reassignFaults(dossier: Dossier): string[] {
  const { reservations } = dossier;
  const isTaken = ordersOf(dossier, 'reassign').some(({ answer }) => answer === 'done');
  const [first, ...others] = reservations;
  return isTaken && first?.loading === 'loaded' && others.length === 0
    ? [`drone ${first.drone_id} loaded it, which was to be replaced`]
    : [];
}

function dropoffFaults(dossier: Dossier): string[] {
  const { delivery, asked } = dossier;
  if (asked.requested === undefined) return [];
  const orders = ordersOf(dossier, 'change_dropoff');
  const possible = standing<Location, Order & { kind: 'change_dropoff' }>(
    asked.requested.dropoff,
    orders,
    (one) => one.dropoff,
  );
  const is = delivery.dropoff.location;
  return possible.some((one) => one.latitude === is.latitude && one.longitude === is.longitude)
    ? []
    : [`it goes to ${at(is)}; its sender was told ${possible.map(at).join(' or ')}`];
}

function windowFaults(dossier: Dossier): string[] {
  const { delivery, asked, milestones } = dossier;
  if (asked.requested === undefined) return [];
  const possible = standing<PickupWindow | null, Order & { kind: 'reschedule' }>(
    asked.requested.pickupWindow,
    ordersOf(dossier, 'reschedule'),
    (one) => one.window,
  );
  const is = delivery.pickup_window;
  const faults = possible.some((one) => same(one, is))
    ? []
    : [`its pickup window is ${span(is)}; its sender was told ${possible.map(span).join(' or ')}`];
  const loaded = milestones.find(({ kind }) => kind === 'loaded');
  if (is === null || loaded === undefined) return faults;
  const earlyMs = timeMsOf(is.start) - timeMsOf(loaded.occurredAt);
  return earlyMs > LOADED_EARLY_MS
    ? [...faults, `a drone loaded it ${Math.round(earlyMs / 1000)} s before its pickup window`]
    : faults;
}

/** What may stand after the orders: the last that was done, and each later one whose asker did not hear how it went. */
function standing<T, O extends Order>(first: T, orders: readonly O[], of: (order: O) => T): T[] {
  return orders.reduce<T[]>(
    (possible, order) => {
      if (order.answer === 'refused') return possible;
      return order.answer === 'done' ? [of(order)] : [...possible, of(order)];
    },
    [first],
  );
}

function same(one: PickupWindow | null, other: PickupWindow | null): boolean {
  if (one === null || other === null) return one === other;
  return timeMsOf(one.start) === timeMsOf(other.start) && timeMsOf(one.end) === timeMsOf(other.end);
}

const at = ({ latitude, longitude }: Location) => `${latitude}, ${longitude}`;
const span = (window: PickupWindow | null) => (window === null ? 'none' : `${window.start} to ${window.end}`);
