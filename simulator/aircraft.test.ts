import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isoTime } from '../shared/clock.ts';
import { destination, distanceM } from '../shared/geodesy.ts';
import type { MilestoneKind, Mission } from '../services/drone/contract/index.ts';
import { DROPOFF_ALTITUDE_M, HANDLING, planMission } from '../services/drone/contract/flight.ts';
import {
  advance,
  type Aircraft,
  type ArmedFault,
  hasLink,
  hearLoadAnswer,
  hearMission,
  nextEventAtMs,
  observe,
  type Outgoing,
  recover,
  type UnsaidMilestone,
  unsaidMilestones,
  wakeAircraft,
} from './aircraft.ts';
import { base, drone, missionFor, model, parked, revised, START_MS } from './test/missions.ts';

const ROUTE = { pickupM: 2_000, dropoffM: 5_000 };
const HOUR_MS = 3_600_000;

const orders = (mission: Mission | null) => ({ mission, told: [] });
/** It has said that it is down, and that only people can help it. */
const isDownForGood = ({ body }: UnsaidMilestone) =>
  body.kind === 'failed' && body.detail?.['coming_home'] === false;
const kindsOf = (aircraft: Aircraft) =>
  aircraft.outbox.flatMap((message) => (message.kind === 'milestone' ? [message.body.kind] : []));
const fault = (change: Partial<ArmedFault> & Pick<ArmedFault, 'failure' | 'stage'>): ArmedFault => ({
  id: 'test',
  at: 0.5,
  forS: 60,
  dueMs: null,
  ...change,
});

/** Lets time go on until the aircraft asks whether it may load, or nothing more happens by itself. */
function flyOn(aircraft: Aircraft, untilMs = Number.POSITIVE_INFINITY): { aircraft: Aircraft; atMs: number } {
  let current = aircraft;
  let atMs = aircraft.since.atMs;
  for (
    let nextMs = nextEventAtMs(current);
    nextMs !== null && nextMs <= untilMs;
    nextMs = nextEventAtMs(current)
  ) {
    atMs = Math.max(atMs, nextMs);
    current = advance(current, atMs);
    if (current.activity.kind === 'awaiting_load_token') break;
  }
  return { aircraft: current, atMs };
}

function grant(aircraft: Aircraft, mission: Mission, atMs: number): Aircraft {
  const asked = aircraft.outbox.filter((one) => one.kind === 'load_request');
  expect(asked).toHaveLength(1);
  const settled = { ...aircraft, outbox: aircraft.outbox.filter((one) => one.kind !== 'load_request') };
  return hearLoadAnswer(settled, { outcome: 'granted', load_token: 'lt' }, mission.reservation_id, atMs);
}

/** An aircraft on its mission, at the pickup, with the answer granted. */
function loadingAircraft(faults: ArmedFault[] = []) {
  const start = parked();
  const mission = missionFor(start, ROUTE);
  const there = flyOn(hearMission(start, orders(mission), START_MS, () => faults));
  return { mission, aircraft: grant(there.aircraft, mission, there.atMs), atMs: there.atMs };
}

describe('a mission whose dropoff was changed before the aircraft heard of it', () => {
  it('is said to be flown to the new one as it sets out, for nobody knows which version it has', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE);
    const dropoff = destination(mission.dropoff, 90, 150);
    const changed = { ...revised(mission, 'fly'), dropoff };
    const away = hearMission(start, orders(changed), START_MS);
    expect(kindsOf(away)).toEqual(['took_off', 'rerouted']);
    expect(away.outbox.at(-1)).toMatchObject({ body: { detail: { dropoff } } });
    // Of one that nobody has changed there is nothing to say.
    expect(kindsOf(hearMission(start, orders(mission), START_MS))).toEqual(['took_off']);
  });
});

