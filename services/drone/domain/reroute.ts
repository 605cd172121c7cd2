/**
 * Another dropoff for a flight that is under way. The drone service offers it as a newer mission version; it holds from when the
 * aircraft says that it flies there (`rerouted`). Until then the old dropoff stands, and arriving at it settles the matter:
 * an aircraft that is there has the last word. Pure.
 */
import { isoTime } from '../../../shared/clock.ts';
import { distanceM } from '../../../shared/geodesy.ts';
import type { Location } from '../../../shared/schemas.ts';
import { energyWh, type FlightPhase } from '../contract/energy.ts';
import { ARRIVED_WITHIN_M, type MissionPlan, planMission } from '../contract/flight.ts';
import type { REROUTE_REFUSALS } from '../contract/index.ts';
import { type Eta, etaOf, PLANNED_WAITS } from './missions.ts';
import { clockNow, type Flight, isOpen, type Phase, type Transition } from './reservation.ts';

export type RerouteRefusal = (typeof REROUTE_REFUSALS)[number];

export type RerouteDecision =
  /** `planned`: it has not been sent, so the new dropoff holds at once. `rerouting`: the aircraft has to take it. */
  | { outcome: 'planned' | 'rerouting'; eta: Eta; transition: Transition }
  | { outcome: 'refused'; reason: RerouteRefusal; detail: string };

/** Another dropoff, and what it has to keep to. Times in Unix milliseconds by the delivery's clock. */
export interface AskedDropoff {
  dropoff: Location;
  /** The package must be there no later; undefined: no matter when. */
  deadlineMs?: number | undefined;
  /** When a drone that waits on the ground is to be sent; undefined, or over: now. */
  takeOffAtMs?: number | undefined;
}

/**
 * Whether a dropoff can be flown to from where the drone is now, with the battery that is left, and by the deadline; if so, how.
 */
export function reroute(
  flight: Flight,
  { dropoff, deadlineMs, takeOffAtMs }: AskedDropoff,
  wallMs: number,
): RerouteDecision {
  const { reservation, model } = flight;
  const refusal = refusalOf(flight);
  if (refusal) return { outcome: 'refused', ...refusal };
  const nowMs = clockNow(reservation, wallMs).getTime();
  const plan = onwardPlan(flight, dropoff);
  const battery = batteryNow(flight, nowMs);
  if (!plan.feasible(battery)) {
    return {
      outcome: 'refused',
      reason: 'out_of_range',
      detail:
        `With the ${percent(battery)} of its battery that are left, drone ${reservation.droneId} would at worst land with ` +
        `${percent(plan.batteryAtLanding(battery))}; ${percent(model.reserve_fraction)} must be left.`,
    };
  }
  const eta = etaOf(plan, nowMs);
  const waitMs = Math.max(0, (takeOffAtMs ?? nowMs) - nowMs);
  const arrivalMs = Date.parse(eta.dropoff_at) + waitMs;
  if (deadlineMs !== undefined && arrivalMs > deadlineMs) {
    return {
      outcome: 'refused',
      reason: 'after_deadline',
      detail:
        `Drone ${reservation.droneId} would be there at ${isoTime(arrivalMs)}; ` +
        `the deadline is ${isoTime(deadlineMs)}.`,
    };
  }
  if (reservation.state === 'held') {
    return { outcome: 'planned', eta, transition: { change: { dropoff } } };
  }
  return {
    outcome: 'rerouting',
    eta,
    transition: {
      change: { nextDropoff: dropoff },
      mission: { command: 'fly', legs: plan.legs, eta, stepKey: null },
    },
  };
}

/** Back to the dropoff before; whatever has become of the flight meanwhile, nothing else changes. */
export function undoReroute(flight: Flight, before: Location, wallMs: number): Transition | null {
  const { reservation } = flight;
  if (refusalOf({ ...flight, reservation: { ...reservation, nextDropoff: null } })) return null;
  if (reservation.state === 'held') return { change: { dropoff: before } };
  const plan = onwardPlan(flight, before);
  return {
    // It may have taken the other one already: then it has to say that it turns again.
    change: { nextDropoff: isSamePlace(reservation.dropoff, before) ? null : before },
    mission: {
      command: 'fly',
      legs: plan.legs,
      eta: etaOf(plan, clockNow(reservation, wallMs).getTime()),
      stepKey: null,
    },
  };
}

