/**
 * Which drone flies a delivery: of those that can carry it there and, at worst, all the way back, the one that arrives first
 * at the pickup. Pure; it judges every drone of the fleet and keeps the numbers, so that each decision can be explained.
 */
import { distanceM } from '../../../shared/geodesy.ts';
import type { BaseId, DeliveryId, DroneId, ModelId } from '../../../shared/ids.ts';
import type { Location, PackageSize } from '../../../shared/schemas.ts';
import type { Base, Candidate, DroneModel, DroneState } from '../contract/index.ts';
import { type MissionPlan, planMission } from '../contract/flight.ts';
import { PLANNED_WAITS } from './missions.ts';

export interface Job {
  pickup: Location;
  dropoff: Location;
  payloadKg: number;
  packageSizes: readonly PackageSize[];
}

export interface FleetDrone {
  id: DroneId;
  modelId: ModelId;
  baseId: BaseId;
  state: DroneState;
  position: Location;
  altitudeM: number;
  battery: number;
  /** A waiting delivery that it is kept for. */
  offeredTo: DeliveryId | null;
}

export interface Fleet {
  drones: readonly FleetDrone[];
  models: ReadonlyMap<ModelId, DroneModel>;
  bases: ReadonlyMap<BaseId, Base>;
}

/** A candidate as it is judged: arrival in seconds from now, not yet a time. */
export interface Judged {
  droneId: DroneId;
  verdict: Candidate['verdict'];
  arrivalS: number | null;
  distanceM: number;
  battery: number;
  batteryAtLanding: number | null;
}

export interface Able {
  droneId: DroneId;
  baseId: BaseId;
  plan: MissionPlan;
}

export interface Choice {
  /** Free and able, the earliest arrival first: the first that can still be had is the one. */
  ranked: Able[];
  candidates: Judged[];
  /** Why no drone of the fleet could ever do it; null when one could. */
  infeasible: { reason: 'payload_too_heavy' | 'out_of_range'; detail: string } | null;
}

/** Small packages that one of each size takes the room of. */
const SLOTS: Readonly<Record<PackageSize, number>> = { small: 1, medium: 2, large: 4 };
const SIZE_ORDER: readonly PackageSize[] = ['small', 'medium', 'large'];

export interface ChoiceRules {
  excluded: ReadonlySet<DroneId>;
  /** Who asks: a drone that is kept for another delivery is busy. Null: offers do not matter. */
  deliveryId: DeliveryId | null;
  /** States in which a drone counts as free. */
  freeStates: readonly DroneState[];
}

export function choose(job: Job, fleet: Fleet, rules: ChoiceRules): Choice {
  const ranked: Able[] = [];
  const candidates = fleet.drones.map((drone) => {
    const { judged, able } = judgeDrone(job, drone, fleet, rules);
    if (able) ranked.push(able);
    return judged;
  });
  // Equal arrivals (drones side by side at a base) are settled by id, so that the choice can be repeated on paper.
  ranked.sort((a, b) => a.plan.toPickupS - b.plan.toPickupS || (a.droneId < b.droneId ? -1 : 1));
  return {
    ranked,
    candidates,
    infeasible: ranked.length > 0 ? null : neverFeasible(job, fleet),
  };
}

function judgeDrone(
  job: Job,
  drone: FleetDrone,
  { models, bases }: Fleet,
  rules: ChoiceRules,
): { judged: Judged; able?: Able } {
  const judged = (verdict: Candidate['verdict'], plan?: MissionPlan): Judged => ({
    droneId: drone.id,
    verdict,
    arrivalS: plan?.toPickupS ?? null,
    distanceM: distanceM(drone.position, job.pickup),
    battery: drone.battery,
    batteryAtLanding: plan?.batteryAtLanding(drone.battery) ?? null,
  });
  const model = models.get(drone.modelId);
  const base = bases.get(drone.baseId);
  if (!model || !base) return { judged: judged('unavailable') };
  if (rules.excluded.has(drone.id)) return { judged: judged('excluded') };
  const misfit = misfitOf(job, model);
  if (misfit) return { judged: judged(misfit) };
  const verdict = occupation(drone, rules);
  if (verdict) return { judged: judged(verdict) };
  const plan = planFrom(job, model, base, drone);
  if (!plan.feasible(drone.battery)) {
    const fullPlan = planFrom(job, model, base, { position: base.location, altitudeM: 0 });
    return { judged: judged(fullPlan.feasible(1) ? 'low_battery' : 'out_of_range', plan) };
  }
  return {
    judged: judged('later_arrival', plan),
    able: { droneId: drone.id, baseId: drone.baseId, plan },
  };
}

