/** The fleet: drones, where they are, and what operators did to them. */
import { isoTime } from '../../../shared/clock.ts';
import type { BaseId, DeliveryId, DroneId, ModelId, ReservationId } from '../../../shared/ids.ts';
import type { Drone, DroneState } from '../contract/index.ts';
import type { Fleet, FleetDrone } from '../domain/assignment.ts';
import type { CatalogCache } from './catalog.ts';
import { type Database, Prisma } from './database.ts';

/** One drone of the fleet as Postgres packs it: one value for all is read several times as fast as a row for each. */
type PackedDrone = [
  id: DroneId,
  modelId: ModelId,
  baseId: BaseId,
  state: DroneState,
  latitude: number,
  longitude: number,
  altitudeM: number,
  battery: number,
  offeredTo: DeliveryId | null,
  changedAt: string,
];

/** Every drone as the choice needs it. An offer counts until it lapses. */
export async function readFleet(
  database: Database,
  catalog: CatalogCache,
  wall: Date,
  condition: Prisma.Sql = Prisma.sql`TRUE`,
): Promise<Fleet> {
  const [{ models, bases }, rows] = await Promise.all([
    catalog.get(),
    database.$queryRaw<{ fleet: PackedDrone[] | null }[]>`
      SELECT json_agg(json_build_array(d.id, d.model_id, d.base_id, d.state, p.latitude, p.longitude, p.altitude_m, p.battery,
        w.delivery_id, d.updated_at)) AS fleet
      FROM drones d
      JOIN positions p ON p.drone_id = d.id
      LEFT JOIN waiting_list w ON w.offered_drone_id = d.id AND w.offered_wall > ${wall}::timestamptz
      WHERE ${condition}`,
  ]);
  const drones = (rows[0]?.fleet ?? []).map(
    ([
      id,
      modelId,
      baseId,
      state,
      latitude,
      longitude,
      altitudeM,
      battery,
      offeredTo,
      changedAt,
    ]): FleetDrone => ({
      id,
      modelId,
      baseId,
      state,
      position: { latitude, longitude },
      altitudeM,
      battery,
      offeredTo,
      changedAt,
    }),
  );
  return { drones, models, bases };
}

/** Creates the drone, parked and full at its base, or renames it. False when its model or base is not known. */
export async function ensureDrone(
  database: Database,
  drone: { id: DroneId; name: string; modelId: ModelId; baseId: BaseId },
  wall: Date,
): Promise<boolean> {
  const rows = await database.$queryRaw<{ id: string }[]>`
    WITH ensured AS (
      INSERT INTO drones (id, name, model_id, base_id, state, created_at, updated_at)
      SELECT ${drone.id}, ${drone.name}, m.id, b.id, 'idle', ${wall}::timestamptz, ${wall}::timestamptz
      FROM models m CROSS JOIN bases b WHERE m.id = ${drone.modelId} AND b.id = ${drone.baseId}
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, model_id = excluded.model_id, base_id = excluded.base_id
      RETURNING id
    ), parked AS (
      INSERT INTO positions (drone_id, latitude, longitude, altitude_m, battery, speed_mps, flight_mode)
      SELECT ensured.id, b.latitude, b.longitude, 0, 1, 0, 'parked'
      FROM ensured CROSS JOIN bases b WHERE b.id = ${drone.baseId}
      ON CONFLICT (drone_id) DO NOTHING
    )
    SELECT id FROM ensured`;
  return rows.length > 0;
}

interface DroneRow {
  id: DroneId;
  name: string;
  model_id: ModelId;
  base_id: BaseId;
  state: DroneState;
  state_reason: string | null;
  reservation_id: ReservationId | null;
  delivery_id: DeliveryId | null;
  latitude: number;
  longitude: number;
  altitude_m: number;
  battery: number;
  speed_mps: number;
  flight_mode: string;
  recorded_at: Date | null;
}

/** Drones, those registered last first. */
export async function readDrones(
  database: Database,
  filter: { ids?: DroneId[]; states?: DroneState[]; baseId?: BaseId; beforeId?: string; limit: number },
): Promise<Drone[]> {
  const conditions = [
    Prisma.sql`TRUE`,
    ...(filter.ids ? [Prisma.sql`d.id = ANY(${filter.ids}::text[])`] : []),
    ...(filter.states ? [Prisma.sql`d.state = ANY(${filter.states}::text[])`] : []),
    ...(filter.baseId ? [Prisma.sql`d.base_id = ${filter.baseId}`] : []),
    ...(filter.beforeId === undefined ? [] : [Prisma.sql`d.id < ${filter.beforeId}`]),
  ];
  const rows = await database.$queryRaw<DroneRow[]>`
    SELECT d.id, d.name, d.model_id, d.base_id, d.state, d.state_reason, d.reservation_id, d.delivery_id,
      p.latitude, p.longitude, p.altitude_m, p.battery, p.speed_mps, p.flight_mode, p.recorded_at
    FROM drones d JOIN positions p ON p.drone_id = d.id
    WHERE ${Prisma.join(conditions, ' AND ')}
    ORDER BY d.id DESC LIMIT ${filter.limit}`;
  return rows.map(({ latitude, longitude, recorded_at, ...row }) => ({
    object: 'drone',
    ...row,
    position: { latitude, longitude },
    last_seen_at: recorded_at && isoTime(recorded_at.getTime()),
  }));
}

/**
 * Changes the state of a drone that has no reservation, if it is still in one of these states. False when it is not, or
 * has been reserved.
 */
export async function changeFreeDrone(
  database: Database,
  droneId: DroneId,
  from: readonly DroneState[],
  to: { state: DroneState; reason: string | null; by: string | null },
  wall: Date,
): Promise<boolean> {
  const count = await database.$executeRaw`
    UPDATE drones SET state = ${to.state}, state_reason = ${to.reason}, state_by = ${to.by}, updated_at = ${wall}::timestamptz
    WHERE id = ${droneId} AND reservation_id IS NULL AND state = ANY(${[...from]}::text[])`;
  return count > 0;
}

/** Who did what to a drone, and why. */
export async function recordStateChange(
  database: Database,
  change: { droneId: DroneId; from: DroneState; to: DroneState; reason: string; by: string; at: Date },
): Promise<void> {
  const { droneId, from, to, reason, by, at } = change;
  await database.droneStateChange.create({
    data: { drone_id: droneId, from_state: from, to_state: to, reason, by, at },
  });
}

/** The kinds of drone that the fleet has. */
export async function readModelsInFleet(database: Database): Promise<ModelId[]> {
  const rows = await database.$queryRaw<{ model_id: ModelId }[]>`SELECT DISTINCT model_id FROM drones`;
  return rows.map((row) => row.model_id);
}
