import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { destination } from '../../../shared/geodesy.ts';
import { type DroneId, newId } from '../../../shared/ids.ts';
import type { PackageSize } from '../../../shared/schemas.ts';
import { planMission } from '../contract/flight.ts';
import type { DroneModel, DroneState } from '../contract/index.ts';
import type { Appointment } from '../domain/appointment.ts';
import {
  choose,
  type ChoiceRules,
  type Fleet,
  type FleetDrone,
  isOutOfReach,
  type Job,
} from '../domain/assignment.ts';
import { PLANNED_WAITS } from '../domain/missions.ts';
import { offersFor, type Waiter } from '../domain/waiting-list.ts';
import { CITY, MODEL } from './support.ts';

const model: DroneModel = { ...MODEL, id: newId('model') };
const fast: DroneModel = { ...MODEL, id: newId('model'), cruise_speed_mps: 30, max_payload_kg: 1 };
const base = { id: newId('base'), name: 'Base', location: CITY, pads: 9 };
const models = new Map([model, fast].map((one) => [one.id, one]));
const bases = new Map([[base.id, base]]);

function drone(change: Partial<FleetDrone> = {}): FleetDrone {
  return {
    id: newId('drone'),
    modelId: model.id,
    baseId: base.id,
    state: 'idle',
    position: CITY,
    altitudeM: 0,
    battery: 1,
    offeredTo: null,
    changedAt: '2026-03-01T12:00:00Z',
    ...change,
  };
}

const job: Job = {
  pickup: destination(CITY, 90, 2_000),
  dropoff: destination(CITY, 0, 3_000),
  payloadKg: 1,
  packageSizes: ['small'],
};
const rules: ChoiceRules = { excluded: new Set(), deliveryId: newId('delivery') };
const fleetOf = (drones: FleetDrone[]): Fleet => ({ drones, models, bases });

const arbitraryDrone = fc
  .record({
    state: fc.constantFrom<DroneState>('idle', 'idle', 'idle', 'charging', 'committed', 'grounded'),
    modelId: fc.constantFrom(model.id, fast.id),
    battery: fc.double({ min: 0, max: 1, noNaN: true }),
    courseDeg: fc.double({ min: 0, max: 360, noNaN: true }),
    distance: fc.double({ min: 0, max: 15_000, noNaN: true }),
  })
  .map(({ courseDeg, distance, ...rest }) =>
    drone({ ...rest, position: destination(CITY, courseDeg, distance) }),
  );

