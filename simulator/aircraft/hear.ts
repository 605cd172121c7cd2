/** What an aircraft does about what it is told. Callers let it `advance` to the moment first. */
import { DROPOFF_ALTITUDE_M } from '../../services/drone/contract/flight.ts';
import type { Output } from '../../shared/http/contract.ts';
import type { ReservationId } from '../../shared/ids.ts';
import type { aircraftContract, MilestoneKind, Mission } from '../../services/drone/contract/index.ts';
import {
  begin,
  CRASH,
  departLoaded,
  fly,
  handOver,
  land,
  landHere,
  release,
  tell,
  turnBack,
  waitForSender,
} from './actions.ts';
import type { ArmedFault } from './faults.ts';
import { agree, reroute } from './reroute.ts';
import { type Aircraft, hasLink, type MilestoneBody, observe, unsaidMilestones } from './state.ts';

/** The drone service's answer about the mission to fly now. */
export type Orders = Output<typeof aircraftContract.getMission>;
export type LoadAnswer = Output<typeof aircraftContract.requestLoadToken>;

/**
 * Hears what to fly now. An older version than it knows and a mission it has finished change nothing; an aircraft with a
 * package aboard finishes with that first.
 * @param faultsFor what will go wrong on a mission that it takes on
 */
export function hearMission(
  aircraft: Aircraft,
  { mission, told }: Orders,
  atMs: number,
  faultsFor: (mission: Mission) => readonly ArmedFault[] = () => [],
): Aircraft {
  if (!hasLink(aircraft)) return aircraft;
  if (isDown(aircraft)) {
    if (mission === null) return { ...aircraft, mission };
    // Only a drone that an operator has cleared is given another mission.
    const isCleared = mission.reservation_id !== aircraft.lastReservationId && told.length === 0;
    return isCleared ? hearMission(recover(aircraft, atMs), { mission, told }, atMs, faultsFor) : aircraft;
  }
  if (mission === null) return missionGone(aircraft, atMs);
  if (mission.reservation_id === aircraft.mission?.reservation_id) {
    return mission.version > aircraft.mission.version ? obey(aircraft, mission, atMs) : aircraft;
  }
  if (mission.reservation_id === aircraft.lastReservationId || aircraft.payloadKg > 0) return aircraft;
  const done = [...told, ...unsaidAfter(told, aircraft, mission)];
  const taken: Aircraft = {
    ...aircraft,
    mission,
    lastReservationId: mission.reservation_id,
    sequence: done.at(-1)?.aircraft_sequence ?? 0,
    faults: faultsFor(mission),
  };
  return done.length === 0 ? setOut(taken, atMs) : resume(taken, done, atMs);
}

/** What it has done on the mission and nobody has heard of, because its computer was stopped before. */
function unsaidAfter(told: Orders['told'], aircraft: Aircraft, mission: Mission): Done[] {
  const heard = told.at(-1)?.aircraft_sequence ?? 0;
  return unsaidMilestones(aircraft)
    .map(({ body }) => body)
    .filter((one) => one.reservation_id === mission.reservation_id && one.aircraft_sequence > heard);
}

/** A milestone that it has reached, whether it could tell it or not. */
type Done = Pick<MilestoneBody, 'kind' | 'aircraft_sequence' | 'detail'> &
  Partial<Pick<MilestoneBody, 'position'>>;

function setOut(aircraft: Aircraft, atMs: number): Aircraft {
  const { mission } = aircraft;
  if (mission?.command === 'fly') {
    const away = fly(tell(aircraft, 'took_off', atMs), 'to_pickup', atMs);
    // Changed before it heard of it: whoever changed it waits for its word all the same.
    return mission.version > 1 ? agree(away, mission, atMs) : away;
  }
  // Recalled before it left: at home it is over at once, in the air it goes on home.
  return aircraft.activity.kind === 'parked' ? land(aircraft, atMs) : fly(aircraft, 'home', atMs);
}

/** A newer version of the mission it is on. */
function obey(before: Aircraft, mission: Mission, atMs: number): Aircraft {
  const aircraft = { ...before, mission };
  const { activity } = aircraft;
  switch (mission.command) {
    case 'fly':
      return reroute(before, mission, atMs);
    case 'recall':
      return comeHomeEmpty(aircraft, atMs);
    case 'return': {
      const outbound =
        (activity.kind === 'flying' && activity.leg === 'to_dropoff') ||
        activity.kind === 'awaiting_confirmation' ||
        activity.kind === 'releasing' ||
        activity.kind === 'blocked';
      return outbound ? turnBack(aircraft, atMs, 'told_to') : aircraft;
    }
    case 'lower':
      return activity.kind === 'awaiting_confirmation'
        ? release(aircraft, atMs, activity.hoverUntilMs)
        : aircraft;
    case 'leave': {
      const hovering =
        activity.kind === 'blocked' ||
        activity.kind === 'awaiting_confirmation' ||
        (activity.kind === 'releasing' && activity.blocked);
      return hovering ? release(aircraft, atMs, activity.hoverUntilMs) : aircraft;
    }
  }
}

/** Recalled: once the package is aboard it is too late. Whoever may hold a load token says that it is empty. */
function comeHomeEmpty(aircraft: Aircraft, atMs: number): Aircraft {
  const { activity } = aircraft;
  switch (activity.kind) {
    case 'flying':
      return activity.leg === 'to_pickup' ? fly(aircraft, 'home', atMs) : aircraft;
    case 'awaiting_sender':
      return fly(aircraft, 'home', atMs);
    case 'awaiting_load_token':
    case 'loading': {
      const silent = { ...aircraft, outbox: aircraft.outbox.filter((one) => one.kind !== 'load_request') };
      return fly(tell(silent, 'recalled_empty', atMs), 'home', atMs);
    }
    default:
      return aircraft;
  }
}

