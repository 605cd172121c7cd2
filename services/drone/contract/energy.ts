/**
 * How much power an aircraft draws: the published model behind battery, range and feasibility. Pure.
 *
 * Hovering, a rotor must move air down with the power P = √((m·g)³ / (2·ρ·A)) / η (momentum theory of the ideal rotor;
 * J. G. Leishman, "Principles of Helicopter Aerodynamics", 2nd ed., §2.2; used for parcel drones by J. K. Stolaroff et al.,
 * "Energy use and life cycle greenhouse gas emissions of drones for commercial package delivery", Nature Communications
 * 9:409, 2018). Air density ρ, rotor area A and efficiency η stay the same with and without a payload, so power grows
 * with mass to the power of 1.5, and the figures measured on the empty aircraft carry all the rest:
 *
 *     P(payload) = P(empty) · ((m_empty + payload) / m_empty)^1.5
 *
 * In cruise a part of the power overcomes drag, which grows less with mass than that, so the same law errs on the safe
 * side. A climb adds the work against gravity; a descent gives nothing back.
 */
import type { DroneModel } from './index.ts';

/** The figures of a model that energy depends on. */
export type EnergyFigures = Pick<
  DroneModel,
  'empty_mass_kg' | 'hover_power_w' | 'cruise_power_w' | 'climb_speed_mps'
>;

export type FlightPhase = 'ground' | 'climb' | 'cruise' | 'hover' | 'descent';

const GRAVITY_MPS2 = 9.80665;
/** Of the standard atmosphere at sea level. */
const AIR_DENSITY_KG_PER_M3 = 1.225;
/**
 * η, from battery to ideal rotor power: what the published endurance of a parcel-size multirotor comes to. A DJI Matrice 300
 * RTK (6.3 kg, four rotors of 0.53 m, batteries of 548 Wh) flies 55 minutes: 598 W, of which the ideal rotor needs 330 W.
 */
const ROTOR_EFFICIENCY = 0.55;
/** Flight computer, radio and lights with the rotors stopped: an assumption of the size of a companion computer's draw. */
export const GROUND_POWER_W = 20;

/** Power drawn from the battery, watts. `payloadKg` is what is aboard, not negative. */
export function powerW(model: EnergyFigures, phase: FlightPhase, payloadKg: number): number {
  const massKg = model.empty_mass_kg + payloadKg;
  const loadFactor = (massKg / model.empty_mass_kg) ** 1.5;
  switch (phase) {
    case 'ground':
      return GROUND_POWER_W;
    case 'climb':
      return (
        model.hover_power_w * loadFactor + (massKg * GRAVITY_MPS2 * model.climb_speed_mps) / ROTOR_EFFICIENCY
      );
    case 'cruise':
      return model.cruise_power_w * loadFactor;
    case 'hover':
    case 'descent':
      return model.hover_power_w * loadFactor;
  }
}

/** The formula above for an aircraft whose power was not measured: hovering at sea level, watts. */
export function hoverPowerW(massKg: number, rotorAreaM2: number): number {
  return (
    Math.sqrt((massKg * GRAVITY_MPS2) ** 3 / (2 * AIR_DENSITY_KG_PER_M3 * rotorAreaM2)) / ROTOR_EFFICIENCY
  );
}

/** Energy taken from the battery in `durationS` seconds of one phase, watt-hours. */
export function energyWh(
  model: EnergyFigures,
  phase: FlightPhase,
  payloadKg: number,
  durationS: number,
): number {
  return (powerW(model, phase, payloadKg) * durationS) / 3600;
}

/** Seconds of charging from one battery fraction to another (0–1) at the model's constant charging power. */
export function chargingS(
  model: Pick<DroneModel, 'battery_capacity_wh' | 'charge_power_w'>,
  fromFraction: number,
  toFraction: number,
): number {
  return (Math.max(0, toFraction - fromFraction) * model.battery_capacity_wh * 3600) / model.charge_power_w;
}
