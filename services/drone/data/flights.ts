/** Reads reservations with the drones that fly them, and commits what the rules decided about them. */
import type { ClockSettings } from '../../../shared/clock.ts';
import { isoTime } from '../../../shared/clock.ts';
import {
  type AccountId,
  type BaseId,
  type DeliveryId,
  type DroneId,
  type MissionId,
  type ModelId,
  newId,
  type ReservationId,
} from '../../../shared/ids.ts';
import type { ConfirmationKind } from '../../delivery/contract/confirmation.ts';
import type { Location } from '../../../shared/schemas.ts';
import type { DroneState, Milestone } from '../contract/index.ts';
import {
  clockNow,
  type EndReason,
  type Flight,
  isOpen,
  type Loading,
  type MissionCommand,
  type Phase,
  type Reservation,
  type ReservationState,
  type Transition,
} from '../domain/reservation.ts';
import type { CatalogCache } from './catalog.ts';
import { type Database, Prisma } from './database.ts';

interface FlightRow {
  id: string;
  step_key: string;
  token: number;
  delivery_id: string;
  account_id: string;
  livemode: boolean;
  drone_id: string;
  base_id: string;
  clock: ClockSettings;
  pickup_latitude: number;
  pickup_longitude: number;
  dropoff_latitude: number;
  dropoff_longitude: number;
  return_latitude: number | null;
  return_longitude: number | null;
  next_dropoff_latitude: number | null;
  next_dropoff_longitude: number | null;
  payload_kg: number;
  state: string;
  loading: string;
  load_token: string | null;
  phase: string;
  aboard: boolean;
  job_done: boolean;
  lease_expires_at: Date;
  lease_wall: Date;
  recalled_at: Date | null;
  ended_at: Date | null;
  end_reason: string | null;
  created_at: Date;
  mission_id: string | null;
  mission_version: number;
  command: string | null;
  pickup_wait_s: number | null;
  dropoff_hover_s: number | null;
  confirmation: string | null;
  silence_ms: number;
  heard_wall: Date | null;
  link_lost_at: Date | null;
  last_aircraft_sequence: number;
  last_sequence: number;
  signalled_sequence: number;
  revision: number;
  drone_state: string;
  drone_state_reason: string | null;
  model_id: string;
  latitude: number;
  longitude: number;
  altitude_m: number;
  battery: number;
  position_recorded_at: Date | null;
  position_heard_wall: Date | null;
}

const FLIGHT_COLUMNS = Prisma.sql`
  r.id, r.step_key, r.token, r.delivery_id, r.account_id, r.livemode, r.drone_id, r.base_id, r.clock,
  r.pickup_latitude, r.pickup_longitude, r.dropoff_latitude, r.dropoff_longitude,
  r.return_latitude, r.return_longitude, r.next_dropoff_latitude, r.next_dropoff_longitude, r.payload_kg,
  r.state, r.loading, r.load_token, r.phase, r.aboard, r.job_done, r.lease_expires_at, r.lease_wall,
  r.recalled_at, r.ended_at, r.end_reason, r.created_at, r.mission_id, r.mission_version, m.command,
  r.pickup_wait_s, r.dropoff_hover_s, r.confirmation, r.silence_ms, r.heard_wall, r.link_lost_at,
  r.last_aircraft_sequence, r.last_sequence, r.signalled_sequence, r.revision,
  d.state AS drone_state, d.state_reason AS drone_state_reason, d.model_id,
  p.latitude, p.longitude, p.altitude_m, p.battery,
  p.recorded_at AS position_recorded_at, p.heard_wall AS position_heard_wall`;

const FLIGHT_TABLES = Prisma.sql`
  reservations r
  JOIN drones d ON d.id = r.drone_id
  JOIN positions p ON p.drone_id = r.drone_id
  LEFT JOIN missions m ON m.id = r.mission_id AND m.version = r.mission_version`;

/** Flights that fit a condition on the tables `r` (reservations), `d` (drones) and `p` (positions). */
export async function readFlights(
  database: Database,
  catalog: CatalogCache,
  condition: Prisma.Sql,
  limit: number,
): Promise<Flight[]> {
  const rows = await database.$queryRaw<FlightRow[]>`
    SELECT ${FLIGHT_COLUMNS} FROM ${FLIGHT_TABLES} WHERE ${condition} LIMIT ${limit}`;
  return Promise.all(rows.map((row) => flightOf(row, catalog)));
}

export async function readFlightByStepKey(
  database: Database,
  catalog: CatalogCache,
  stepKey: string,
): Promise<Flight | undefined> {
  return (await readFlights(database, catalog, Prisma.sql`r.step_key = ${stepKey}`, 1))[0];
}

export async function readFlight(
  database: Database,
  catalog: CatalogCache,
  id: ReservationId,
): Promise<Flight | undefined> {
  return (await readFlights(database, catalog, Prisma.sql`r.id = ${id}`, 1))[0];
}

