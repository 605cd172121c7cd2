/**
 * How an aircraft flies: one leg's kinematics, and the plan of a whole mission with its worst branch. Pure; the drone service
 * plans with it, the simulated aircraft fly by it, so that what is promised is what is flown. No wind: airspeed is ground speed.
 */
import { distanceM, interpolate } from '../../../shared/geodesy.ts';
import type { Location } from '../../../shared/schemas.ts';
import { energyWh, type FlightPhase } from './energy.ts';
import type { DroneModel, MissionLeg } from './index.ts';

/** Handling at the stops as it is planned, seconds. The deadlines are the delivery's own and much longer. */
export const HANDLING = {
  /** The sender puts the packages in. */
  loadingS: 30,
  /** The package is lowered and let go at the dropoff, or taken out at a return. */
  releaseS: 15,
} as const;

/** The package is winched down from this height above the ground; the aircraft does not land at a dropoff. */
export const DROPOFF_ALTITUDE_M = 8;

/** Closer than this is there: the aircraft goes straight up or down. */
export const ARRIVED_WITHIN_M = 1;

/** One leg: straight up to cruise altitude, along the geodesic, straight down. Data: survives JSON. */
export interface LegProfile {
  from: Location;
  to: Location;
  fromAltitudeM: number;
  toAltitudeM: number;
  /** Above ground; where there is nothing to cruise, the higher of both ends. */
  cruiseAltitudeM: number;
  distanceM: number;
  climbS: number;
  cruiseS: number;
  descentS: number;
  durationS: number;
}

export interface Altitudes {
  /** Above ground, metres; 0 unless told. */
  fromAltitudeM?: number;
  toAltitudeM?: number;
}

/** The leg that a model flies between two places. */
export function legProfile(
  model: DroneModel,
  from: Location,
  to: Location,
  { fromAltitudeM = 0, toAltitudeM = 0 }: Altitudes = {},
): LegProfile {
  const distance = distanceM(from, to);
  const cruises = distance > ARRIVED_WITHIN_M;
  const top = Math.max(fromAltitudeM, toAltitudeM, cruises ? model.cruise_altitude_m : 0);
  const climbS = (top - fromAltitudeM) / model.climb_speed_mps;
  const cruiseS = distance / model.cruise_speed_mps;
  const descentS = (top - toAltitudeM) / model.descent_speed_mps;
  return {
    from,
    to,
    fromAltitudeM,
    toAltitudeM,
    cruiseAltitudeM: top,
    distanceM: distance,
    climbS,
    cruiseS,
    descentS,
    durationS: climbS + cruiseS + descentS,
  };
}

/** Energy of a leg, or of its first `elapsedS` seconds, watt-hours. */
export function legEnergyWh(
  model: DroneModel,
  leg: LegProfile,
  payloadKg: number,
  elapsedS: number = leg.durationS,
): number {
  const spent = phaseTimes(leg, elapsedS);
  return (
    energyWh(model, 'climb', payloadKg, spent.climbS) +
    energyWh(model, 'cruise', payloadKg, spent.cruiseS) +
    energyWh(model, 'descent', payloadKg, spent.descentS)
  );
}

/**
 * Seconds into a leg at which it has taken this much energy; `null` when the whole leg takes less. The inverse of
 * `legEnergyWh`.
 */
export function elapsedAtEnergyS(
  model: DroneModel,
  leg: LegProfile,
  payloadKg: number,
  budgetWh: number,
): number | null {
  let leftWh = Math.max(0, budgetWh);
  let elapsedS = 0;
  for (const [phase, phaseS] of [
    ['climb', leg.climbS],
    ['cruise', leg.cruiseS],
    ['descent', leg.descentS],
  ] as const) {
    const phaseWh = energyWh(model, phase, payloadKg, phaseS);
    if (phaseWh > leftWh) return elapsedS + (leftWh / phaseWh) * phaseS;
    leftWh -= phaseWh;
    elapsedS += phaseS;
  }
  return null;
}

export interface FlightPoint {
  location: Location;
  altitudeM: number;
  speedMps: number;
  /** Also its flight mode in telemetry. */
  phase: Extract<FlightPhase, 'climb' | 'cruise' | 'descent'>;
  /** Covered along the geodesic. */
  travelledM: number;
}

