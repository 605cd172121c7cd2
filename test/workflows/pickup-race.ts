/** How the pickup race of a delivery went, by the two who decide it: the drone service and the aircraft. */
import type { DroneId } from '../../shared/ids.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import type { LabDelivery } from './lab-delivery.ts';

export interface PickupRace {
  /** Of every reservation that the delivery ever had, the oldest first. */
  loading: Reservation['loading'][];
  /** What their aircraft have told of it, as the drone service has it. */
  told: ('loaded' | 'recalled_empty')[];
  /** The drones under whose reservation the package was ever loaded, by the drone service. */
  loadedBy: DroneId[];
  /** The aircraft that ever had the package in the bay, as it really was. */
  carriedBy: DroneId[];
}

export async function pickupRace({ id, scene: { lab } }: LabDelivery): Promise<PickupRace> {
  const { drone } = lab.clients;
  const { data, next_cursor } = await drone.listReservations({ query: { delivery_id: id, limit: 100 } });
  if (next_cursor !== null) throw new Error(`${id} has had more reservations than are looked at`);
  const reservations = data.toReversed();
  const milestones = await Promise.all(
    reservations.map((one) =>
      drone.readMilestones({ params: { reservation_id: one.id }, query: { after_sequence: 0 } }),
    ),
  );
  return {
    loading: reservations.map((one) => one.loading),
    told: milestones.flatMap((page) =>
      page.data.flatMap(({ kind }) => (kind === 'loaded' || kind === 'recalled_empty' ? [kind] : [])),
    ),
    loadedBy: reservations.filter((one) => one.loading === 'loaded').map((one) => one.drone_id),
    carriedBy: lab.pilot.carriersOf(id),
  };
}
