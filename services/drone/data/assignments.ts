/** The assignment: a drone taken, or a refusal and a place on the waiting list, each in one statement. */
import type { ClockSettings } from '../../../shared/clock.ts';
import { isoTime } from '../../../shared/clock.ts';
import type { AccountId, BaseId, DeliveryId, DroneId, ReservationId } from '../../../shared/ids.ts';
import type { Candidate } from '../contract/index.ts';
import type { Appointment } from '../domain/appointment.ts';
import type { Able, Job, Judged } from '../domain/assignment.ts';
import { type Eta, etaOf } from '../domain/missions.ts';
import type { Database } from './database.ts';

export interface ReserveStep {
  stepKey: string;
  deliveryId: DeliveryId;
  accountId: AccountId;
  livemode: boolean;
  clock: ClockSettings;
  job: Job;
  appointment: Appointment;
  expedited: boolean;
  excludedDroneIds: readonly DroneId[];
  /** By the delivery's clock. */
  now: Date;
  wall: Date;
}

export interface NewReservation {
  reservationId: ReservationId;
  leaseExpiresAt: Date;
  leaseWall: Date;
  silenceMs: number;
}

/** What a reserve step answered, as it is kept. */
export interface KeptAnswer {
  outcome: 'reserved' | 'unavailable' | 'infeasible' | 'released';
  reason: string | null;
  detail: string;
  wasReleased: boolean;
  deliveryId: DeliveryId;
  reservation: {
    id: ReservationId;
    token: number;
    droneId: DroneId;
    baseId: BaseId;
    eta: Eta;
    leaseExpiresAt: Date;
    distanceM: number;
  } | null;
}

/** Those that were kept before arrivals at the dropoff were reckoned have no last one. */
type CompactCandidate = [string, string, number | null, number, number, number | null, (number | null)?];

/** As it is kept for each decision: short, for it is one entry for each drone of the fleet. */
function compact(candidates: readonly Judged[]): string {
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  return JSON.stringify(
    candidates.map((one): CompactCandidate => [
      one.droneId,
      one.verdict,
      one.arrivalS === null ? null : round(one.arrivalS, 3),
      Math.round(one.distanceM),
      round(one.battery, 3),
      one.batteryAtLanding === null ? null : round(one.batteryAtLanding, 3),
      one.dropoffS === null ? null : round(one.dropoffS, 3),
    ]),
  );
}

/**
 * Takes the first of the able drones that is still free, whoever else is choosing right now: a drone that another one is
 * taking is passed over, not waited for. So is one that has flown for somebody since the look: its battery is another, and
 * this reservation would begin before that one had ended. Undefined when all are gone.
 * @throws a unique violation when this step was answered before, or the delivery has a drone
 */
