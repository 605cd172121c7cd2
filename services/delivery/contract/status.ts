/**
 * The delivery's status: one pure state machine that everything asks. The delivery service's database refuses what it
 * forbids (a test holds the trigger against this table). Pure: workflow code imports it.
 */

export const DELIVERY_STATUSES = [
  'created',
  'scheduled',
  'awaiting_drone',
  'confirmed',
  'enroute_to_pickup',
  'arrived_at_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
  'delivered',
  'enroute_to_return',
  'arrived_at_return',
  'returned',
  'cancelled',
  'failed',
] as const;

export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** From each status, the statuses it may change to. */
export const TRANSITIONS: Readonly<Record<DeliveryStatus, readonly DeliveryStatus[]>> = {
  created: ['scheduled', 'awaiting_drone', 'confirmed', 'cancelled', 'failed'],
  scheduled: ['awaiting_drone', 'confirmed', 'cancelled', 'failed'],
  awaiting_drone: ['confirmed', 'scheduled', 'cancelled', 'failed'],
  confirmed: ['enroute_to_pickup', 'awaiting_drone', 'scheduled', 'cancelled', 'failed'],
  enroute_to_pickup: ['arrived_at_pickup', 'awaiting_drone', 'cancelled', 'failed'],
  arrived_at_pickup: ['picked_up', 'awaiting_drone', 'cancelled', 'failed'],
  picked_up: ['enroute_to_dropoff', 'enroute_to_return', 'failed'],
  enroute_to_dropoff: ['arrived_at_dropoff', 'enroute_to_return', 'failed'],
  arrived_at_dropoff: ['delivered', 'enroute_to_return', 'failed'],
  enroute_to_return: ['arrived_at_return', 'failed'],
  arrived_at_return: ['returned', 'failed'],
  delivered: [],
  returned: [],
  cancelled: [],
  failed: [],
};

export function canTransition(from: DeliveryStatus, to: DeliveryStatus): boolean {
  return TRANSITIONS[from].includes(to);
}

/** Shortest legal way from one status to another, without the start, never through another ending; undefined: none. */
export function statusesBetween(from: DeliveryStatus, to: DeliveryStatus): DeliveryStatus[] | undefined {
  const ways: DeliveryStatus[][] = [[from]];
  const seen = new Set<DeliveryStatus>([from]);
  for (const way of ways) {
    const last = way[way.length - 1] ?? from;
    if (last === to) return way.slice(1);
    for (const next of TRANSITIONS[last]) {
      if (seen.has(next) || (isFinal(next) && next !== to)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

/** A delivery in this status has ended: nothing follows. */
export function isFinal(status: DeliveryStatus): boolean {
  return TRANSITIONS[status].length === 0;
}

const BEFORE_PICKUP: ReadonlySet<DeliveryStatus> = new Set([
  'created',
  'scheduled',
  'awaiting_drone',
  'confirmed',
  'enroute_to_pickup',
  'arrived_at_pickup',
]);

/** The package is not aboard yet, so the delivery can still be cancelled and its drone replaced. */
export function isBeforePickup(status: DeliveryStatus): boolean {
  return BEFORE_PICKUP.has(status);
}

/** Compensation of what had been done when a delivery ended otherwise than well. */
export const COMPENSATION_STATES = ['none', 'pending', 'complete', 'needs_intervention'] as const;
export type CompensationState = (typeof COMPENSATION_STATES)[number];

export const DELAY_REASONS = [
  'no_drone',
  'weather_hold',
  'airspace',
  'sender_not_ready',
  'drone_failed',
  'dropoff_blocked',
  'recipient_absent',
  'confirmation_failed',
  'carrier_failed',
] as const;
export type DelayReason = (typeof DELAY_REASONS)[number];

/** Why a package was not handed over at the dropoff. */
export const UNDELIVERABLE_REASONS = [
  'dropoff_blocked',
  /** Nobody confirmed it while the drone waited. */
  'recipient_absent',
  /** Every try at the PIN, or the scan, was wrong. */
  'confirmation_failed',
] as const;
export type UndeliverableReason = (typeof UNDELIVERABLE_REASONS)[number];

export const FAILURE_REASONS = [
  'account_suspended',
  'account_closed',
  'account_unknown',
  'credit_exceeded',
  'payload_too_heavy',
  'out_of_range',
  'no_drone_available',
  'carrier_unavailable',
  'carrier_failed',
  'sender_absent',
  /** Its drone came after the pickup window, and nothing was loaded any more: our lateness, and not the sender's absence. */
  'pickup_window_missed',
  'drone_lost',
  'package_lost',
  'aborted',
  'step_failed',
  /** Somebody terminated its workflow; the reconciler undid what it held. */
  'workflow_terminated',
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

export const CANCELLATION_REASONS = [
  'requested_by_sender',
  'requested_by_operator',
  'duplicate',
  'not_needed',
  'other',
] as const;
export type CancellationReason = (typeof CANCELLATION_REASONS)[number];