describe('an undisturbed mission', () => {
  it('tells every milestone in order, numbered from 1, at the planned times', () => {
    const { mission, aircraft } = loadingAircraft();
    const home = flyOn(aircraft).aircraft;
    const told = home.outbox.map((message) => {
      expect(message.kind).toBe('milestone');
      return message.kind === 'milestone' ? message.body : undefined;
    });
    expect(told.map((body) => body?.kind)).toEqual([
      'took_off',
      'arrived_at_pickup',
      'loaded',
      'departed_pickup',
      'arrived_at_dropoff',
      'released',
      'landed',
    ]);
    expect(told.map((body) => body?.aircraft_sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(told[2]?.load_token).toBe('lt');
    const { timeline } = planMission(model, {
      base: base.location,
      start: base.location,
      pickup: mission.pickup,
      dropoff: mission.dropoff,
      payloadKg: mission.payload_kg,
      pickupWaitS: 0,
      dropoffHoverS: 0,
    });
    const secondsIn = told.map((body) => (Date.parse(body?.occurred_at ?? '') - START_MS) / 1000);
    [
      0,
      timeline.atPickupS,
      timeline.departPickupS,
      timeline.departPickupS,
      timeline.atDropoffS,
      timeline.releasedS,
      timeline.homeS,
    ].forEach((plannedS, index) => expect(secondsIn[index]).toBeCloseTo(plannedS, 2));
    expect(home.activity.kind).toBe('parked');
    expect(home.mission).toBeNull();
    expect(home.payloadKg).toBe(0);
  });

  it('uses the energy that was planned, and charges afterwards until it is full', () => {
    fc.assert(
      fc.property(
        fc.record({
          pickupM: fc.integer({ min: 0, max: 4_000 }),
          dropoffM: fc.integer({ min: 0, max: 6_000 }),
          courseDeg: fc.integer({ min: 0, max: 359 }),
          payloadKg: fc.double({ min: 0.1, max: 2.5, noNaN: true }),
        }),
        (route) => {
          const start = parked();
          const mission = missionFor(start, route);
          const there = flyOn(hearMission(start, orders(mission), START_MS));
          const { aircraft: home, atMs } = flyOn(grant(there.aircraft, mission, there.atMs));
          const plan = planMission(model, {
            base: base.location,
            start: base.location,
            pickup: mission.pickup,
            dropoff: mission.dropoff,
            payloadKg: mission.payload_kg,
            pickupWaitS: 0,
            dropoffHoverS: 0,
          });
          expect(model.battery_capacity_wh - home.since.batteryWh).toBeCloseTo(plan.energyWh, 2);
          expect(observe(home, atMs)).toMatchObject({ flightMode: 'charging', altitudeM: 0 });
          const chargeMs = (plan.energyWh / model.charge_power_w) * HOUR_MS;
          expect(observe(home, atMs + chargeMs - 1_000).flightMode).toBe('charging');
          expect(observe(home, atMs + chargeMs + 1_000)).toMatchObject({
            flightMode: 'parked',
            batteryWh: model.battery_capacity_wh,
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('hovers low over the dropoff with the package, and stands on the ground at the pickup', () => {
    const { mission, aircraft, atMs } = loadingAircraft();
    expect(observe(aircraft, atMs)).toMatchObject({
      location: mission.pickup,
      altitudeM: 0,
      flightMode: 'on_ground',
    });
    const departed = advance(aircraft, atMs + HANDLING.loadingS * 1000);
    expect(departed.payloadKg).toBe(mission.payload_kg);
    const atDropoff = advance(departed, nextEventAtMs(departed) ?? 0);
    expect(observe(atDropoff, atDropoff.since.atMs)).toMatchObject({
      location: mission.dropoff,
      altitudeM: DROPOFF_ALTITUDE_M,
      flightMode: 'hover',
    });
  });
});

describe('the pickup race', () => {
  it('never loads without a token', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE);
    const there = flyOn(hearMission(start, orders(mission), START_MS));
    const waited = advance(there.aircraft, there.atMs + 60_000);
    expect(waited.activity.kind).toBe('awaiting_load_token');
    expect(waited.payloadKg).toBe(0);
    const refused = hearLoadAnswer(
      waited,
      { outcome: 'refused', reason: 'recalled' },
      mission.reservation_id,
      there.atMs + 60_000,
    );
    expect(kindsOf(flyOn(refused).aircraft)).toEqual(['took_off', 'arrived_at_pickup', 'landed']);
  });

  it('does not take an answer for another reservation', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE);
    const there = flyOn(hearMission(start, orders(mission), START_MS));
    const other = missionFor(start, ROUTE);
    const answer = { outcome: 'granted', load_token: 'other' } as const;
    expect(hearLoadAnswer(there.aircraft, answer, other.reservation_id, there.atMs)).toBe(there.aircraft);
  });

  it('recalled on the way, turns round where it is and lands without a word to anybody', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE);
    const flying = hearMission(start, orders(mission), START_MS);
    const atMs = START_MS + 60_000;
    const before = observe(flying, atMs);
    const recalled = hearMission(advance(flying, atMs), orders(revised(mission, 'recall')), atMs);
    expect(observe(recalled, atMs)).toMatchObject({ location: before.location, altitudeM: before.altitudeM });
    expect(kindsOf(flyOn(recalled).aircraft)).toEqual(['took_off', 'landed']);
  });

  it('recalled while it loads, says that it is empty', () => {
    const { mission, aircraft, atMs } = loadingAircraft();
    const during = atMs + HANDLING.loadingS * 500;
    const recalled = hearMission(advance(aircraft, during), orders(revised(mission, 'recall')), during);
    expect(kindsOf(flyOn(recalled).aircraft)).toEqual([
      'took_off',
      'arrived_at_pickup',
      'recalled_empty',
      'landed',
    ]);
    expect(recalled.payloadKg).toBe(0);
  });

  it('recalled when the package is aboard, goes on', () => {
    const { mission, aircraft, atMs } = loadingAircraft();
    const loadedMs = atMs + HANDLING.loadingS * 1000;
    const recalled = hearMission(advance(aircraft, loadedMs), orders(revised(mission, 'recall')), loadedMs);
    expect(kindsOf(flyOn(recalled).aircraft).slice(2)).toEqual([
      'loaded',
      'departed_pickup',
      'arrived_at_dropoff',
      'released',
      'landed',
    ]);
  });

  it('recalled before it has left, says that it is home', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE, { command: 'recall', version: 2 });
    const answered = hearMission(start, orders(mission), START_MS);
    expect(kindsOf(answered)).toEqual(['landed']);
    expect(answered.activity.kind).toBe('parked');
  });
});

describe('orders', () => {
  it('never flies the same mission twice, nor an older version', () => {
    const { mission, aircraft } = loadingAircraft();
    const { aircraft: home, atMs } = flyOn(aircraft);
    expect(hearMission(home, orders(mission), atMs)).toBe(home);
    const flying = hearMission(parked(), orders(mission), START_MS);
    const recalled = hearMission(flying, orders(revised(mission, 'recall')), START_MS + 1);
    expect(hearMission(recalled, orders(mission), START_MS + 2)).toBe(recalled);
  });

  it('takes on a new mission on its way home', () => {
    const { aircraft } = loadingAircraft();
    const homeward = (() => {
      let current = aircraft;
      while (!(current.activity.kind === 'flying' && current.activity.leg === 'home'))
        current = advance(current, nextEventAtMs(current) ?? 0);
      return current;
    })();
    const next = missionFor(homeward, { pickupM: 1_000, dropoffM: 2_000 });
    const atMs = homeward.since.atMs + 30_000;
    const before = observe(homeward, atMs);
    const turned = hearMission(advance(homeward, atMs), orders(next), atMs);
    expect(turned.mission).toEqual(next);
    expect(observe(turned, atMs).location).toEqual(before.location);
    expect(kindsOf(turned).at(-1)).toBe('took_off');
  });

  it('with a package aboard, finishes with that before it takes on another mission', () => {
    const { aircraft, atMs } = loadingAircraft();
    const loaded = advance(aircraft, atMs + HANDLING.loadingS * 1000);
    const other = missionFor(loaded, ROUTE);
    expect(hearMission(loaded, orders(other), loaded.since.atMs)).toBe(loaded);
    expect(hearMission(loaded, orders(null), loaded.since.atMs).activity).toEqual(loaded.activity);
  });

  it('comes home when its mission is gone and it is empty', () => {
    const start = parked();
    const flying = hearMission(start, orders(missionFor(start, ROUTE)), START_MS);
    const called = hearMission(advance(flying, START_MS + 40_000), orders(null), START_MS + 40_000);
    expect(called.activity).toMatchObject({ kind: 'flying', leg: 'home' });
  });

  it('brings the package back when told to return', () => {
    const { mission, aircraft, atMs } = loadingAircraft();
    const outboundMs = atMs + HANDLING.loadingS * 1000 + 60_000;
    const returning = hearMission(
      advance(aircraft, outboundMs),
      orders(revised(mission, 'return')),
      outboundMs,
    );
    expect(kindsOf(flyOn(returning).aircraft).slice(3)).toEqual([
      'departed_pickup',
      'turned_back',
      'arrived_at_return',
      'released',
      'landed',
    ]);
  });
});

describe('failures', () => {
  it('a motor that fails brings it down where it is; it says what is aboard, and when it has set that down', () => {
    const { aircraft } = loadingAircraft([fault({ failure: 'motor_failure', stage: 'to_dropoff' })]);
    const down = flyOn(aircraft).aircraft;
    expect(down).toMatchObject({ activity: { kind: 'down' }, payloadKg: 0 });
    const { location, ...landed } = observe(down, down.since.atMs);
    expect(landed).toMatchObject({ altitudeM: 0, flightMode: 'emergency' });
    const [failed, last] = down.outbox.slice(-2);
    expect(failed).toMatchObject({
      body: { kind: 'failed', detail: { cause: 'motor_failure', aboard: true, coming_home: false } },
    });
    expect(last).toMatchObject({ body: { kind: 'set_down', position: location } });
    expect(down.happened).toEqual(['test']);
  });

  it('one that crashes keeps the package in it', () => {
    const { aircraft } = loadingAircraft([fault({ failure: 'crash', stage: 'to_dropoff' })]);
    const down = flyOn(aircraft).aircraft;
    expect(down.activity.kind).toBe('down');
    expect(down.payloadKg).toBeGreaterThan(0);
    expect(down.outbox.at(-1)).toMatchObject({
      body: { kind: 'failed', detail: { cause: 'crash', aboard: true, coming_home: false } },
    });
  });

  it('sets the package down also when its computer stopped before anybody heard that it failed', () => {
    const start = loadingAircraft([fault({ failure: 'motor_failure', stage: 'to_dropoff' })]);
    const { mission } = start.aircraft;
    if (mission === null) throw new Error('no mission');
    let failing = start.aircraft;
    while (failing.activity.kind !== 'emergency_landing')
      failing = advance(failing, nextEventAtMs(failing) ?? Number.NaN);
    const { atMs } = failing.since;
    const { location, altitudeM } = observe(failing, atMs);
    const known = drone({ id: failing.id, state: 'committed', position: location, altitude_m: altitudeM });
    const woken = wakeAircraft(known, model, base, atMs, unsaidMilestones(failing));
    const down = flyOn(hearMission(woken, { mission, told: [] }, atMs)).aircraft;
    expect(kindsOf(down).slice(-2)).toEqual(['failed', 'set_down']);
    expect(down.payloadKg).toBe(0);
  });

  it('comes down for good, until an operator clears it: then it is at its base and takes on another mission', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE);
    const failing = hearMission(start, orders(mission), START_MS, () => [
      fault({ failure: 'motor_failure', stage: 'to_pickup' }),
    ]);
    const down = flyOn(failing).aircraft;
    expect(down.activity.kind).toBe('down');
    expect(hearMission(down, orders(revised(mission, 'recall')), down.since.atMs)).toBe(down);
    const next = hearMission(down, orders(missionFor(down, ROUTE)), down.since.atMs + HOUR_MS);
    expect(next.activity).toMatchObject({ kind: 'flying', leg: 'to_pickup' });
    expect(next.since).toMatchObject({ location: base.location, batteryWh: model.battery_capacity_wh });
    const cleared = recover(down, down.since.atMs + HOUR_MS);
    expect(observe(cleared, cleared.since.atMs)).toMatchObject({
      location: base.location,
      flightMode: 'parked',
      batteryWh: model.battery_capacity_wh,
    });
  });

  it('is at its base when it wakes cleared, down when it wakes grounded', () => {
    const field = missionFor(parked(), ROUTE).pickup;
    const lying = { position: field, battery: 0.4, flight_mode: 'emergency' };
    expect(parked({ ...lying, state: 'idle' })).toMatchObject({
      activity: { kind: 'parked' },
      since: { location: base.location, batteryWh: model.battery_capacity_wh },
    });
    expect(parked({ ...lying, state: 'grounded' })).toMatchObject({
      activity: { kind: 'down' },
      since: { location: field },
    });
    expect(parked({ ...lying, state: 'returning', altitude_m: 50 }).activity).toMatchObject({
      kind: 'flying',
      leg: 'home',
    });
  });

  it('alone on the way to the pickup it comes home, and tells when the link is back', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE);
    const lost = fault({ failure: 'lost_link', stage: 'to_pickup', forS: 60 });
    const flying = hearMission(start, orders(mission), START_MS, () => [lost]);
    const lossMs = nextEventAtMs(flying) ?? 0;
    const alone = advance(flying, lossMs);
    expect(hasLink(alone)).toBe(false);
    expect(hearMission(alone, orders(revised(mission, 'recall')), lossMs)).toBe(alone);
    expect(alone.activity).toMatchObject({ kind: 'flying', leg: 'home' });
    expect(hasLink(advance(alone, lossMs + 59_999))).toBe(false);
    const home = flyOn(alone).aircraft;
    expect(hasLink(home)).toBe(true);
    expect(kindsOf(home)).toEqual(['took_off', 'failed', 'landed']);
  });

  it('alone with the package it goes on', () => {
    const { aircraft } = loadingAircraft([
      fault({ failure: 'lost_link', stage: 'to_dropoff', at: 0.1, forS: 30 }),
    ]);
    expect(kindsOf(flyOn(aircraft).aircraft).slice(-3)).toEqual(['arrived_at_dropoff', 'released', 'landed']);
  });

  it('waits for an absent sender until it is told, or must leave to get home', () => {
    const start = parked();
    const mission = missionFor(start, ROUTE);
    const there = flyOn(
      hearMission(start, orders(mission), START_MS, () => [
        fault({ failure: 'sender_absent', stage: 'at_pickup' }),
      ]),
      START_MS + HOUR_MS,
    );
    expect(there.aircraft.activity.kind).toBe('awaiting_sender');
    expect(there.aircraft.outbox.some((one) => one.kind === 'load_request')).toBe(false);
    const recalled = hearMission(there.aircraft, orders(revised(mission, 'recall')), there.atMs);
    expect(kindsOf(flyOn(recalled).aircraft)).toEqual(['took_off', 'arrived_at_pickup', 'landed']);
    const patient = flyOn(there.aircraft).aircraft;
    expect(kindsOf(patient)).toEqual(['took_off', 'arrived_at_pickup', 'failed', 'landed']);
    expect(patient.since.batteryWh / model.battery_capacity_wh).toBeGreaterThanOrEqual(
      model.reserve_fraction - 1e-9,
    );
  });

  it('at a blocked dropoff it asks, and sets the package down, brings it back, or turns back by itself', () => {
    const blockedDropoff = [fault({ failure: 'dropoff_blocked', stage: 'at_dropoff' })];
    const { mission, aircraft } = loadingAircraft(blockedDropoff);
    let blocked = aircraft;
    while (blocked.activity.kind !== 'blocked') blocked = advance(blocked, nextEventAtMs(blocked) ?? 0);
    expect(kindsOf(blocked).at(-1)).toBe('dropoff_blocked');
    const atMs = blocked.since.atMs + 20_000;

    const left = flyOn(hearMission(blocked, orders(revised(mission, 'leave')), atMs)).aircraft;
    expect(kindsOf(left).slice(-2)).toEqual(['released', 'landed']);
    expect(left.outbox.at(-2)).toMatchObject({ body: { detail: { unattended: true } } });

    const back = flyOn(hearMission(blocked, orders(revised(mission, 'return')), atMs)).aircraft;
    const returnFlight = ['turned_back', 'arrived_at_return', 'released', 'landed'];
    expect(kindsOf(back).slice(-4)).toEqual(returnFlight);

    const arrivedMs = blocked.since.atMs - HANDLING.releaseS * 1000;
    expect(nextEventAtMs(blocked)).toBe(arrivedMs + mission.dropoff_hover_s * 1000);
    expect(kindsOf(flyOn(blocked).aircraft).slice(-4)).toEqual(returnFlight);
  });

  it('with a nearly empty battery it lands wherever it is', () => {
    const start = parked({ battery: 0.1 });
    const down = flyOn(
      hearMission(start, orders(missionFor(start, { pickupM: 8_000, dropoffM: 1 })), START_MS),
    );
    expect(down.aircraft.activity.kind).toBe('down');
    expect(down.aircraft.outbox.at(-1)).toMatchObject({ body: { detail: { cause: 'low_battery' } } });
    expect(down.aircraft.since.batteryWh).toBeGreaterThan(0);
  });
});

