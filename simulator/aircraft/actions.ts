/** What an aircraft can begin to do: each takes it as it is and gives it as it becomes. */
import { isoTime } from '../../shared/clock.ts';
import { needsRecipient } from '../../services/delivery/contract/confirmation.ts';
import { DROPOFF_ALTITUDE_M, legProfile } from '../../services/drone/contract/flight.ts';
import type { Mission, MilestoneKind, MissionLeg } from '../../services/drone/contract/index.ts';
import type { ArmedFault, Failure } from './faults.ts';
import { type Activity, type Aircraft, observe, type Outgoing, plannedStageS, stageOf } from './state.ts';

/** Begins another activity at this moment, keeping place and charge. Faults of its stage get their time. */
export function begin(aircraft: Aircraft, activity: Activity, atMs: number): Aircraft {
  const { location, altitudeM, batteryWh } = observe(aircraft, atMs);
  const stage = stageOf(activity);
  return {
    ...aircraft,
    activity,
    since: { atMs, location, altitudeM, batteryWh },
    faults: aircraft.faults.map((fault) =>
      fault.stage === stage && fault.dueMs === null
        ? { ...fault, dueMs: atMs + fault.at * plannedStageS(activity) * 1000 }
        : fault,
    ),
  };
}

/** The mission that a stage of one needs. Being without is a mistake of the program. */
export function missionOf(aircraft: Aircraft): Mission {
  if (aircraft.mission === null)
    throw new Error(`${aircraft.id} is ${aircraft.activity.kind} without a mission`);
  return aircraft.mission;
}

/** Adds a milestone to what is to be told. Nobody waits for those of an aircraft without a mission. */
export function tell(
  aircraft: Aircraft,
  kind: MilestoneKind,
  atMs: number,
  extra: { load_token?: string; detail?: Record<string, unknown> } = {},
): Aircraft {
  const { mission } = aircraft;
  if (mission === null) return aircraft;
  const sequence = aircraft.sequence + 1;
  return say(
    { ...aircraft, sequence },
    {
      kind: 'milestone',
      body: {
        reservation_id: mission.reservation_id,
        reservation_token: mission.reservation_token,
        aircraft_sequence: sequence,
        kind,
        occurred_at: isoTime(atMs),
        position: observe(aircraft, atMs).location,
        ...extra,
      },
    },
  );
}

function say(aircraft: Aircraft, message: Outgoing): Aircraft {
  return { ...aircraft, outbox: [...aircraft.outbox, message] };
}

/** Flies to where the leg leads, from where it is. */
export function fly(aircraft: Aircraft, leg: MissionLeg['kind'], atMs: number): Aircraft {
  const { location, altitudeM } = observe(aircraft, atMs);
  const to = {
    to_pickup: () => missionOf(aircraft).pickup,
    to_dropoff: () => missionOf(aircraft).dropoff,
    to_return: () => missionOf(aircraft).return_to,
    home: () => aircraft.base,
  }[leg]();
  const profile = legProfile(aircraft.model, location, to, {
    fromAltitudeM: altitudeM,
    toAltitudeM: leg === 'to_dropoff' ? DROPOFF_ALTITUDE_M : 0,
  });
  return begin(aircraft, { kind: 'flying', leg, profile }, atMs);
}

/** With the sender there, asks whether it may load; else waits for one who never comes. */
export function waitForSender(aircraft: Aircraft, atMs: number): Aircraft {
  const absent = takeFault(aircraft, 'sender_absent');
  if (absent) return begin(absent, { kind: 'awaiting_sender' }, atMs);
  const { reservation_id, reservation_token } = missionOf(aircraft);
  const asking = say(aircraft, { kind: 'load_request', body: { reservation_id, reservation_token } });
  return begin(asking, { kind: 'awaiting_load_token' }, atMs);
}

/** Leaves the pickup with the package. */
export function departLoaded(aircraft: Aircraft, atMs: number): Aircraft {
  return fly(tell(aircraft, 'departed_pickup', atMs), 'to_dropoff', atMs);
}

