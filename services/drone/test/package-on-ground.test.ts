/** A drone that has failed with its package, and another one that takes that up where it lies. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { destination, distanceM } from '../../../shared/geodesy.ts';
import { CITY, START_MS, type TestDelivery, World } from './support.ts';

/** Between the pickup and the dropoff. */
const FIELD = destination(CITY, 70, 2_000);

let world: World;
beforeAll(async () => {
  world = await World.open();
});
beforeEach(() => world.reset());
afterAll(() => world.close());

async function down(): Promise<TestDelivery> {
  await world.addDrones(2);
  const delivery = await world.dispatched();
  await delivery.flyTo('departed_pickup');
  await delivery.tell('failed', { position: FIELD, detail: { cause: 'motor_failure', aboard: true } });
  return delivery;
}

const params = ({ droneId }: TestDelivery) => ({ drone_id: droneId });
const lastTold = (delivery: TestDelivery) => world.workflows.milestones(delivery.id).at(-1);

describe('When a drone that failed has landed safely and set its package down', () => {
  test('then its reservation ends, it stays grounded, and the workflow is told where the package lies', async () => {
    const delivery = await down();
    expect(await delivery.tell('set_down', { position: FIELD })).toEqual({
      outcome: 'recorded',
      reason: null,
    });
    await world.runDue();
    expect(lastTold(delivery)).toMatchObject({ kind: 'set_down', position: FIELD });
    expect(await delivery.droneState()).toMatchObject({ state: 'grounded', reservation_id: null });
    expect(await delivery.reservation()).toMatchObject({ state: 'ended', loading: 'loaded' });
    expect(await delivery.release()).toEqual({ outcome: 'already_released' });
    expect(await delivery.recall()).toEqual({ outcome: 'loaded' });
    // Nothing that it had can be loaded under it again.
    expect(await delivery.requestLoadToken()).toEqual({ outcome: 'refused', reason: 'stale_reservation' });
  });

  test('then another one takes the package up there, and would bring it back to the sender', async () => {
    const delivery = await down();
    await delivery.tell('set_down', { position: FIELD });
    const sender = delivery.body.pickup;
    delivery.body.pickup = FIELD;
    delivery.body.return_to = sender;
    const first = delivery.droneId;
    const second = await delivery.mustReserve(2);
    expect(second).toMatchObject({ reservation_token: 2 });
    expect(second.drone_id).not.toBe(first);
    await delivery.dispatch(2);
    const { mission } = await delivery.mission();
    expect(mission).toMatchObject({ pickup: FIELD, dropoff: delivery.body.dropoff, return_to: sender });
    await delivery.flyTo('departed_pickup');

    await delivery.tell('turned_back', { position: FIELD });
    expect(await delivery.tell('arrived_at_return', { position: FIELD })).toEqual({
      outcome: 'refused',
      reason: 'far_from_return',
    });
    expect(await delivery.tell('arrived_at_return', { position: sender })).toMatchObject({
      outcome: 'recorded',
    });
    expect(await delivery.tell('released', { position: sender })).toMatchObject({ outcome: 'recorded' });
    await world.runDue();
    const back = world.workflows.milestones(delivery.id).find((one) => one.kind === 'turned_back');
    const backS = (Date.parse(String(back?.detail['eta_return_at'])) - START_MS) / 1000;
    // At 18 m/s, from the field to the sender and not back to the field.
    expect(backS).toBeGreaterThan(distanceM(FIELD, sender) / 18);
  });

  test('then a drone is found for that flight only where it could also bring it back to the sender', async () => {
    await world.addDrone();
    // To the dropoff and back to where it lies is nothing; the sender is as far as a battery goes.
    const far = { pickup: FIELD, dropoff: destination(FIELD, 0, 500) };
    expect(await world.job(far).reserve()).toMatchObject({ outcome: 'reserved' });
    await world.reset();
    await world.addDrone();
    const sender = destination(FIELD, 180, 30_000);
    expect(await world.job({ ...far, return_to: sender }).reserve()).toMatchObject({
      outcome: 'infeasible',
      reason: 'out_of_range',
    });
  });

  test('then one that waits for a drone is offered one for the flight from there', async () => {
    const delivery = await down();
    await delivery.tell('set_down', { position: FIELD });
    const [busy] = (await world.drone.listDrones({ query: { state: ['idle'] } })).data;
    if (!busy) throw new Error('no drone');
    const set = (state: 'maintenance' | 'idle') =>
      world.drone.setDroneState({
        params: { drone_id: busy.id },
        body: { state, reason: 'check', by: 'operator' },
      });
    await set('maintenance');
    Object.assign(delivery.body, { pickup: FIELD, return_to: delivery.body.pickup });
    expect(await delivery.reserve(2)).toMatchObject({ outcome: 'unavailable' });
    await set('idle');
    await expect
      .poll(async () => {
        await world.runDue();
        return world.workflows.named('droneAvailable');
      })
      .toEqual([delivery.id]);
    await delivery.mustReserve(3);
  });
});