async function flightOf(row: FlightRow, cache: CatalogCache): Promise<Flight> {
  const modelId = row.model_id as ModelId;
  const baseId = row.base_id as BaseId;
  const catalog = await cache.get({ modelId, baseId });
  const model = catalog.models.get(modelId);
  const base = catalog.bases.get(baseId);
  if (!model || !base) throw new Error(`Reservation ${row.id} has no model ${modelId} or base ${baseId}`);
  return {
    reservation: reservationOf(row),
    drone: {
      state: row.drone_state as DroneState,
      stateReason: row.drone_state_reason,
      position: { latitude: row.latitude, longitude: row.longitude },
      altitudeM: row.altitude_m,
      battery: row.battery,
      recordedAt: row.position_recorded_at,
      heardWall: row.position_heard_wall,
    },
    base,
    model,
  };
}

function reservationOf(row: FlightRow): Reservation {
  const pickup = { latitude: row.pickup_latitude, longitude: row.pickup_longitude };
  return {
    id: row.id as ReservationId,
    stepKey: row.step_key,
    token: row.token,
    deliveryId: row.delivery_id as DeliveryId,
    accountId: row.account_id as AccountId,
    livemode: row.livemode,
    droneId: row.drone_id as DroneId,
    baseId: row.base_id as BaseId,
    clock: row.clock,
    pickup,
    dropoff: { latitude: row.dropoff_latitude, longitude: row.dropoff_longitude },
    returnTo: placeOf(row.return_latitude, row.return_longitude) ?? pickup,
    nextDropoff: placeOf(row.next_dropoff_latitude, row.next_dropoff_longitude),
    payloadKg: row.payload_kg,
    state: row.state as ReservationState,
    loading: row.loading as Loading,
    loadToken: row.load_token,
    phase: row.phase as Phase,
    aboard: row.aboard,
    jobDone: row.job_done,
    leaseExpiresAt: row.lease_expires_at,
    leaseWall: row.lease_wall,
    recalledAt: row.recalled_at,
    endedAt: row.ended_at,
    endReason: row.end_reason as EndReason | null,
    createdAt: row.created_at,
    missionId: row.mission_id as MissionId | null,
    missionVersion: row.mission_version,
    command: row.command as MissionCommand | null,
    pickupWaitS: row.pickup_wait_s,
    dropoffHoverS: row.dropoff_hover_s,
    confirmation: row.confirmation as ConfirmationKind | null,
    silenceMs: row.silence_ms,
    heardWall: row.heard_wall,
    linkLostAt: row.link_lost_at,
    lastAircraftSequence: row.last_aircraft_sequence,
    lastSequence: row.last_sequence,
    signalledSequence: row.signalled_sequence,
    revision: row.revision,
  };
}

function placeOf(latitude: number | null, longitude: number | null): Location | null {
  return latitude === null || longitude === null ? null : { latitude, longitude };
}

export interface CommitOptions {
  wallMs: number;
  /** This process, when it is going to signal what it commits at once, and how long it has that to itself. */
  claimant: string | null;
  claimMs: number;
}

export interface Committed {
  missionId: MissionId | null;
  /** What the workflow is to be told, in order. */
  toSignal: Milestone[];
  /** This process has the signalling to itself. */
  claimed: boolean;
  signalledSequence: number;
}

/**
 * Writes a transition, all of it or nothing, provided that nobody has changed the reservation since it was read: one
 * statement. Null when somebody has: read again, decide again.
 */