/** The service has no mission for it any more. With a package aboard it still finishes the one it has. */
function missionGone(aircraft: Aircraft, atMs: number): Aircraft {
  return aircraft.mission === null ? aircraft : comeHomeEmpty(aircraft, atMs);
}

/**
 * Hears whether it may load for this reservation. An answer that comes too late, to an aircraft that has been recalled,
 * changes nothing.
 */
export function hearLoadAnswer(
  aircraft: Aircraft,
  answer: LoadAnswer,
  reservationId: ReservationId,
  atMs: number,
): Aircraft {
  const isAwaited =
    aircraft.activity.kind === 'awaiting_load_token' && aircraft.mission?.reservation_id === reservationId;
  if (!isAwaited) return aircraft;
  if (answer.outcome === 'granted') {
    return begin(aircraft, { kind: 'loading', loadToken: answer.load_token }, atMs);
  }
  return fly(aircraft, 'home', atMs);
}

/** Takes up a mission where it was left when the aircraft's computer stopped, by what it had done. */
function resume(woken: Aircraft, done: readonly Done[], atMs: number): Aircraft {
  const { mission } = woken;
  const { kind: last, detail, position } = done.findLast((one) => !REROUTE_ANSWERS.has(one.kind)) ?? {};
  if (mission === null || last === undefined) return woken;
  // It does not remember whether it had said that it flies to the newest dropoff.
  const isAhead = mission.command === 'fly' && mission.version > 1 && DROPOFF_AHEAD.has(last);
  const aircraft = isAhead ? agree(woken, mission, atMs) : woken;
  const loaded = { ...aircraft, payloadKg: mission.payload_kg };
  const { command } = mission;
  switch (last) {
    case 'took_off':
      return fly(aircraft, command === 'recall' ? 'home' : 'to_pickup', atMs);
    case 'arrived_at_pickup': {
      const there = at(aircraft, mission.pickup, 0, atMs);
      const waiting = waitForSender(there, atMs);
      return command === 'recall' ? comeHomeEmpty(waiting, atMs) : waiting;
    }
    case 'loaded': {
      const departed = departLoaded(at(loaded, mission.pickup, 0, atMs), atMs);
      return command === 'return' ? turnBack(departed, atMs, 'told_to') : departed;
    }
    case 'departed_pickup':
      return command === 'return' ? turnBack(loaded, atMs, 'told_to') : fly(loaded, 'to_dropoff', atMs);
    case 'arrived_at_dropoff':
    case 'dropoff_blocked': {
      // Heard, its arrival ended any offer of another dropoff; unheard, it knows itself where that was.
      const hovering = at(loaded, position ?? mission.dropoff, DROPOFF_ALTITUDE_M, atMs);
      if (command === 'return') return turnBack(hovering, atMs, 'told_to');
      if (last === 'arrived_at_dropoff') return handOver(hovering, atMs);
      if (command === 'leave') return release(hovering, atMs);
      return begin(hovering, { kind: 'blocked', hoverUntilMs: atMs + mission.dropoff_hover_s * 1000 }, atMs);
    }
    case 'turned_back':
      return fly(loaded, 'to_return', atMs);
    case 'arrived_at_return':
      return begin(at(loaded, mission.return_to, 0, atMs), { kind: 'unloading' }, atMs);
    case 'failed':
      // Where the service has heard of it, it has grounded the drone, and it is down before it hears this.
      if (detail?.['coming_home'] === false)
        return landHere(detail['aboard'] === true ? loaded : aircraft, atMs, detail['cause'] !== CRASH);
      return fly(aircraft, 'home', atMs);
    case 'set_down':
      return begin(aircraft, { kind: 'down' }, atMs);
    case 'released':
    case 'recalled_empty':
      return fly(aircraft, 'home', atMs);
    case 'landed':
      return { ...aircraft, mission: null };
    // Not where it was, but what it answered.
    case 'rerouted':
    case 'reroute_refused':
      return aircraft;
  }
}

const DROPOFF_AHEAD: ReadonlySet<MilestoneKind> = new Set([
  'took_off',
  'arrived_at_pickup',
  'loaded',
  'departed_pickup',
]);
const REROUTE_ANSWERS: ReadonlySet<MilestoneKind> = new Set(['rerouted', 'reroute_refused']);

/**
 * At a place it has reached, whatever it began to fly when it woke: what it last radioed may be a minute older where nobody took
 * its telemetry, and a package that is loaded far from the pickup is not believed.
 */
function at(aircraft: Aircraft, location: Mission['pickup'], altitudeM: number, atMs: number): Aircraft {
  const { batteryWh } = observe(aircraft, atMs);
  const since = { atMs, location, altitudeM, batteryWh };
  // Standing, until it goes on with what it does there.
  return { ...aircraft, activity: { kind: 'awaiting_sender' }, since };
}

const DOWN: ReadonlySet<Aircraft['activity']['kind']> = new Set([
  'emergency_landing',
  'setting_down',
  'down',
]);

function isDown({ activity }: Aircraft): boolean {
  return DOWN.has(activity.kind);
}

/** An operator has cleared it: it was carried home, repaired and given a full battery. */
export function recover(aircraft: Aircraft, atMs: number): Aircraft {
  if (!isDown(aircraft)) return aircraft;
  return {
    ...aircraft,
    activity: { kind: 'parked' },
    since: { atMs, location: aircraft.base, altitudeM: 0, batteryWh: aircraft.model.battery_capacity_wh },
    payloadKg: 0,
    mission: null,
    faults: [],
    linkLostUntilMs: null,
    outbox: [],
  };
}
