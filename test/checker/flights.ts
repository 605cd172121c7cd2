/** What is wrong with the flights: whose package was in which aircraft, who was promised to whom, and where it was let go. */
import { distanceM } from '../../shared/geodesy.ts';
import type { Location } from '../../shared/schemas.ts';
import { type Dossier, groupBy, isCarried, isEndedByHand, LET_GO_WITHIN_M, of } from './dossier.ts';
import type { Fault, History } from './history.ts';

/**
 * Never two aircraft with the package of one delivery: by the reservations, by what was flown, and by what was seen. Another one
 * may take it only where the first has landed and set it down.
 */
export function loadFaults(
  { reservations, milestones }: Dossier,
  seenAboard: readonly { droneId: string }[],
): string[] {
  const loadedFor = reservations
    .filter(({ loading }) => loading === 'loaded')
    .map(({ drone_id }): string => drone_id);
  const told = milestones.filter(({ kind }) => kind === 'loaded');
  const seen = new Set(seenAboard.map(({ droneId }) => droneId));
  const atMost = 1 + milestones.filter(({ kind }) => kind === 'set_down').length;
  return [
    ...(loadedFor.length > atMost
      ? [`${loadedFor.length} drones loaded for it: ${loadedFor.join(', ')}`]
      : []),
    ...(told.length > atMost
      ? [`it was loaded ${told.length} times: ${told.map(({ droneId }) => droneId).join(', ')}`]
      : []),
    ...(seen.size > atMost ? [`its package was seen in ${seen.size} drones: ${[...seen].join(', ')}`] : []),
    ...twiceAboard(milestones),
    ...[...seen]
      .filter((droneId) => !loadedFor.includes(droneId))
      .map((droneId) => `its package was seen in ${droneId}, which never loaded`),
  ];
}

/** Loaded by one while it was aboard another, in the order of what the aircraft told. */
function twiceAboard(milestones: Dossier['milestones']): string[] {
  const faults: string[] = [];
  let aboard: string | undefined;
  for (const { kind, droneId } of milestones) {
    if (kind === 'set_down' && droneId === aboard) aboard = undefined;
    if (kind !== 'loaded') continue;
    if (aboard !== undefined && aboard !== droneId) {
      faults.push(`${droneId} loaded it while it was aboard ${aboard}`);
    }
    aboard = droneId;
  }
  return faults;
}

export function flightFaults(dossier: Dossier): string[] {
  const { delivery, reservations } = dossier;
  const loaded = reservations.filter(({ loading }) => loading === 'loaded').length;
  const byDrone = delivery.fulfilment === 'drone' && isCarried(delivery);
  const tokens = reservations.map(({ token }) => token);
  return [
    ...(byDrone && loaded === 0 ? ['it was flown, and no drone loaded'] : []),
    ...(delivery.fulfilment === 'carrier' && loaded > 0 ? ['a drone loaded what a carrier took'] : []),
    ...(delivery.status === 'cancelled' && loaded > 0 ? ['it was cancelled, and a drone loaded'] : []),
    ...(new Set(tokens).size < tokens.length ? [`a token was given twice: ${tokens.join(', ')}`] : []),
    ...(byDrone ? placeFaults(dossier) : []),
  ];
}

/** Handed over at the dropoff, or given back to the sender: as the aircraft that let it go says. */
function placeFaults({ delivery, milestones }: Dossier): string[] {
  const end = milestones.findLast(({ kind }) => kind === 'released');
  if (end === undefined) {
    return isEndedByHand(delivery) ? [] : [`it is ${delivery.status}, and no drone let it go`];
  }
  const [where, place]: [string, Location] =
    delivery.status === 'delivered'
      ? ['dropoff', delivery.dropoff.location]
      : ['sender', delivery.pickup.location];
  const farM = end.position === null ? 0 : distanceM(end.position, place);
  return farM > LET_GO_WITHIN_M ? [`it was let go ${Math.round(farM)} m from the ${where}`] : [];
}

/** No drone promised to two at once, and none in the air for two. */
export function droneFaults({ reservations, milestones }: History): Fault[] {
  const faults: Fault[] = [];
  for (const [droneId, promised] of groupBy(reservations, ({ drone_id }) => drone_id)) {
    const inOrder = promised.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
    inOrder.forEach((one, index) => {
      const before = inOrder[index - 1];
      if (!before) return;
      const freeAtMs = before.ended_at === null ? Infinity : Date.parse(before.ended_at);
      if (Date.parse(one.created_at) < freeAtMs) {
        const what = `drone ${droneId} was promised to it while it was ${before.delivery_id}'s`;
        faults.push(of('double_flight', one.delivery_id, what));
      }
    });
  }
  for (const [droneId, flown] of groupBy(milestones, (one) => one.droneId)) {
    const seen = new Set<string>();
    let current: string | undefined;
    const inOrder = flown.toSorted((a, b) => Date.parse(a.occurredAt) - Date.parse(b.occurredAt));
    for (const { reservationId, deliveryId } of inOrder) {
      // Back to an earlier flight after another one: both were flown at once.
      if (reservationId !== current && seen.has(reservationId)) {
        faults.push(of('double_flight', deliveryId, `drone ${droneId} flew for it and for another in turns`));
      }
      seen.add(reservationId);
      current = reservationId;
    }
  }
  return faults;
}
