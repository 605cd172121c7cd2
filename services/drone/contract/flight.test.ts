import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { destination, distanceM } from '../../../shared/geodesy.ts';
import type { Location } from '../../../shared/schemas.ts';
import { newId } from '../../../shared/ids.ts';
import { chargingS, energyWh, type FlightPhase, hoverPowerW, powerW } from './energy.ts';
import {
  DROPOFF_ALTITUDE_M,
  HANDLING,
  legEnergyWh,
  legProfile,
  longestDeliveryM,
  type MissionRequest,
  planMission,
  positionAt,
} from './flight.ts';
import type { DroneModel } from './index.ts';

const model: DroneModel = {
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

const REDMOND: Location = { latitude: 47.6419, longitude: -122.1265 };
const north = (metres: number) => destination(REDMOND, 0, metres);
const payloadKg = fc.double({ min: 0, max: 10, noNaN: true });
const metres = fc.double({ min: 0, max: 40_000, noNaN: true });
const courseDeg = fc.double({ min: 0, max: 360, noNaN: true });
const PHASES: FlightPhase[] = ['ground', 'climb', 'cruise', 'hover', 'descent'];

describe('energy model', () => {
  it('scales with mass to the power of 1.5', () => {
    expect(powerW(model, 'hover', 0)).toBe(600);
    // Twice the mass: 2^1.5 times the power.
    expect(powerW(model, 'hover', 6)).toBeCloseTo(600 * Math.SQRT2 * 2, 9);
    expect(powerW(model, 'cruise', 6)).toBeCloseTo(540 * Math.SQRT2 * 2, 9);
  });

  it('comes to the published endurance of a DJI Matrice 300 RTK', () => {
    const areaM2 = 4 * Math.PI * (0.5334 / 2) ** 2;
    expect((548 / hoverPowerW(6.3, areaM2)) * 60).toBeCloseTo(55, 0);
  });

  it('never gets cheaper with more payload, and a climb costs more than a hover', () => {
    fc.assert(
      fc.property(payloadKg, payloadKg, fc.constantFrom(...PHASES), (one, other, phase) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        expect(powerW(model, phase, less)).toBeLessThanOrEqual(powerW(model, phase, more));
        expect(powerW(model, 'climb', more)).toBeGreaterThan(powerW(model, 'hover', more));
      }),
    );
  });

  it('charges for as long as the missing energy takes', () => {
    expect(chargingS(model, 0.5, 1)).toBe(900);
    expect(chargingS(model, 1, 0.5)).toBe(0);
  });
});

describe('one leg', () => {
  it('is climb, cruise and descent', () => {
    const leg = legProfile(model, REDMOND, north(4_000));
    expect(leg.climbS).toBe(20);
    expect(leg.cruiseS).toBeCloseTo(200, 6);
    expect(leg.descentS).toBe(40);
    expect(leg.durationS).toBeCloseTo(260, 6);
  });

  it('only goes up or down where it already is at its target', () => {
    expect(legProfile(model, REDMOND, REDMOND).durationS).toBe(0);
    expect(legProfile(model, REDMOND, REDMOND, { fromAltitudeM: 50 })).toMatchObject({
      climbS: 0,
      descentS: 25,
    });
  });

  it('starts where it starts, ends where it ends, and moves continuously at no more than its speed', () => {
    const altitude = fc.double({ min: 0, max: 120, noNaN: true });
    fc.assert(
      fc.property(metres, courseDeg, altitude, altitude, (length, course, fromAltitudeM, toAltitudeM) => {
        const to = destination(REDMOND, course, length);
        const leg = legProfile(model, REDMOND, to, { fromAltitudeM, toAltitudeM });
        const start = positionAt(leg, 0);
        const end = positionAt(leg, leg.durationS + 1);
        expect(start.altitudeM).toBeCloseTo(fromAltitudeM, 6);
        expect(end.altitudeM).toBeCloseTo(toAltitudeM, 6);
        expect(end.location).toEqual(to);
        const steps = 50;
        const dtS = leg.durationS / steps;
        let before = start;
        for (let step = 1; step <= steps; step++) {
          const now = positionAt(leg, step * dtS);
          const moved = distanceM(before.location, now.location) + Math.abs(now.altitudeM - before.altitudeM);
          expect(moved).toBeLessThanOrEqual(model.cruise_speed_mps * dtS + 1e-3);
          expect(now.travelledM).toBeGreaterThanOrEqual(before.travelledM);
          before = now;
        }
      }),
      { numRuns: 50 },
    );
  });

  it('drains what the phases it goes through drain', () => {
    fc.assert(
      fc.property(metres, payloadKg, (length, payload) => {
        const leg = legProfile(model, REDMOND, north(length), { toAltitudeM: DROPOFF_ALTITUDE_M });
        const steps = 500;
        const dtS = leg.durationS / steps;
        let integratedWh = 0;
        for (let step = 0; step < steps; step++) {
          integratedWh += energyWh(model, positionAt(leg, (step + 0.5) * dtS).phase, payload, dtS);
        }
        const plannedWh = legEnergyWh(model, leg, payload);
        // Each change of phase falls inside one step: the error is at most one step of the dearest phase.
        const oneStepWh = energyWh(model, 'climb', payload, dtS);
        expect(Math.abs(integratedWh - plannedWh)).toBeLessThanOrEqual(2 * oneStepWh + 1e-9);
        expect(legEnergyWh(model, leg, payload, leg.durationS / 3)).toBeLessThanOrEqual(plannedWh);
      }),
      { numRuns: 30 },
    );
  });
});