describe('an aircraft whose computer was stopped', () => {
  const told = (...kinds: MilestoneKind[]) =>
    kinds.map((kind, index) => ({
      aircraft_sequence: index + 1,
      kind,
      occurred_at: isoTime(START_MS),
    }));
  const first = parked();
  const mission = missionFor(first, ROUTE);
  /** Nobody has taken its telemetry for a while: it was last seen on its way. */
  const lastSeen = destination(mission.pickup, 200, 1_500);
  const wake = () =>
    wakeAircraft(
      drone({ id: first.id, state: 'committed', position: lastSeen, altitude_m: 60 }),
      model,
      base,
      START_MS,
    );
  const positionOf = (aircraft: Aircraft, kind: MilestoneKind) =>
    aircraft.outbox.flatMap((one) =>
      one.kind === 'milestone' && one.body.kind === kind ? [one.body.position] : [],
    )[0];

  it('loads at the pickup where it had arrived, wherever it was last seen', () => {
    const orders = { mission, told: told('took_off', 'arrived_at_pickup') };
    const waiting = hearMission(wake(), orders, START_MS);
    expect(observe(waiting, START_MS)).toMatchObject({ location: mission.pickup, altitudeM: 0 });
    const granted = { outcome: 'granted' as const, load_token: 'lt' };
    const loading = hearLoadAnswer(waiting, granted, mission.reservation_id, START_MS);
    const loaded = advance(loading, START_MS + (HANDLING.loadingS + 1) * 1000);
    expect(positionOf(loaded, 'loaded')).toEqual(mission.pickup);
  });

  it('sets the package down at the dropoff where it had arrived', () => {
    const orders = {
      mission,
      told: told('took_off', 'arrived_at_pickup', 'loaded', 'departed_pickup', 'arrived_at_dropoff'),
    };
    const releasing = hearMission(wake(), orders, START_MS);
    const { location, altitudeM } = observe(releasing, START_MS);
    expect({ location, altitudeM }).toEqual({ location: mission.dropoff, altitudeM: DROPOFF_ALTITUDE_M });
    const { aircraft } = flyOn(releasing, START_MS + HOUR_MS);
    expect(positionOf(aircraft, 'released')).toEqual(mission.dropoff);
  });
});

