/** Reads of reservations and missions for those who look on. */
import { type ClockSettings, isoTime } from '../../../shared/clock.ts';
import type { BaseId, DeliveryId, DroneId, MissionId, ModelId, ReservationId } from '../../../shared/ids.ts';
import type { Output } from '../../../shared/http/contract.ts';
import type { aircraftContract, MilestoneKind, Mission, Reservation } from '../contract/index.ts';
import type { Phase } from '../domain/reservation.ts';
import type { CatalogCache } from './catalog.ts';
import { type Database, Prisma } from './database.ts';

const RESERVATION_COLUMNS = {
  id: true,
  step_key: true,
  token: true,
  delivery_id: true,
  account_id: true,
  livemode: true,
  drone_id: true,
  state: true,
  loading: true,
  job_done: true,
  lease_expires_at: true,
  created_at: true,
  ended_at: true,
} as const;

/** Newest first. */
export async function readReservations(
  database: Database,
  filter: {
    id?: ReservationId;
    deliveryId?: DeliveryId;
    open?: boolean;
    beforeId?: string;
    limit: number;
  },
): Promise<Reservation[]> {
  const open = ['held', 'committed'];
  const rows = await database.reservation.findMany({
    where: {
      ...((filter.id ?? filter.beforeId) !== undefined && {
        id: { ...(filter.id && { equals: filter.id }), ...(filter.beforeId && { lt: filter.beforeId }) },
      }),
      ...(filter.deliveryId && { delivery_id: filter.deliveryId }),
      ...(filter.open !== undefined && { state: filter.open ? { in: open } : { notIn: open } }),
    },
    orderBy: { id: 'desc' },
    take: filter.limit,
    select: RESERVATION_COLUMNS,
  });
  return rows.map(
    ({ job_done: jobDone, ...row }) =>
      ({
        ...row,
        homeward: row.state === 'committed' && (jobDone || row.loading === 'barred'),
        lease_expires_at: row.state === 'held' ? isoTime(row.lease_expires_at.getTime()) : null,
        created_at: isoTime(row.created_at.getTime()),
        ended_at: row.ended_at && isoTime(row.ended_at.getTime()),
      }) as Reservation,
  );
}

interface MissionRow {
  drone_id: DroneId;
  id: Mission['id'] | null;
  version: number;
  command: Mission['command'];
  legs: Mission['legs'];
  issued_at: Date;
  reservation_id: ReservationId;
  token: number;
  delivery_id: DeliveryId;
  base_id: BaseId;
  clock: ClockSettings;
  pickup_latitude: number;
  pickup_longitude: number;
  dropoff_latitude: number;
  dropoff_longitude: number;
  return_latitude: number | null;
  return_longitude: number | null;
  payload_kg: number;
  pickup_wait_s: number | null;
  dropoff_hover_s: number | null;
  confirmation: Mission['confirmation'] | null;
  told: [number, MilestoneKind, string][] | null;
}

export type Orders = Output<(typeof aircraftContract)['getMission']>;

/**
 * The mission that a drone is to fly now, null when it has none, and what it has told of it. Undefined when there is no such
 * drone.
 */
