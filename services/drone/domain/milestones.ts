/**
 * Which facts a flight can bring next, and what each changes. Pure. An aircraft tells them in order:
 *
 *     took_off → arrived_at_pickup → loaded → departed_pickup → arrived_at_dropoff → [dropoff_blocked] → released → landed
 *                                        └────────┴──────────────────┴→ turned_back → arrived_at_return → released → landed
 *
 * and at any time `failed`, after which `set_down` when it has landed safely and let go of the package; while nothing is aboard also `recalled_empty` and `landed`; and as the answer to another dropoff,
 * wherever the aircraft hears of it, `rerouted` or `reroute_refused`.
 */
import { Value } from 'typebox/value';
import { distanceM } from '../../../shared/geodesy.ts';
import { needsRecipient } from '../../delivery/contract/confirmation.ts';
import { isoTime } from '../../../shared/clock.ts';
import { Location } from '../../../shared/schemas.ts';
import { legProfile } from '../contract/flight.ts';
import { DRONE_FAILURE_CAUSES, type DroneState, type MilestoneKind } from '../contract/index.ts';
import { recallMission, resumedMission } from './missions.ts';
import { takenUp, turnedDown } from './reroute.ts';
import {
  type EndReason,
  type Flight,
  merge,
  type NewMilestone,
  type Phase,
  type Reservation,
  type Transition,
} from './reservation.ts';

/** Farther from a stop than this, an aircraft that says it is there is wrong: a few times the error of a poor fix. */
export const AT_STOP_WITHIN_M = 250;
/** A drone that lands farther from its base than this needs a person to fetch it. */
export const AT_BASE_WITHIN_M = 500;
/** Below this a drone charges before its next delivery. */
export const CHARGED_FRACTION = 0.95;

export interface Report {
  kind: MilestoneKind;
  occurredAt: Date;
  position: Location | null;
  /** Null for what the service found out itself. */
  aircraftSequence: number | null;
  loadToken?: string | undefined;
  detail: Record<string, unknown>;
}

export type Refusal =
  | 'wrong_order'
  | 'far_from_pickup'
  | 'far_from_dropoff'
  | 'far_from_return'
  | 'not_granted'
  | 'wrong_load_token'
  | 'nothing_aboard'
  | 'package_aboard';

export type Judgement =
  { verdict: 'recorded'; transition: Transition } | { verdict: 'refused'; reason: Refusal };

const MAY_FOLLOW: Partial<Record<MilestoneKind, readonly Phase[]>> = {
  took_off: ['on_base'],
  arrived_at_pickup: ['to_pickup'],
  loaded: ['at_pickup'],
  departed_pickup: ['loaded'],
  arrived_at_dropoff: ['to_dropoff'],
  dropoff_blocked: ['at_dropoff'],
  released: ['at_dropoff', 'at_return'],
  turned_back: ['loaded', 'to_dropoff', 'at_dropoff'],
  arrived_at_return: ['to_return'],
  set_down: ['down'],
};

const NEXT_PHASE: Partial<Record<MilestoneKind, Phase>> = {
  took_off: 'to_pickup',
  arrived_at_pickup: 'at_pickup',
  loaded: 'loaded',
  departed_pickup: 'to_dropoff',
  arrived_at_dropoff: 'at_dropoff',
  released: 'homeward',
  turned_back: 'to_return',
  arrived_at_return: 'at_return',
  recalled_empty: 'homeward',
};

/** Judges a fact about a committed reservation. */
export function judge(flight: Flight, report: Report): Judgement {
  const { reservation } = flight;
  const refusal = orderRefusal(reservation, report) ?? placeRefusal(reservation, report);
  if (refusal !== undefined) return { verdict: 'refused', reason: refusal };
  switch (report.kind) {
    case 'loaded':
      return loaded(flight, report);
    case 'released':
      return recorded(released(flight, report));
    case 'recalled_empty':
      if (reservation.aboard) return { verdict: 'refused', reason: 'package_aboard' };
      return recorded(recalledEmpty(flight, report));
    case 'failed':
      return recorded(failed(flight, report));
    case 'set_down':
      if (!reservation.aboard) return { verdict: 'refused', reason: 'nothing_aboard' };
      return recorded(setDown(flight, report));
    case 'landed':
      if (reservation.aboard) return { verdict: 'refused', reason: 'package_aboard' };
      return recorded(landed(flight, report));
    case 'rerouted':
    case 'reroute_refused':
      return recorded(rerouteAnswered(flight, report));
    case 'arrived_at_dropoff':
      return recorded(arrivedAtDropoff(flight, report));
    case 'turned_back':
      return recorded(turnedBack(flight, report));
    default: {
      const phase = NEXT_PHASE[report.kind];
      return recorded({
        change: phase === undefined ? {} : { phase },
        milestones: [milestone(report, isNews(reservation))],
      });
    }
  }
}

/**
 * Whether the workflow is told. Once a reservation is barred its answer has been given (recalled, or failed and empty), and
 * once the job is done nothing changes the status any more.
 */
export function isNews({ loading, jobDone }: Reservation): boolean {
  return loading !== 'barred' && !jobDone;
}