/** Where the aircraft is `elapsedS` seconds into the leg; before the start at its start, after the end at its end. */
export function positionAt(leg: LegProfile, elapsedS: number): FlightPoint {
  const isOver = elapsedS >= leg.durationS;
  const spent = phaseTimes(leg, elapsedS);
  if (!isOver && spent.climbS < leg.climbS) {
    const speedMps = (leg.cruiseAltitudeM - leg.fromAltitudeM) / leg.climbS;
    return {
      phase: 'climb',
      location: leg.from,
      altitudeM: leg.fromAltitudeM + speedMps * spent.climbS,
      speedMps,
      travelledM: 0,
    };
  }
  if (!isOver && spent.cruiseS < leg.cruiseS) {
    const fraction = spent.cruiseS / leg.cruiseS;
    return {
      phase: 'cruise',
      location: interpolate(leg.from, leg.to, fraction),
      altitudeM: leg.cruiseAltitudeM,
      speedMps: leg.distanceM / leg.cruiseS,
      travelledM: leg.distanceM * fraction,
    };
  }
  const speedMps = leg.descentS === 0 ? 0 : (leg.cruiseAltitudeM - leg.toAltitudeM) / leg.descentS;
  return {
    phase: 'descent',
    location: leg.to,
    altitudeM: isOver ? leg.toAltitudeM : leg.cruiseAltitudeM - speedMps * spent.descentS,
    speedMps: isOver ? 0 : speedMps,
    travelledM: leg.distanceM,
  };
}

function phaseTimes(
  leg: LegProfile,
  elapsedS: number,
): { climbS: number; cruiseS: number; descentS: number } {
  const clamp = (value: number, top: number) => Math.min(Math.max(value, 0), top);
  return {
    climbS: clamp(elapsedS, leg.climbS),
    cruiseS: clamp(elapsedS - leg.climbS, leg.cruiseS),
    descentS: clamp(elapsedS - leg.climbS - leg.cruiseS, leg.descentS),
  };
}

export interface MissionRequest {
  base: Location;
  /** Where the drone is when it sets out. */
  start: Location;
  startAltitudeM?: number;
  pickup: Location;
  dropoff: Location;
  /** Where a return would lead; the pickup unless told. */
  returnTo?: Location;
  payloadKg: number;
  /** The package is aboard: it flies from `start` to the dropoff, and the pickup is only where a return would lead, unless told. */
  isLoaded?: boolean;
  /** Longest wait on the ground for the sender. */
  pickupWaitS: number;
  /** Longest hover at the dropoff. */
  dropoffHoverS: number;
}

export interface MissionPlan {
  legs: MissionLeg[];
  /** Times from setting out, seconds, when nobody keeps the drone waiting. Loaded, the pickup is at 0. */
  timeline: {
    atPickupS: number;
    departPickupS: number;
    atDropoffS: number;
    /** The package is let go: delivered. */
    releasedS: number;
    homeS: number;
  };
  /** Flight time of each leg. */
  toPickupS: number;
  toDropoffS: number;
  homeS: number;
  /** All legs of the undisturbed mission. */
  distanceM: number;
  /** Of the undisturbed mission, watt-hours. */
  energyWh: number;
  /** Wait at the pickup to the last second, fly out loaded, hover to the last second, bring it all back, fly home. */
  worstEnergyWh: number;
  /** What is left of the battery (0–1) at home after the worst branch; negative when it would not get there. */
  batteryAtLanding(batteryFraction: number): number;
  /** It lands with the model's reserve even after the worst branch. */
  feasible(batteryFraction: number): boolean;
}