export async function commitTransition(
  database: Database,
  { reservation: before }: Flight,
  transition: Transition,
  { wallMs, claimant, claimMs }: CommitOptions,
): Promise<Committed | null> {
  const after = { ...before, ...transition.change };
  const { mission, drone, reroute } = transition;
  const missionId = mission ? (before.missionId ?? newId('mission')) : before.missionId;
  const missionVersion = before.missionVersion + (mission ? 1 : 0);
  const now = clockNow(before, wallMs);
  // What no longer flies is offered nothing.
  const nextDropoff = after.state === 'committed' ? after.nextDropoff : null;
  const { rows, toSignal, lastSequence, lastAircraftSequence } = numbered(before, transition, now);
  const wall = new Date(wallMs);
  const claims = toSignal.length > 0 && claimant !== null;
  const closes = isOpen(before) && !isOpen(after);

  const changed = await database.$queryRaw<{ claimed: boolean | null; signalled_sequence: number }[]>`
    WITH changed AS (
      UPDATE reservations SET
        dropoff_latitude = ${after.dropoff.latitude}::float8, dropoff_longitude = ${after.dropoff.longitude}::float8,
        next_dropoff_latitude = ${nextDropoff?.latitude ?? null}::float8,
        next_dropoff_longitude = ${nextDropoff?.longitude ?? null}::float8,
        state = ${after.state}, loading = ${after.loading}, load_token = ${after.loadToken}, phase = ${after.phase},
        aboard = ${after.aboard}, job_done = ${after.jobDone}, recalled_at = ${after.recalledAt}::timestamptz,
        ended_at = ${after.endedAt}::timestamptz, end_reason = ${after.endReason},
        pickup_wait_s = ${after.pickupWaitS}::float8, dropoff_hover_s = ${after.dropoffHoverS}::float8,
        confirmation = ${after.confirmation},
        heard_wall = ${after.heardWall}::timestamptz, link_lost_at = ${after.linkLostAt}::timestamptz,
        mission_id = ${missionId}, mission_version = ${missionVersion},
        last_aircraft_sequence = ${lastAircraftSequence}, last_sequence = ${lastSequence},
        signal_claimed_by = CASE
          WHEN ${claims} AND (signal_claimed_wall IS NULL OR signal_claimed_wall < ${wall}::timestamptz)
          THEN ${claimant} ELSE signal_claimed_by END,
        signal_claimed_wall = CASE
          WHEN ${claims} AND (signal_claimed_wall IS NULL OR signal_claimed_wall < ${wall}::timestamptz)
          THEN ${new Date(wallMs + claimMs)}::timestamptz ELSE signal_claimed_wall END,
        revision = revision + 1
      WHERE id = ${before.id} AND revision = ${before.revision}
      RETURNING id, token, delivery_id, account_id, livemode, drone_id, signal_claimed_by, signalled_sequence
    ), mission AS (
      INSERT INTO missions (id, version, reservation_id, step_key, command, legs, eta, issued_at)
      SELECT ${missionId}, ${missionVersion}, changed.id, ${mission?.stepKey ?? null}, ${mission?.command ?? null},
        ${JSON.stringify(mission?.legs ?? [])}::jsonb, ${mission?.eta ? JSON.stringify(mission.eta) : null}::jsonb,
        ${now}::timestamptz
      FROM changed WHERE ${mission !== undefined}
    ), milestone AS (
      INSERT INTO milestones (reservation_id, reservation_token, drone_id, delivery_id, account_id, livemode,
        aircraft_sequence, sequence, kind, occurred_at, recorded_at, latitude, longitude, detail)
      SELECT changed.id, changed.token, changed.drone_id, changed.delivery_id, changed.account_id, changed.livemode,
        n.aircraft_sequence, n.sequence, n.kind, n.occurred_at, n.recorded_at, n.latitude, n.longitude, n.detail
      FROM changed CROSS JOIN jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS n(
        aircraft_sequence int, sequence int, kind text, occurred_at timestamptz, recorded_at timestamptz,
        latitude float8, longitude float8, detail jsonb)
    ), reroute AS (
      INSERT INTO reroutes (step_key, delivery_id, reservation_id, before_latitude, before_longitude, answer, decided_at)
      SELECT ${reroute?.stepKey ?? null}, changed.delivery_id, changed.id, ${reroute?.before.latitude ?? null}::float8,
        ${reroute?.before.longitude ?? null}::float8, ${reroute ? JSON.stringify(reroute.answer) : null}::jsonb,
        ${now}::timestamptz
      FROM changed WHERE ${reroute !== undefined}
    ), drone AS (
      UPDATE drones SET
        state = ${drone?.state ?? null}, state_reason = ${drone?.reason ?? null},
        reservation_id = CASE WHEN ${closes} THEN NULL ELSE drones.reservation_id END,
        delivery_id = CASE WHEN ${closes} THEN NULL ELSE drones.delivery_id END,
        updated_at = ${wall}::timestamptz
      FROM changed
      WHERE ${drone !== undefined} AND drones.id = changed.drone_id AND drones.reservation_id = changed.id
    )
    SELECT signal_claimed_by = ${claimant} AS claimed, signalled_sequence FROM changed`;

  const [row] = changed;
  if (!row) return null;
  return { missionId, toSignal, claimed: row.claimed === true, signalledSequence: row.signalled_sequence };
}

/** The new milestones with their numbers, as rows and as the workflow will hear of them. */
function numbered(before: Reservation, transition: Transition, recordedAt: Date) {
  let { lastSequence, lastAircraftSequence } = before;
  const toSignal: Milestone[] = [];
  const rows = (transition.milestones ?? []).map((one) => {
    const sequence = one.signalled ? (lastSequence += 1) : null;
    if (one.aircraftSequence !== null)
      lastAircraftSequence = Math.max(lastAircraftSequence, one.aircraftSequence);
    const times = {
      occurred_at: isoTime(one.occurredAt.getTime()),
      recorded_at: isoTime(recordedAt.getTime()),
    };
    const { kind, detail, position } = one;
    if (sequence !== null) {
      toSignal.push({
        sequence,
        kind,
        reservation_id: before.id,
        reservation_token: before.token,
        drone_id: before.droneId,
        ...times,
        position,
        detail,
      });
    }
    return {
      aircraft_sequence: one.aircraftSequence,
      sequence,
      kind,
      ...times,
      latitude: position?.latitude ?? null,
      longitude: position?.longitude ?? null,
      detail,
    };
  });
  return { rows, toSignal, lastSequence, lastAircraftSequence };
}