export async function takeDrone(
  database: Database,
  step: ReserveStep,
  lease: NewReservation,
  ranked: readonly Able[],
  detail: string,
  candidates: readonly Judged[],
): Promise<NonNullable<KeptAnswer['reservation']> | undefined> {
  const etas = ranked.map((one) => etaOf(one.plan, step.now.getTime()));
  const { pickup, dropoff, returnTo = null, payloadKg } = step.job;
  const rows = await database.$queryRaw<
    { token: number; drone_id: DroneId; base_id: BaseId; rank: bigint }[]
  >`
    WITH pick AS (
      SELECT d.id, a.base_id, a.distance_m, a.eta_pickup_at, a.eta_dropoff_at, a.eta_home_at, a.rank
      FROM unnest(
        ${ranked.map((one) => one.droneId)}::text[], ${ranked.map((one) => one.baseId)}::text[],
        ${ranked.map((one) => one.plan.distanceM)}::float8[], ${etas.map((eta) => eta.pickup_at)}::timestamptz[],
        ${etas.map((eta) => eta.dropoff_at)}::timestamptz[], ${etas.map((eta) => eta.home_at)}::timestamptz[],
        ${ranked.map((one) => one.changedAt)}::timestamptz[]
      ) WITH ORDINALITY AS a(drone_id, base_id, distance_m, eta_pickup_at, eta_dropoff_at, eta_home_at, changed_at, rank)
      JOIN drones d ON d.id = a.drone_id AND d.updated_at = a.changed_at
      WHERE d.state IN ('idle', 'charging') AND d.reservation_id IS NULL
      ORDER BY a.rank
      LIMIT 1
      FOR UPDATE OF d SKIP LOCKED
    ), kept AS (
      INSERT INTO assignments (step_key, delivery_id, account_id, livemode, outcome, detail, candidates, decided_at)
      SELECT ${step.stepKey}, ${step.deliveryId}, ${step.accountId}, ${step.livemode}, 'reserved', ${detail},
        ${compact(candidates)}::json, ${step.now}::timestamptz
      FROM pick
    ), reserved AS (
      INSERT INTO reservations (id, step_key, token, delivery_id, account_id, livemode, drone_id, base_id, clock,
        pickup_latitude, pickup_longitude, dropoff_latitude, dropoff_longitude, return_latitude, return_longitude,
        payload_kg, distance_m,
        eta_pickup_at, eta_dropoff_at, eta_home_at, state, loading, phase, aboard, job_done,
        lease_expires_at, lease_wall, created_at, mission_version, silence_ms,
        last_aircraft_sequence, last_sequence, signalled_sequence, revision)
      SELECT ${lease.reservationId}, ${step.stepKey},
        (SELECT coalesce(max(r.token), 0) + 1 FROM reservations r WHERE r.delivery_id = ${step.deliveryId}),
        ${step.deliveryId}, ${step.accountId}, ${step.livemode}, pick.id, pick.base_id, ${JSON.stringify(step.clock)}::jsonb,
        ${pickup.latitude}::float8, ${pickup.longitude}::float8, ${dropoff.latitude}::float8, ${dropoff.longitude}::float8,
        ${returnTo?.latitude ?? null}::float8, ${returnTo?.longitude ?? null}::float8,
        ${payloadKg}::float8, pick.distance_m, pick.eta_pickup_at, pick.eta_dropoff_at, pick.eta_home_at,
        'held', 'none', 'on_base', false, false,
        ${lease.leaseExpiresAt}::timestamptz, ${lease.leaseWall}::timestamptz, ${step.now}::timestamptz, 0,
        ${lease.silenceMs}::float8, 0, 0, 0, 0
      FROM pick
      RETURNING token, drone_id, base_id
    ), taken AS (
      UPDATE drones SET state = 'held', state_reason = NULL, state_by = NULL,
        reservation_id = ${lease.reservationId}, delivery_id = ${step.deliveryId}, updated_at = ${step.wall}::timestamptz
      FROM pick WHERE drones.id = pick.id
    ), left_list AS (
      DELETE FROM waiting_list WHERE delivery_id = ${step.deliveryId} AND EXISTS (SELECT 1 FROM pick)
    )
    SELECT reserved.token, reserved.drone_id, reserved.base_id, pick.rank
    FROM reserved JOIN pick ON pick.id = reserved.drone_id`;
  const [row] = rows;
  const index = Number(row?.rank ?? 0) - 1;
  const [able, eta] = [ranked[index], etas[index]];
  if (!row || !able || !eta) return undefined;
  return {
    id: lease.reservationId,
    token: row.token,
    droneId: row.drone_id,
    baseId: row.base_id,
    eta,
    leaseExpiresAt: lease.leaseExpiresAt,
    distanceM: able.plan.distanceM,
  };
}

/** Keeps a refusal; with `wait`, the delivery joins the waiting list in the same statement, at its old place if it had one. */
export async function keepRefusal(
  database: Database,
  step: ReserveStep,
  refusal: { outcome: 'unavailable' | 'infeasible'; reason: string | null; detail: string; wait: boolean },
  candidates: readonly Judged[],
): Promise<void> {
  const { pickup, dropoff, returnTo = null, payloadKg, packageSizes } = step.job;
  const { pickupFromMs, pickupByMs, deliverByMs } = step.appointment;
  const time = (ms: number | null) => (ms === null ? null : isoTime(ms));
  const joins = refusal.outcome === 'unavailable' && refusal.wait;
  await database.$executeRaw`
    WITH kept AS (
      INSERT INTO assignments
        (step_key, delivery_id, account_id, livemode, outcome, reason, detail, candidates, decided_at)
      VALUES (${step.stepKey}, ${step.deliveryId}, ${step.accountId}, ${step.livemode}, ${refusal.outcome},
        ${refusal.reason}, ${refusal.detail}, ${compact(candidates)}::json, ${step.now}::timestamptz)
    ), left_list AS (
      DELETE FROM waiting_list WHERE delivery_id = ${step.deliveryId} AND ${!joins}
    )
    INSERT INTO waiting_list (delivery_id, step_key, account_id, livemode, expedited,
      pickup_latitude, pickup_longitude, dropoff_latitude, dropoff_longitude, return_latitude, return_longitude,
      payload_kg, package_sizes,
      exclude_drone_ids, pickup_from, pickup_by, deliver_by, clock, joined_wall, offers)
    SELECT ${step.deliveryId}, ${step.stepKey}, ${step.accountId}, ${step.livemode}, ${step.expedited},
      ${pickup.latitude}::float8, ${pickup.longitude}::float8, ${dropoff.latitude}::float8, ${dropoff.longitude}::float8,
      ${returnTo?.latitude ?? null}::float8, ${returnTo?.longitude ?? null}::float8,
      ${payloadKg}::float8, ${[...packageSizes]}::text[], ${[...step.excludedDroneIds]}::text[],
      ${time(pickupFromMs)}::timestamptz, ${time(pickupByMs)}::timestamptz, ${time(deliverByMs)}::timestamptz,
      ${JSON.stringify(step.clock)}::jsonb, ${step.wall}::timestamptz, 0
    WHERE ${joins}
    ON CONFLICT (delivery_id) DO UPDATE SET
      step_key = excluded.step_key, pickup_latitude = excluded.pickup_latitude,
      pickup_longitude = excluded.pickup_longitude, dropoff_latitude = excluded.dropoff_latitude,
      dropoff_longitude = excluded.dropoff_longitude, return_latitude = excluded.return_latitude,
      return_longitude = excluded.return_longitude, exclude_drone_ids = excluded.exclude_drone_ids, expedited = excluded.expedited,
      pickup_from = excluded.pickup_from, pickup_by = excluded.pickup_by, deliver_by = excluded.deliver_by,
      clock = excluded.clock, offers = 0, offered_drone_id = NULL, offered_wall = NULL, signal_due_wall = NULL`;
}

