/** Reserving a drone: choose, take, and if another delivery was faster choose again; or join the waiting list. */
import { clockTimeMs, isoTime, timeMsOf, wallDurationMs } from '../../../shared/clock.ts';
import { conflict, Problem } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import { type DeliveryId, newId } from '../../../shared/ids.ts';
import type { droneContract, DroneState } from '../contract/index.ts';
import {
  keepRefusal,
  type KeptAnswer,
  type NewReservation,
  readAnswer,
  type ReserveStep,
  takeDrone,
} from '../data/assignments.ts';
import { isUniqueViolation, Prisma } from '../data/database.ts';
import { readFleet } from '../data/fleet.ts';
import { readFlights } from '../data/flights.ts';
import { latenessDetail } from '../domain/appointment.ts';
import { isInLine } from '../data/waiting-list.ts';
import { choose, type Fleet } from '../domain/assignment.ts';
import { expireLease } from '../domain/commands.ts';
import { longestSilenceMs } from '../domain/link-loss.ts';
import { type Engine, transact } from './engine.ts';

type Body = BodyOf<typeof droneContract, 'reserve'>;
type Answer = Output<(typeof droneContract)['reserve']>;

const DEFAULT_LEASE_S = 120;
/** However fast the clock runs, between reserve and dispatch lie some steps that take the wall's time. */
const SHORTEST_DEFAULT_LEASE_WALL_MS = 10_000;
const MAX_ROUNDS = 50;

export async function reserve(engine: Engine, stepKey: string, body: Body): Promise<Answer> {
  let hasCleared = false;
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    try {
      const answer = await tryToReserve(engine, stepKey, body);
      if (answer) return answer;
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const kept = await readAnswer(engine.database, stepKey);
      if (kept) return repeated(engine, kept, stepKey, body);
      if (isUniqueViolation(error, 'reservations_one_loadable_per_delivery')) {
        if (hasCleared || !(await clearEndedLease(engine, body.delivery_id))) {
          throw conflict(
            'already_reserved',
            `Delivery ${body.delivery_id} has a drone under another reserve step; release that first.`,
          );
        }
        hasCleared = true;
      }
    }
  }
  throw new Problem('unavailable', { detail: 'Too many deliveries want the same drones.', retryAfterS: 1 });
}

/** Undefined when others have taken every drone that was free a moment ago. */
async function tryToReserve(engine: Engine, stepKey: string, body: Body): Promise<Answer | undefined> {
  const { database, catalog, wall } = engine;
  const fleet = await readFleet(database, catalog, new Date(wall()));
  // The time is that of the look, once it is over: however long it took, a drone that it found free was free by now.
  const step = stepOf(engine, stepKey, body);
  const choice = choose(step.job, fleet, {
    excluded: new Set(body.exclude_drone_ids),
    deliveryId: body.delivery_id,
    appointment: step.appointment,
  });
  if (choice.ranked.length > 0) {
    const detail = `The first to arrive of ${fleet.drones.length} drones that is free and able.`;
    const taken = await takeDrone(
      database,
      step,
      leaseFor(engine, step, body.lease_s),
      choice.ranked,
      detail,
      choice.candidates,
    );
    return taken && reserved(taken);
  }
  if (choice.infeasible) {
    const { reason, detail } = choice.infeasible;
    await keepRefusal(
      database,
      step,
      { outcome: 'infeasible', reason, detail, wait: false },
      choice.candidates,
    );
    return { outcome: 'infeasible', reason, detail };
  }
  const late = choice.candidates.flatMap(({ verdict, arrivalS, dropoffS }) =>
    verdict === 'too_late' && arrivalS !== null && dropoffS !== null ? [{ arrivalS, dropoffS }] : [],
  );
  const detail = unavailableDetail(fleet, latenessDetail(late, step.appointment));
  await keepRefusal(
    database,
    step,
    { outcome: 'unavailable', reason: null, detail, wait: body.wait },
    choice.candidates,
  );
  // A drone may have become free between the look and the place on the list.
  if (body.wait) engine.waitingList.nudge();
  return { outcome: 'unavailable', detail };
}

