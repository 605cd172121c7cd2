/** Another dropoff for a flight: what may be flown, who has the last word, and that its undoing leaves no trace. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { isoTime, LIVE_CLOCK } from '../../../shared/clock.ts';
import { destination, distanceM } from '../../../shared/geodesy.ts';
import { newId } from '../../../shared/ids.ts';
import type { Location } from '../../../shared/schemas.ts';
import {
  advance,
  type Aircraft,
  hearLoadAnswer,
  hearMission,
  nextEventAtMs,
  observe,
} from '../../../simulator/aircraft.ts';
import { base, missionFor, model, parked, START_MS } from '../../../simulator/test/missions.ts';
import type { Mission } from '../contract/index.ts';
import { reroute } from '../domain/reroute.ts';
import type { Flight, Phase } from '../domain/reservation.ts';
import { type TestDelivery, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
beforeEach(() => world.reset());
afterAll(() => world.close());

const near = (delivery: TestDelivery) => destination(delivery.body.dropoff, 90, 800);
const FAR_M = 30_000;
async function flown(last: Parameters<TestDelivery['flyTo']>[0]): Promise<TestDelivery> {
  await world.addDrone();
  const delivery = await world.dispatched();
  await delivery.flyTo(last);
  return delivery;
}
const rerouted = (
  delivery: TestDelivery,
  dropoff: Location,
  kind: 'rerouted' | 'reroute_refused' = 'rerouted',
) =>
  delivery.tell(kind, { detail: { dropoff, ...(kind === 'reroute_refused' && { reason: 'out_of_range' }) } });
const heard = async (delivery: TestDelivery) => {
  await world.runDue();
  return delivery.signalled();
};

describe('a flight that is given another dropoff', () => {
  test.each(['took_off', 'arrived_at_pickup', 'departed_pickup'] as const)(
    'When it has %s, then the aircraft is offered a newer mission, and it holds from its word on',
    async (last) => {
      const delivery = await flown(last);
      const there = near(delivery);
      const answer = await delivery.reroute(there);
      expect(answer.outcome).toBe('rerouting');
      const { mission } = await delivery.mission();
      expect(mission).toMatchObject({ version: 2, command: 'fly', dropoff: there });
      expect(mission?.legs.at(-2)).toMatchObject({ kind: 'to_dropoff', to: there });
      expect(await delivery.reroute(there)).toEqual(answer);
      expect((await delivery.mission()).mission?.version).toBe(2);

      expect(await rerouted(delivery, there)).toMatchObject({ outcome: 'recorded' });
      expect((await heard(delivery)).at(-1)).toBe('rerouted');
      if (last === 'took_off') await delivery.tell('arrived_at_pickup');
      if (last !== 'departed_pickup') {
        await delivery.getLoadToken();
        await delivery.tell('loaded');
        await delivery.tell('departed_pickup');
      }
      expect(await delivery.tell('arrived_at_dropoff', { position: there })).toMatchObject({
        outcome: 'recorded',
      });
      expect(await delivery.tell('released', { position: there })).toMatchObject({ outcome: 'recorded' });
    },
  );

  test('When it is only reserved, then the new dropoff holds at once, and is what it is sent to', async () => {
    await world.addDrone();
    const delivery = world.job();
    await delivery.mustReserve();
    const there = near(delivery);
    expect(await delivery.reroute(there)).toMatchObject({ outcome: 'planned' });
    await delivery.dispatch();
    expect((await delivery.mission()).mission).toMatchObject({ version: 1, dropoff: there });
  });

  test('When it arrives at the old one without having heard, then that is where it is, and the offer is over', async () => {
    const delivery = await flown('departed_pickup');
    await delivery.reroute(near(delivery));
    await delivery.flyTo('arrived_at_dropoff');
    expect((await delivery.mission()).mission?.dropoff).toEqual(delivery.body.dropoff);
    expect(await delivery.tell('rerouted', { detail: { dropoff: near(delivery) } })).toMatchObject({
      outcome: 'recorded',
    });
    expect((await heard(delivery)).slice(-2)).toEqual(['departed_pickup', 'arrived_at_dropoff']);
    expect(await delivery.reroute(near(delivery), 2)).toMatchObject({
      outcome: 'refused',
      reason: 'arrived_at_dropoff',
    });
  });

  test('When it arrives at the new one without a word, then being there is one', async () => {
    const delivery = await flown('departed_pickup');
    const there = near(delivery);
    await delivery.reroute(there);
    await delivery.tell('arrived_at_dropoff', { position: there });
    expect((await heard(delivery)).slice(-2)).toEqual(['rerouted', 'arrived_at_dropoff']);
    expect(await delivery.tell('released', { position: there })).toMatchObject({ outcome: 'recorded' });
  });

  test.each([
    { at: 'new', kinds: ['rerouted', 'arrived_at_dropoff'] },
    { at: 'old', kinds: ['departed_pickup', 'arrived_at_dropoff'] },
  ])(
    'When both are close together, then the one that it arrives at counts: the $at one',
    async ({ at, kinds }) => {
      const delivery = await flown('departed_pickup');
      const old = delivery.body.dropoff;
      const other = destination(old, 90, 150);
      await delivery.reroute(other);
      await delivery.tell('arrived_at_dropoff', { position: at === 'new' ? other : old });
      expect((await heard(delivery)).slice(-2)).toEqual(kinds);
      expect((await delivery.mission()).mission?.dropoff).toEqual(at === 'new' ? other : old);
    },
  );

  test('When the aircraft does not take it, then the old one stands', async () => {
    const delivery = await flown('departed_pickup');
    await delivery.reroute(near(delivery));
    await rerouted(delivery, near(delivery), 'reroute_refused');
    expect((await heard(delivery)).at(-1)).toBe('reroute_refused');
    expect((await delivery.mission()).mission?.dropoff).toEqual(delivery.body.dropoff);
    expect(await delivery.tell('arrived_at_dropoff')).toMatchObject({ outcome: 'recorded' });
  });

  test('When it is told to bring the package back, then nothing is offered any more', async () => {
    const delivery = await flown('departed_pickup');
    await delivery.reroute(near(delivery));
    await delivery.returnToSender();
    expect((await delivery.mission()).mission).toMatchObject({
      command: 'return',
      dropoff: delivery.body.dropoff,
    });
    expect(await delivery.reroute(near(delivery), 2)).toMatchObject({
      outcome: 'refused',
      reason: 'returning',
    });
    await rerouted(delivery, near(delivery));
    expect((await heard(delivery)).at(-1)).not.toBe('rerouted');
  });

  test('When it could not be flown, is recalled, or has not answered the one before, then it is refused with the reason', async () => {
    const delivery = await flown('took_off');
    const tooFar = await delivery.reroute(destination(delivery.body.pickup, 0, FAR_M));
    expect(tooFar).toMatchObject({ outcome: 'refused', reason: 'out_of_range' });
    expect('detail' in tooFar ? tooFar.detail : '').toMatch(/30 % must be left/);
    await delivery.reroute(near(delivery), 2);
    expect(await delivery.reroute(delivery.body.dropoff, 3)).toMatchObject({ reason: 'change_pending' });
    await delivery.recall();
    expect(await delivery.reroute(near(delivery), 4)).toMatchObject({ reason: 'recalled' });
  });

  test('When it would be there after the deadline, then it is refused with both times, and nothing is offered', async () => {
    const delivery = await flown('departed_pickup');
    const there = near(delivery);
    const offered = await delivery.reroute(there);
    if (!('eta' in offered)) throw new Error('not offered');
    await delivery.undoReroute();
    const before = (await delivery.mission()).mission?.version;
    const etaMs = Date.parse(offered.eta.dropoff_at);
    const late = await delivery.reroute(there, 2, { deadline: isoTime(etaMs - 1) });
    expect(late).toMatchObject({ outcome: 'refused', reason: 'after_deadline' });
    const detail = 'detail' in late ? late.detail : '';
    expect(detail).toContain(`there at ${isoTime(etaMs)}; the deadline is ${isoTime(etaMs - 1)}`);
    expect((await delivery.mission()).mission?.version).toBe(before);
    // Nothing is kept of a refusal: the same step may be tried again.
    expect(await delivery.reroute(there, 2, { deadline: isoTime(etaMs) })).toMatchObject({
      outcome: 'rerouting',
    });
  });

  test('When the drone waits on the ground, then it is late by as much as it waits', async () => {
    await world.addDrone();
    const delivery = world.job();
    const { eta } = await delivery.mustReserve();
    const waitMs = 20 * 60_000;
    const there = near(delivery);
    const deadline = isoTime(Date.parse(eta.dropoff_at) + waitMs / 2);
    const take_off_at = isoTime(world.nowMs + waitMs);
    expect(await delivery.reroute(there, 1, { deadline, take_off_at })).toMatchObject({
      outcome: 'refused',
      reason: 'after_deadline',
    });
    expect(await delivery.reroute(there, 1, { deadline })).toMatchObject({ outcome: 'planned' });
  });

  test('When its undoing comes first, or again, then the step does nothing, and neither does the repetition', async () => {
    const delivery = await flown('departed_pickup');
    expect(await delivery.undoReroute()).toEqual({ outcome: 'never_rerouted' });
    expect(await delivery.reroute(near(delivery))).toMatchObject({ outcome: 'refused', reason: 'undone' });
    await delivery.reroute(near(delivery), 2);
    expect(await delivery.undoReroute(2)).toEqual({ outcome: 'undone' });
    expect(await delivery.undoReroute(2)).toEqual({ outcome: 'already_undone' });
    const { mission } = await delivery.mission();
    expect(mission).toMatchObject({ version: 3, dropoff: delivery.body.dropoff });
    expect(await delivery.reroute(near(delivery), 2)).toMatchObject({ reason: 'undone' });
    await delivery.flyTo('arrived_at_dropoff');
  });

  test('When many ask at once, then one is offered and the others hear that it is', async () => {
    const delivery = await flown('departed_pickup');
    const answers = await Promise.all(
      [1, 2, 3, 4].map((step) => delivery.reroute(destination(delivery.body.dropoff, step * 40, 500), step)),
    );
    expect(answers.map((one) => one.outcome).sort()).toEqual(['refused', 'refused', 'refused', 'rerouting']);
    const same = await Promise.all([1, 2, 3].map(() => delivery.reroute(near(delivery), 1)));
    expect(new Set(same.map((one) => JSON.stringify(one))).size).toBe(1);
  });

  test('When it is asked whether a job can be done, then the fleet is judged and nothing is taken', async () => {
    await world.addDrone();
    const { pickup, dropoff, payload_kg, package_sizes } = world.job().body;
    const job = { pickup, dropoff, payload_kg, package_sizes };
    expect(await world.drone.assessJob({ body: job })).toEqual({ outcome: 'feasible' });
    const far = { ...job, dropoff: destination(pickup, 0, FAR_M) };
    expect(await world.drone.assessJob({ body: far })).toMatchObject({
      outcome: 'infeasible',
      reason: 'out_of_range',
    });
  });
});

describe('what is offered', () => {
  const ROUTE = { pickupM: 1_500, dropoffM: 4_000 };
  const PHASES: Record<string, Phase> = { to_pickup: 'to_pickup', to_dropoff: 'to_dropoff' };

  /** Flies to this many seconds after take-off, loading as soon as it may. */
  function fly(start: Aircraft, mission: Mission, untilMs: number): Aircraft {
    let aircraft = start;
    for (let atMs = START_MS; ;) {
      if (aircraft.activity.kind === 'awaiting_load_token') {
        aircraft = hearLoadAnswer(
          aircraft,
          { outcome: 'granted', load_token: 'lt' },
          mission.reservation_id,
          atMs,
        );
      }
      const next = nextEventAtMs(aircraft);
      if (next === null || next > untilMs) return advance(aircraft, untilMs);
      atMs = next;
      aircraft = advance(aircraft, next);
    }
  }

  function flightOf(aircraft: Aircraft, mission: Mission, phase: Phase, heardMs: number): Flight {
    const now = observe(aircraft, heardMs);
    const at = new Date(heardMs);
    return {
      reservation: {
        id: mission.reservation_id,
        stepKey: 'del/reserve/1',
        token: 7,
        deliveryId: mission.delivery_id,
        accountId: newId('account'),
        livemode: false,
        droneId: aircraft.id,
        baseId: base.id,
        clock: LIVE_CLOCK,
        pickup: mission.pickup,
        dropoff: mission.dropoff,
        returnTo: mission.return_to,
        nextDropoff: null,
        payloadKg: mission.payload_kg,
        state: 'committed',
        loading: phase === 'to_dropoff' ? 'loaded' : 'none',
        loadToken: null,
        phase,
        aboard: phase === 'to_dropoff',
        jobDone: false,
        leaseExpiresAt: at,
        leaseWall: at,
        recalledAt: null,
        endedAt: null,
        endReason: null,
        createdAt: at,
        missionId: mission.id,
        missionVersion: 1,
        command: 'fly',
        pickupWaitS: mission.pickup_wait_s,
        dropoffHoverS: mission.dropoff_hover_s,
        confirmation: mission.confirmation,
        silenceMs: 60_000,
        heardWall: at,
        linkLostAt: null,
        lastAircraftSequence: 0,
        lastSequence: 0,
        signalledSequence: 0,
        revision: 0,
      },
      drone: {
        state: 'committed',
        stateReason: null,
        position: now.location,
        altitudeM: now.altitudeM,
        battery: now.batteryWh / model.battery_capacity_wh,
        recordedAt: at,
        heardWall: at,
      },
      base,
      model,
    };
  }

  it('never needs more than the battery that is left: flown to its worst end, the drone lands with its reserve', () => {
    let offered = 0;
    fc.assert(
      fc.property(
        fc.record({
          stage: fc.constantFrom('to_pickup', 'to_dropoff'),
          into: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
          unheardS: fc.integer({ min: 0, max: 20 }),
          battery: fc.double({ min: 0.6, max: 1, noNaN: true }),
          courseDeg: fc.integer({ min: 0, max: 359 }),
          metres: fc.integer({ min: 200, max: 9_000 }),
        }),
        ({ stage, into, unheardS, battery, courseDeg, metres }) => {
          const start = parked({ battery });
          const mission = missionFor(start, ROUTE);
          const sent = hearMission(start, { mission, told: [] }, START_MS, () => [
            { id: 'blocked', failure: 'dropoff_blocked', stage: 'at_dropoff', at: 0, forS: 0, dueMs: null },
          ]);
          // The first legs, by what the plan says they take.
          const [toPickup, toDropoff] = mission.legs.map((leg) => leg.duration_s);
          if (toPickup === undefined || toDropoff === undefined) throw new Error('a mission has legs');
          const flownS = stage === 'to_pickup' ? toPickup * into : toPickup + 30 + toDropoff * into;
          const nowMs = START_MS + Math.round(flownS * 1000);
          const heard = fly(sent, mission, nowMs);
          const phase = PHASES[stage] ?? 'to_pickup';
          const isStill = heard.activity.kind === 'flying' && heard.activity.leg === stage;
          fc.pre(isStill);
          const dropoff = destination(mission.pickup, courseDeg, metres);
          const laterMs = nowMs + unheardS * 1000;
          const decision = reroute(flightOf(heard, mission, phase, nowMs), { dropoff }, laterMs);
          if (decision.outcome === 'refused') return;
          const atThatTime = fly(sent, mission, laterMs);
          fc.pre(atThatTime.activity.kind === 'flying' && atThatTime.activity.leg === stage);
          offered += 1;
          const newer = { ...mission, version: 2, dropoff };
          const told = hearMission(atThatTime, { mission: newer, told: [] }, laterMs);
          expect(told.outbox.at(-1)).toMatchObject({ body: { kind: 'rerouted' } });
          // The sender comes at the last second, the recipient never: it hovers as long as it may, and brings it all back.
          const arrived = waitedForSender(told, newer);
          const home = flyHome(arrived);
          expect(home.activity.kind).toBe('parked');
          const { batteryWh } = home.since;
          expect(batteryWh / model.battery_capacity_wh).toBeGreaterThanOrEqual(model.reserve_fraction - 1e-6);
          expect(distanceM(home.since.location, base.location)).toBeLessThan(1);
        },
      ),
      { numRuns: 300 },
    );
    expect(offered).toBeGreaterThan(50);
  });

  /** At the pickup without its package: the sender keeps it as long as the mission allows. */
  function waitedForSender(aircraft: Aircraft, mission: Mission): Aircraft {
    let current = aircraft;
    for (;;) {
      if (current.activity.kind === 'awaiting_load_token') {
        const late = current.since.atMs + mission.pickup_wait_s * 1000;
        const answer = { outcome: 'granted', load_token: 'lt' } as const;
        return hearLoadAnswer(advance(current, late), answer, mission.reservation_id, late);
      }
      if (current.payloadKg > 0) return current;
      const next = nextEventAtMs(current);
      if (next === null) return current;
      current = advance(current, next);
    }
  }

  function flyHome(aircraft: Aircraft): Aircraft {
    let current = aircraft;
    for (let next = nextEventAtMs(current); next !== null; next = nextEventAtMs(current)) {
      current = advance(current, next);
    }
    return current;
  }
});