function refusalOf({ reservation, drone }: Flight): { reason: RerouteRefusal; detail: string } | undefined {
  const { phase } = reservation;
  if (!isOpen(reservation)) return { reason: 'ended', detail: 'No drone flies for it any more.' };
  if (reservation.jobDone || phase === 'homeward')
    return { reason: 'ended', detail: 'The drone has done its job and flies home.' };
  if (reservation.recalledAt !== null || reservation.loading === 'barred')
    return { reason: 'recalled', detail: 'The drone has been recalled.' };
  if (phase === 'at_dropoff' || reservation.command === 'leave')
    return { reason: 'arrived_at_dropoff', detail: 'The drone has arrived at the dropoff.' };
  if (phase === 'to_return' || phase === 'at_return' || reservation.command === 'return')
    return { reason: 'returning', detail: 'The drone brings the package back to the sender.' };
  if (phase === 'down' || drone.state === 'grounded')
    return { reason: 'drone_down', detail: 'The drone is down.' };
  if (drone.state === 'lost')
    return { reason: 'drone_unreachable', detail: 'The drone has not been heard for too long.' };
  if (reservation.nextDropoff !== null) {
    return {
      reason: 'change_pending',
      detail: 'The drone has not said yet whether it flies to the dropoff that it was given before.',
    };
  }
  return undefined;
}

const LOADED: ReadonlySet<Phase> = new Set(['loaded', 'to_dropoff']);
const ON_THE_GROUND: ReadonlySet<Phase> = new Set(['on_base', 'at_pickup', 'loaded']);

/** What is left to fly of the delivery, to this dropoff: by the waits that its mission allows, at their longest. */
export function onwardPlan({ reservation, drone, base, model }: Flight, dropoff: Location): MissionPlan {
  const { phase, pickup, returnTo, payloadKg } = reservation;
  const isAtPickup = phase === 'at_pickup' || phase === 'loaded';
  return planMission(model, {
    base: base.location,
    start: isAtPickup ? pickup : drone.position,
    startAltitudeM: isAtPickup ? 0 : Math.max(0, drone.altitudeM),
    pickup,
    dropoff,
    returnTo,
    payloadKg,
    isLoaded: LOADED.has(phase),
    pickupWaitS: reservation.pickupWaitS ?? PLANNED_WAITS.pickupWaitS,
    dropoffHoverS: reservation.dropoffHoverS ?? PLANNED_WAITS.dropoffHoverS,
  });
}

/**
 * What is left of the battery (0–1), at the least: it has flown on since it was last heard, perhaps away from where it would now
 * have to go, so every second costs the way there and back.
 */
export function batteryNow({ reservation, drone, model }: Flight, nowMs: number): number {
  const { phase, payloadKg } = reservation;
  const ageS = drone.recordedAt === null ? 0 : Math.max(0, nowMs - drone.recordedAt.getTime()) / 1000;
  const carriedKg = LOADED.has(phase) ? payloadKg : 0;
  const spentWh = (inPhase: FlightPhase) => energyWh(model, inPhase, carriedKg, ageS);
  const unheardWh = ON_THE_GROUND.has(phase)
    ? spentWh('ground')
    : Math.max(2 * spentWh('cruise'), spentWh('climb'));
  return drone.battery - unheardWh / model.battery_capacity_wh;
}

/** The aircraft flies to the dropoff that it says; if that is the one it was offered, it holds from now on. */
export function takenUp({ reservation }: Flight, told: Location | null): Transition['change'] | null {
  const { nextDropoff } = reservation;
  if (nextDropoff === null || told === null || !isSamePlace(nextDropoff, told)) return null;
  return { dropoff: nextDropoff, nextDropoff: null };
}

/** The aircraft does not fly to the dropoff that it was offered: the old one stands. */
export function turnedDown({ reservation }: Flight, told: Location | null): Transition['change'] | null {
  const { nextDropoff } = reservation;
  if (nextDropoff === null || told === null || !isSamePlace(nextDropoff, told)) return null;
  return { nextDropoff: null };
}

export function isSamePlace(one: Location, other: Location): boolean {
  return distanceM(one, other) < ARRIVED_WITHIN_M;
}

function percent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}
