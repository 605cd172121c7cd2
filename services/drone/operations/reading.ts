/** What others look at: reservations, why a drone was chosen, and where it is now. */
import { clockTimeMs, isoTime } from '../../../shared/clock.ts';
import { notFound } from '../../../shared/errors.ts';
import type { Input, Output } from '../../../shared/http/contract.ts';
import type { ReservationId } from '../../../shared/ids.ts';
import { pageOf, pageRequest } from '../../../shared/page.ts';
import type { droneContract, Reservation } from '../contract/index.ts';
import { type LiveRow, readLive, readReservations } from '../data/reservations.ts';
import { readWaitingPlaces } from '../data/waiting-list.ts';
import { liveEta } from '../domain/eta.ts';
import type { Engine } from './engine.ts';

type Contract = typeof droneContract;

export async function getReservation({ database }: Engine, id: ReservationId): Promise<Reservation> {
  const [reservation] = await readReservations(database, { id, limit: 1 });
  if (!reservation) throw notFound('reservation', id);
  return reservation;
}

export async function listReservations(
  { database }: Engine,
  { query }: Input<Contract['listReservations']>,
): Promise<Output<Contract['listReservations']>> {
  const { limit, before } = pageRequest('reservation', query);
  const rows = await readReservations(database, {
    limit: limit + 1,
    ...(before !== undefined && { beforeId: before }),
    ...(query.delivery_id && { deliveryId: query.delivery_id }),
    ...(query.open !== undefined && { open: query.open }),
  });
  return pageOf(rows, limit);
}

export async function listWaiting(
  { database }: Engine,
  { query }: Input<Contract['listWaiting']>,
): Promise<Output<Contract['listWaiting']>> {
  const { limit, before } = pageRequest('delivery', query);
  const rows = await readWaitingPlaces(database, {
    limit: limit + 1,
    ...(before !== undefined && { before }),
    ...(query.delivery_id && { deliveryId: query.delivery_id }),
  });
  const { data, next_cursor } = pageOf(
    rows.map((place) => ({ id: place.delivery_id, place })),
    limit,
  );
  return { data: data.map(({ place }) => place), next_cursor };
}

export async function live(
  engine: Engine,
  { query }: Input<Contract['live']>,
): Promise<Output<Contract['live']>> {
  const rows = await readLive(engine.database, query.delivery_id);
  const wallMs = engine.wall();
  return { data: await Promise.all(rows.map((row) => liveOf(engine, row, wallMs))) };
}

async function liveOf({ catalog }: Engine, row: LiveRow, wallMs: number) {
  const { models } = await catalog.get({ modelId: row.model_id, baseId: row.base_id });
  const model = models.get(row.model_id);
  const position = { latitude: row.latitude, longitude: row.longitude };
  const eta = model
    ? liveEta(
        model,
        {
          phase: row.phase,
          barred: row.loading === 'barred',
          pickup: { latitude: row.pickup_latitude, longitude: row.pickup_longitude },
          dropoff: { latitude: row.dropoff_latitude, longitude: row.dropoff_longitude },
          position,
          altitudeM: row.altitude_m,
          recordedAtMs: row.recorded_at?.getTime() ?? null,
        },
        clockTimeMs(row.clock, wallMs),
      )
    : { pickupAt: null, dropoffAt: null };
  return {
    delivery_id: row.delivery_id,
    drone_id: row.drone_id,
    position,
    altitude_m: row.altitude_m,
    speed_mps: row.speed_mps,
    battery: row.battery,
    flight_mode: row.flight_mode,
    recorded_at: row.recorded_at && isoTime(row.recorded_at.getTime()),
    eta_pickup_at: eta.pickupAt,
    eta_dropoff_at: eta.dropoffAt,
  };
}
