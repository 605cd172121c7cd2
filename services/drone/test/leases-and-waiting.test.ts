import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ClockSettings } from '../../../shared/clock.ts';
import { destination } from '../../../shared/geodesy.ts';
import { type DeliveryId, newId } from '../../../shared/ids.ts';
import { DRONE_AVAILABLE_SIGNAL } from '../../../workflows/messages.ts';
import { CITY, type TestDelivery, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
beforeEach(() => world.reset());
afterAll(() => world.close());

const woken = () => world.workflows.named(DRONE_AVAILABLE_SIGNAL);

async function waiting(change: Parameters<World['job']>[0] = {}): Promise<TestDelivery> {
  const delivery = world.job(change);
  expect(await delivery.reserve()).toMatchObject({ outcome: 'unavailable' });
  return delivery;
}

describe('leases', () => {
  test('When the lease ends before the dispatch, then the drone is free and the dispatch refused', async () => {
    await world.addDrone();
    const delivery = world.job();
    await delivery.mustReserve();
    await world.pass(119_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'held' });
    await world.pass(1_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'idle', reservation_id: null });
    expect(await delivery.reservation()).toMatchObject({ state: 'expired', lease_expires_at: null });
    expect(await delivery.dispatch()).toMatchObject({ outcome: 'refused', reason: 'lease_expired' });
    expect(await delivery.release()).toEqual({ outcome: 'already_released' });
    expect((await delivery.mustReserve(2)).reservation_token).toBe(2);
  });

  test('When the sweep has not come by yet, then a lease that is over is over all the same', async () => {
    await world.addDrone();
    const delivery = world.job();
    await delivery.mustReserve();
    world.nowMs += 120_000;
    expect(await delivery.dispatch()).toMatchObject({ outcome: 'refused', reason: 'lease_expired' });
    expect(await delivery.droneState()).toMatchObject({ state: 'idle' });
    await delivery.mustReserve(2);
    world.nowMs += 120_000;
    // The same delivery reserves again before anybody has swept.
    await world.addDrone();
    expect((await delivery.mustReserve(3)).reservation_token).toBe(3);
  });

  test('When the delivery follows a faster clock, then its lease does too', async () => {
    await world.addDrone();
    const clock: ClockSettings = { anchorWallMs: world.nowMs, anchorMs: world.nowMs, rate: 10 };
    const delivery = world.job({ clock, lease_s: 100 });
    const reserved = await delivery.mustReserve();
    expect(Date.parse(reserved.lease_expires_at)).toBe(world.nowMs + 100_000);
    await world.pass(9_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'held' });
    await world.pass(1_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'idle' });
  });

  test('When the drone is grounded while it is held, then the dispatch says so', async () => {
    await world.addDrone();
    const delivery = world.job();
    await delivery.mustReserve();
    await world.drone.setDroneState({
      params: { drone_id: delivery.droneId },
      body: { state: 'grounded', reason: 'cracked propeller', by: 'operator' },
    });
    const refused = { outcome: 'refused', reason: 'drone_unfit' };
    expect(await delivery.dispatch()).toMatchObject({
      ...refused,
      detail: 'The drone is grounded: cracked propeller.',
    });
    expect(await delivery.dispatch(1)).toMatchObject(refused);
    expect(await delivery.droneState()).toMatchObject({ state: 'grounded', reservation_id: null });
  });

  test('When its battery has sunk too low while it is held, then the dispatch says so, and it may be had again once it is charged', async () => {
    await world.addDrone();
    const delivery = world.job();
    await delivery.mustReserve();
    const { droneId } = delivery;
    world.nowMs += 60_000;
    await world.radio(droneId, { battery: 0.35 });
    const refused = { outcome: 'refused', reason: 'low_battery' };
    const first = await delivery.dispatch();
    expect(first).toMatchObject(refused);
    if (first.outcome !== 'refused') throw new Error('unreachable');
    expect(first.detail).toMatch(/^At worst it would land with .* of its battery; 30 % must be left\.$/);
    // Its answer was lost, and it is asked again.
    expect(await delivery.dispatch()).toMatchObject(refused);
    expect(await delivery.droneState()).toMatchObject({ state: 'charging', reservation_id: null });
    expect(await delivery.reserve(2)).toMatchObject({ outcome: 'unavailable' });
    world.nowMs += 60_000;
    await world.radio(droneId, { battery: 1, flight_mode: 'charging' });
    expect((await delivery.mustReserve(3)).drone_id).toBe(droneId);
  });

  test('When the reservation was released before the dispatch, then that says so', async () => {
    await world.addDrone();
    const delivery = world.job();
    await delivery.mustReserve();
    await delivery.release();
    expect(await delivery.dispatch()).toMatchObject({ outcome: 'refused', reason: 'released' });
  });
});

