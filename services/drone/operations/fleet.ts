/** The fleet registry, and what operators do to drones. */
import { conflict, notFound, Problem } from '../../../shared/errors.ts';
import type { Input, Output } from '../../../shared/http/contract.ts';
import { pageOf, pageRequest } from '../../../shared/page.ts';
import { longestDeliveryM } from '../contract/flight.ts';
import type { Base, Drone, DroneModel, droneContract, DroneState } from '../contract/index.ts';
import { readBases, readModels, writeBase, writeModel } from '../data/catalog.ts';
import * as fleet from '../data/fleet.ts';
import { readFlight } from '../data/flights.ts';
import { NOTHING_TAKEN_OUT, operate } from '../domain/commands.ts';
import { type Engine, transact } from './engine.ts';

type Contract = typeof droneContract;
type DroneId = Drone['id'];

export async function ensureModel(
  { database, catalog }: Engine,
  { params, body }: Input<Contract['ensureModel']>,
): Promise<DroneModel> {
  mustBeSameId(params.model_id, body.id);
  await writeModel(database, body);
  catalog.forget();
  return body;
}

export async function ensureBase(
  { database, catalog }: Engine,
  { params, body }: Input<Contract['ensureBase']>,
): Promise<Base> {
  mustBeSameId(params.base_id, body.id);
  await writeBase(database, body);
  catalog.forget();
  return body;
}

function mustBeSameId(inPath: string, inBody: string): void {
  if (inPath === inBody) return;
  const message = `must be ${inPath}, as in the path`;
  throw new Problem('invalid-request', { detail: `id ${message}`, errors: [{ field: 'id', message }] });
}

export async function ensureDrone(
  engine: Engine,
  { params, body }: Input<Contract['ensureDrone']>,
): Promise<Drone> {
  const { database, wall, waitingList } = engine;
  const drone = { id: params.drone_id, name: body.name, modelId: body.model_id, baseId: body.base_id };
  if (!(await fleet.ensureDrone(database, drone, new Date(wall())))) {
    const { models, bases } = await engine.catalog.get({ modelId: body.model_id, baseId: body.base_id });
    if (!models.has(body.model_id)) throw notFound('model', body.model_id);
    if (!bases.has(body.base_id)) throw notFound('base', body.base_id);
  }
  waitingList.nudge();
  return getDrone(engine, params.drone_id);
}

export async function getDrone({ database }: Engine, id: DroneId): Promise<Drone> {
  const [drone] = await fleet.readDrones(database, { ids: [id], limit: 1 });
  if (!drone) throw notFound('drone', id);
  return drone;
}

export async function listDrones(
  { database }: Engine,
  { query }: Input<Contract['listDrones']>,
): Promise<Output<Contract['listDrones']>> {
  const { limit, before } = pageRequest('drone', query);
  const rows = await fleet.readDrones(database, {
    limit: limit + 1,
    ...(before !== undefined && { beforeId: before }),
    ...(query.state && { states: query.state }),
    ...(query.base_id && { baseId: query.base_id }),
  });
  return pageOf(rows, limit);
}

/** From these a drone without a reservation may be cleared. */
const CLEARABLE: readonly DroneState[] = ['idle', 'charging', 'maintenance', 'grounded', 'lost'];
const MAX_TRIES = 20;

export async function setDroneState(
  engine: Engine,
  { params, body }: Input<Contract['setDroneState']>,
): Promise<Drone> {
  const { database, catalog, waitingList, wall } = engine;
  for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
    const drone = await getDrone(engine, params.drone_id);
    const { reservation_id } = drone;
    if (reservation_id === null && body.package_at !== undefined)
      throw conflict(NOTHING_TAKEN_OUT.reason, NOTHING_TAKEN_OUT.detail);
    const isDone =
      reservation_id === null
        ? await fleet.changeFreeDrone(
            database,
            drone.id,
            CLEARABLE,
            { state: body.state, reason: body.state === 'idle' ? null : body.reason, by: body.by },
            new Date(wall()),
          )
        : await transact(
            engine,
            () => readFlight(database, catalog, reservation_id),
            (flight) => {
              // Its reservation ended between the two looks: look at the drone again.
              if (flight.reservation.endedAt !== null) return { answer: false };
              const decision = operate(flight, body, wall());
              if (decision.outcome === 'refused') throw conflict(decision.reason, decision.detail);
              return { answer: true, transition: decision.transition };
            },
          );
    if (isDone === true) {
      await fleet.recordStateChange(database, {
        droneId: drone.id,
        from: drone.state,
        to: body.state,
        reason: body.reason,
        by: body.by,
        at: engine.clock.now(),
      });
      if (body.state === 'idle') waitingList.nudge();
      return getDrone(engine, drone.id);
    }
  }
  throw new Problem('unavailable', { detail: 'The drone is changing too often.', retryAfterS: 1 });
}

export async function listModels({ database }: Engine): Promise<Output<Contract['listModels']>> {
  return { data: await readModels(database) };
}

export async function listBases({ database }: Engine): Promise<Output<Contract['listBases']>> {
  return { data: await readBases(database) };
}

const SIZES = ['small', 'medium', 'large'] as const;
const LIMITS_FRESH_FOR_MS = 5_000;

/** What the fleet can do at best; kept for some seconds, because every request at the door asks. */
export function limitsReader({ database, catalog }: Engine): () => Promise<Output<Contract['limits']>> {
  let kept: { limits: Promise<Output<Contract['limits']>>; atMs: number } | undefined;
  const read = async (): Promise<Output<Contract['limits']>> => {
    const [{ models, bases }, modelIds] = await Promise.all([
      catalog.get(),
      fleet.readModelsInFleet(database),
    ]);
    const flown = modelIds.flatMap((id) => models.get(id) ?? []);
    const largest = Math.max(-1, ...flown.map((model) => SIZES.indexOf(model.max_package_size)));
    return {
      max_payload_kg: Math.max(0, ...flown.map((model) => model.max_payload_kg)),
      max_distance_m: Math.max(0, ...flown.map((model) => longestDeliveryM(model, 0))),
      max_package_size: SIZES[largest] ?? null,
      bases: [...bases.values()],
    };
  };
  return () => {
    if (kept === undefined || performance.now() - kept.atMs > LIMITS_FRESH_FOR_MS) {
      const limits = read();
      kept = { limits, atMs: performance.now() };
      // What could not be read is asked again by the next.
      limits.catch(() => (kept = undefined));
    }
    return kept.limits;
  };
}