export async function readOrders(
  database: Database,
  catalog: CatalogCache,
  droneId: DroneId,
): Promise<Orders | undefined> {
  const rows = await database.$queryRaw<MissionRow[]>`
    SELECT d.id AS drone_id, m.id, m.version, m.command, m.legs, m.issued_at, r.id AS reservation_id, r.token, r.delivery_id,
      r.base_id, r.clock, r.pickup_latitude, r.pickup_longitude, r.return_latitude, r.return_longitude, r.payload_kg,
      -- What is offered to the aircraft is what it is to fly, unless it has been told to do something else since.
      CASE WHEN m.command = 'fly' THEN coalesce(r.next_dropoff_latitude, r.dropoff_latitude)
        ELSE r.dropoff_latitude END AS dropoff_latitude,
      CASE WHEN m.command = 'fly' THEN coalesce(r.next_dropoff_longitude, r.dropoff_longitude)
        ELSE r.dropoff_longitude END AS dropoff_longitude,
      r.pickup_wait_s, r.dropoff_hover_s, r.confirmation,
      (SELECT json_agg(json_build_array(t.aircraft_sequence, t.kind, t.occurred_at) ORDER BY t.aircraft_sequence)
        FROM milestones t WHERE t.reservation_id = r.id AND t.aircraft_sequence IS NOT NULL) AS told
    FROM drones d
    LEFT JOIN reservations r ON r.id = d.reservation_id AND r.state = 'committed'
    LEFT JOIN missions m ON m.id = r.mission_id AND m.version = r.mission_version
    WHERE d.id = ${droneId}`;
  const [row] = rows;
  if (!row) return undefined;
  if (row.id === null) return { mission: null, told: [] };
  const base = (await catalog.get()).bases.get(row.base_id);
  if (!base) throw new Error(`Reservation ${row.reservation_id} has no base ${row.base_id}`);
  const mission: Mission = {
    id: row.id,
    version: row.version,
    reservation_id: row.reservation_id,
    reservation_token: row.token,
    delivery_id: row.delivery_id,
    drone_id: row.drone_id,
    command: row.command,
    pickup: { latitude: row.pickup_latitude, longitude: row.pickup_longitude },
    dropoff: { latitude: row.dropoff_latitude, longitude: row.dropoff_longitude },
    return_to: {
      latitude: row.return_latitude ?? row.pickup_latitude,
      longitude: row.return_longitude ?? row.pickup_longitude,
    },
    base: base.location,
    payload_kg: row.payload_kg,
    pickup_wait_s: row.pickup_wait_s ?? 0,
    dropoff_hover_s: row.dropoff_hover_s ?? 0,
    confirmation: row.confirmation ?? 'none',
    legs: row.legs,
    clock: row.clock,
    issued_at: isoTime(row.issued_at.getTime()),
  };
  const told = (row.told ?? []).map(([aircraft_sequence, kind, occurredAt]) => ({
    aircraft_sequence,
    kind,
    occurred_at: isoTime(Date.parse(occurredAt)),
  }));
  return { mission, told };
}

/** The newest mission version of each of these drones that has one: what a process looks at for its waiting aircraft. */
export async function readMissionVersions(
  database: Database,
  droneIds: readonly DroneId[],
): Promise<{ droneId: DroneId; missionId: string; version: number }[]> {
  const rows = await database.$queryRaw<{ id: DroneId; mission_id: string; mission_version: number }[]>`
    SELECT d.id, r.mission_id, r.mission_version
    FROM drones d JOIN reservations r ON r.id = d.reservation_id AND r.state = 'committed'
    WHERE d.id = ANY(${[...droneIds]}::text[])`;
  return rows.map((row) => ({ droneId: row.id, missionId: row.mission_id, version: row.mission_version }));
}

/** The return time that a step was promised; null when it did not turn the drone round. */
export async function readReturnPromise(database: Database, stepKey: string): Promise<string | null> {
  const row = await database.mission.findUnique({ where: { step_key: stepKey }, select: { eta: true } });
  return (row?.eta as Record<string, string> | null | undefined)?.['return_at'] ?? null;
}

/** What was answered to the dispatch of a reservation. */
export async function readFirstMission(
  database: Database,
  reservationId: ReservationId,
): Promise<{ missionId: MissionId; eta: Record<string, string> | null } | undefined> {
  const row = await database.mission.findUnique({
    where: { reservation_id_version: { reservation_id: reservationId, version: 1 } },
    select: { id: true, eta: true },
  });
  return row ? { missionId: row.id as MissionId, eta: row.eta as Record<string, string> | null } : undefined;
}

export interface LiveRow {
  delivery_id: DeliveryId;
  drone_id: DroneId;
  model_id: ModelId;
  base_id: BaseId;
  clock: ClockSettings;
  phase: Phase;
  loading: Reservation['loading'];
  pickup_latitude: number;
  pickup_longitude: number;
  dropoff_latitude: number;
  dropoff_longitude: number;
  latitude: number;
  longitude: number;
  altitude_m: number;
  speed_mps: number;
  battery: number;
  flight_mode: string;
  recorded_at: Date | null;
}

/** The drone that flies for each of these deliveries, as last heard; a replacement rather than the one it replaces. */
export async function readLive(database: Database, deliveryIds: readonly DeliveryId[]): Promise<LiveRow[]> {
  return database.$queryRaw<LiveRow[]>(Prisma.sql`
    SELECT DISTINCT ON (r.delivery_id) r.delivery_id, r.drone_id, d.model_id, r.base_id, r.clock, r.phase, r.loading,
      r.pickup_latitude, r.pickup_longitude, r.dropoff_latitude, r.dropoff_longitude,
      p.latitude, p.longitude, p.altitude_m, p.speed_mps, p.battery, p.flight_mode, p.recorded_at
    FROM reservations r
    JOIN drones d ON d.id = r.drone_id
    JOIN positions p ON p.drone_id = r.drone_id
    WHERE r.delivery_id = ANY(${[...deliveryIds]}::text[]) AND r.state IN ('held', 'committed')
    ORDER BY r.delivery_id, r.token DESC`);
}