function occupation(drone: FleetDrone, rules: ChoiceRules): Candidate['verdict'] | undefined {
  const isKeptForAnother =
    rules.deliveryId !== null && drone.offeredTo !== null && drone.offeredTo !== rules.deliveryId;
  if (rules.freeStates.includes(drone.state)) return isKeptForAnother ? 'busy' : undefined;
  switch (drone.state) {
    case 'idle':
    case 'held':
    case 'committed':
    case 'returning':
    case 'charging':
      return 'busy';
    case 'maintenance':
    case 'grounded':
    case 'lost':
      return 'unavailable';
  }
}

/** Why a model cannot take these packages, whatever the distance. */
export function misfitOf(job: Job, model: DroneModel): 'too_heavy' | 'too_big' | undefined {
  if (job.payloadKg > model.max_payload_kg) return 'too_heavy';
  const largest = SIZE_ORDER.indexOf(model.max_package_size);
  const slots = job.packageSizes.reduce((sum, size) => sum + SLOTS[size], 0);
  const isTooBig = job.packageSizes.some((size) => SIZE_ORDER.indexOf(size) > largest);
  return isTooBig || slots > model.bay_slots ? 'too_big' : undefined;
}

function planFrom(
  job: Job,
  model: DroneModel,
  base: Base,
  start: { position: Location; altitudeM: number },
): MissionPlan {
  return planMission(model, {
    base: base.location,
    start: start.position,
    startAltitudeM: Math.max(0, start.altitudeM),
    pickup: job.pickup,
    dropoff: job.dropoff,
    payloadKg: job.payloadKg,
    ...PLANNED_WAITS,
  });
}

/** Why no drone, full and at its base, could do it, with the numbers; null when one could, or when there is none at all. */
function neverFeasible(job: Job, fleet: Fleet): Choice['infeasible'] {
  if (fleet.drones.length === 0) return null;
  let best: { leftover: number; name: string; reserve: number } | undefined;
  const seen = new Set<string>();
  for (const { modelId, baseId } of fleet.drones) {
    if (seen.has(modelId + baseId)) continue;
    seen.add(modelId + baseId);
    const model = fleet.models.get(modelId);
    const base = fleet.bases.get(baseId);
    // What is not known cannot be ruled out.
    if (!model || !base) return null;
    if (misfitOf(job, model)) continue;
    const plan = planFrom(job, model, base, { position: base.location, altitudeM: 0 });
    if (plan.feasible(1)) return null;
    const leftover = plan.batteryAtLanding(1);
    if (!best || leftover - model.reserve_fraction > best.leftover - best.reserve)
      best = { leftover, name: `${model.name} from ${base.name}`, reserve: model.reserve_fraction };
  }
  if (!best) return { reason: 'payload_too_heavy', detail: misfitDetail(job, fleet) };
  const flightKm = (distanceM(job.pickup, job.dropoff) / 1000).toFixed(1);
  return {
    reason: 'out_of_range',
    detail:
      `${flightKm} km from pickup to dropoff with ${kg(job.payloadKg)}: even the best drone for it (${best.name}, fully charged) ` +
      `would need ${percent(1 - best.leftover)} of its battery at worst; ${percent(1 - best.reserve)} may be used.`,
  };
}

function misfitDetail(job: Job, { drones, models }: Fleet): string {
  const known = [...new Set(drones.map((one) => one.modelId))].flatMap((id) => models.get(id) ?? []);
  const strongestKg = Math.max(...known.map((one) => one.max_payload_kg));
  if (job.payloadKg > strongestKg)
    return `${kg(job.payloadKg)} is more than any drone carries: the strongest takes ${kg(strongestKg)}.`;
  const roomiest = Math.max(...known.map((one) => one.bay_slots));
  return (
    `No drone takes ${job.packageSizes.join(', ')} of ${kg(job.payloadKg)} together: ` +
    `the strongest carries ${kg(strongestKg)}, the roomiest bay has ${roomiest} slots (small 1, medium 2, large 4).`
  );
}

function kg(mass: number): string {
  return `${Number(mass.toFixed(2))} kg`;
}

function percent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}
