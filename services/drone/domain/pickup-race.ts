/**
 * The pickup race. A package is aboard before anyone hears of it, so loading and recall compete for one word on the
 * reservation:
 *
 *     none ──(load token)──▶ granted ──(loaded)──▶ loaded
 *       └────(recall)──────▶ barred ◀──(empty, says the aircraft)── granted
 *
 * Nothing leads out of `loaded` or `barred`. Pure: the data layer's compare-and-set makes each step atomic.
 */
import { recallMission } from './missions.ts';
import type { Flight, Loading, Transition } from './reservation.ts';

export const LOADING_STEPS: Readonly<Record<Loading, readonly Loading[]>> = {
  none: ['granted', 'barred'],
  granted: ['loaded', 'barred'],
  loaded: [],
  barred: [],
};

export type RecallOutcome = 'recalled' | 'loaded' | 'pending' | 'never_dispatched';

/**
 * Asks for the drone back before it loads. Before the dispatch it bars the reservation, so that a dispatch that arrives
 * late is refused; the drone is freed by its release or the end of its lease.
 */
export function recall(flight: Flight, now: Date): { outcome: RecallOutcome; transition?: Transition } {
  const { reservation, drone } = flight;
  const wasDispatched = reservation.missionVersion > 0;
  if (!wasDispatched) {
    const mustBar = reservation.state === 'held' && reservation.loading === 'none';
    return {
      outcome: 'never_dispatched',
      ...(mustBar && { transition: { change: { loading: 'barred', recalledAt: now } } }),
    };
  }
  const recalledAt = reservation.recalledAt ?? now;
  switch (reservation.loading) {
    case 'barred':
      return { outcome: 'recalled' };
    case 'loaded':
      return { outcome: 'loaded' };
    case 'none':
      return {
        outcome: 'recalled',
        transition: {
          change: { loading: 'barred', recalledAt },
          mission: recallMission(flight),
          ...(drone.state === 'committed' && { drone: { state: 'returning', reason: 'recalled' } }),
        },
      };
    case 'granted':
      return {
        outcome: 'pending',
        ...(reservation.command !== 'recall' && {
          transition: { change: { recalledAt }, mission: recallMission(flight) },
        }),
      };
  }
}

export type LoadTokenAnswer =
  | { outcome: 'granted'; loadToken: string; transition?: Transition }
  | { outcome: 'refused'; reason: 'recalled' | 'stale_reservation' | 'not_at_pickup' };

/** May this drone load now? The same question again gets the same token. `freshToken` is used when it is the first. */
export function requestLoadToken(
  { reservation }: Flight,
  asked: { droneId: string; reservationToken: number },
  freshToken: string,
): LoadTokenAnswer {
  const isStale =
    reservation.droneId !== asked.droneId ||
    reservation.token !== asked.reservationToken ||
    reservation.state !== 'committed';
  if (isStale) return { outcome: 'refused', reason: 'stale_reservation' };
  switch (reservation.loading) {
    case 'barred':
      return { outcome: 'refused', reason: 'recalled' };
    case 'none':
      if (reservation.phase !== 'at_pickup') return { outcome: 'refused', reason: 'not_at_pickup' };
      return {
        outcome: 'granted',
        loadToken: freshToken,
        transition: { change: { loading: 'granted', loadToken: freshToken } },
      };
    case 'granted':
    case 'loaded':
      if (reservation.loadToken === null)
        throw new Error(`Reservation ${reservation.id} has lost its load token`);
      return { outcome: 'granted', loadToken: reservation.loadToken };
  }
}
