import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { destination, distanceM } from '../../../shared/geodesy.ts';
import { CITY, START_MS, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world.close());

describe('a delivery from reservation to landing', () => {
  test('When all goes well, then the drone is held, committed, told about, and free again', async () => {
    const droneId = await world.addDrone();
    const delivery = world.job();
    const reserved = await delivery.mustReserve();
    expect(reserved.drone_id).toBe(droneId);
    expect(reserved.reservation_token).toBe(1);
    expect(Date.parse(reserved.lease_expires_at)).toBe(START_MS + 120_000);
    const flightM =
      distanceM(CITY, delivery.body.pickup) +
      distanceM(delivery.body.pickup, delivery.body.dropoff) +
      distanceM(delivery.body.dropoff, CITY);
    expect(reserved.distance_m).toBeCloseTo(flightM, 0);
    expect(await delivery.droneState()).toMatchObject({ state: 'held', delivery_id: delivery.id });

    world.nowMs += 5_000;
    const dispatched = await delivery.dispatch();
    expect(dispatched).toMatchObject({ outcome: 'dispatched' });
    if (dispatched.outcome !== 'dispatched') throw new Error('unreachable');
    // 17.5 s up, 1,500 m at 18 m/s, 23.3 s down.
    expect(Date.parse(dispatched.eta.pickup_at) - world.nowMs).toBeCloseTo(
      (70 / 4 + 1500 / 18 + 70 / 3) * 1000,
      -1,
    );
    expect(await delivery.droneState()).toMatchObject({ state: 'committed' });
    const { mission } = await delivery.mission();
    expect(mission).toMatchObject({
      id: dispatched.mission_id,
      version: 1,
      command: 'fly',
      reservation_token: 1,
      pickup_wait_s: 600,
      dropoff_hover_s: 120,
      base: CITY,
    });
    expect(mission?.legs.map((leg) => [leg.kind, leg.on_link_loss])).toEqual([
      ['to_pickup', 'return_to_base'],
      ['to_dropoff', 'continue'],
      ['home', 'continue'],
    ]);

    await delivery.flyTo('released');
    expect(await delivery.droneState()).toMatchObject({ state: 'returning' });
    await delivery.flyTo('landed');
    expect(await delivery.droneState()).toMatchObject({ state: 'idle', reservation_id: null });
    expect(await delivery.reservation()).toMatchObject({ state: 'ended', loading: 'loaded' });
    expect(await delivery.mission()).toEqual({ mission: null, told: [] });
    await world.runDue();
    expect(delivery.signalled()).toEqual([
      'took_off',
      'arrived_at_pickup',
      'loaded',
      'departed_pickup',
      'arrived_at_dropoff',
      'released',
    ]);
    expect(world.workflows.milestones(delivery.id).map((one) => one.sequence)).toEqual([1, 2, 3, 4, 5, 6]);
    const gap = await world.drone.readMilestones({
      params: { reservation_id: delivery.reservationId },
      query: { after_sequence: 4 },
    });
    expect(gap.data.map((one) => one.kind)).toEqual(['arrived_at_dropoff', 'released']);
    await world.drone.setDroneState({
      params: { drone_id: droneId },
      body: { state: 'maintenance', reason: 'done with it', by: 'test' },
    });
  });

  test('When it is blocked, then it can be left unattended or brought back', async () => {
    await world.addDrone();
    const left = await world.dispatched();
    expect(await left.leave()).toEqual({ outcome: 'not_loaded' });
    await left.flyTo('arrived_at_dropoff');
    expect((await left.tell('dropoff_blocked')).outcome).toBe('recorded');
    expect(await left.leave()).toEqual({ outcome: 'leaving' });
    expect(await left.leave(2)).toEqual({ outcome: 'leaving' });
    expect((await left.mission()).mission).toMatchObject({ version: 2, command: 'leave' });
    await left.tell('released', { detail: { unattended: true } });
    expect(await left.leave(3)).toEqual({ outcome: 'ended' });
    await left.tell('landed');

    const back = await world.dispatched();
    expect(await back.returnToSender()).toMatchObject({ outcome: 'not_loaded' });
    await back.flyTo('arrived_at_dropoff');
    await back.tell('dropoff_blocked');
    await world.radio(back.droneId, { position: back.body.dropoff, altitude_m: 8, flight_mode: 'hover' });
    const turned = await back.returnToSender(2);
    expect(turned.outcome).toBe('returning');
    expect(await back.returnToSender(2)).toEqual(turned);
    expect(await back.returnToSender(3)).toMatchObject({ outcome: 'already_returning' });
    const { mission } = await back.mission();
    expect(mission).toMatchObject({ version: 2, command: 'return' });
    expect(mission?.legs.map((leg) => leg.kind)).toEqual(['to_return', 'home']);
    await expect(back.leave()).resolves.toMatchObject({ outcome: 'leaving' });
    for (const kind of ['turned_back', 'arrived_at_return'] as const)
      expect((await back.tell(kind)).outcome).toBe('recorded');
    await expect(back.leave(2)).rejects.toMatchObject({ status: 409, reason: 'returning' });
    expect((await back.tell('released', { position: back.body.dropoff })).outcome).toBe('refused');
    expect((await back.tell('released', { position: back.body.pickup })).outcome).toBe('recorded');
    expect((await back.tell('landed')).outcome).toBe('recorded');
    await world.runDue();
    expect(back.signalled().slice(-3)).toEqual(['turned_back', 'arrived_at_return', 'released']);
  });

  test('When the aircraft tells what cannot be, then it is refused with the reason', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    const far = destination(delivery.body.pickup, 10, 400);
    expect(await delivery.tell('arrived_at_pickup')).toEqual({ outcome: 'refused', reason: 'wrong_order' });
    await delivery.tell('took_off');
    expect(await delivery.tell('arrived_at_pickup', { position: far })).toEqual({
      outcome: 'refused',
      reason: 'far_from_pickup',
    });
    expect(await delivery.requestLoadToken()).toEqual({ outcome: 'refused', reason: 'not_at_pickup' });
    await delivery.tell('arrived_at_pickup');
    expect(await delivery.tell('loaded')).toEqual({ outcome: 'refused', reason: 'not_granted' });
    const token = await delivery.getLoadToken();
    expect(await delivery.getLoadToken()).toBe(token);
    expect(await delivery.tell('loaded', { load_token: 'ldt_forged' })).toEqual({
      outcome: 'refused',
      reason: 'wrong_load_token',
    });
    expect((await delivery.tell('loaded')).outcome).toBe('recorded');
    expect(await delivery.tell('landed')).toEqual({ outcome: 'refused', reason: 'package_aboard' });
    const { drone } = world;
    const idle = { state: 'idle', reason: 'test', by: 'operator' } as const;
    await expect(
      drone.setDroneState({ params: { drone_id: delivery.droneId }, body: idle }),
    ).rejects.toMatchObject({ status: 409, reason: 'in_flight' });
    expect(await delivery.release()).toEqual({ outcome: 'loaded' });
    await delivery.tell('departed_pickup');
    await delivery.tell('arrived_at_dropoff');
    await delivery.tell('released');
    await delivery.tell('landed');
    expect(await delivery.droneState()).toMatchObject({ state: 'idle' });
  });
});
