/** Where the package of a delivery is whose workflow is gone: what the drone and the carrier service know of it. */
import type { Booking, BookingState } from '../services/carrier/contract/index.ts';
import type { MilestoneKind, Reservation } from '../services/drone/contract/index.ts';
import { everyItem } from '../shared/every-item.ts';
import type { BookingId, DeliveryId, DroneId } from '../shared/ids.ts';
import type { Location } from '../shared/schemas.ts';
import { droneIsDown } from '../audit/orphans.ts';
import type { ServiceClients } from './index.ts';

export type Whereabouts =
  /** Nobody has taken it up, or it has been brought back. */
  | { at: 'sender' }
  /** It was let go at the dropoff. `isConfirmed`: with the proof that its sender asked for. */
  | { at: 'recipient'; isConfirmed?: boolean }
  /** `isDown`: the drone flies no more until a person has brought it back. `position`: of the drone. */
  | { at: 'drone'; droneId: DroneId; isDown: boolean; position: Location | null }
  /** Set down on the way, or taken out of its drone. `position`: null when nobody has said where. */
  | { at: 'ground'; droneId: DroneId; position: Location | null }
  /** `expectedBy`: its promise, RFC 3339. */
  | { at: 'carrier'; bookingId: BookingId; expectedBy: string }
  /** The carrier has given up with it, and nobody knows where it is. */
  | { at: 'carrier_failed'; bookingId: BookingId };

export async function whereaboutsOf(services: ServiceClients, deliveryId: DeliveryId): Promise<Whereabouts> {
  const whereabouts = await lastKnown(services, deliveryId);
  if (whereabouts.at !== 'recipient') return whereabouts;
  const { confirmed_at } = await services.delivery.getConfirmation({ params: { delivery_id: deliveryId } });
  return { ...whereabouts, isConfirmed: confirmed_at !== null };
}

async function lastKnown(services: ServiceClients, deliveryId: DeliveryId): Promise<Whereabouts> {
  const of = { delivery_id: deliveryId };
  const [bookings, reservations] = await Promise.all([
    everyItem((page) => services.carrier.listBookings({ query: { ...page, ...of } })),
    everyItem((page) => services.drone.listReservations({ query: { ...page, ...of } })),
  ]);
  // The newest of each; a carrier is only asked when no drone does it.
  const booking = bookings.find(({ state }) => state !== 'cancelled');
  if (booking) return withCarrier(services, booking);
  const [carried] = reservations.filter(({ loading }) => loading === 'loaded').sort(byToken);
  return carried ? withDrone(services, carried) : { at: 'sender' };
}

const byToken = (one: Reservation, other: Reservation) => other.token - one.token;

async function withDrone({ drone, ...services }: ServiceClients, one: Reservation): Promise<Whereabouts> {
  const { data } = await drone.readMilestones({
    params: { reservation_id: one.id },
    query: { after_sequence: 0 },
  });
  const last = (kind: MilestoneKind) => data.findLast((milestone) => milestone.kind === kind);
  if (last('released')) return { at: last('arrived_at_return') ? 'sender' : 'recipient' };
  const droneId = one.drone_id;
  const setDown = last('set_down');
  if (setDown) return { at: 'ground', droneId, position: setDown.position };
  if (one.state === 'committed') {
    const [isDown, { position }] = await Promise.all([
      droneIsDown({ drone, ...services }, droneId),
      drone.getDrone({ params: { drone_id: droneId } }),
    ]);
    return { at: 'drone', droneId, isDown, position };
  }
  // Whoever fetched the drone has it, and has not said where it is.
  return { at: 'ground', droneId, position: last('failed')?.position ?? null };
}

const IN_ITS_HANDS: readonly BookingState[] = ['picked_up', 'enroute_to_dropoff', 'arrived_at_dropoff'];

async function withCarrier({ carrier }: ServiceClients, one: Booking): Promise<Whereabouts> {
  const { id: bookingId, state } = one;
  if (state === 'delivered') return { at: 'recipient' };
  if (state !== 'failed' && state !== 'lost') {
    return { at: 'carrier', bookingId, expectedBy: one.dropoff_eta };
  }
  const { data } = await carrier.readMilestones({
    params: { booking_id: bookingId },
    query: { after_sequence: 0 },
  });
  const hadIt = data.some((milestone) => IN_ITS_HANDS.includes(milestone.state));
  return hadIt ? { at: 'carrier_failed', bookingId } : { at: 'sender' };
}