describe('the waiting list', () => {
  test('When a drone frees itself, then expedited deliveries are woken first, then the oldest', async () => {
    await world.addDrones(1);
    const first = world.job();
    await first.mustReserve();
    const old = await waiting();
    world.nowMs += 1_000;
    const younger = await waiting();
    world.nowMs += 1_000;
    const urgent = await waiting({ expedited: true });

    await first.release();
    await world.runDue();
    expect(woken()).toEqual([urgent.id]);
    // Kept for the one that was told: nobody else gets it meanwhile.
    expect(await world.job({ wait: false }).reserve()).toMatchObject({ outcome: 'unavailable' });
    await urgent.mustReserve(2);

    await urgent.release(2, 2);
    await world.runDue();
    expect(woken()).toEqual([urgent.id, old.id]);
    await old.mustReserve(2);
    await world.pass(120_000);
    expect(woken()).toEqual([urgent.id, old.id, younger.id]);
  });

  test('When somebody asks who waits, then everybody is there, newest first, until they leave', async () => {
    const ask = async (query: { delivery_id?: DeliveryId; limit?: number; cursor?: string }) =>
      world.drone.listWaiting({ query });
    await world.addDrone();
    await world.job().mustReserve();
    const [old, urgent] = [await waiting(), await waiting({ expedited: true })];
    const { data } = await ask({});
    expect(data.map(({ delivery_id }) => delivery_id)).toEqual([old.id, urgent.id].sort().reverse());
    expect((await ask({ delivery_id: urgent.id })).data).toMatchObject([
      { delivery_id: urgent.id, expedited: true, step_key: `${urgent.id}/reserve/1` },
    ]);
    const first = await ask({ limit: 1 });
    const second = await ask({ limit: 1, cursor: first.next_cursor ?? '' });
    expect([...first.data, ...second.data]).toEqual(data);
    expect(second.next_cursor).toBe(null);
    await old.release();
    expect((await ask({})).data.map(({ delivery_id }) => delivery_id)).toEqual([urgent.id]);
  });

  test('When the one that was told does not take the drone, then the next is told', async () => {
    await world.addDrone();
    const holder = world.job();
    await holder.mustReserve();
    const absent = await waiting({ expedited: true });
    const next = await waiting();
    await holder.release();
    await world.runDue();
    expect(woken()).toEqual([absent.id]);
    await world.pass(9_000);
    expect(woken()).toEqual([absent.id]);
    await world.pass(2_000);
    expect(woken()).toEqual([absent.id, next.id]);
    // It takes it after all, late; the other one waits on.
    expect(await absent.reserve(2)).toMatchObject({ outcome: 'unavailable' });
    await next.mustReserve(2);
  });

  test('When a delivery leaves the list or its workflow is gone, then the drone goes to the next', async () => {
    await world.addDrone();
    const holder = world.job();
    await holder.mustReserve();
    const leaver = await waiting({ expedited: true });
    const gone = await waiting({ expedited: true });
    const last = await waiting();
    expect(await leaver.release()).toEqual({ outcome: 'never_reserved' });
    world.workflows.gone.add(gone.id);
    await holder.release();
    await world.runDue();
    expect(woken()).toEqual([last.id]);
    expect(await leaver.reserve()).toEqual({ outcome: 'released' });
  });

  test('When a reserve step is repeated whose place in the line is gone, then its answer says so', async () => {
    await world.addDrone();
    const holder = world.job();
    await holder.mustReserve();
    const waiter = await waiting();
    const patient = await waiting();
    // A repetition of a step that still has its place, and one of a step that did not want any.
    expect(await waiter.reserve()).not.toHaveProperty('left_line');
    const passing = world.job({ wait: false });
    await passing.reserve();
    expect(await passing.reserve()).not.toHaveProperty('left_line');
    await holder.release();
    await world.runDue();
    await waiter.mustReserve(2);
    expect(await waiter.reserve()).toMatchObject({ outcome: 'unavailable', left_line: true });
    // The place is that of the newest step.
    expect(await patient.reserve(2)).toMatchObject({ outcome: 'unavailable' });
    expect(await patient.reserve()).toMatchObject({ outcome: 'unavailable', left_line: true });
    expect(await patient.reserve(2)).not.toHaveProperty('left_line');
  });

  test('When a drone lands charged, is charged, is cleared, or is new, then a delivery is woken', async () => {
    const droneId = await world.addDrone();
    const flying = await world.dispatched();
    await flying.flyTo('released');
    const one = await waiting();
    // Home with little left: it charges, and does not count as free.
    await world.radio(droneId, { battery: 0.31 });
    await flying.tell('landed');
    await world.runDue();
    expect(await flying.droneState()).toMatchObject({ state: 'charging' });
    expect(woken()).toEqual([]);
    world.nowMs += 60_000;
    await world.radio(droneId, { battery: 0.96, flight_mode: 'charging' });
    await world.runDue();
    expect(await flying.droneState()).toMatchObject({ state: 'idle' });
    expect(woken()).toEqual([one.id]);
    await one.mustReserve(2);

    const two = await waiting();
    await world.addDrone();
    await world.runDue();
    expect(woken()).toEqual([one.id, two.id]);
    const { drone_id } = await two.mustReserve(2);
    await two.release(2, 2);
    await world.drone.setDroneState({
      params: { drone_id },
      body: { state: 'maintenance', reason: 'inspection', by: 'operator' },
    });

    const three = await waiting();
    await world.runDue();
    expect(woken()).toHaveLength(2);
    await world.drone.setDroneState({
      params: { drone_id },
      body: { state: 'idle', reason: 'inspected', by: 'operator' },
    });
    await world.runDue();
    expect(woken()).toEqual([one.id, two.id, three.id]);
  });

  test('When only a charging drone has enough for the job, then it is taken, after all that are ready', async () => {
    const charging = await world.addDrone();
    const flying = await world.dispatched();
    await flying.flyTo('released');
    await world.radio(charging, { battery: 0.9 });
    await flying.tell('landed');
    expect(await flying.droneState()).toMatchObject({ state: 'charging' });
    const ready = await world.addDrone({ at: destination(CITY, 180, 1_000) });
    expect((await world.job().mustReserve()).drone_id).toBe(ready);
    const near = world.job();
    expect((await near.mustReserve()).drone_id).toBe(charging);
    await near.release();
    expect(await near.droneState()).toMatchObject({ state: 'charging' });
  });

  test('When a charging drone comes to have enough for who waits, then it is offered before it is full', async () => {
    const charging = await world.addDrone();
    const flying = await world.dispatched();
    await flying.flyTo('released');
    await world.radio(charging, { battery: 0.31 });
    await flying.tell('landed');
    const waiter = await waiting();
    await world.pass(60_000);
    expect(woken()).toEqual([]);
    await world.radio(charging, { battery: 0.8, flight_mode: 'charging' });
    await world.runDue();
    expect(woken()).toEqual([waiter.id]);
    expect((await waiter.mustReserve(2)).drone_id).toBe(charging);
  });

  test('When no free drone can serve the first in turn, then a later one is woken', async () => {
    await world.addDrone();
    const holder = world.job();
    await holder.mustReserve();
    const heavyModel = newId('model');
    await world.ensureModel(heavyModel, { max_payload_kg: 8, empty_mass_kg: 20, hover_power_w: 2_000 });
    await world.addDrone({ modelId: heavyModel, battery: 0.32 });
    await waiting({ payload_kg: 6, expedited: true });
    const light = await waiting();
    await holder.release();
    await world.runDue();
    expect(woken()).toEqual([light.id]);
  });

  test('When the cluster is down while a drone frees itself, then the signal comes when it is back', async () => {
    await world.addDrone();
    const holder = world.job();
    await holder.mustReserve();
    const waiter = await waiting();
    world.workflows.down = true;
    await holder.release();
    await expect.poll(() => world.workflows.attempts).toBeGreaterThan(0);
    expect(woken()).toEqual([]);
    world.workflows.down = false;
    await world.pass(3_000);
    expect(woken()).toEqual([waiter.id]);
  });

  test('When releases and refusals race through two processes, then nobody waits beside a free drone', async () => {
    await world.addDrones(2);
    const other = await world.another();
    for (let round = 0; round < 12; round += 1) {
      const holders = [world.job({ wait: false }), world.job({ wait: false })];
      for (const holder of holders) await holder.mustReserve();
      const waiters = [world.job(), world.job()];
      world.workflows.signals.length = 0;
      const [, , ...answers] = await Promise.all([
        ...holders.map((holder) => holder.release()),
        ...waiters.map((waiter, index) => waiter.reserve(1, index === 0 ? world.drone : other.drone)),
      ]);
      // Without the test moving anything: the pumps of both processes are awake by themselves.
      await expect
        .poll(() => woken().length + answers.filter((one) => one.outcome === 'reserved').length, {
          timeout: 10_000,
        })
        .toBeGreaterThanOrEqual(2);
      for (const waiter of waiters) {
        if (!waiter.reserved) await waiter.mustReserve(2);
        await waiter.release(1, 1);
        await waiter.release(2, 2);
      }
    }
  });
});

