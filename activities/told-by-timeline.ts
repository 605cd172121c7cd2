/** What a delivery's own timeline tells of it to a run that a reset has begun. Pure. */
import type { DeliveryEvent } from '../services/delivery/contract/index.ts';
import { isBeforePickup, isFinal } from '../services/delivery/contract/status.ts';
import { type DroneId, isId } from '../shared/ids.ts';
import {
  ABORT_UPDATE,
  CANCEL_UPDATE,
  CHANGE_DROPOFF_UPDATE,
  CONFIRM_UPDATE,
  REASSIGN_DRONE_UPDATE,
} from '../workflows/messages.ts';

export interface ToldByTimeline {
  /** How many events of each type there are. */
  events: Record<string, number>;
  /** The same events as `<type>@<occurred_at>`: what an aircraft or a carrier has told has the time when it was. */
  happened: string[];
  /** Drones that failed on it, or that an operator wanted out of the question. */
  failedDrones: DroneId[];
  /** How often an operator took one from it. */
  reassignments: number;
  /** The updates whose `pending` has come to nothing yet, by name; absent: nobody looked. */
  unsettled?: string[];
}

type Told = Pick<DeliveryEvent, 'sequence' | 'type' | 'status' | 'occurred_at' | 'data'>;

export function toldBy(events: readonly Told[]): Required<ToldByTimeline> {
  const counts = new Map<string, number>();
  for (const { type } of events) counts.set(type, (counts.get(type) ?? 0) + 1);
  // One that could not be sent is released too, by nobody.
  const reassigned = events.filter(({ data }) => 'released_drone_id' in data && 'by' in data);
  // Before it was said, each one was excluded.
  const takenAway = reassigned.filter(({ data }) => data['excluded'] !== false);
  const crossed = events.filter(({ data }) => data['excluded'] === true);
  return {
    events: Object.fromEntries(counts),
    happened: events.map(({ type, occurred_at }) => `${type}@${occurred_at}`),
    failedDrones: [
      ...new Set([
        ...dronesIn(events, 'failed_drone_id'),
        ...dronesIn(takenAway, 'released_drone_id'),
        ...dronesIn(crossed, 'drone_id'),
      ]),
    ],
    reassignments: reassigned.length,
    unsettled: unsettledIn(events),
  };
}

/** Asking again for a cancel, an abort or a confirmation that was settled does nothing, so those may count as open. */
function unsettledIn(events: readonly Told[]): string[] {
  const inOrder = [...events].sort((one, other) => one.sequence - other.sequence);
  const isOpen = (asked: string, isSettled: (event: Told) => boolean) => {
    const at = inOrder.findLastIndex(({ type }) => type === asked);
    return at >= 0 && !inOrder.slice(at + 1).some(isSettled);
  };
  const reassign = isOpen(
    'delivery.reassign_requested',
    ({ type, status }) => type === 'delivery.awaiting_drone' || !isBeforePickup(status),
  );
  const dropoff = isOpen(
    'delivery.dropoff_change_requested',
    ({ type, status }) => DROPOFF_SETTLED.includes(type) || isFinal(status),
  );
  return [
    CANCEL_UPDATE,
    ABORT_UPDATE,
    CONFIRM_UPDATE,
    ...(reassign ? [REASSIGN_DRONE_UPDATE] : []),
    ...(dropoff ? [CHANGE_DROPOFF_UPDATE] : []),
  ];
}
const DROPOFF_SETTLED: readonly string[] = ['delivery.dropoff_changed', 'delivery.dropoff_change_refused'];

function dronesIn(events: readonly Told[], field: string): DroneId[] {
  return events.flatMap(({ data }) => {
    const id = data[field];
    return typeof id === 'string' && isId('drone', id) ? [id] : [];
  });
}
