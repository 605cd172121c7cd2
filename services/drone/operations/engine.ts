/** What every operation works with, and the one way in which a reservation changes. */
import type { Clock, WallClock } from '../../../shared/clock.ts';
import { Problem } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/logger.ts';
import type { CatalogCache } from '../data/catalog.ts';
import type { Database } from '../data/database.ts';
import { commitTransition } from '../data/flights.ts';
import type { LinkLossRule } from '../domain/link-loss.ts';
import { type Flight, isOpen, type Transition } from '../domain/reservation.ts';
import { CLAIM_MS, type MilestoneSignals } from '../pumps/milestone-signals.ts';
import type { MissionWatch } from '../pumps/mission-watch.ts';
import type { WaitingList } from '../pumps/waiting-list.ts';

export interface Engine {
  database: Database;
  catalog: CatalogCache;
  logger: Logger;
  /** The stack's clock: for what belongs to no delivery. */
  clock: Clock;
  wall: WallClock;
  /** This process, among those that share the database. */
  processId: string;
  linkLoss: LinkLossRule;
  /** Since when this process could hear drones, wall milliseconds. */
  listeningSinceMs: number;
  signals: MilestoneSignals;
  waitingList: WaitingList;
  missionWatch: MissionWatch;
}

/** So often can others come in between before something is wrong: each time one of them got on. */
const MAX_TRIES = 100;

/**
 * Reads a flight, lets a rule decide, and commits what it decided; when somebody else changed the reservation in between,
 * reads and decides again. Undefined when there is no such flight.
 */
export async function transact<A>(
  engine: Engine,
  read: () => Promise<Flight | undefined>,
  decide: (
    flight: Flight,
  ) => { answer: A; transition?: Transition | null } | Promise<{ answer: A; transition?: Transition | null }>,
): Promise<A | undefined> {
  for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
    const flight = await read();
    if (!flight) return undefined;
    const { answer, transition } = await decide(flight);
    if (!transition || (await commit(engine, flight, transition))) return answer;
  }
  throw new Problem('unavailable', { detail: 'The reservation is changing too often.', retryAfterS: 1 });
}

/** Commits, and tells those whom it concerns. False when the reservation has changed since it was read. */
async function commit(engine: Engine, flight: Flight, transition: Transition): Promise<boolean> {
  const { database, wall, processId, signals, waitingList, missionWatch } = engine;
  const { reservation } = flight;
  const committed = await commitTransition(database, flight, transition, {
    wallMs: wall(),
    claimant: signals.isAtOnce ? processId : null,
    claimMs: CLAIM_MS,
  });
  if (!committed) return false;
  signals.push(reservation, committed);
  const closes = isOpen(reservation) && !isOpen({ ...reservation, ...transition.change });
  if (transition.mission || closes) missionWatch.changed(reservation.droneId);
  if (transition.drone?.state === 'idle' || transition.drone?.state === 'charging') waitingList.nudge();
  return true;
}