/** What was answered to this step before; undefined when it is new. */
export async function readAnswer(database: Database, stepKey: string): Promise<KeptAnswer | undefined> {
  const assignment = await database.assignment.findUnique({
    where: { step_key: stepKey },
    select: {
      outcome: true,
      reason: true,
      detail: true,
      released_at: true,
      delivery_id: true,
      reservation: true,
    },
  });
  if (!assignment) return undefined;
  const { reservation } = assignment;
  return {
    outcome: assignment.outcome as KeptAnswer['outcome'],
    reason: assignment.reason,
    detail: assignment.detail,
    wasReleased: assignment.released_at !== null || reservation?.end_reason === 'released',
    deliveryId: assignment.delivery_id as DeliveryId,
    reservation: reservation && {
      id: reservation.id as ReservationId,
      token: reservation.token,
      droneId: reservation.drone_id as DroneId,
      baseId: reservation.base_id as BaseId,
      eta: {
        pickup_at: isoTime(reservation.eta_pickup_at.getTime()),
        dropoff_at: isoTime(reservation.eta_dropoff_at.getTime()),
        home_at: isoTime(reservation.eta_home_at.getTime()),
      },
      leaseExpiresAt: reservation.lease_expires_at,
      distanceM: reservation.distance_m,
    },
  };
}

/**
 * Undoes a reserve step that holds no drone: it leaves the waiting list, and what never ran leaves a tombstone, so that it
 * does nothing when it arrives late. `holds_drone`: it did reserve, a moment ago.
 */
export async function withdraw(
  database: Database,
  stepKey: string,
  deliveryId: DeliveryId,
  now: Date,
): Promise<'withdrawn' | 'holds_drone'> {
  const rows = await database.$queryRaw<{ outcome: string | null; tombstones: bigint }[]>`
    WITH marked AS (
      UPDATE assignments SET released_at = coalesce(released_at, ${now}::timestamptz)
      WHERE step_key = ${stepKey} AND outcome <> 'reserved'
      RETURNING outcome
    ), tombstone AS (
      INSERT INTO assignments (step_key, delivery_id, outcome, detail, candidates, decided_at, released_at)
      SELECT ${stepKey}, ${deliveryId}, 'released', 'Released before it was reserved.', '[]'::json,
        ${now}::timestamptz, ${now}::timestamptz
      WHERE NOT EXISTS (SELECT 1 FROM marked)
      ON CONFLICT (step_key) DO NOTHING
      RETURNING 1
    ), left_list AS (
      DELETE FROM waiting_list WHERE step_key = ${stepKey}
    )
    SELECT (SELECT outcome FROM marked) AS outcome, (SELECT count(1) FROM tombstone) AS tombstones`;
  const [row] = rows;
  return row && (row.outcome !== null || row.tombstones > 0n) ? 'withdrawn' : 'holds_drone';
}

export interface Explanation {
  step_key: string;
  decided_at: string;
  outcome: string;
  detail: string;
  candidates: Candidate[];
}

export async function readExplanations(database: Database, deliveryId: DeliveryId): Promise<Explanation[]> {
  const rows = await database.assignment.findMany({
    where: { delivery_id: deliveryId },
    orderBy: [{ decided_at: 'asc' }, { step_key: 'asc' }],
    select: {
      step_key: true,
      decided_at: true,
      outcome: true,
      detail: true,
      candidates: true,
      reservation: { select: { drone_id: true } },
    },
  });
  return rows.map(({ decided_at, candidates, reservation, ...row }) => ({
    ...row,
    decided_at: isoTime(decided_at.getTime()),
    candidates: (candidates as unknown as CompactCandidate[]).map(
      ([droneId, verdict, arrivalS, distanceM, battery, batteryAtLanding, dropoffS = null]): Candidate => ({
        drone_id: droneId as DroneId,
        verdict: droneId === reservation?.drone_id ? 'chosen' : (verdict as Candidate['verdict']),
        arrival_at: arrivalS === null ? null : isoTime(decided_at.getTime() + arrivalS * 1000),
        dropoff_at: dropoffS === null ? null : isoTime(decided_at.getTime() + dropoffS * 1000),
        distance_m: distanceM,
        battery,
        battery_at_landing: batteryAtLanding,
      }),
    ),
  }));
}
