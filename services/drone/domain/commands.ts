/** What a delivery may ask of its reservation, from dispatch to release, and what an operator may do to a drone. Pure. */
import { isoTime } from '../../../shared/clock.ts';
import { type ConfirmationKind, needsRecipient } from '../../delivery/contract/confirmation.ts';
import type { Location } from '../../../shared/schemas.ts';
import type { MissionPlan } from '../contract/flight.ts';
import type { DispatchRefusal, DroneState } from '../contract/index.ts';
import { barredUnlessSettled, closed, isNews, parkedState } from './milestones.ts';
import {
  deliveryPlan,
  type Eta,
  etaOf,
  leaveMission,
  lowerMission,
  recallMission,
  returnMission,
} from './missions.ts';
import { recall } from './pickup-race.ts';
import {
  clockNow,
  type EndReason,
  type Flight,
  merge,
  type NewMilestone,
  type ReservationState,
  type Transition,
} from './reservation.ts';

export type DispatchDecision =
  | { outcome: 'dispatched'; eta: Eta; transition: Transition }
  | { outcome: 'already_dispatched' }
  | {
      outcome: 'refused';
      reason: DispatchRefusal;
      detail: string;
      transition?: Transition;
    };

/** Commits a held reservation and plans its flights from where the drone is now. */
export function dispatch(
  flight: Flight,
  order: { stepKey: string; pickupWaitS: number; dropoffHoverS: number; confirmation: ConfirmationKind },
  wallMs: number,
): DispatchDecision {
  const { reservation } = flight;
  const now = clockNow(reservation, wallMs);
  // One that was sent, and may have loaded before it heard of a recall, is on its way all the same.
  const wasSent = reservation.missionVersion > 0;
  if (reservation.recalledAt !== null && !(wasSent && reservation.loading !== 'barred'))
    return { outcome: 'refused', reason: 'recalled', detail: 'It was recalled before.' };
  if (wasSent) return { outcome: 'already_dispatched' };
  const leaseIsOver = `The lease ended at ${isoTime(reservation.leaseExpiresAt.getTime())}.`;
  if (reservation.state === 'expired')
    return { outcome: 'refused', reason: 'lease_expired', detail: leaseIsOver };
  if (reservation.state !== 'held') return { outcome: 'refused', ...refusedBefore(reservation.endReason) };
  const expired = expireLease(flight, wallMs);
  if (expired)
    return { outcome: 'refused', reason: 'lease_expired', detail: leaseIsOver, transition: expired };
  const plan = deliveryPlan(flight);
  const unfit = unfitness(flight, plan);
  if (unfit !== undefined) {
    return { outcome: 'refused', ...unfit, transition: freed(flight, 'ended', unfit.reason, now) };
  }
  const eta = etaOf(plan, now.getTime());
  return {
    outcome: 'dispatched',
    eta,
    transition: {
      change: {
        state: 'committed',
        heardWall: new Date(wallMs),
        pickupWaitS: order.pickupWaitS,
        dropoffHoverS: order.dropoffHoverS,
        confirmation: order.confirmation,
      },
      mission: { command: 'fly', legs: plan.legs, eta, stepKey: order.stepKey },
      drone: { state: 'committed', reason: null },
    },
  };
}

type Refusal<R extends DispatchRefusal = DispatchRefusal> = { reason: R; detail: string };

/** Why the drone cannot fly, for now (it has to charge) or until a person has seen to it; undefined when it can. */
function unfitness(
  { drone, model }: Flight,
  plan: MissionPlan,
): Refusal<'drone_unfit' | 'low_battery'> | undefined {
  if (drone.state !== 'held') {
    const reason = drone.stateReason === null ? '' : `: ${drone.stateReason}`;
    return { reason: 'drone_unfit', detail: `The drone is ${drone.state}${reason}.` };
  }
  if (plan.feasible(drone.battery)) return undefined;
  return {
    reason: 'low_battery',
    detail: `At worst it would land with ${percent(plan.batteryAtLanding(drone.battery))} of its battery; ${percent(model.reserve_fraction)} must be left.`,
  };
}

/** The reservation has ended before: the answer to the step that ended it, should that be repeated. */
function refusedBefore(endReason: EndReason | null): Refusal {
  switch (endReason) {
    case 'drone_unfit':
      return { reason: 'drone_unfit', detail: 'The drone was unfit to fly.' };
    case 'low_battery':
      return { reason: 'low_battery', detail: 'The drone had too little in its battery.' };
    default:
      return { reason: 'released', detail: 'The reservation was released.' };
  }
}