describe('A package that is set down', () => {
  test('When the drone has not failed, or had none, then it is refused', async () => {
    await world.addDrones(2);
    const flying = await world.dispatched();
    await flying.flyTo('departed_pickup');
    expect(await flying.tell('set_down')).toEqual({ outcome: 'refused', reason: 'wrong_order' });
    const empty = await world.dispatched();
    await empty.flyTo('arrived_at_pickup');
    await empty.getLoadToken();
    // It may have loaded: nobody knows, and so there is nothing to set down.
    await empty.tell('failed', { detail: { cause: 'motor_failure' } });
    expect(await empty.tell('set_down')).toEqual({ outcome: 'refused', reason: 'nothing_aboard' });
  });
});

describe('When a person has taken the package out of a drone that kept it', () => {
  const fetched = { state: 'maintenance', reason: 'taken out of the wreck', by: 'ops' } as const;

  test('then it lies where they say', async () => {
    const delivery = await down();
    const place = destination(FIELD, 10, 40);
    const body = { ...fetched, package_at: place };
    expect(await world.drone.setDroneState({ params: params(delivery), body })).toMatchObject({
      state: 'maintenance',
      reservation_id: null,
    });
    await world.runDue();
    expect(lastTold(delivery)).toMatchObject({
      kind: 'set_down',
      position: place,
      detail: { by: 'operator', why: fetched.reason },
    });
    Object.assign(delivery.body, { pickup: place, return_to: delivery.body.pickup });
    await delivery.mustReserve(2);
  });

  test('then nothing is believed of a drone that had none', async () => {
    const droneId = await world.addDrone();
    const refusal = { status: 409, reason: 'nothing_aboard' };
    const body = { ...fetched, package_at: FIELD };
    await expect(world.drone.setDroneState({ params: { drone_id: droneId }, body })).rejects.toMatchObject(
      refusal,
    );
    const held = world.job();
    await held.mustReserve();
    await expect(world.drone.setDroneState({ params: params(held), body })).rejects.toMatchObject(refusal);
    await held.dispatch();
    await held.flyTo('arrived_at_pickup');
    await held.getLoadToken();
    await held.tell('failed', { detail: { cause: 'motor_failure' } });
    await expect(
      world.drone.setDroneState({ params: params(held), body: { ...body, package_aboard: false } }),
    ).rejects.toMatchObject(refusal);
    await expect(
      world.drone.setDroneState({ params: params(held), body: { ...body, state: 'grounded' } }),
    ).rejects.toMatchObject(refusal);
    await world.drone.setDroneState({ params: params(held), body: { ...body, package_aboard: true } });
    await world.runDue();
    expect(held.signalled().slice(-2)).toEqual(['failed', 'set_down']);
  });
});
