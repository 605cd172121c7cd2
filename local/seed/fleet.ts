/**
 * Fabrikam's fleet around Seattle: three models, six bases, thirty drones.
 *
 * The models are Fabrikam's own; their figures are not measured but come to what aircraft of their size do. Power follows
 * from mass and rotors by the formula in services/drone/contract/energy.ts; in cruise, what the moving air saves the rotors
 * is taken to be a little more than what drag costs. Battery mass at 200 Wh/kg is in the empty mass.
 */
import { hoverPowerW } from '../../services/drone/contract/energy.ts';
import type { Base, DroneModel } from '../../services/drone/contract/index.ts';
import type { BaseId, DroneId, ModelId } from '../../shared/ids.ts';
import { seedId } from './ids.ts';

/** Power in cruise as a part of the power in hover. */
const CRUISE_POWER_FACTOR = 0.95;

type GivenFigures = Omit<DroneModel, 'id' | 'hover_power_w' | 'cruise_power_w' | 'reserve_fraction'>;

function model(rotors: { count: number; diameterM: number }, figures: GivenFigures): DroneModel {
  const areaM2 = rotors.count * Math.PI * (rotors.diameterM / 2) ** 2;
  const hoverW = hoverPowerW(figures.empty_mass_kg, areaM2);
  return {
    id: seedId('model', figures.name),
    ...figures,
    hover_power_w: Math.round(hoverW),
    cruise_power_w: Math.round(hoverW * CRUISE_POWER_FACTOR),
    reserve_fraction: 0.3,
  };
}

/** A quadrotor for a small parcel: 2.3 kg (5 lb) covers most of what is ordered for one household. */
const kestrel = model(
  { count: 4, diameterM: 0.53 },
  {
    name: 'Kestrel',
    empty_mass_kg: 6.3,
    max_payload_kg: 2.3,
    max_package_size: 'medium',
    bay_slots: 2,
    cruise_speed_mps: 18,
    climb_speed_mps: 4,
    descent_speed_mps: 3,
    cruise_altitude_m: 70,
    battery_capacity_wh: 550,
    charge_power_w: 1_100,
  },
);

/** A hexarotor that flies on with one motor less. */
const heron = model(
  { count: 6, diameterM: 0.66 },
  {
    name: 'Heron',
    empty_mass_kg: 13,
    max_payload_kg: 5,
    max_package_size: 'large',
    bay_slots: 4,
    cruise_speed_mps: 20,
    climb_speed_mps: 4,
    descent_speed_mps: 3,
    cruise_altitude_m: 80,
    battery_capacity_wh: 1_400,
    charge_power_w: 2_800,
  },
);

/** A heavy-lift octorotor; at 31 kg it needs the operator's exemption from the 25 kg rule. */
const condor = model(
  { count: 8, diameterM: 0.76 },
  {
    name: 'Condor',
    empty_mass_kg: 22,
    max_payload_kg: 9,
    max_package_size: 'large',
    bay_slots: 8,
    cruise_speed_mps: 16,
    climb_speed_mps: 3.5,
    descent_speed_mps: 2.5,
    cruise_altitude_m: 90,
    battery_capacity_wh: 2_700,
    charge_power_w: 5_400,
  },
);

export const MODELS: readonly DroneModel[] = [kestrel, heron, condor];

const base = (name: string, latitude: number, longitude: number): Base => ({
  id: seedId('base', name),
  name,
  location: { latitude, longitude },
  pads: 6,
});

/** Open ground or flat roofs at these places. */
export const BASES: readonly Base[] = [
  base('Redmond Marymoor', 47.6621, -122.1135),
  base('Bellevue Downtown', 47.615, -122.196),
  base('Kirkland Waterfront', 47.6769, -122.206),
  base('Seattle University District', 47.659, -122.313),
  base('Seattle SoDo', 47.58, -122.334),
  base('Renton Landing', 47.5, -122.203),
];

/** What stands at every base: mostly light drones, one heavy lifter. */
const FLEET_OF_A_BASE: readonly DroneModel[] = [kestrel, kestrel, kestrel, heron, condor];

export interface SeedDrone {
  id: DroneId;
  name: string;
  model_id: ModelId;
  base_id: BaseId;
}

export const DRONES: readonly SeedDrone[] = BASES.flatMap((home, baseIndex) =>
  FLEET_OF_A_BASE.map((kind, index): SeedDrone => {
    const name = `${kind.name}-${baseIndex + 1}${index + 1}`;
    return { id: seedId('drone', name), name, model_id: kind.id, base_id: home.id };
  }),
);