/** The lease is over, if it is: the drone is free again. */
export function expireLease(flight: Flight, wallMs: number): Transition | null {
  const { reservation } = flight;
  if (reservation.state !== 'held' || reservation.leaseWall.getTime() > wallMs) return null;
  return freed(flight, 'expired', 'lease_expired', clockNow(reservation, wallMs));
}

export type ReleaseOutcome = 'released' | 'already_released' | 'recalling' | 'loaded';

/** Frees what the reserve step took. A drone that flies is recalled; its reservation ends when it has landed. */
export function release(
  flight: Flight,
  wallMs: number,
): { outcome: ReleaseOutcome; transition?: Transition } {
  const { reservation } = flight;
  const now = clockNow(reservation, wallMs);
  switch (reservation.state) {
    case 'held':
      return { outcome: 'released', transition: freed(flight, 'released', 'released', now) };
    case 'committed': {
      const recalled = recall(flight, now);
      // Delivered or brought back: on its way home anyway.
      const outcome = recalled.outcome === 'loaded' && reservation.aboard ? 'loaded' : 'recalling';
      return { outcome, ...(recalled.transition && { transition: recalled.transition }) };
    }
    case 'released':
    case 'expired':
    case 'ended':
      return { outcome: 'already_released' };
  }
}

/** Ends a reservation that never flew. A drone that an operator took out of service meanwhile stays so. */
function freed(
  { reservation, drone }: Flight,
  state: ReservationState,
  endReason: EndReason,
  now: Date,
): Transition {
  return {
    change: { state, endedAt: now, endReason, ...barredUnlessSettled(reservation) },
    drone:
      drone.state === 'held'
        ? { state: parkedState(drone), reason: null }
        : { state: drone.state, reason: drone.stateReason },
  };
}

export type ReturnDecision =
  | { outcome: 'returning'; etaReturnAt: string; transition: Transition }
  | { outcome: 'already_returning' | 'not_loaded' | 'ended' };

/** Turns a loaded drone round, back to the pickup. */
export function returnToSender(flight: Flight, stepKey: string, wallMs: number): ReturnDecision {
  const { reservation } = flight;
  if (!reservation.aboard) return { outcome: reservation.jobDone ? 'ended' : 'not_loaded' };
  const isOnItsWay =
    reservation.command === 'return' ||
    reservation.phase === 'to_return' ||
    reservation.phase === 'at_return';
  if (isOnItsWay) return { outcome: 'already_returning' };
  const { mission, flightS } = returnMission(flight);
  const etaReturnAt = isoTime(clockNow(reservation, wallMs).getTime() + flightS * 1000);
  return {
    outcome: 'returning',
    etaReturnAt,
    transition: {
      change: { nextDropoff: null },
      mission: { ...mission, stepKey, eta: { return_at: etaReturnAt } },
    },
  };
}

export type LowerDecision = {
  outcome: 'lowering' | 'too_late' | 'not_there' | 'not_loaded' | 'ended';
  transition?: Transition;
};

/** Tells a drone that waits at the dropoff for the recipient to let the package go. */
export function lowerPackage(flight: Flight, stepKey: string): LowerDecision {
  const { reservation } = flight;
  const { aboard, phase, command, confirmation } = reservation;
  if (!aboard) return { outcome: reservation.jobDone ? 'ended' : 'not_loaded' };
  // Told to come back it may not have heard so yet; it will.
  if (phase === 'to_return' || phase === 'at_return' || command === 'return') return { outcome: 'too_late' };
  if (command === 'lower') return { outcome: 'lowering' };
  if (phase !== 'at_dropoff' || confirmation === null || !needsRecipient(confirmation))
    return { outcome: 'not_there' };
  return { outcome: 'lowering', transition: { change: {}, mission: { ...lowerMission(flight), stepKey } } };
}

export type LeaveDecision = {
  outcome: 'leaving' | 'not_loaded' | 'ended' | 'too_late';
  transition?: Transition;
};

/** Tells a drone to set the package down at the dropoff. `too_late`: it is on its way back to the sender. */
export function leaveUnattended(flight: Flight, stepKey: string): LeaveDecision {
  const { reservation } = flight;
  if (!reservation.aboard) return { outcome: reservation.jobDone ? 'ended' : 'not_loaded' };
  if (reservation.phase === 'to_return' || reservation.phase === 'at_return') return { outcome: 'too_late' };
  if (reservation.command === 'leave') return { outcome: 'leaving' };
  return {
    outcome: 'leaving',
    transition: { change: { nextDropoff: null }, mission: { ...leaveMission(flight), stepKey } },
  };
}

