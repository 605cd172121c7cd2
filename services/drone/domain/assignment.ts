/**
 * Which drone flies a delivery: of those that can carry it there and, at worst, all the way back, the one that arrives first
 * at the pickup. Pure; it judges every drone of the fleet and keeps the numbers, so that each decision can be explained.
 */
import { chordM, distanceM } from '../../../shared/geodesy.ts';
import type { BaseId, DeliveryId, DroneId, ModelId } from '../../../shared/ids.ts';
import type { Location, PackageSize } from '../../../shared/schemas.ts';
import type { Base, Candidate, DroneModel, DroneState } from '../contract/index.ts';
import { energyWh } from '../contract/energy.ts';
import { legProfile, type MissionPlan, planMission } from '../contract/flight.ts';
import { type Appointment, dropoffArrivalS, isLate } from './appointment.ts';
import { PLANNED_WAITS } from './missions.ts';

export interface Job {
  pickup: Location;
  dropoff: Location;
  /** Where the package goes back to; the pickup unless told. */
  returnTo?: Location;
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
  /** When its state last changed: while this is so, it has flown for nobody since. ISO 8601. */
  changedAt: string;
}

export interface Fleet {
  drones: readonly FleetDrone[];
  models: ReadonlyMap<ModelId, DroneModel>;
  bases: ReadonlyMap<BaseId, Base>;
}

/** A candidate as it is judged: arrivals in seconds from now, not yet times. */
export interface Judged {
  droneId: DroneId;
  verdict: Candidate['verdict'];
  arrivalS: number | null;
  /** Null when not computed. */
  dropoffS: number | null;
  distanceM: number;
  battery: number;
  batteryAtLanding: number | null;
}

export interface Able {
  droneId: DroneId;
  baseId: BaseId;
  plan: MissionPlan;
  changedAt: string;
}

export interface Choice {
  /** Free and able, ready before charging, then the earliest arrival: the first that can still be had is the one. */
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
  /** Who asks: a drone that is kept for another delivery is busy. */
  deliveryId: DeliveryId;
  /** When it has to be where; null or undefined: as soon as can be. */
  appointment?: Appointment | null;
}

/** A drone that charges and has enough for the job is free too, only that those that are ready go first. */
const FREE_STATES: readonly DroneState[] = ['idle', 'charging'];

/** Of the free drones that fit, only the earliest are planned in full: these are as many as others could take meanwhile. */
const PLANNED_AT_MOST = 32;

export function choose(job: Job, fleet: Fleet, rules: ChoiceRules): Choice {
  const { appointment = null } = rules;
  const judged = fleet.drones.map((drone) => judgeDrone(job, drone, fleet, rules));
  const preference = ({ drone }: Free) => FREE_STATES.indexOf(drone.state);
  // Equal arrivals (drones side by side at a base) are settled by id, so that the choice can be repeated on paper.
  const free = judged
    .flatMap((one) => one.free ?? [])
    .sort(
      (a, b) =>
        preference(a) - preference(b) || a.arrivalS - b.arrivalS || (a.drone.id < b.drone.id ? -1 : 1),
    );
  const ranked: Able[] = [];
  for (const { drone, model, base, arrivalS, candidate } of free) {
    if (ranked.length === PLANNED_AT_MOST) break;
    const plan = planFrom(job, model, base, drone);
    candidate.batteryAtLanding = plan.batteryAtLanding(drone.battery);
    if (plan.feasible(drone.battery)) {
      candidate.dropoffS = dropoffArrivalS(plan, appointment);
      if (appointment !== null && isLate({ arrivalS, dropoffS: candidate.dropoffS }, appointment)) {
        candidate.verdict = 'too_late';
      } else {
        ranked.push({ droneId: drone.id, baseId: drone.baseId, plan, changedAt: drone.changedAt });
      }
      continue;
    }
    const fullPlan = planFrom(job, model, base, { position: base.location, altitudeM: 0 });
    candidate.verdict = fullPlan.feasible(1) ? 'low_battery' : 'out_of_range';
  }
  return {
    ranked,
    candidates: judged.map((one) => one.candidate),
    infeasible: ranked.length > 0 ? null : infeasibility(job, fleet),
  };
}

/** A drone that fits and is free, and when it would be at the pickup. */
interface Free {
  drone: FleetDrone;
  model: DroneModel;
  base: Base;
  arrivalS: number;
  candidate: Judged;
}

function judgeDrone(
  job: Job,
  drone: FleetDrone,
  { models, bases }: Fleet,
  rules: ChoiceRules,
): { candidate: Judged; free?: Free } {
  const { id: droneId, battery, position } = drone;
  const model = models.get(drone.modelId);
  const base = bases.get(drone.baseId);
  const refused = (verdict: Candidate['verdict']) => ({
    candidate: {
      droneId,
      verdict,
      arrivalS: null,
      dropoffS: null,
      distanceM: distanceM(position, job.pickup),
      battery,
      batteryAtLanding: null,
    },
  });
  if (!model || !base) return refused('unavailable');
  if (rules.excluded.has(droneId)) return refused('excluded');
  const verdict = misfitOf(job, model) ?? occupation(drone, rules);
  if (verdict) return refused(verdict);
  const leg = legProfile(model, position, job.pickup, { fromAltitudeM: Math.max(0, drone.altitudeM) });
  const arrivalS = leg.durationS;
  const candidate: Judged = {
    droneId,
    verdict: 'later_arrival',
    arrivalS,
    dropoffS: null,
    distanceM: leg.distanceM,
    battery,
    batteryAtLanding: null,
  };
  return { candidate, free: { drone, model, base, arrivalS, candidate } };
}

function occupation(drone: FleetDrone, rules: ChoiceRules): Candidate['verdict'] | undefined {
  switch (drone.state) {
    case 'idle':
    case 'charging':
      return drone.offeredTo === null || drone.offeredTo === rules.deliveryId ? undefined : 'busy';
    case 'held':
    case 'committed':
    case 'returning':
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

/** Its charge does not even carry it to the pickup: no plan can be feasible. Takes much less than a plan. */
export function isOutOfReach(job: Job, drone: FleetDrone, { models }: Fleet): boolean {
  const model = models.get(drone.modelId);
  if (!model) return false;
  const cruiseS = chordM(drone.position, job.pickup) / model.cruise_speed_mps;
  return energyWh(model, 'cruise', 0, cruiseS) > drone.battery * model.battery_capacity_wh;
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
    ...(job.returnTo && { returnTo: job.returnTo }),
    payloadKg: job.payloadKg,
    ...PLANNED_WAITS,
  });
}

/** Why no drone, full and at its base, could do it, with the numbers; null when one could, or when there is none at all. */
export function infeasibility(job: Job, fleet: Fleet): Choice['infeasible'] {
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
