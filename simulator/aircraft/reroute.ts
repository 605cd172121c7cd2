/** Another dropoff, heard on the way: taken if the aircraft is not there yet and its battery allows it, and answered in any case. */
import { ARRIVED_WITHIN_M, planMission } from '../../services/drone/contract/flight.ts';
import type { Mission } from '../../services/drone/contract/index.ts';
import { distanceM } from '../../shared/geodesy.ts';
import { fly, tell } from './actions.ts';
import { type Aircraft, observe } from './state.ts';

/** Hears a newer version of its mission that leads on, perhaps to another dropoff. */
export function reroute(aircraft: Aircraft, mission: Mission, atMs: number): Aircraft {
  const present = aircraft.mission;
  if (present === null || distanceM(present.dropoff, mission.dropoff) < ARRIVED_WITHIN_M) {
    return { ...aircraft, mission };
  }
  const reason = obstacle(aircraft, mission, atMs);
  if (reason !== null) {
    const detail = { dropoff: mission.dropoff, reason };
    // What it knows of its mission stays where it flies.
    return tell({ ...aircraft, mission: { ...mission, dropoff: present.dropoff } }, 'reroute_refused', atMs, {
      detail,
    });
  }
  const agreed = agree({ ...aircraft, mission }, mission, atMs);
  const { activity } = agreed;
  return activity.kind === 'flying' && activity.leg === 'to_dropoff'
    ? fly(agreed, 'to_dropoff', atMs)
    : agreed;
}

/** Says that it flies to its mission's dropoff. */
export function agree(aircraft: Aircraft, { dropoff }: Mission, atMs: number): Aircraft {
  return tell(aircraft, 'rerouted', atMs, { detail: { dropoff } });
}

/** Why it does not fly there; null: it does. */
function obstacle(aircraft: Aircraft, mission: Mission, atMs: number): string | null {
  const { activity, model, base, payloadKg } = aircraft;
  const isOnItsWay =
    activity.kind === 'awaiting_sender' ||
    activity.kind === 'awaiting_load_token' ||
    activity.kind === 'loading' ||
    (activity.kind === 'flying' && (activity.leg === 'to_pickup' || activity.leg === 'to_dropoff'));
  if (!isOnItsWay) return activity.kind === 'flying' ? 'returning' : 'arrived_at_dropoff';
  const now = observe(aircraft, atMs);
  const plan = planMission(model, {
    base,
    start: now.location,
    startAltitudeM: now.altitudeM,
    pickup: mission.pickup,
    dropoff: mission.dropoff,
    returnTo: mission.return_to,
    payloadKg: mission.payload_kg,
    isLoaded: payloadKg > 0,
    pickupWaitS: mission.pickup_wait_s,
    dropoffHoverS: mission.dropoff_hover_s,
  });
  return plan.feasible(now.batteryWh / model.battery_capacity_wh) ? null : 'out_of_range';
}