export type OperatorTarget = 'idle' | 'maintenance' | 'grounded';
export type OperatorDecision =
  | { outcome: 'allowed'; transition: Transition }
  | {
      outcome: 'refused';
      reason: 'package_aboard' | 'package_unknown' | 'nothing_aboard' | 'in_flight';
      detail: string;
    };

/**
 * An operator's word on a drone that has a reservation. Grounding one that flies calls it home; `maintenance` says that a
 * person has the aircraft, and whatever is in its bay, in hand. Of one that fell silent while it might load, only that person
 * can say whether it did: taken for empty, it would be replaced, and the package flown twice.
 */
export function operate(
  flight: Flight,
  order: { state: OperatorTarget; reason: string; package_aboard?: boolean; package_at?: Location },
  wallMs: number,
): OperatorDecision {
  const { reservation, drone } = flight;
  const now = clockNow(reservation, wallMs);
  const target = { state: order.state as DroneState, reason: order.state === 'idle' ? null : order.reason };
  const allowed = (transition: Transition) => ({ outcome: 'allowed', transition }) as const;
  const isInHand = order.state === 'maintenance' && reservation.state === 'committed';
  if (order.package_at !== undefined && !isInHand) return NOTHING_TAKEN_OUT;
  if (order.state === 'grounded') {
    if (reservation.state === 'held') return allowed({ change: {}, drone: target });
    return allowed(merge(abandoned(flight, now, order.reason), { change: {}, drone: target }));
  }
  if (reservation.state === 'held')
    return allowed({ ...freed(flight, 'ended', 'cleared_by_operator', now), drone: target });
  const isDown = drone.state === 'grounded' || drone.state === 'lost';
  if (!isDown)
    return {
      outcome: 'refused',
      reason: 'in_flight',
      detail: `The drone is ${drone.state}; ground it first, or wait until it has landed.`,
    };
  const mayBeAboard = reservation.aboard || reservation.loading === 'granted';
  if (order.state === 'idle' && mayBeAboard)
    return {
      outcome: 'refused',
      reason: 'package_aboard',
      detail: 'A package may be aboard. Recover it and set the drone to maintenance first.',
    };
  const isUncertain = reservation.loading === 'granted';
  if (isUncertain && order.package_aboard === undefined)
    return {
      outcome: 'refused',
      reason: 'package_unknown',
      detail:
        'The drone was allowed to load and never said whether it did. Say what was found in it: package_aboard.',
    };
  const wasAboard = reservation.aboard || (isUncertain && order.package_aboard === true);
  if (order.package_at !== undefined && !wasAboard) return NOTHING_TAKEN_OUT;
  const takenOut: NewMilestone[] =
    order.package_at === undefined
      ? []
      : [
          {
            kind: 'set_down',
            occurredAt: now,
            position: order.package_at,
            detail: { by: 'operator', why: order.reason },
            signalled: isNews(reservation),
            aircraftSequence: null,
          },
        ];
  const end = closed(now, mayBeAboard ? 'recovered_by_operator' : 'cleared_by_operator', target);
  if (!isUncertain)
    return allowed(merge(end, { change: barredUnlessSettled(reservation), milestones: takenOut }));
  const aboard = wasAboard;
  const found: NewMilestone = {
    kind: 'failed',
    occurredAt: now,
    position: drone.position,
    detail: { cause: 'operator', why: order.reason, aboard },
    signalled: isNews(reservation),
    aircraftSequence: null,
  };
  return allowed(
    merge(end, {
      change: { loading: aboard ? 'loaded' : 'barred', aboard: false },
      milestones: [found, ...takenOut],
    }),
  );
}

export const NOTHING_TAKEN_OUT = {
  outcome: 'refused',
  reason: 'nothing_aboard',
  detail:
    'package_at says where a package was left that was taken out of this drone, with maintenance: there was none in it.',
} as const satisfies OperatorDecision;

/** A flight that an operator calls off: before loading it is recalled for good; the workflow is told in any case. */
function abandoned(flight: Flight, now: Date, reason: string): Transition {
  const { reservation, drone } = flight;
  if (!isNews(reservation) || drone.state === 'grounded') return { change: {} };
  const failed: NewMilestone = {
    kind: 'failed',
    occurredAt: now,
    position: drone.position,
    detail: {
      cause: 'operator',
      why: reason,
      aboard: reservation.loading !== 'none',
      ...(reservation.loading === 'granted' && { aboard_certain: false }),
    },
    signalled: true,
    aircraftSequence: null,
  };
  return reservation.loading === 'none'
    ? { change: { loading: 'barred' }, mission: recallMission(flight), milestones: [failed] }
    : { change: {}, milestones: [failed] };
}

function percent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}