describe('who is able', () => {
  test('When nothing could ever do it, then it is infeasible, with the numbers', async () => {
    await world.addDrone();
    expect(await world.job({ payload_kg: 4 }).reserve()).toEqual({
      outcome: 'infeasible',
      reason: 'payload_too_heavy',
      detail: '4 kg is more than any drone carries: the strongest takes 2.5 kg.',
    });
    const tooBig = await world.job({ package_sizes: ['large'] }).reserve();
    expect(tooBig).toMatchObject({ outcome: 'infeasible', reason: 'payload_too_heavy' });
    const tooMany = await world.job({ package_sizes: ['medium', 'medium'] }).reserve();
    expect(tooMany).toMatchObject({ outcome: 'infeasible', reason: 'payload_too_heavy' });
    const far = await world.job({ dropoff: destination(CITY, 0, 60_000) }).reserve();
    expect(far).toMatchObject({ outcome: 'infeasible', reason: 'out_of_range' });
    if (far.outcome !== 'infeasible') throw new Error('unreachable');
    expect(far.detail).toMatch(/^60\.0 km from pickup to dropoff with 1\.2 kg: .* 70 % may be used\.$/);
  });

  test('When able drones are busy, flat or charging, then it is unavailable, not infeasible', async () => {
    const flat = await world.addDrone({ battery: 0.35 });
    const delivery = world.job();
    expect(await delivery.reserve()).toMatchObject({ outcome: 'unavailable' });
    const explained = await world.drone.explainAssignment({ params: { delivery_id: delivery.id } });
    expect(explained.data).toMatchObject([
      {
        step_key: delivery.key('reserve'),
        outcome: 'unavailable',
        candidates: [{ drone_id: flat, verdict: 'low_battery', battery: 0.35 }],
      },
    ]);
    expect(explained.data[0]?.candidates[0]?.battery_at_landing).toBeLessThan(0.3);
  });

  test('When there is no fleet yet, then nothing is ruled out, and the first drone wakes who waits', async () => {
    const delivery = world.job();
    expect(await delivery.reserve()).toEqual({ outcome: 'unavailable', detail: 'The fleet has no drones.' });
    await world.addDrone();
    await world.runDue();
    expect(woken()).toEqual([delivery.id]);
  });

  test('When several are able, then the one that arrives first is chosen and each verdict is explained', async () => {
    const far = await world.addDrone({ at: destination(CITY, 270, 3_000) });
    const near = await world.addDrone({ at: destination(CITY, 90, 1_000) });
    const excluded = await world.addDrone();
    const weak = newId('model');
    await world.ensureModel(weak, { max_payload_kg: 1 });
    const small = await world.addDrone({ modelId: weak });
    const delivery = world.job({ exclude_drone_ids: [excluded] });
    expect((await delivery.mustReserve()).drone_id).toBe(near);
    const [explained] = (await world.drone.explainAssignment({ params: { delivery_id: delivery.id } })).data;
    expect(new Map(explained?.candidates.map((one) => [one.drone_id, one.verdict]))).toEqual(
      new Map([
        [near, 'chosen'],
        [far, 'later_arrival'],
        [excluded, 'excluded'],
        [small, 'too_heavy'],
      ]),
    );
    const arrival = (id: string) =>
      Date.parse(explained?.candidates.find((one) => one.drone_id === id)?.arrival_at ?? '');
    expect(arrival(near)).toBeLessThan(arrival(far));
    expect(arrival(near)).toBe(Date.parse(delivery.held.eta.pickup_at));
  });
});