function stepOf({ wall }: Engine, stepKey: string, body: Body): ReserveStep {
  const wallMs = wall();
  const nowMs = Math.round(clockTimeMs(body.clock, wallMs));
  const timeOf = (time: string | undefined) => (time === undefined ? null : timeMsOf(time));
  return {
    stepKey,
    deliveryId: body.delivery_id,
    accountId: body.account_id,
    livemode: body.livemode,
    clock: body.clock,
    job: {
      pickup: body.pickup,
      dropoff: body.dropoff,
      ...(body.return_to && { returnTo: body.return_to }),
      payloadKg: body.payload_kg,
      packageSizes: body.package_sizes,
    },
    appointment: {
      nowMs,
      pickupFromMs: timeOf(body.pickup_from),
      pickupByMs: timeOf(body.pickup_by),
      deliverByMs: timeOf(body.deliver_by),
    },
    expedited: body.expedited,
    excludedDroneIds: body.exclude_drone_ids,
    now: new Date(nowMs),
    wall: new Date(wallMs),
  };
}

function leaseFor({ linkLoss }: Engine, step: ReserveStep, leaseS: number | undefined): NewReservation {
  const askedMs = wallDurationMs(step.clock, (leaseS ?? DEFAULT_LEASE_S) * 1000);
  const leaseWallMs = leaseS === undefined ? Math.max(askedMs, SHORTEST_DEFAULT_LEASE_WALL_MS) : askedMs;
  const leaseWall = new Date(Math.round(step.wall.getTime() + leaseWallMs));
  return {
    reservationId: newId('reservation'),
    leaseWall,
    leaseExpiresAt: new Date(Math.round(clockTimeMs(step.clock, leaseWall.getTime()))),
    silenceMs: longestSilenceMs(step.clock, linkLoss),
  };
}

function reserved(taken: NonNullable<KeptAnswer['reservation']>): Answer {
  return {
    outcome: 'reserved',
    reservation_id: taken.id,
    reservation_token: taken.token,
    drone_id: taken.droneId,
    base_id: taken.baseId,
    eta: taken.eta,
    lease_expires_at: isoTime(taken.leaseExpiresAt.getTime()),
    distance_m: taken.distanceM,
  };
}

/** The first answer again; after a release, that it was released. */
async function repeated(
  { database }: Engine,
  kept: KeptAnswer,
  stepKey: string,
  { delivery_id, wait }: Body,
): Promise<Answer> {
  if (kept.deliveryId !== delivery_id) throw new Problem('idempotency-key-reused');
  if (kept.wasReleased || kept.outcome === 'released') return { outcome: 'released' };
  if (kept.reservation) return reserved(kept.reservation);
  const { detail } = kept;
  if (kept.outcome === 'infeasible') {
    const reason = kept.reason === 'payload_too_heavy' ? kept.reason : 'out_of_range';
    return { outcome: 'infeasible', reason, detail };
  }
  if (!wait || (await isInLine(database, stepKey))) return { outcome: 'unavailable', detail };
  return { outcome: 'unavailable', detail, left_line: true };
}

/** @param lateness why those that are free will not do; undefined: none is */
function unavailableDetail({ drones }: Fleet, lateness: string | undefined): string {
  if (drones.length === 0) return 'The fleet has no drones.';
  const inState = (...states: DroneState[]) => drones.filter((one) => states.includes(one.state)).length;
  const busy = `${inState('held', 'committed', 'returning')} are busy`;
  const outOfService = `${inState('maintenance', 'grounded', 'lost')} out of service`;
  const atHome = `${inState('idle', 'charging')} at home`;
  if (lateness !== undefined) {
    return `${lateness} Of ${drones.length} drones ${busy}, ${outOfService}, ${atHome}.`;
  }
  return (
    `No drone is free for it now: of ${drones.length} drones ${busy}, ${outOfService}, ${atHome}, but not able ` +
    'with what is in their batteries, kept for deliveries that waited longer, or excluded.'
  );
}

/** The delivery's own earlier lease, if it is over and only the sweep has not come by yet. */
async function clearEndedLease(engine: Engine, deliveryId: DeliveryId): Promise<boolean> {
  const ended = await transact(
    engine,
    async () => {
      const held = Prisma.sql`r.delivery_id = ${deliveryId} AND r.state = 'held' AND r.loading <> 'barred'`;
      return (await readFlights(engine.database, engine.catalog, held, 1))[0];
    },
    (flight) => {
      const transition = expireLease(flight, engine.wall());
      return { answer: transition !== null, transition };
    },
  );
  // Nothing open any more: it has just been settled by somebody else.
  return ended ?? true;
}
