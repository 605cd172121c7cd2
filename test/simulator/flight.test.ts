/** The simulator's aircraft and the real drone service, in virtual time: what one flies, the other understands. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { destination, distanceM } from '../../shared/geodesy.ts';
import type { DroneId } from '../../shared/ids.ts';
import { CITY, type TestDelivery, World } from '../../services/drone/test/support.ts';
import { Pilot, type ScriptedFailure } from '../support/pilot.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world.close());

const IDLE_STEP_MS = 20_000;
const GIVE_UP_AFTER_MS = 6 * 3_600_000;
let area = 0;

class Flight {
  readonly droneId: DroneId;
  readonly delivery: TestDelivery;
  pilot: Pilot;

  private constructor(droneId: DroneId, delivery: TestDelivery, pilot: Pilot) {
    this.droneId = droneId;
    this.delivery = delivery;
    this.pilot = pilot;
  }

  /** A drone at a base of its own, dispatched to a delivery nearby, with its pilot. */
  static async dispatch(failure?: ScriptedFailure): Promise<Flight> {
    const home = destination(CITY, (area % 36) * 10, 100_000 + 50_000 * area);
    area += 1;
    const droneId = await world.addDrone({ at: home });
    const pilot = new Pilot(world);
    await pilot.board(droneId, world.nowMs);
    if (failure) pilot.arm(droneId, failure);
    const delivery = await world.dispatched({
      pickup: destination(home, 90, 1_500),
      dropoff: destination(home, 45, 3_000),
    });
    expect(delivery.droneId).toBe(droneId);
    return new Flight(droneId, delivery, pilot);
  }

  /** Lets virtual time pass until `done`. */
  async until(done: () => Promise<boolean>, everyStep?: () => Promise<void>): Promise<void> {
    const giveUpAtMs = world.nowMs + GIVE_UP_AFTER_MS;
    for (;;) {
      while (await this.pilot.flyUntil(world.nowMs)) await world.runDue();
      await world.runDue();
      if (await done()) return;
      if (world.nowMs > giveUpAtMs) throw new Error(`Never done; told ${(await this.told()).join(', ')}`);
      await everyStep?.();
      const nextMs = this.pilot.nextEventAtMs() ?? Number.POSITIVE_INFINITY;
      world.nowMs = Math.max(world.nowMs, Math.min(nextMs, world.nowMs + IDLE_STEP_MS));
    }
  }

  async untilTold(kind: string): Promise<void> {
    await this.until(async () => (await this.told()).includes(kind));
  }

  async untilEnded(everyStep?: () => Promise<void>): Promise<void> {
    await this.until(async () => (await this.delivery.reservation()).state === 'ended', everyStep);
  }

  async milestones() {
    const { data } = await world.drone.readMilestones({
      params: { reservation_id: this.delivery.reservationId },
      query: { after_sequence: 0 },
    });
    return data;
  }

  async told(): Promise<string[]> {
    return (await this.milestones()).map((one) => one.kind);
  }

  async state(): Promise<string> {
    return (await this.delivery.droneState()).state;
  }

  /** The aircraft's computer stops, and another one takes over with what the drone service knows. */
  async restart(): Promise<void> {
    this.pilot = new Pilot(world);
    await this.pilot.board(this.droneId, world.nowMs);
  }
}

const HAPPY = [
  'took_off',
  'arrived_at_pickup',
  'loaded',
  'departed_pickup',
  'arrived_at_dropoff',
  'released',
];

