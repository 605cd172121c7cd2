/** What happens to an aircraft by itself as time goes on. */
import { energyWh } from '../../services/drone/contract/energy.ts';
import { elapsedAtEnergyS, HANDLING, legEnergyWh, legProfile } from '../../services/drone/contract/flight.ts';
import {
  begin,
  CRASH,
  departLoaded,
  fly,
  giveUp,
  goDown,
  land,
  missionOf,
  handOver,
  photograph,
  tell,
  turnBack,
  waitForSender,
  withHappened,
} from './actions.ts';
import type { ArmedFault } from './faults.ts';
import { type Aircraft, stageOf } from './state.ts';

/** With less than this it does not fly on, but lands wherever it is. */
const CRITICAL_BATTERY = 0.05;

interface Event {
  atMs: number;
  /** The aircraft after it. */
  happen: () => Aircraft;
}

/** When something will next happen to it by itself (clock, Unix milliseconds); `null`: never, it waits to be told. */
export function nextEventAtMs(aircraft: Aircraft): number | null {
  return nextEvent(aircraft)?.atMs ?? null;
}

/** Lets everything happen that is due until this moment, each at its own time. */
export function advance(aircraft: Aircraft, toMs: number): Aircraft {
  let current = aircraft;
  for (let event = nextEvent(current); event && event.atMs <= toMs; event = nextEvent(current)) {
    current = event.happen();
  }
  return current;
}

function nextEvent(aircraft: Aircraft): Event | undefined {
  const events = [
    linkRestored(aircraft),
    ...aircraft.faults.map((fault) => faultDue(aircraft, fault)),
    batteryLow(aircraft),
    activityEnd(aircraft),
  ].filter((event) => event !== undefined);
  // Of several at one moment the first of the list.
  return events.reduce<Event | undefined>(
    (first, event) => (first === undefined || event.atMs < first.atMs ? event : first),
    undefined,
  );
}

function activityEnd(aircraft: Aircraft): Event | undefined {
  const { activity, since } = aircraft;
  const after = (seconds: number, happen: (atMs: number) => Aircraft): Event => {
    // On the next whole millisecond it is over for certain, however the seconds were rounded.
    const atMs = Math.ceil(since.atMs + seconds * 1000);
    return { atMs, happen: () => happen(atMs) };
  };
  switch (activity.kind) {
    case 'flying':
      return after(activity.profile.durationS, (atMs) => arrive(aircraft, activity.leg, atMs));
    case 'loading':
      return after(HANDLING.loadingS, (atMs) => {
        const loaded = tell(aircraft, 'loaded', atMs, { load_token: activity.loadToken });
        return departLoaded(takeAboard(loaded, atMs), atMs);
      });
    case 'releasing':
      return after(HANDLING.releaseS, (atMs) => {
        if (activity.blocked) {
          return begin(
            tell(aircraft, 'dropoff_blocked', atMs),
            { kind: 'blocked', hoverUntilMs: activity.hoverUntilMs },
            atMs,
          );
        }
        const detail = activity.unattended ? { detail: { unattended: true } } : {};
        const seen = photograph(aircraft, atMs);
        return fly(setDown(tell(seen, 'released', atMs, detail), atMs), 'home', atMs);
      });
    case 'awaiting_confirmation': {
      const atMs = Math.max(since.atMs, activity.hoverUntilMs);
      return { atMs, happen: () => turnBack(aircraft, atMs, 'recipient_absent') };
    }
    case 'blocked': {
      const atMs = Math.max(since.atMs, activity.hoverUntilMs);
      return { atMs, happen: () => turnBack(aircraft, atMs, 'dropoff_blocked') };
    }
    case 'unloading':
      return after(HANDLING.releaseS, (atMs) =>
        fly(setDown(tell(aircraft, 'released', atMs), atMs), 'home', atMs),
      );
    case 'emergency_landing':
      return after(activity.profile.durationS, (atMs) => {
        const setsDown = activity.safely && aircraft.payloadKg > 0;
        return begin(aircraft, { kind: setsDown ? 'setting_down' : 'down' }, atMs);
      });
    case 'setting_down':
      return after(HANDLING.releaseS, (atMs) =>
        begin(setDown(tell(aircraft, 'set_down', atMs), atMs), { kind: 'down' }, atMs),
      );
    case 'parked':
    case 'awaiting_sender':
    case 'awaiting_load_token':
    case 'down':
      return undefined;
  }
}

