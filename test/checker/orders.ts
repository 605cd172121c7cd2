/** What became of what was asked for after the accept: whoever got an answer can rely on it. */
import { timeMsOf } from '../../shared/clock.ts';
import type { Location, PickupWindow } from '../../shared/schemas.ts';
import { type Dossier, isEndedByHand, ordersOf } from './dossier.ts';
import type { Order } from './history.ts';

/** A drone that takes off for a window is there with its beginning, as far as its ETA is right; not so much earlier. */
const LOADED_EARLY_MS = 5 * 60_000;

export function orderFaults(dossier: Dossier): string[] {
  return [
    ...cancelFaults(dossier),
    ...abortFaults(dossier),
    ...reassignFaults(dossier),
    ...dropoffFaults(dossier),
    ...windowFaults(dossier),
  ];
}

/** Somebody ended its workflow: what it had not done is the reconciler's. */
export function isTerminated(dossier: Dossier): boolean {
  return ordersOf(dossier, 'terminate').some(({ answer }) => answer !== 'refused');
}

function cancelFaults(dossier: Dossier): string[] {
  const { status, cancellation_reason: reason } = dossier.delivery;
  const cancels = ordersOf(dossier, 'cancel');
  // Nobody else was asked to end it: a native cancel or an abort ends it as cancelled too.
  const isAsked = cancels.length > 0 || ordersOf(dossier, 'abort').length > 0;
  return cancels
    .flatMap(({ answer }) => {
      if (answer === 'done' && status !== 'cancelled') return ['its sender was told that it is cancelled'];
      if (answer === 'refused' && status === 'cancelled' && ordersOf(dossier, 'abort').length === 0) {
        return ['its sender was told that it can not be cancelled'];
      }
      return [];
    })
    .concat(
      status === 'cancelled' && dossier.asked.orders !== undefined && !isAsked
        ? [`nobody asked for it to be cancelled (${reason ?? 'no reason'})`]
        : [],
    );
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
