/** The waiting list: who waits, what was offered, and the signals that are owed for it. */
import { type ClockSettings, clockTimeMs, isoTime } from '../../../shared/clock.ts';
import type { AccountId, DeliveryId, DroneId } from '../../../shared/ids.ts';
import type { PackageSize } from '../../../shared/schemas.ts';
import type { WaitingPlace } from '../contract/index.ts';
import type { Offer, Waiter } from '../domain/waiting-list.ts';
import type { Database } from './database.ts';

interface WaiterRow {
  delivery_id: DeliveryId;
  expedited: boolean;
  pickup_latitude: number;
  pickup_longitude: number;
  dropoff_latitude: number;
  dropoff_longitude: number;
  return_latitude: number | null;
  return_longitude: number | null;
  payload_kg: number;
  package_sizes: PackageSize[];
  exclude_drone_ids: DroneId[];
  pickup_from: Date | null;
  pickup_by: Date | null;
  deliver_by: Date | null;
  clock: ClockSettings | null;
  joined_wall: Date;
  offers: number;
}

/** Whether anybody waits, with nothing offered at the moment, or owed the signal of an offer. */
export async function lookAtLine(
  database: Database,
  wall: Date,
): Promise<{ isAnybody: boolean; hasUnoffered: boolean; isOwedSignal: boolean }> {
  const rows = await database.$queryRaw<{ anybody: boolean; unoffered: boolean; owed: boolean }[]>`
    SELECT count(*) > 0 AS anybody,
      coalesce(bool_or(offered_wall IS NULL OR offered_wall <= ${wall}::timestamptz), false) AS unoffered,
      coalesce(bool_or(signal_due_wall <= ${wall}::timestamptz), false) AS owed
    FROM waiting_list`;
  const [line] = rows;
  return {
    isAnybody: line?.anybody === true,
    hasUnoffered: line?.unoffered === true,
    isOwedSignal: line?.owed === true,
  };
}

/** Those first in turn to whom nothing is offered at the moment. */
export async function readWaiters(database: Database, wall: Date, limit: number): Promise<Waiter[]> {
  const rows = await database.$queryRaw<WaiterRow[]>`
    SELECT w.delivery_id, w.expedited, w.pickup_latitude, w.pickup_longitude, w.dropoff_latitude, w.dropoff_longitude,
      w.return_latitude, w.return_longitude, w.payload_kg, w.package_sizes, w.exclude_drone_ids,
      w.pickup_from, w.pickup_by, w.deliver_by, w.clock, w.joined_wall, w.offers
    FROM waiting_list w
    WHERE w.offered_wall IS NULL OR w.offered_wall <= ${wall}::timestamptz
    ORDER BY w.offers, w.expedited DESC, w.joined_wall
    LIMIT ${limit}`;
  return rows.map((row) => ({
    deliveryId: row.delivery_id,
    job: {
      pickup: { latitude: row.pickup_latitude, longitude: row.pickup_longitude },
      dropoff: { latitude: row.dropoff_latitude, longitude: row.dropoff_longitude },
      ...(row.return_latitude !== null &&
        row.return_longitude !== null && {
          returnTo: { latitude: row.return_latitude, longitude: row.return_longitude },
        }),
      payloadKg: row.payload_kg,
      packageSizes: row.package_sizes,
    },
    excludedDroneIds: row.exclude_drone_ids,
    appointment: row.clock && {
      nowMs: clockTimeMs(row.clock, wall.getTime()),
      pickupFromMs: row.pickup_from?.getTime() ?? null,
      pickupByMs: row.pickup_by?.getTime() ?? null,
      deliverByMs: row.deliver_by?.getTime() ?? null,
    },
    expedited: row.expedited,
    joinedWallMs: row.joined_wall.getTime(),
    offers: row.offers,
  }));
}

/** Keeps each offered drone for its delivery and owes it a signal. What somebody else has offered meanwhile is left out. */
export async function makeOffers(
  database: Database,
  offers: readonly Offer[],
  wall: Date,
  until: Date,
): Promise<void> {
  await database.$executeRaw`
    WITH offer AS (
      SELECT o.delivery_id, o.drone_id
      FROM unnest(${offers.map((one) => one.deliveryId)}::text[], ${offers.map((one) => one.droneId)}::text[])
        AS o(delivery_id, drone_id)
    )
    UPDATE waiting_list w SET offered_drone_id = offer.drone_id, offered_wall = ${until}::timestamptz,
      offers = w.offers + 1, signal_due_wall = ${wall}::timestamptz
    FROM offer
    WHERE w.delivery_id = offer.delivery_id AND (w.offered_wall IS NULL OR w.offered_wall <= ${wall}::timestamptz)
      AND NOT EXISTS (SELECT 1 FROM waiting_list x
        WHERE x.offered_drone_id = offer.drone_id AND x.offered_wall > ${wall}::timestamptz)`;
}

/** The signals that are owed now; until `retryWall` no other process sends them. */
export async function claimOwedSignals(
  database: Database,
  wall: Date,
  retryWall: Date,
  limit: number,
): Promise<{ deliveryId: DeliveryId; stepKey: string }[]> {
  const rows = await database.$queryRaw<{ delivery_id: DeliveryId; step_key: string }[]>`
    UPDATE waiting_list w SET signal_due_wall = ${retryWall}::timestamptz
    FROM (
      SELECT delivery_id FROM waiting_list WHERE signal_due_wall <= ${wall}::timestamptz
      ORDER BY signal_due_wall LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ) due
    WHERE w.delivery_id = due.delivery_id
    RETURNING w.delivery_id, w.step_key`;
  return rows.map((row) => ({ deliveryId: row.delivery_id, stepKey: row.step_key }));
}

/** The delivery was told. One that waits under a newer step is owed its own signal. */
export async function settleSignal(
  database: Database,
  deliveryId: DeliveryId,
  stepKey: string,
): Promise<void> {
  await database.$executeRaw`
    UPDATE waiting_list SET signal_due_wall = NULL WHERE delivery_id = ${deliveryId} AND step_key = ${stepKey}`;
}

/** Whether the place that this reserve step took is still there. */
export async function isInLine(database: Database, stepKey: string): Promise<boolean> {
  return (await database.waiter.count({ where: { step_key: stepKey } })) > 0;
}

export async function leaveWaitingList(database: Database, deliveryId: DeliveryId): Promise<void> {
  await database.$executeRaw`DELETE FROM waiting_list WHERE delivery_id = ${deliveryId}`;
}

/** Everybody in the line, newest first. */
export async function readWaitingPlaces(
  database: Database,
  filter: { deliveryId?: DeliveryId; before?: DeliveryId; limit: number },
): Promise<WaitingPlace[]> {
  const { deliveryId, before, limit } = filter;
  const rows = await database.waiter.findMany({
    where: { delivery_id: { ...(deliveryId && { equals: deliveryId }), ...(before && { lt: before }) } },
    orderBy: { delivery_id: 'desc' },
    take: limit,
    select: {
      delivery_id: true,
      step_key: true,
      account_id: true,
      livemode: true,
      expedited: true,
      joined_wall: true,
    },
  });
  return rows.map(({ joined_wall, ...row }) => ({
    ...row,
    delivery_id: row.delivery_id as DeliveryId,
    account_id: row.account_id as AccountId,
    joined_at: isoTime(joined_wall.getTime()),
  }));
}