describe('whatever it is told, and whatever goes wrong', () => {
  /** What the drone service takes, from each milestone to the next. */
  type Stop = Exclude<MilestoneKind, 'rerouted' | 'reroute_refused'>;
  const LEGAL: Record<Stop | 'start', readonly MilestoneKind[]> = {
    start: ['took_off', 'landed', 'failed'],
    took_off: ['arrived_at_pickup', 'failed', 'landed'],
    arrived_at_pickup: ['loaded', 'recalled_empty', 'failed', 'landed'],
    loaded: ['departed_pickup'],
    departed_pickup: ['arrived_at_dropoff', 'turned_back', 'failed'],
    arrived_at_dropoff: ['released', 'dropoff_blocked', 'turned_back', 'failed'],
    dropoff_blocked: ['released', 'turned_back', 'failed'],
    turned_back: ['arrived_at_return', 'failed'],
    arrived_at_return: ['released', 'failed'],
    released: ['landed', 'failed'],
    recalled_empty: ['landed', 'failed'],
    // Given up but flying home, it can still come down.
    failed: ['landed', 'failed', 'set_down'],
    set_down: [],
    landed: [],
  };

  const event = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('wait' as const), s: fc.integer({ min: 0, max: 400 }) }),
    },
    { weight: 3, arbitrary: fc.constant({ do: 'grant' as const }) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(...(['refuse', 'gone', 'recall', 'return', 'leave', 'lower'] as const))
        .map((what) => ({ do: what })),
    },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('reroute' as const),
        courseDeg: fc.integer({ min: 0, max: 359 }),
        metres: fc.integer({ min: 0, max: 9_000 }),
      }),
    },
  );
  const faults = fc.array(
    fc.record({
      failure: fc.constantFrom(
        'motor_failure' as const,
        'crash' as const,
        'lost_link' as const,
        'sender_absent' as const,
        'dropoff_blocked' as const,
        'recipient_absent' as const,
      ),
      stage: fc.constantFrom(
        'to_pickup' as const,
        'at_pickup' as const,
        'to_dropoff' as const,
        'at_dropoff' as const,
        'to_return' as const,
        'home' as const,
      ),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      forS: fc.integer({ min: 1, max: 600 }),
    }),
    { maxLength: 2 },
  );

  const proof = fc.constantFrom('none' as const, 'pin' as const, 'photo' as const);

  it('tells a legal story, never jumps, gains battery only on its pad, and carries only what it was allowed to load', () => {
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 5, maxLength: 40 }),
        faults,
        proof,
        (events, wrong, confirmation) => {
          const start = parked();
          let mission = missionFor(start, ROUTE, { confirmation });
          let atMs = START_MS;
          let granted = false;
          const armed = wrong.map((one, index) => ({ ...one, id: String(index), dueMs: null }));
          let aircraft = hearMission(start, orders(mission), atMs, () => armed);
          let unheard: Aircraft['outbox'] = [];
          const heard: Outgoing[] = [];

          /** What the drone service would answer: no mission any more once it heard that the drone has landed. */
          const served = () => {
            const told = heard.flatMap((one) =>
              one.kind === 'milestone'
                ? [
                    {
                      aircraft_sequence: one.body.aircraft_sequence,
                      kind: one.body.kind,
                      occurred_at: one.body.occurred_at,
                    },
                  ]
                : [],
            );
            return told.at(-1)?.kind === 'landed' ? orders(null) : { mission, told };
          };

          const goOn = (toMs: number) => {
            while (atMs < toMs) {
              const before = observe(aircraft, atMs);
              const wasParked = aircraft.activity.kind === 'parked';
              const stepMs = Math.min(15_000, toMs - atMs);
              aircraft = advance(aircraft, atMs + stepMs);
              const after = observe(aircraft, atMs + stepMs);
              const movedM =
                distanceM(before.location, after.location) + Math.abs(before.altitudeM - after.altitudeM);
              expect(movedM).toBeLessThanOrEqual((stepMs / 1000) * model.cruise_speed_mps + 1e-3);
              const isOnPad = wasParked || aircraft.activity.kind === 'parked';
              if (!isOnPad) expect(after.batteryWh).toBeLessThanOrEqual(before.batteryWh + 1e-9);
              if (aircraft.payloadKg > 0) expect(granted).toBe(true);
              atMs += stepMs;
            }
            // What it could say by now has been heard.
            if (hasLink(aircraft)) {
              unheard = aircraft.outbox.filter((one) => one.kind === 'load_request');
              heard.push(...aircraft.outbox.filter((one) => one.kind === 'milestone'));
              aircraft = { ...aircraft, outbox: unheard };
            }
          };

          for (const what of events) {
            switch (what.do) {
              case 'wait':
                goOn(atMs + what.s * 1000);
                break;
              case 'grant':
              case 'refuse': {
                const isAsking = aircraft.outbox.some((one) => one.kind === 'load_request');
                if (!isAsking || !hasLink(aircraft)) break;
                granted ||= what.do === 'grant';
                aircraft = {
                  ...aircraft,
                  outbox: aircraft.outbox.filter((one) => one.kind !== 'load_request'),
                };
                aircraft = hearLoadAnswer(
                  aircraft,
                  what.do === 'grant'
                    ? { outcome: 'granted', load_token: 'lt' }
                    : { outcome: 'refused', reason: 'recalled' },
                  mission.reservation_id,
                  atMs,
                );
                break;
              }
              case 'gone':
                aircraft = hearMission(aircraft, orders(null), atMs);
                break;
              case 'restart': {
                // Killed in the middle: all it knows is what the drone service heard, and what it has written down.
                const now = observe(aircraft, atMs);
                const isDown = heard.some((one) => one.kind === 'milestone' && isDownForGood(one));
                const woken = wakeAircraft(
                  drone({
                    id: aircraft.id,
                    state: isDown ? 'grounded' : 'committed',
                    position: now.location,
                    altitude_m: now.altitudeM,
                    battery: now.batteryWh / model.battery_capacity_wh,
                  }),
                  model,
                  base,
                  atMs,
                  unsaidMilestones(aircraft),
                );
                aircraft = hearMission(woken, served(), atMs);
                break;
              }
              case 'reroute': {
                // As the drone service does it: not when the flight leads elsewhere, and the old one stands when it is refused.
                if (mission.command !== 'fly' || served().mission === null) break;
                const dropoff = destination(mission.pickup, what.courseDeg, what.metres);
                const offered = { ...revised(mission, 'fly'), dropoff };
                const { mission: present } = aircraft;
                aircraft = hearMission(aircraft, { ...served(), mission: offered }, atMs);
                if (aircraft.mission?.version !== offered.version) break;
                const wasTaken = aircraft.mission.dropoff === dropoff;
                mission = wasTaken ? offered : { ...offered, dropoff: present?.dropoff ?? mission.dropoff };
                break;
              }
              default:
                mission = revised(mission, what.do);
                aircraft = hearMission(aircraft, served(), atMs);
            }
          }
          // A day later whoever can come home is home.
          goOn(atMs + HOUR_MS);
          let last: Stop | 'start' = 'start';
          heard.forEach((message, index) => {
            if (message.kind !== 'milestone') return;
            if (message.body.kind === 'rerouted' || message.body.kind === 'reroute_refused') {
              // An answer wherever it is; it is where it was.
              expect(message.body.aircraft_sequence).toBe(index + 1);
              return;
            }
            expect(LEGAL[last], `after ${last}`).toContain(message.body.kind);
            expect(message.body.aircraft_sequence).toBe(index + 1);
            if (message.body.kind === 'loaded') expect(granted).toBe(true);
            last = message.body.kind;
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});