describe('the choice', () => {
  test('is a free drone that lands with its reserve after the worst branch, and no such one that is ready is earlier', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryDrone, { minLength: 1, maxLength: 12 }),
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        (drones, payloadKg) => {
          const wanted = { ...job, payloadKg };
          const { ranked, candidates, infeasible } = choose(wanted, fleetOf(drones), rules);
          const able = drones.flatMap((one) => {
            const type = models.get(one.modelId)!;
            const plan = planMission(type, {
              base: CITY,
              start: one.position,
              pickup: job.pickup,
              dropoff: job.dropoff,
              payloadKg,
              ...PLANNED_WAITS,
            });
            const fits = payloadKg <= type.max_payload_kg;
            const lands =
              one.battery - plan.worstEnergyWh / type.battery_capacity_wh >= type.reserve_fraction;
            const isFree = one.state === 'idle' || one.state === 'charging';
            const turn = Number(one.state === 'charging') * 1e6 + plan.toPickupS;
            return isFree && fits && lands ? [{ id: one.id, turn }] : [];
          });
          expect(new Set(ranked.map((one) => one.droneId))).toEqual(new Set(able.map((one) => one.id)));
          const turns = ranked.map((one) => able.find((other) => other.id === one.droneId)?.turn);
          expect(turns).toEqual(able.map((one) => one.turn).sort((a, b) => a - b));
          expect(candidates.map((one) => one.droneId)).toEqual(drones.map((one) => one.id));
          // Busy, flat or far away today is not never.
          const strongestKg = Math.max(...drones.map((one) => models.get(one.modelId)!.max_payload_kg));
          if (payloadKg <= strongestKg) expect(infeasible).toBeNull();
          else expect(infeasible?.reason).toBe('payload_too_heavy');
        },
      ),
      { numRuns: 300 },
    );
  });

  test('gives each drone a verdict', () => {
    const cases: [FleetDrone, string, Partial<Job>?][] = [
      [drone(), 'later_arrival'],
      [drone({ state: 'charging' }), 'later_arrival'],
      [drone({ state: 'returning' }), 'busy'],
      [drone({ state: 'maintenance' }), 'unavailable'],
      [drone({ battery: 0.32 }), 'low_battery'],
      [drone({ offeredTo: newId('delivery') }), 'busy'],
      [drone({ offeredTo: rules.deliveryId }), 'later_arrival'],
      [drone({ modelId: fast.id }), 'too_heavy', { payloadKg: 2 }],
      [drone(), 'too_big', { packageSizes: ['large'] }],
      [drone(), 'too_big', { packageSizes: ['medium', 'medium'] }],
      [drone(), 'later_arrival', { packageSizes: ['medium', 'small'] }],
      [drone(), 'out_of_range', { dropoff: destination(CITY, 0, 50_000) }],
      [drone({ modelId: newId('model') }), 'unavailable'],
    ];
    for (const [one, verdict, change] of cases) {
      const { candidates } = choose({ ...job, ...change }, fleetOf([one]), rules);
      expect(candidates.map((candidate) => candidate.verdict)).toEqual([verdict]);
    }
  });

  describe('with times to keep', () => {
    const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
    const one = drone();
    const { timeline } = planMission(model, {
      base: CITY,
      start: CITY,
      pickup: job.pickup,
      dropoff: job.dropoff,
      payloadKg: job.payloadKg,
      ...PLANNED_WAITS,
    });
    const atPickupMs = NOW_MS + timeline.atPickupS * 1000;
    const atDropoffMs = NOW_MS + timeline.atDropoffS * 1000;
    const chosenBy = (times: Partial<Appointment>, drones = [one]) => {
      const appointment = {
        nowMs: NOW_MS,
        pickupFromMs: null,
        pickupByMs: null,
        deliverByMs: null,
        ...times,
      };
      return choose(job, fleetOf(drones), { ...rules, appointment });
    };

    test.each([
      { what: 'at the pickup', by: 'pickupByMs', atMs: atPickupMs },
      { what: 'at the dropoff', by: 'deliverByMs', atMs: atDropoffMs },
    ] as const)('leaves out who would be too late $what, and says when', ({ by, atMs }) => {
      expect(chosenBy({ [by]: Math.ceil(atMs) }).ranked.map((able) => able.droneId)).toEqual([one.id]);
      const { ranked, candidates, infeasible } = chosenBy({ [by]: Math.floor(atMs) - 1 });
      expect(ranked).toEqual([]);
      // It may be in time another day.
      expect(infeasible).toBeNull();
      expect(candidates).toMatchObject([
        {
          verdict: 'too_late',
          arrivalS: timeline.atPickupS,
          dropoffS: timeline.atDropoffS,
        },
      ]);
    });

    test('counts from when the sender is ready, if that is later', () => {
      const pickupFromMs = atPickupMs + 600_000;
      const deliverByMs = Math.ceil(atDropoffMs + 600_000);
      const times = { pickupFromMs, pickupByMs: pickupFromMs + 1_000 };
      expect(chosenBy({ ...times, deliverByMs }).ranked).toHaveLength(1);
      expect(chosenBy({ ...times, deliverByMs: deliverByMs - 1_000 }).ranked).toEqual([]);
    });

    test('takes one that charges where those that are ready would be too late', () => {
      const far = drone({ position: destination(job.pickup, 90, 4_000) });
      const charging = drone({ state: 'charging', battery: 0.95 });
      const { ranked } = chosenBy({ pickupByMs: Math.ceil(atPickupMs) }, [far, charging]);
      expect(ranked.map((able) => able.droneId)).toEqual([charging.id]);
    });

    test('has nobody for a window that is over', () => {
      const there = drone({ position: job.pickup });
      expect(chosenBy({ pickupByMs: NOW_MS - 1 }, [there]).ranked).toEqual([]);
    });
  });

  test('stays fast with hundreds of drones', () => {
    const drones = Array.from({ length: 500 }, (_, index) =>
      drone({ position: destination(CITY, index, index * 10) }),
    );
    const fleet = fleetOf(drones);
    choose(job, fleet, rules);
    const startedMs = performance.now();
    const rounds = 10;
    for (let round = 0; round < rounds; round += 1) choose(job, fleet, rules);
    // About 2 ms on an idle core; the bound leaves room for a busy machine.
    expect((performance.now() - startedMs) / rounds).toBeLessThan(200);
  });
});

