/**
 * What is still held for deliveries: reservations, authorizations, bookings, drones that are not home, requests that were
 * accepted and have not gone on. When all deliveries have ended, nothing may be.
 */
import { everyItem, type ServiceClients } from './service-clients.ts';

/** One thing that is held, in words. */
export type Held = string;

const AT_HOME: ReadonlySet<string> = new Set(['idle', 'charging', 'maintenance']);

export async function whatIsHeld(services: ServiceClients): Promise<Held[]> {
  const { account, carrier, drone, ingestion } = services;
  const [reservations, authorizations, bookings, drones, backlog] = await Promise.all([
    everyItem((page) => drone.listReservations({ query: { ...page, open: true } })),
    everyItem((page) => account.listAuthorizations({ query: { ...page, state: 'authorized' } })),
    everyItem((page) => carrier.listBookings({ query: { ...page, open: true } })),
    everyItem((page) => drone.listDrones({ query: page })),
    ingestion.backlog({}),
  ]);
  return [
    ...reservations.map(
      (one) => `reservation ${one.id} of drone ${one.drone_id} is ${one.state} for ${one.delivery_id}`,
    ),
    ...authorizations.map(
      (one) =>
        `authorization ${one.id} of ${one.amount.amount} ${one.amount.currency} is open for ${one.delivery_id}`,
    ),
    ...bookings.map((one) => `booking ${one.id} with ${one.carrier} is ${one.state} for ${one.delivery_id}`),
    ...drones
      .filter(({ state }) => !AT_HOME.has(state))
      .map(
        (one) =>
          `drone ${one.name} is not home: ${one.state}${one.state_reason ? `, ${one.state_reason}` : ''}`,
      ),
    ...(['unstarted', 'unprojected', 'unanswered_cancels'] as const)
      .filter((what) => backlog[what] > 0)
      .map((what) => `ingestion has ${backlog[what]} ${what.replace('_', ' ')}`),
  ];
}
