/** What aircraft do: telemetry, missions, the load token, milestones. */
import { randomBytes } from 'node:crypto';
import { notFound } from '../../../shared/errors.ts';
import { timeMsOf } from '../../../shared/clock.ts';
import type { BodyOf, Input, Output } from '../../../shared/http/contract.ts';
import type { DroneId, ReservationId } from '../../../shared/ids.ts';
import type { aircraftContract, MilestoneKind, TelemetrySample } from '../contract/index.ts';
import { isSerializationFailure, Prisma } from '../data/database.ts';
import { changeFreeDrone } from '../data/fleet.ts';
import { readFlight, readFlights } from '../data/flights.ts';
import { type Orders, readOrders } from '../data/reservations.ts';
import { readToldMilestone } from '../data/signals.ts';
import { type Batch, type Heard, writeTelemetry } from '../data/telemetry.ts';
import { regainLink } from '../domain/link-loss.ts';
import { judge, type Report } from '../domain/milestones.ts';
import * as pickupRace from '../domain/pickup-race.ts';
import { type Flight, merge, type Transition } from '../domain/reservation.ts';
import { isNews } from '../pumps/mission-watch.ts';
import { type Engine, transact } from './engine.ts';

type Contract = typeof aircraftContract;

export async function postTelemetry(
  engine: Engine,
  body: BodyOf<Contract, 'postTelemetry'>,
): Promise<Output<Contract['postTelemetry']>> {
  const samplesOf = new Map<DroneId, TelemetrySample[]>();
  for (const { drone_id, samples } of body.drones) {
    samplesOf.set(drone_id, [...(samplesOf.get(drone_id) ?? []), ...samples]);
  }
  const batches: Batch[] = [...samplesOf].map(([droneId, samples]) => ({ droneId, samples }));
  const heard = await keepTelemetry(engine, batches);
  await Promise.all(heard.map((one) => follow(engine, one)));
  const known = new Set(heard.map((one) => one.droneId));
  return {
    accepted: batches.reduce((sum, one) => sum + (known.has(one.droneId) ? one.samples.length : 0), 0),
    missions: heard.flatMap(({ droneId, mission }) =>
      mission ? [{ drone_id: droneId, mission_id: mission.id, version: mission.version }] : [],
    ),
    unknown: batches.map((one) => one.droneId).filter((id) => !known.has(id)),
  };
}

/** Two gateways that send the same drones in another order can get in each other's way: one of them then does it again. */
async function keepTelemetry({ database, clock, wall }: Engine, batches: readonly Batch[]): Promise<Heard[]> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await writeTelemetry(database, batches, clock.now(), new Date(wall()));
    } catch (error) {
      if (!isSerializationFailure(error) || tries === 5) throw error;
    }
  }
}

/** What hearing a drone changes: seldom anything. */
async function follow(engine: Engine, { droneId, cameBack, charged }: Heard): Promise<void> {
  const { database, catalog, waitingList, wall } = engine;
  if (cameBack) {
    await transact(
      engine,
      async () =>
        (
          await readFlights(database, catalog, Prisma.sql`r.id = d.reservation_id AND d.id = ${droneId}`, 1)
        )[0],
      (flight) => ({ answer: null, transition: regainLink(flight) }),
    );
  }
  if (charged) {
    const idle = { state: 'idle', reason: null, by: null } as const;
    if (await changeFreeDrone(database, droneId, ['charging'], idle, new Date(wall()))) waitingList.nudge();
  }
}

export async function getMission(
  engine: Engine,
  { params, query }: Input<Contract['getMission']>,
  gone: AbortSignal,
): Promise<Orders> {
  const { database, catalog, missionWatch } = engine;
  const read = async (): Promise<Orders> => {
    const orders = await readOrders(database, catalog, params.drone_id);
    if (!orders) throw notFound('drone', params.drone_id);
    return orders;
  };
  const known = { missionId: query.mission_id, version: query.after_version ?? 0 };
  const waitUntilMs = performance.now() + (query.wait_ms ?? 0);
  for (;;) {
    // Waiting begins before the look, so that a change right after it is not missed.
    const looked = new AbortController();
    const leftMs = waitUntilMs - performance.now();
    const news = missionWatch.wait(
      params.drone_id,
      known,
      Math.max(0, leftMs),
      AbortSignal.any([gone, looked.signal]),
    );
    try {
      const orders = await read();
      const hasNews = orders.mission !== null && isNews(orders.mission, known);
      if (hasNews || leftMs <= 0 || gone.aborted || missionWatch.isClosed) return orders;
      await news;
    } finally {
      looked.abort();
    }
  }
}