describe('an aircraft and the drone service', () => {
  it('fly a delivery on the promised times, and the drone is free again when it has charged', async () => {
    const flight = await Flight.dispatch();
    const { eta } = flight.delivery.held;
    await flight.untilEnded();
    const milestones = await flight.milestones();
    expect(milestones.map((one) => one.kind)).toEqual(HAPPY);
    const at = (kind: string) => Date.parse(milestones.find((one) => one.kind === kind)?.occurred_at ?? '');
    expect(Math.abs(at('arrived_at_pickup') - Date.parse(eta.pickup_at))).toBeLessThan(1_000);
    expect(Math.abs(at('arrived_at_dropoff') - Date.parse(eta.dropoff_at))).toBeLessThan(1_000);
    expect(['charging', 'idle']).toContain(await flight.state());
    await flight.until(async () => (await flight.state()) === 'idle');
  });

  it('settle a recall on the way', async () => {
    const flight = await Flight.dispatch();
    await flight.untilTold('took_off');
    world.nowMs += 30_000;
    expect(await flight.delivery.recall()).toEqual({ outcome: 'recalled' });
    await flight.untilEnded();
    expect(await flight.told()).toEqual(['took_off']);
    expect(await flight.state()).not.toBe('grounded');
  });

  it('settle a recall that meets the load token', async () => {
    const flight = await Flight.dispatch();
    await flight.until(async () => (await flight.delivery.reservation()).loading === 'granted');
    expect(await flight.delivery.recall()).toEqual({ outcome: 'pending' });
    await flight.untilEnded();
    expect(await flight.told()).toEqual(['took_off', 'arrived_at_pickup', 'recalled_empty']);
    expect(await flight.delivery.recall(1, 2)).toEqual({ outcome: 'recalled' });
  });

  it('bring a package back that was turned round', async () => {
    const flight = await Flight.dispatch();
    await flight.untilTold('departed_pickup');
    expect(await flight.delivery.returnToSender()).toMatchObject({ outcome: 'returning' });
    await flight.untilEnded();
    expect(await flight.told()).toEqual([
      ...HAPPY.slice(0, 4),
      'turned_back',
      'arrived_at_return',
      'released',
    ]);
  });

  it('leave a package at a blocked dropoff when told', async () => {
    const flight = await Flight.dispatch({ failure: 'dropoff_blocked' });
    await flight.untilTold('dropoff_blocked');
    expect(await flight.delivery.leave()).toEqual({ outcome: 'leaving' });
    await flight.untilEnded();
    const milestones = await flight.milestones();
    expect(milestones.map((one) => one.kind)).toEqual([...HAPPY.slice(0, 5), 'dropoff_blocked', 'released']);
    expect(milestones.at(-1)?.detail).toMatchObject({ unattended: true });
  });

  it('ground a drone whose motor failed, until an operator clears it', async () => {
    const flight = await Flight.dispatch({ failure: 'motor_failure', stage: 'to_pickup' });
    await flight.untilEnded();
    expect((await flight.milestones()).at(-1)).toMatchObject({
      kind: 'failed',
      detail: { cause: 'motor_failure', aboard: false },
    });
    expect(await flight.state()).toBe('grounded');
    expect(flight.pilot.look(flight.droneId).activity.kind).toMatch(/down|emergency_landing/);
  });

  it('know of a package that went down with its drone', async () => {
    const flight = await Flight.dispatch({ failure: 'motor_failure', stage: 'to_dropoff' });
    await flight.untilTold('failed');
    expect((await flight.milestones()).at(-1)?.detail).toMatchObject({ aboard: true });
    expect(await flight.delivery.reservation()).toMatchObject({ state: 'committed', loading: 'loaded' });
  });

  it('part when the link is lost on the way to the pickup: it comes home by itself and can be used again', async () => {
    const flight = await Flight.dispatch({ failure: 'lost_link', stage: 'to_pickup', forS: 600 });
    await flight.untilEnded();
    const milestones = await flight.milestones();
    expect(milestones.map((one) => one.kind)).toEqual(['took_off', 'failed']);
    expect(milestones.at(-1)?.detail).toMatchObject({ cause: 'link_lost', aboard: false });
    await flight.until(async () => (await flight.state()) === 'idle');
  });

  it('meet again when a short loss of the link ends on the way home', async () => {
    const flight = await Flight.dispatch({ failure: 'lost_link', stage: 'to_pickup', at: 0.9, forS: 20 });
    await flight.untilEnded();
    expect(await flight.told()).toEqual(['took_off', 'failed']);
    await flight.until(async () => (await flight.state()) === 'idle');
  });

  it('go on with the delivery after the link was lost with the package aboard', async () => {
    const flight = await Flight.dispatch({ failure: 'lost_link', stage: 'to_dropoff', at: 0.2, forS: 400 });
    await flight.untilEnded();
    const told = await flight.told();
    expect(told.filter((kind) => kind !== 'failed')).toEqual(HAPPY);
  });
});

describe('an aircraft whose computer was stopped at any moment', () => {
  it('goes on from where it was, and no milestone is lost or doubled', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 6 }),
        async (restartAfterSteps) => {
          const flight = await Flight.dispatch();
          let steps = 0;
          await flight.untilEnded(async () => {
            steps += 1;
            if (!restartAfterSteps.includes(steps)) return;
            const before = (await flight.delivery.droneState()).position;
            await flight.restart();
            const { since } = flight.pilot.look(flight.droneId);
            // It was radioed where it is right before it was stopped.
            expect(distanceM(since.location, before)).toBeLessThan(1);
          });
          expect(await flight.told()).toEqual(HAPPY);
          expect(['charging', 'idle']).toContain(await flight.state());
        },
      ),
      { numRuns: 8 },
    );
  });

  it('does not take off again when it had just landed', async () => {
    const flight = await Flight.dispatch();
    await flight.untilEnded();
    await flight.restart();
    await flight.pilot.flyUntil(world.nowMs);
    expect(flight.pilot.look(flight.droneId)).toMatchObject({ mission: null, activity: { kind: 'parked' } });
    expect(await flight.told()).toEqual(HAPPY);
  });
});