/** Plans a delivery's flights. Does not ask whether the model can lift the payload. */
export function planMission(model: DroneModel, request: MissionRequest): MissionPlan {
  const { base, start, pickup, dropoff, payloadKg, isLoaded = false, returnTo = pickup } = request;
  const fromAltitudeM = request.startAltitudeM ?? 0;
  const toPickup = isLoaded ? null : legProfile(model, start, pickup, { fromAltitudeM });
  const toDropoff = isLoaded
    ? legProfile(model, start, dropoff, { fromAltitudeM, toAltitudeM: DROPOFF_ALTITUDE_M })
    : legProfile(model, pickup, dropoff, { toAltitudeM: DROPOFF_ALTITUDE_M });
  const home = legProfile(model, dropoff, base, { fromAltitudeM: DROPOFF_ALTITUDE_M });
  const toReturn = legProfile(model, dropoff, returnTo, { fromAltitudeM: DROPOFF_ALTITUDE_M });
  const homeFromReturn = legProfile(model, returnTo, base);

  const outWh = (pickupWaitS: number, hoverS: number) =>
    (toPickup === null
      ? 0
      : legEnergyWh(model, toPickup, 0) + energyWh(model, 'ground', 0, pickupWaitS + HANDLING.loadingS)) +
    legEnergyWh(model, toDropoff, payloadKg) +
    energyWh(model, 'hover', payloadKg, hoverS);
  const undisturbedWh = outWh(0, HANDLING.releaseS) + legEnergyWh(model, home, 0);
  const longestHoverS = request.dropoffHoverS + HANDLING.releaseS;
  const worstOutWh = outWh(request.pickupWaitS, longestHoverS);
  const deliveredLateWh = worstOutWh + legEnergyWh(model, home, 0);
  const broughtBackWh =
    worstOutWh +
    legEnergyWh(model, toReturn, payloadKg) +
    energyWh(model, 'ground', 0, HANDLING.releaseS) +
    legEnergyWh(model, homeFromReturn, 0);
  const worstEnergyWh = Math.max(deliveredLateWh, broughtBackWh);

  const atPickupS = toPickup?.durationS ?? 0;
  const departPickupS = toPickup === null ? 0 : atPickupS + HANDLING.loadingS;
  const atDropoffS = departPickupS + toDropoff.durationS;
  const releasedS = atDropoffS + HANDLING.releaseS;
  const batteryAtLanding = (fraction: number) => fraction - worstEnergyWh / model.battery_capacity_wh;
  return {
    legs: [
      ...(toPickup === null ? [] : [missionLeg('to_pickup', toPickup)]),
      missionLeg('to_dropoff', toDropoff),
      missionLeg('home', home),
    ],
    timeline: { atPickupS, departPickupS, atDropoffS, releasedS, homeS: releasedS + home.durationS },
    toPickupS: toPickup?.durationS ?? 0,
    toDropoffS: toDropoff.durationS,
    homeS: home.durationS,
    distanceM: (toPickup?.distanceM ?? 0) + toDropoff.distanceM + home.distanceM,
    energyWh: undisturbedWh,
    worstEnergyWh,
    batteryAtLanding,
    feasible: (fraction) => batteryAtLanding(fraction) >= model.reserve_fraction,
  };
}

/**
 * What an aircraft does when its link is lost: before it carries anything it comes home, for its replacement may be on the
 * way; with the package aboard, or on the way home, it finishes the leg.
 */
const ON_LINK_LOSS = {
  to_pickup: 'return_to_base',
  to_dropoff: 'continue',
  to_return: 'continue',
  home: 'continue',
} as const satisfies Record<MissionLeg['kind'], MissionLeg['on_link_loss']>;

/** A leg as it stands in a mission. */
export function missionLeg(kind: MissionLeg['kind'], leg: LegProfile): MissionLeg {
  return {
    kind,
    to: leg.to,
    distance_m: leg.distanceM,
    duration_s: leg.durationS,
    on_link_loss: ON_LINK_LOSS[kind],
  };
}

/**
 * The longest pickup-to-dropoff distance that a full battery allows at best, with the base at the pickup and nobody
 * keeping the drone waiting; 0 when none. Metres.
 */
export function longestDeliveryM(model: DroneModel, payloadKg: number): number {
  const equator = (metres: number): Location => ({
    latitude: 0,
    longitude: metres / METRES_PER_DEGREE_AT_EQUATOR,
  });
  const worstWh = (metres: number) =>
    planMission(model, {
      base: equator(0),
      start: equator(0),
      pickup: equator(0),
      dropoff: equator(metres),
      payloadKg,
      pickupWaitS: 0,
      dropoffHoverS: 0,
    }).worstEnergyWh;
  // Energy is linear in the distance (beyond the hop that needs no cruise), so two plans give the line.
  const [nearM, farM] = [1_000, 2_000];
  const perMetreWh = (worstWh(farM) - worstWh(nearM)) / (farM - nearM);
  const fixedWh = worstWh(nearM) - nearM * perMetreWh;
  const usableWh = model.battery_capacity_wh * (1 - model.reserve_fraction);
  return Math.max(0, (usableWh - fixedWh) / perMetreWh);
}

/** On WGS 84, whose equator has a radius of 6,378,137 m, the equator is a geodesic. */
const METRES_PER_DEGREE_AT_EQUATOR = (6_378_137 * Math.PI) / 180;