describe('a mission plan', () => {
  const request: MissionRequest = {
    base: REDMOND,
    start: REDMOND,
    pickup: north(2_000),
    dropoff: north(5_000),
    payloadKg: 1.5,
    pickupWaitS: 600,
    dropoffHoverS: 120,
  };

  it('tells the times of the undisturbed flight', () => {
    const { timeline, ...plan } = planMission(model, request);
    expect(timeline.atPickupS).toBeCloseTo(20 + 100 + 40, 3);
    expect(timeline.departPickupS).toBeCloseTo(timeline.atPickupS + HANDLING.loadingS, 6);
    expect(timeline.atDropoffS).toBeCloseTo(timeline.departPickupS + 20 + 150 + 36, 3);
    expect(timeline.releasedS).toBeCloseTo(timeline.atDropoffS + HANDLING.releaseS, 6);
    expect(timeline.homeS).toBeCloseTo(timeline.releasedS + 18 + 250 + 40, 3);
    expect(plan.distanceM).toBeCloseTo(10_000, 3);
    expect(plan.legs.map((leg) => [leg.kind, leg.on_link_loss])).toEqual([
      ['to_pickup', 'return_to_base'],
      ['to_dropoff', 'continue'],
      ['home', 'continue'],
    ]);
  });

  it('is feasible only when the worst branch lands with the reserve', () => {
    const plan = planMission(model, request);
    const worst = plan.worstEnergyWh / model.battery_capacity_wh;
    expect(plan.worstEnergyWh).toBeGreaterThan(plan.energyWh);
    expect(plan.batteryAtLanding(1)).toBeCloseTo(1 - worst, 9);
    expect(plan.feasible(worst + model.reserve_fraction + 1e-9)).toBe(true);
    expect(plan.feasible(worst + model.reserve_fraction - 1e-9)).toBe(false);
  });

  it('costs more with every metre, kilogram and second of waiting', () => {
    fc.assert(
      fc.property(
        fc.record({ length: metres, payload: payloadKg, waitS: metres, hoverS: metres }),
        fc.record({ length: metres, payload: payloadKg, waitS: metres, hoverS: metres }),
        (a, b) => {
          const plan = (what: typeof a) =>
            planMission(model, {
              ...request,
              dropoff: destination(request.pickup, 0, what.length),
              payloadKg: what.payload,
              pickupWaitS: what.waitS,
              dropoffHoverS: what.hoverS,
            });
          const least = plan({
            length: Math.min(a.length, b.length),
            payload: Math.min(a.payload, b.payload),
            waitS: Math.min(a.waitS, b.waitS),
            hoverS: Math.min(a.hoverS, b.hoverS),
          });
          const most = plan({
            length: Math.max(a.length, b.length),
            payload: Math.max(a.payload, b.payload),
            waitS: Math.max(a.waitS, b.waitS),
            hoverS: Math.max(a.hoverS, b.hoverS),
          });
          expect(least.worstEnergyWh).toBeLessThanOrEqual(most.worstEnergyWh + 1e-6);
          expect(least.timeline.homeS).toBeLessThanOrEqual(most.timeline.homeS + 1e-6);
          expect(least.energyWh).toBeLessThanOrEqual(least.worstEnergyWh + 1e-9);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('reaches exactly as far as the longest delivery', () => {
    const longest = longestDeliveryM(model, 1);
    const feasibleAt = (length: number) =>
      planMission(model, {
        ...request,
        base: request.pickup,
        start: request.pickup,
        dropoff: destination(request.pickup, 90, length),
        payloadKg: 1,
        pickupWaitS: 0,
        dropoffHoverS: 0,
      }).feasible(1);
    expect(feasibleAt(longest - 5)).toBe(true);
    expect(feasibleAt(longest + 5)).toBe(false);
    expect(longestDeliveryM({ ...model, battery_capacity_wh: 1 }, 1)).toBe(0);
  });
});
