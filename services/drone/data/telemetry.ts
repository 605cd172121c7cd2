/** Telemetry: one statement for a batch, whatever its size. */
import { timeMsOf } from '../../../shared/clock.ts';
import type { DroneId, MissionId } from '../../../shared/ids.ts';
import type { DroneState, TelemetrySample } from '../contract/index.ts';
import { CHARGED_FRACTION } from '../domain/milestones.ts';
import type { Database } from './database.ts';

export interface Batch {
  droneId: DroneId;
  samples: readonly TelemetrySample[];
}

/** What is to be known of a drone that was heard. */
export interface Heard {
  droneId: DroneId;
  state: DroneState;
  mission: { id: MissionId; version: number } | null;
  /** It was silent for too long, and is back. */
  cameBack: boolean;
  /** It has charged enough. */
  charged: boolean;
}

/** A position from so far in the future is a wrong clock; what comes after it may replace it. */
const CLOCK_ERROR_MS = 5 * 60 * 1000;

/** Keeps the samples and moves the drones to their newest; answers for the drones that are known. */
export async function writeTelemetry(
  database: Database,
  batches: readonly Batch[],
  now: Date,
  wall: Date,
): Promise<Heard[]> {
  const latest = batches.flatMap(({ droneId, samples }) => {
    const newest = samples.reduce<TelemetrySample | undefined>(
      (best, one) => (best && timeMsOf(best.recorded_at) > timeMsOf(one.recorded_at) ? best : one),
      undefined,
    );
    return newest ? [{ droneId, ...newest }] : [];
  });
  const all = batches.flatMap(({ droneId, samples }) => samples.map((one) => ({ droneId, ...one })));
  const rows = await database.$queryRaw<
    {
      id: DroneId;
      state: DroneState;
      mission_id: MissionId | null;
      mission_version: number | null;
      link_lost_at: Date | null;
      battery: number;
    }[]
  >`
    WITH latest AS (
      SELECT n.drone_id, n.recorded_at, n.latitude, n.longitude, n.altitude_m, n.speed_mps, n.battery, n.flight_mode
      FROM unnest(
        ${latest.map((one) => one.droneId)}::text[], ${latest.map((one) => one.recorded_at)}::timestamptz[],
        ${latest.map((one) => one.position.latitude)}::float8[], ${latest.map((one) => one.position.longitude)}::float8[],
        ${latest.map((one) => one.altitude_m)}::float8[], ${latest.map((one) => one.speed_mps)}::float8[],
        ${latest.map((one) => one.battery)}::float8[], ${latest.map((one) => one.flight_mode)}::text[]
      ) AS n(drone_id, recorded_at, latitude, longitude, altitude_m, speed_mps, battery, flight_mode)
    ), moved AS (
      UPDATE positions p SET
        latitude = n.latitude, longitude = n.longitude, altitude_m = n.altitude_m, speed_mps = n.speed_mps,
        battery = n.battery, flight_mode = n.flight_mode, recorded_at = n.recorded_at, heard_wall = ${wall}::timestamptz
      FROM latest n
      WHERE p.drone_id = n.drone_id AND (p.recorded_at IS NULL OR p.recorded_at <= n.recorded_at
        OR p.recorded_at > ${new Date(now.getTime() + CLOCK_ERROR_MS)}::timestamptz)
      RETURNING p.drone_id
    ), kept AS (
      INSERT INTO telemetry (drone_id, recorded_at, latitude, longitude, altitude_m, speed_mps, battery, flight_mode)
      SELECT s.drone_id, s.recorded_at, s.latitude, s.longitude, s.altitude_m, s.speed_mps, s.battery, s.flight_mode
      FROM unnest(
        ${all.map((one) => one.droneId)}::text[], ${all.map((one) => one.recorded_at)}::timestamptz[],
        ${all.map((one) => one.position.latitude)}::float8[], ${all.map((one) => one.position.longitude)}::float8[],
        ${all.map((one) => one.altitude_m)}::real[], ${all.map((one) => one.speed_mps)}::real[],
        ${all.map((one) => one.battery)}::real[], ${all.map((one) => one.flight_mode)}::text[]
      ) AS s(drone_id, recorded_at, latitude, longitude, altitude_m, speed_mps, battery, flight_mode)
      JOIN drones d ON d.id = s.drone_id
      ON CONFLICT (drone_id, recorded_at) DO NOTHING
    )
    SELECT d.id, d.state, r.mission_id, r.mission_version, r.link_lost_at, latest.battery
    FROM latest JOIN drones d ON d.id = latest.drone_id
    LEFT JOIN reservations r ON r.id = d.reservation_id AND r.state = 'committed'`;
  return rows.map((row) => ({
    droneId: row.id,
    state: row.state,
    mission: row.mission_id === null ? null : { id: row.mission_id, version: row.mission_version ?? 1 },
    cameBack: row.state === 'lost' && row.link_lost_at !== null,
    charged: row.state === 'charging' && row.battery >= CHARGED_FRACTION,
  }));
}

const SWEEP_ROWS = 10_000;

/** Forgets samples older than this; true when there may be more. */
export async function forgetTelemetry(database: Database, before: Date): Promise<boolean> {
  const count = await database.$executeRaw`
    DELETE FROM telemetry WHERE ctid IN (
      SELECT ctid FROM telemetry WHERE recorded_at < ${before}::timestamptz LIMIT ${SWEEP_ROWS})`;
  return count === SWEEP_ROWS;
}
