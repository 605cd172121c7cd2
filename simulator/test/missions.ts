/** A model, a drone and missions for the simulator's tests. */
import { LIVE_CLOCK } from '../../shared/clock.ts';
import { destination } from '../../shared/geodesy.ts';
import { newId } from '../../shared/ids.ts';
import type { Location } from '../../shared/schemas.ts';
import { planMission } from '../../services/drone/contract/flight.ts';
import type { Base, Drone, DroneModel, Mission } from '../../services/drone/contract/index.ts';
import { type Aircraft, wakeAircraft } from '../aircraft.ts';

export const START_MS = Date.parse('2026-03-01T12:00:00.000Z');

export const model: DroneModel = {
  id: newId('model'),
  name: 'Test quadrotor',
  empty_mass_kg: 6,
  max_payload_kg: 2.5,
  max_package_size: 'medium',
  bay_slots: 2,
  cruise_speed_mps: 20,
  climb_speed_mps: 4,
  descent_speed_mps: 2,
  cruise_altitude_m: 80,
  battery_capacity_wh: 600,
  hover_power_w: 600,
  cruise_power_w: 540,
  charge_power_w: 1200,
  reserve_fraction: 0.3,
};

export const base: Base = {
  id: newId('base'),
  name: 'Test base',
  location: { latitude: 47.6621, longitude: -122.1135 },
  pads: 4,
};

export function drone(change: Partial<Drone> = {}): Drone {
  return {
    object: 'drone',
    id: newId('drone'),
    name: 'Test-1',
    model_id: model.id,
    base_id: base.id,
    state: 'idle',
    state_reason: null,
    position: base.location,
    altitude_m: 0,
    battery: 1,
    speed_mps: 0,
    flight_mode: 'parked',
    reservation_id: null,
    delivery_id: null,
    last_seen_at: null,
    ...change,
  };
}

export function parked(change: Partial<Drone> = {}): Aircraft {
  return wakeAircraft(drone(change), model, base, START_MS);
}

export interface Route {
  pickupM: number;
  dropoffM: number;
  courseDeg?: number;
  payloadKg?: number;
}

/** A mission of this aircraft: pickup and dropoff so far from the base, on one line. */
export function missionFor(
  aircraft: Aircraft,
  { pickupM, dropoffM, courseDeg = 200, payloadKg = 1.2 }: Route,
  change: Partial<Mission> = {},
): Mission {
  const at = (distance: number): Location => destination(aircraft.base, courseDeg, distance);
  const [pickup, dropoff] = [at(pickupM), at(dropoffM)];
  const waits = { pickupWaitS: 600, dropoffHoverS: 120 };
  const plan = planMission(model, {
    base: aircraft.base,
    start: aircraft.base,
    pickup,
    dropoff,
    payloadKg,
    ...waits,
  });
  return {
    id: newId('mission'),
    version: 1,
    reservation_id: newId('reservation'),
    reservation_token: 7,
    delivery_id: newId('delivery'),
    drone_id: aircraft.id,
    command: 'fly',
    pickup,
    dropoff,
    return_to: pickup,
    base: aircraft.base,
    payload_kg: payloadKg,
    pickup_wait_s: waits.pickupWaitS,
    dropoff_hover_s: waits.dropoffHoverS,
    confirmation: 'none',
    legs: plan.legs,
    clock: LIVE_CLOCK,
    issued_at: new Date(START_MS).toISOString(),
    ...change,
  };
}

/** A newer version of a mission. */
export function revised(mission: Mission, command: Mission['command']): Mission {
  return { ...mission, version: mission.version + 1, command };
}