function arrive(
  aircraft: Aircraft,
  leg: 'to_pickup' | 'to_dropoff' | 'to_return' | 'home',
  atMs: number,
): Aircraft {
  switch (leg) {
    case 'to_pickup':
      return waitForSender(tell(aircraft, 'arrived_at_pickup', atMs), atMs);
    case 'to_dropoff':
      return handOver(tell(aircraft, 'arrived_at_dropoff', atMs), atMs);
    case 'to_return':
      return begin(tell(aircraft, 'arrived_at_return', atMs), { kind: 'unloading' }, atMs);
    case 'home':
      return land(aircraft, atMs);
  }
}

/** The load changes what the activity drains, so what it has drained so far is settled first. */
function takeAboard(aircraft: Aircraft, atMs: number): Aircraft {
  return { ...begin(aircraft, aircraft.activity, atMs), payloadKg: missionOf(aircraft).payload_kg };
}

function setDown(aircraft: Aircraft, atMs: number): Aircraft {
  return { ...begin(aircraft, aircraft.activity, atMs), payloadKg: 0 };
}

function linkRestored(aircraft: Aircraft): Event | undefined {
  const atMs = aircraft.linkLostUntilMs;
  return atMs === null ? undefined : { atMs, happen: () => ({ ...aircraft, linkLostUntilMs: null }) };
}

function faultDue(aircraft: Aircraft, fault: ArmedFault): Event | undefined {
  if (fault.dueMs === null || fault.stage !== stageOf(aircraft.activity)) return undefined;
  const atMs = Math.max(fault.dueMs, aircraft.since.atMs);
  const without = withHappened(aircraft, fault);
  switch (fault.failure) {
    case 'motor_failure':
      return { atMs, happen: () => goDown(without, atMs, 'motor_failure') };
    case 'crash':
      return { atMs, happen: () => goDown(without, atMs, CRASH) };
    case 'lost_link':
      return { atMs, happen: () => loseLink(without, atMs, fault.forS) };
    case 'sender_absent':
    case 'dropoff_blocked':
    case 'recipient_absent':
      // Not a matter of time: met on arrival.
      return undefined;
  }
}

/** Alone, the aircraft does what its mission says for the leg it is on. */
function loseLink(aircraft: Aircraft, atMs: number, forS: number): Aircraft {
  const alone = {
    ...aircraft,
    linkLostUntilMs: Math.max(aircraft.linkLostUntilMs ?? 0, atMs + forS * 1000),
  };
  const { activity } = alone;
  if (activity.kind !== 'flying' || activity.leg === 'home') return alone;
  const leg = alone.mission?.legs.find((one) => one.kind === activity.leg);
  switch (leg?.on_link_loss ?? 'continue') {
    case 'continue':
      return alone;
    case 'return_to_base':
      // Not with somebody's package: that goes back to its sender.
      if (alone.payloadKg === 0) return giveUp(alone, atMs, 'link_lost');
      return activity.leg === 'to_return' ? alone : turnBack(alone, atMs, 'link_lost');
    case 'land_now':
      return goDown(alone, atMs, 'link_lost');
  }
}

/** In the air it lands before the battery is empty; waiting for a sender it leaves while it can still get home. */
function batteryLow(aircraft: Aircraft): Event | undefined {
  const { activity, model, payloadKg, since } = aircraft;
  const at = (elapsedS: number | null, happen: (atMs: number) => Aircraft): Event | undefined => {
    if (elapsedS === null) return undefined;
    const atMs = since.atMs + elapsedS * 1000;
    return { atMs, happen: () => happen(atMs) };
  };
  const criticalWh = CRITICAL_BATTERY * model.battery_capacity_wh;
  const secondsAbove = (thresholdWh: number, phase: 'ground' | 'hover') =>
    Math.max(0, since.batteryWh - thresholdWh) / energyWh(model, phase, payloadKg, 1);
  switch (activity.kind) {
    case 'flying':
      return at(elapsedAtEnergyS(model, activity.profile, payloadKg, since.batteryWh - criticalWh), (atMs) =>
        goDown(aircraft, atMs, 'low_battery'),
      );
    case 'awaiting_confirmation':
    case 'releasing':
    case 'blocked':
      return at(secondsAbove(criticalWh, 'hover'), (atMs) => goDown(aircraft, atMs, 'low_battery'));
    case 'awaiting_sender':
    case 'awaiting_load_token': {
      const home = legProfile(model, since.location, aircraft.base);
      const neededWh = legEnergyWh(model, home, 0) + model.reserve_fraction * model.battery_capacity_wh;
      return at(secondsAbove(neededWh, 'ground'), (atMs) => giveUp(aircraft, atMs, 'low_battery'));
    }
    default:
      return undefined;
  }
}
