// At the dropoff: a drone that waits for the recipient lets go of the package when it is told to, and not before.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConfirmationKind } from '../../delivery/contract/confirmation.ts';
import { type TestDelivery, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world.close());

async function flown(confirmation: ConfirmationKind, to: Parameters<TestDelivery['flyTo']>[0]) {
  await world.addDrone();
  const delivery = world.job();
  await delivery.mustReserve();
  await delivery.dispatch(1, world.drone, { confirmation });
  await delivery.flyTo(to);
  return delivery;
}

const lower = (delivery: TestDelivery, ordinal = 1) =>
  world.drone.lowerPackage(
    { body: { reserve_key: delivery.key('reserve'), delivery_id: delivery.id } },
    { idempotencyKey: delivery.key('lower', ordinal) },
  );
const released = async (delivery: TestDelivery) => {
  const { data } = await world.drone.readMilestones({
    params: { reservation_id: delivery.reservationId },
    query: { after_sequence: 0 },
  });
  return data.find((one) => one.kind === 'released');
};

describe('a drone at the dropoff', () => {
  test('When the recipient has confirmed it, then it is told to lower it: one new mission, however often it is repeated', async () => {
    const delivery = await flown('pin', 'arrived_at_dropoff');
    const before = (await delivery.mission()).mission;
    expect(before).toMatchObject({ confirmation: 'pin', command: 'fly' });
    for (const ordinal of [1, 1, 2]) expect(await lower(delivery, ordinal)).toEqual({ outcome: 'lowering' });
    const { mission } = await delivery.mission();
    expect(mission).toMatchObject({
      command: 'lower',
      version: (before?.version ?? 0) + 1,
      confirmation: 'pin',
    });
    expect(mission?.legs.map((leg) => leg.kind)).toEqual(['home']);
    await delivery.tell('released');
    expect((await released(delivery))?.detail).toEqual({});
    expect(await lower(delivery, 3)).toEqual({ outcome: 'ended' });
    await delivery.flyTo('landed');
  });

  test('When it is not there yet, or does not wait, then there is nothing to tell it', async () => {
    const early = await flown('pin', 'departed_pickup');
    expect(await lower(early)).toEqual({ outcome: 'not_there' });
    const unasked = await flown('none', 'arrived_at_dropoff');
    expect(await lower(unasked)).toEqual({ outcome: 'not_there' });
    const empty = await flown('pin', 'arrived_at_pickup');
    expect(await lower(empty)).toEqual({ outcome: 'not_loaded' });
  });

  test('When it was told to come back, or has turned back by itself, then it is too late', async () => {
    const told = await flown('signature', 'arrived_at_dropoff');
    expect(await told.returnToSender()).toMatchObject({ outcome: 'returning' });
    expect(await lower(told)).toEqual({ outcome: 'too_late' });
    const gone = await flown('pin', 'arrived_at_dropoff');
    await gone.tell('turned_back');
    expect(await lower(gone)).toEqual({ outcome: 'too_late' });
  });

  test('When both are ordered at once, then it does one of them', async () => {
    const delivery = await flown('pin', 'arrived_at_dropoff');
    const [lowered, returned] = await Promise.all([lower(delivery), delivery.returnToSender()]);
    const { mission } = await delivery.mission();
    // The return is the later word where both were heard.
    expect(mission?.command).toBe('return');
    expect(returned.outcome).toBe('returning');
    expect(['lowering', 'too_late']).toContain(lowered.outcome);
  });

  test('When it lets go without a confirmation, then that is a fact, and it is marked', async () => {
    const delivery = await flown('barcode', 'arrived_at_dropoff');
    await delivery.tell('released');
    expect((await released(delivery))?.detail).toEqual({ unconfirmed: true });
  });

  test('When the package is back at the sender, then nobody there has to confirm it', async () => {
    const delivery = await flown('pin', 'arrived_at_dropoff');
    await delivery.tell('turned_back');
    await delivery.tell('arrived_at_return');
    await delivery.tell('released', { position: delivery.body.pickup });
    expect((await released(delivery))?.detail).toEqual({});
  });

  test('When another delivery asks, then it is not heard', async () => {
    const delivery = await flown('pin', 'arrived_at_dropoff');
    const body = { reserve_key: delivery.key('reserve'), delivery_id: world.job().id };
    await expect(world.drone.lowerPackage({ body }, { idempotencyKey: 'k' })).rejects.toMatchObject({
      status: 404,
    });
  });
});
