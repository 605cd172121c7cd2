/**
 * The digital twin of one aircraft: pure functions over plain data, with the time given. It flies, drains, waits, loads with
 * a token only, obeys, fails and comes home; what it has to say lies in its outbox. Whoever drives it (the fleet on the
 * wall's time, a scripted pilot in virtual time) lets it `advance`, passes on what it hears, and empties the outbox.
 */
import { ARRIVED_WITHIN_M } from '../services/drone/contract/flight.ts';
import type { Base, Drone, DroneModel } from '../services/drone/contract/index.ts';
import { distanceM } from '../shared/geodesy.ts';
import { begin, fly, landHere } from './aircraft/actions.ts';
import type { Aircraft, UnsaidFact } from './aircraft/state.ts';

export { arm } from './aircraft/actions.ts';
export { advance, nextEventAtMs } from './aircraft/advance.ts';
export { type ArmedFault, FAILURES, type Failure, STAGES, type Stage } from './aircraft/faults.ts';
export { hearLoadAnswer, hearMission, type LoadAnswer, type Orders, recover } from './aircraft/hear.ts';
export {
  type Activity,
  type Aircraft,
  hasLink,
  observe,
  type Observation,
  type Outgoing,
  stageOf,
  telemetrySample,
  type UnsaidMilestone,
  type UnsaidFact,
  unsaidFacts,
  unsaidMilestones,
} from './aircraft/state.ts';

/** What a first radio message may be away from the pad and still be on it. */
const AT_BASE_M = Math.max(25, ARRIVED_WITHIN_M);

/**
 * An aircraft as the drone service last knew it, at this moment (clock, Unix milliseconds). In the air without a mission it
 * flies home; the mission it is on is heard afterwards, like any other.
 * @param unsaid what it had to say when its computer stopped, oldest first
 */
export function wakeAircraft(
  drone: Drone,
  model: DroneModel,
  base: Base,
  atMs: number,
  unsaid: readonly UnsaidFact[] = [],
): Aircraft {
  const airborne = drone.altitude_m > ARRIVED_WITHIN_M;
  const isAtBase = distanceM(drone.position, base.location) <= AT_BASE_M && !airborne;
  // Free, on the ground and away from home: it came down there, and an operator has cleared it since.
  const isCleared = !isAtBase && !airborne && (drone.state === 'idle' || drone.state === 'charging');
  const aircraft: Aircraft = {
    id: drone.id,
    model,
    base: base.location,
    activity: { kind: 'parked' },
    since: {
      atMs,
      location: isCleared ? base.location : drone.position,
      altitudeM: drone.altitude_m,
      batteryWh: (isCleared ? 1 : drone.battery) * model.battery_capacity_wh,
    },
    payloadKg: 0,
    mission: null,
    lastReservationId: null,
    sequence: 0,
    faults: [],
    happened: [],
    linkLostUntilMs: null,
    outbox: unsaid,
  };
  if (isAtBase || isCleared) return aircraft;
  if (drone.state === 'grounded' || drone.state === 'maintenance') {
    return airborne ? landHere(aircraft, atMs) : begin(aircraft, { kind: 'down' }, atMs);
  }
  return fly(aircraft, 'home', atMs);
}