export function milestone(report: Report, signalled: boolean, detail = report.detail): NewMilestone {
  const { kind, occurredAt, position, aircraftSequence } = report;
  return { kind, occurredAt, position, detail, signalled, aircraftSequence };
}

function recorded(transition: Transition): Judgement {
  return { verdict: 'recorded', transition };
}

function orderRefusal({ phase }: Reservation, { kind }: Report): Refusal | undefined {
  const allowed = MAY_FOLLOW[kind];
  return allowed === undefined || allowed.includes(phase) ? undefined : 'wrong_order';
}

function placeRefusal(
  { pickup, dropoff, returnTo, nextDropoff, phase }: Reservation,
  { kind, position }: Report,
): Refusal | undefined {
  if (position === null) return undefined;
  const isNear = (place: Location) => distanceM(position, place) <= AT_STOP_WITHIN_M;
  switch (kind) {
    case 'arrived_at_pickup':
    case 'loaded':
      return isNear(pickup) ? undefined : 'far_from_pickup';
    case 'arrived_at_return':
      return isNear(returnTo) ? undefined : 'far_from_return';
    case 'arrived_at_dropoff':
      return isNear(dropoff) || (nextDropoff !== null && isNear(nextDropoff))
        ? undefined
        : 'far_from_dropoff';
    case 'released':
      if (phase === 'at_return') return isNear(returnTo) ? undefined : 'far_from_return';
      return isNear(dropoff) ? undefined : 'far_from_dropoff';
    default:
      return undefined;
  }
}

function loaded(flight: Flight, report: Report): Judgement {
  const { reservation } = flight;
  if (reservation.loading !== 'granted') return { verdict: 'refused', reason: 'not_granted' };
  if (report.loadToken === undefined || report.loadToken !== reservation.loadToken)
    return { verdict: 'refused', reason: 'wrong_load_token' };
  return recorded({
    change: { loading: 'loaded', aboard: true, phase: 'loaded' },
    milestones: [milestone(report, true)],
    // The recall came too late, and a newer mission must say so.
    ...(reservation.command === 'recall' && { mission: resumedMission(flight) }),
  });
}

/** With the package on its way back, whoever told it to, or nobody: when it will be there. It flies to no other dropoff. */
function turnedBack({ reservation, drone, model }: Flight, report: Report): Transition {
  const { durationS } = legProfile(model, report.position ?? drone.position, reservation.returnTo, {
    fromAltitudeM: Math.max(0, drone.altitudeM),
  });
  const detail = {
    ...report.detail,
    eta_return_at: isoTime(report.occurredAt.getTime() + Math.round(durationS * 1000)),
  };
  return {
    change: { phase: 'to_return', nextDropoff: null },
    milestones: [milestone(report, isNews(reservation), detail)],
  };
}

/** The aircraft's word on another dropoff. What it says of one that is not asked about any more is only kept. */
function rerouteAnswered(flight: Flight, report: Report): Transition {
  const told = report.detail['dropoff'];
  const place = Value.Check(Location, told) ? told : null;
  const change = report.kind === 'rerouted' ? takenUp(flight, place) : turnedDown(flight, place);
  const isAnswer = change !== null && isNews(flight.reservation);
  return { change: change ?? {}, milestones: [milestone(report, isAnswer)] };
}

/** At the dropoff that stands, another one that it was offered comes too late. */
function arrivedAtDropoff({ reservation }: Flight, report: Report): Transition {
  const { dropoff, nextDropoff } = reservation;
  const signalled = isNews(reservation);
  const arrived = milestone(report, signalled);
  const { position } = report;
  // Both may be within what a poor fix allows: it is at the nearer one.
  const isAtOld =
    nextDropoff === null ||
    position === null ||
    distanceM(position, dropoff) <= distanceM(position, nextDropoff);
  if (isAtOld) {
    return { change: { phase: 'at_dropoff', nextDropoff: null }, milestones: [arrived] };
  }
  // It has flown there without a word: being there is one.
  const taken: NewMilestone = {
    ...arrived,
    kind: 'rerouted',
    detail: { dropoff: nextDropoff },
    aircraftSequence: null,
  };
  return {
    change: { phase: 'at_dropoff', dropoff: nextDropoff, nextDropoff: null },
    milestones: [taken, arrived],
  };
}

function released({ reservation, drone }: Flight, report: Report): Transition {
  return {
    change: { aboard: false, jobDone: true, phase: 'homeward' },
    milestones: [milestone(report, isNews(reservation), releasedDetail(reservation, report))],
    ...(drone.state === 'committed' && { drone: { state: 'returning', reason: null } }),
  };
}

/** What has happened cannot be refused; but one that let go of what it was to keep until it was confirmed is known for it. */
function releasedDetail({ phase, command, confirmation }: Reservation, { detail }: Report): Report['detail'] {
  const wasToWait = phase === 'at_dropoff' && confirmation !== null && needsRecipient(confirmation);
  return wasToWait && command !== 'lower' ? { ...detail, unconfirmed: true } : detail;
}

