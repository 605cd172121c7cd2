/** The states of a carrier's booking as statuses of the delivery. Pure. */
import type { BookingState } from '../../services/carrier/contract/index.ts';
import type { DeliveryStatus } from '../../services/delivery/contract/status.ts';

/** What a booking's states stand for, in the order in which a journey has them. */
const JOURNEY = [
  'confirmed',
  'enroute_to_pickup',
  'arrived_at_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
  'delivered',
] as const satisfies readonly DeliveryStatus[];
export type JourneyStatus = (typeof JOURNEY)[number];

export const STATUS_OF: Partial<Record<BookingState, JourneyStatus>> = {
  enroute_to_pickup: 'enroute_to_pickup',
  arrived_at_pickup: 'arrived_at_pickup',
  picked_up: 'picked_up',
  enroute_to_dropoff: 'enroute_to_dropoff',
  arrived_at_dropoff: 'arrived_at_dropoff',
  delivered: 'delivered',
};

/**
 * The statuses from one to another, without the first; none when it lies behind. Carriers leave steps out, repeat them, and tell
 * them late: only what leads on counts.
 */
export function stepsOnTo(from: DeliveryStatus, to: JourneyStatus): JourneyStatus[] {
  const at = JOURNEY.findIndex((status) => status === from);
  return at < 0 ? [] : JOURNEY.slice(at + 1, JOURNEY.indexOf(to) + 1);
}