export async function requestLoadToken(
  engine: Engine,
  droneId: DroneId,
  body: BodyOf<Contract, 'requestLoadToken'>,
): Promise<Output<Contract['requestLoadToken']>> {
  const fresh = `ldt_${randomBytes(24).toString('base64url')}`;
  const answer = await transact(
    engine,
    () => readFlight(engine.database, engine.catalog, body.reservation_id),
    (flight) => {
      const asked = { droneId, reservationToken: body.reservation_token };
      const decided = pickupRace.requestLoadToken(flight, asked, fresh);
      return { answer: decided, ...('transition' in decided && { transition: decided.transition ?? null }) };
    },
  );
  if (!answer) throw notFound('reservation', body.reservation_id);
  return answer.outcome === 'granted'
    ? { outcome: 'granted', load_token: answer.loadToken }
    : { outcome: 'refused', reason: answer.reason };
}

type Told = Output<Contract['postMilestone']>;

export async function postMilestone(
  engine: Engine,
  droneId: DroneId,
  body: BodyOf<Contract, 'postMilestone'>,
): Promise<Told> {
  const { database, catalog } = engine;
  const report: Report = {
    kind: body.kind,
    occurredAt: new Date(timeMsOf(body.occurred_at)),
    position: body.position,
    aircraftSequence: body.aircraft_sequence,
    loadToken: body.load_token,
    detail: body.detail ?? {},
  };
  const answer = await transact(
    engine,
    () => readFlight(database, catalog, body.reservation_id),
    async (flight): Promise<{ answer: Told; transition?: Transition }> => {
      const { reservation } = flight;
      const settled = (outcome: Told['outcome'], reason: string | null) => ({ answer: { outcome, reason } });
      if (reservation.droneId !== droneId || reservation.token !== body.reservation_token)
        return settled('ignored', 'stale_reservation');
      if (body.aircraft_sequence <= reservation.lastAircraftSequence)
        return { answer: await toldBefore(engine, reservation.id, body.aircraft_sequence, body.kind) };
      if (reservation.state === 'held') return settled('refused', 'not_dispatched');
      if (reservation.state !== 'committed') return settled('ignored', 'reservation_over');
      return tell(flight, report, engine.wall());
    },
  );
  if (!answer) throw notFound('reservation', body.reservation_id);
  if (answer.outcome === 'refused') {
    const { reservation_id, kind, position } = body;
    engine.logger.warn(
      { drone_id: droneId, reservation_id, kind, position, ...answer },
      'a milestone was refused',
    );
  }
  return answer;
}

/** Who tells something is heard: a lost drone that carries its package is back on its delivery with it. */
function tell(flight: Flight, report: Report, wallMs: number): { answer: Told; transition?: Transition } {
  const back = regainLink(flight);
  const present = back?.drone
    ? { ...flight, drone: { ...flight.drone, state: back.drone.state, stateReason: back.drone.reason } }
    : flight;
  const judgement = judge(present, report);
  if (judgement.verdict === 'refused') return { answer: { outcome: 'refused', reason: judgement.reason } };
  const heard: Transition = { change: { heardWall: new Date(wallMs) } };
  return {
    answer: { outcome: 'recorded', reason: null },
    transition: merge(back ? merge(heard, back) : heard, judgement.transition),
  };
}

async function toldBefore(
  { database }: Engine,
  reservationId: ReservationId,
  aircraftSequence: number,
  kind: MilestoneKind,
): Promise<Told> {
  const known = await readToldMilestone(database, reservationId, aircraftSequence);
  if (known === kind) return { outcome: 'duplicate', reason: null };
  return { outcome: 'refused', reason: known === undefined ? 'out_of_order' : 'sequence_reused' };
}