function recalledEmpty({ reservation, drone }: Flight, report: Report): Transition {
  return {
    change: { phase: 'homeward', ...barredUnlessSettled(reservation) },
    milestones: [milestone(report, isNews(reservation))],
    ...(drone.state === 'committed' && { drone: { state: 'returning', reason: 'recalled' } }),
  };
}

/**
 * The drone cannot go on. With nothing aboard its reservation ends here, for a grounded drone cannot be given another one;
 * or, when it says that it is coming home, with its landing.
 */
function failed(flight: Flight, report: Report): Transition {
  const { reservation, drone } = flight;
  const claimsAboard = report.detail['aboard'];
  const wasGranted = reservation.loading === 'granted';
  const isAboard = reservation.aboard || (wasGranted && claimsAboard === true);
  // With a load token out and no word on it, the package may be in the bay.
  const isUncertain = wasGranted && typeof claimsAboard !== 'boolean';
  const cause = failureCause(report.detail['cause']);
  const detail = {
    ...report.detail,
    cause,
    aboard: isAboard || isUncertain,
    ...(isUncertain && { aboard_certain: false }),
    // Impossible without a load token, yet somebody should look into the bay.
    ...(claimsAboard === true && !isAboard && { claimed_aboard: true }),
  };
  const isKnown = reservation.phase === 'down' && reservation.aboard;
  const told = milestone(report, isNews(reservation) && !isKnown, detail);
  const grounded = {
    state: drone.state === 'lost' ? 'lost' : 'grounded',
    reason: `failed: ${cause}`,
  } as const;
  if (isAboard) {
    return {
      change: { phase: 'down', loading: 'loaded', aboard: true },
      milestones: [told],
      drone: grounded,
    };
  }
  if (isUncertain) return { change: { phase: 'down' }, milestones: [told], drone: grounded };
  if (report.detail['coming_home'] === true) {
    // It can fly, only not this job: it lands at its base like one that was recalled.
    return {
      change: { phase: 'homeward', ...barredUnlessSettled(reservation) },
      milestones: [told],
      ...(reservation.command !== 'recall' && !reservation.jobDone && { mission: recallMission(flight) }),
      ...(drone.state === 'committed' && { drone: { state: 'returning', reason: `failed: ${cause}` } }),
    };
  }
  return merge(
    { change: { phase: 'down', ...barredUnlessSettled(reservation) }, milestones: [told] },
    closed(report.occurredAt, 'drone_failed', { state: 'grounded', reason: grounded.reason }),
  );
}

/**
 * Down where it is, but safely: the package lies beside it, for another drone to take up. With nothing aboard its reservation ends;
 * the drone stays grounded until somebody has fetched it.
 */
export function setDown({ reservation, drone }: Flight, report: Report): Transition {
  return merge(
    { change: {}, milestones: [milestone(report, isNews(reservation))] },
    closed(report.occurredAt, 'package_set_down', {
      state: 'grounded',
      reason: drone.stateReason ?? 'landed away from its base, and has set its package down',
    }),
  );
}

/** Home and empty: the reservation ends. */
function landed(flight: Flight, report: Report): Transition {
  const { reservation, drone, base } = flight;
  const cameHomeUnasked = isNews(reservation);
  const gaveUp: NewMilestone = {
    kind: 'failed',
    occurredAt: report.occurredAt,
    position: report.position,
    detail: { cause: 'other', aboard: false, why: 'The drone landed without having carried the package.' },
    signalled: true,
    aircraftSequence: null,
  };
  const distanceHomeM = distanceM(report.position ?? drone.position, base.location);
  return merge(
    {
      change: { phase: 'homeward', ...barredUnlessSettled(reservation) },
      milestones: [...(cameHomeUnasked ? [gaveUp] : []), milestone(report, false)],
    },
    closed(report.occurredAt, 'landed', afterLanding(drone, distanceHomeM)),
  );
}

function afterLanding(
  drone: Flight['drone'],
  distanceHomeM: number,
): { state: DroneState; reason: string | null } {
  if (drone.state === 'grounded' || drone.state === 'maintenance')
    return { state: drone.state, reason: drone.stateReason };
  if (distanceHomeM > AT_BASE_WITHIN_M)
    return { state: 'grounded', reason: `landed ${Math.round(distanceHomeM)} m from its base` };
  return { state: parkedState(drone), reason: null };
}

/** Of a drone at home that has nothing to do. */
export function parkedState({ battery }: Flight['drone']): 'idle' | 'charging' {
  return battery < CHARGED_FRACTION ? 'charging' : 'idle';
}

/** Ends a reservation; the drone lets go of it. */
export function closed(at: Date, endReason: EndReason, drone: NonNullable<Transition['drone']>): Transition {
  return { change: { state: 'ended', endedAt: at, endReason, aboard: false }, drone };
}

/** Nothing was loaded and nothing may be from now on. */
export function barredUnlessSettled({ loading }: Reservation): { loading?: 'barred' } {
  return loading === 'none' || loading === 'granted' ? { loading: 'barred' } : {};
}

function failureCause(told: unknown): (typeof DRONE_FAILURE_CAUSES)[number] {
  return DRONE_FAILURE_CAUSES.find((cause) => cause === told) ?? 'other';
}