/** There with the package: waits for the recipient where the mission says so and nobody has confirmed it yet, else lowers it. */
export function handOver(aircraft: Aircraft, atMs: number): Aircraft {
  const { command, confirmation, dropoff_hover_s: hoverS } = missionOf(aircraft);
  const mustWait = needsRecipient(confirmation) && command !== 'lower' && command !== 'leave';
  if (!mustWait) return release(aircraft, atMs);
  const absent = takeFault(aircraft, 'recipient_absent');
  return begin(
    absent ?? aircraft,
    {
      kind: 'awaiting_confirmation',
      absent: absent !== undefined,
      hoverUntilMs: atMs + hoverS * 1000,
    },
    atMs,
  );
}

/** Takes the photo that the mission asks for. It is said before the release is: what is delivered has its proof. */
export function photograph(aircraft: Aircraft, atMs: number): Aircraft {
  const { confirmation, reservation_id, reservation_token } = missionOf(aircraft);
  if (confirmation !== 'photo') return aircraft;
  const position = observe(aircraft, atMs).location;
  return say(aircraft, {
    kind: 'photo',
    body: { reservation_id, reservation_token, taken_at: isoTime(atMs), position },
  });
}

/** Lowers the package, unless it will find that it cannot. */
export function release(aircraft: Aircraft, atMs: number, hoverUntilMs?: number): Aircraft {
  const mission = missionOf(aircraft);
  const unattended = mission.command === 'leave';
  const blocked = unattended ? undefined : takeFault(aircraft, 'dropoff_blocked');
  return begin(
    blocked ?? aircraft,
    {
      kind: 'releasing',
      blocked: blocked !== undefined,
      unattended,
      hoverUntilMs: hoverUntilMs ?? atMs + mission.dropoff_hover_s * 1000,
    },
    atMs,
  );
}

/** Brings the package back to the sender. */
export function turnBack(aircraft: Aircraft, atMs: number, reason: string): Aircraft {
  return fly(tell(aircraft, 'turned_back', atMs, { detail: { reason } }), 'to_return', atMs);
}

/** Home: the mission is over. */
export function land(aircraft: Aircraft, atMs: number): Aircraft {
  return begin({ ...tell(aircraft, 'landed', atMs), mission: null }, { kind: 'parked' }, atMs);
}

/** Cannot go on: says so, and lands where it is. With a package it then sets that down, unless it comes down as `CRASH`. */
export function goDown(aircraft: Aircraft, atMs: number, cause: string): Aircraft {
  return landHere(tellFailed(aircraft, atMs, cause, false), atMs, cause !== CRASH);
}

/** The cause of a failure after which nothing works any more, its bay neither. */
export const CRASH = 'crash';

export function landHere(aircraft: Aircraft, atMs: number, safely = true): Aircraft {
  const { location, altitudeM } = observe(aircraft, atMs);
  const profile = legProfile(aircraft.model, location, location, { fromAltitudeM: altitudeM });
  return begin(aircraft, { kind: 'emergency_landing', profile, safely }, atMs);
}

/** Cannot do the job, but can still come home. Only when empty. */
export function giveUp(aircraft: Aircraft, atMs: number, cause: string): Aircraft {
  return fly(tellFailed(aircraft, atMs, cause, true), 'home', atMs);
}

function tellFailed(aircraft: Aircraft, atMs: number, cause: string, comingHome: boolean): Aircraft {
  return tell(aircraft, 'failed', atMs, {
    detail: { cause, aboard: aircraft.payloadKg > 0, coming_home: comingHome },
  });
}

/** Arms a fault now. Where its stage is under way and the time for it has passed, it happens at once. */
export function arm(aircraft: Aircraft, fault: Omit<ArmedFault, 'dueMs'>, atMs: number): Aircraft {
  const { activity, since } = aircraft;
  const isUnderWay = fault.stage === stageOf(activity);
  const dueMs = isUnderWay ? Math.max(atMs, since.atMs + fault.at * plannedStageS(activity) * 1000) : null;
  return { ...aircraft, faults: [...aircraft.faults, { ...fault, dueMs }] };
}

/** The aircraft without its armed fault of this kind, or nothing when it has none. */
function takeFault(aircraft: Aircraft, failure: Failure): Aircraft | undefined {
  const found = aircraft.faults.find((fault) => fault.failure === failure);
  return found && withHappened(aircraft, found);
}

/** The fault happens: it is not armed any more. */
export function withHappened(aircraft: Aircraft, fault: ArmedFault): Aircraft {
  return {
    ...aircraft,
    faults: aircraft.faults.filter((one) => one !== fault),
    happened: [...aircraft.happened, fault.id],
  };
}