describe('what is out of reach', () => {
  test('is never chosen, and takes nothing from the choice', () => {
    const wide = fc.double({ min: 0, max: 100_000, noNaN: true });
    const course = fc.double({ min: 0, max: 360, noNaN: true });
    const scattered = fc
      .tuple(arbitraryDrone, course, wide)
      .map(([one, courseDeg, metres]) => ({ ...one, position: destination(CITY, courseDeg, metres) }));
    fc.assert(
      fc.property(fc.array(fc.oneof(arbitraryDrone, scattered), { maxLength: 40 }), (drones) => {
        const near = drones.filter((one) => !isOutOfReach(job, one, fleetOf(drones)));
        const rankedOf = (some: FleetDrone[]) =>
          choose(job, fleetOf(some), rules).ranked.map((one) => one.droneId);
        expect(rankedOf(near)).toEqual(rankedOf(drones));
      }),
    );
    const far = drone({ position: destination(CITY, 90, 100_000) });
    expect(isOutOfReach(job, far, fleetOf([far]))).toBe(true);
    expect(isOutOfReach(job, drone(), fleetOf([far]))).toBe(false);
  });
});

describe('offers to those who wait', () => {
  const waiter = (change: Partial<Waiter> = {}): Waiter => ({
    deliveryId: newId('delivery'),
    job,
    excludedDroneIds: [],
    appointment: null,
    expedited: false,
    joinedWallMs: 0,
    offers: 0,
    ...change,
  });

  test('give each drone to one and each one a drone, in turn', () => {
    const arbitraryWaiter = fc
      .record({ expedited: fc.boolean(), joinedWallMs: fc.nat(1_000), offers: fc.nat(2) })
      .map(waiter);
    fc.assert(
      fc.property(fc.array(arbitraryWaiter, { maxLength: 10 }), fc.nat(6), (waiters, free) => {
        const offers = offersFor(waiters, fleetOf(Array.from({ length: free }, () => drone())));
        expect(offers).toHaveLength(Math.min(waiters.length, free));
        expect(new Set(offers.map((one) => one.droneId)).size).toBe(offers.length);
        const turn = (one: Waiter) => one.offers * 1e6 - Number(one.expedited) * 1e5 + one.joinedWallMs;
        const served = new Set(offers.map((one) => one.deliveryId));
        const lastServed = Math.max(...waiters.filter((one) => served.has(one.deliveryId)).map(turn));
        for (const one of waiters.filter((other) => !served.has(other.deliveryId)))
          expect(turn(one)).toBeGreaterThanOrEqual(lastServed);
      }),
    );
  });

  test('leave out drones that are kept, excluded, unable or too late, and take a charging one only for want of an idle one', () => {
    const kept = drone({ offeredTo: newId('delivery') });
    const charging = drone({ state: 'charging', battery: 0.9 });
    const idle = drone({ battery: 0.8 });
    const flat = drone({ state: 'charging', battery: 0.3 });
    const excluded: DroneId[] = [idle.id];
    const drones = [kept, charging, idle, flat];
    expect(offersFor([waiter()], fleetOf(drones)).map((one) => one.droneId)).toEqual([idle.id]);
    const picky = waiter({ excludedDroneIds: excluded });
    expect(offersFor([picky], fleetOf(drones)).map((one) => one.droneId)).toEqual([charging.id]);
    const bulky = waiter({ job: { ...job, packageSizes: ['large'] as PackageSize[] } });
    expect(offersFor([bulky], fleetOf(drones))).toEqual([]);
    const nowMs = Date.parse('2026-03-01T12:00:00Z');
    const appointment = { nowMs, pickupFromMs: null, pickupByMs: nowMs + 1_000, deliverByMs: null };
    expect(offersFor([waiter({ appointment })], fleetOf(drones))).toEqual([]);
    const over = { ...appointment, pickupByMs: nowMs - 1 };
    const there = drone({ position: job.pickup });
    expect(offersFor([waiter({ appointment: over })], fleetOf([there]))).toEqual([]);
  });
});
