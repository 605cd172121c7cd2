/** Who on the waiting list is offered which free drone. Pure. */
import type { DeliveryId, DroneId } from '../../../shared/ids.ts';
import type { Appointment } from './appointment.ts';
import { choose, type Fleet, isOutOfReach, type Job } from './assignment.ts';

/** How long a free drone is kept for the delivery that was told of it, wall milliseconds. */
export const OFFER_MS = 10_000;

export interface Waiter {
  deliveryId: DeliveryId;
  job: Job;
  excludedDroneIds: readonly DroneId[];
  /** Null: it came before it said when it has to be where. */
  appointment: Appointment | null;
  expedited: boolean;
  joinedWallMs: number;
  /** Offers that it did not take. */
  offers: number;
}

export interface Offer {
  deliveryId: DeliveryId;
  droneId: DroneId;
}

/** Expedited first, then the oldest; one that let an offer pass comes after those that did not, for nobody may be home. */
export function offersFor(waiters: readonly Waiter[], fleet: Fleet): Offer[] {
  const free = new Map(
    fleet.drones
      .filter((drone) => drone.offeredTo === null && (drone.state === 'idle' || drone.state === 'charging'))
      .map((drone) => [drone.id, drone]),
  );
  const offers: Offer[] = [];
  for (const waiter of [...waiters].sort(byTurn)) {
    if (free.size === 0) break;
    const { deliveryId, appointment } = waiter;
    const rules = { excluded: new Set(waiter.excludedDroneIds), deliveryId, appointment };
    const near = [...free.values()].filter((drone) => !isOutOfReach(waiter.job, drone, fleet));
    const [able] = choose(waiter.job, { ...fleet, drones: near }, rules).ranked;
    if (!able) continue;
    free.delete(able.droneId);
    offers.push({ deliveryId: waiter.deliveryId, droneId: able.droneId });
  }
  return offers;
}

function byTurn(a: Waiter, b: Waiter): number {
  return a.offers - b.offers || Number(b.expedited) - Number(a.expedited) || a.joinedWallMs - b.joinedWallMs;
}
