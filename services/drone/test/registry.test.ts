import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { withClient } from '../../../prisma/provision.ts';
import { newId } from '../../../shared/ids.ts';
import { startTcpRelay } from '../../../test/support/tcp-relay.ts';
import { longestDeliveryM } from '../contract/flight.ts';
import { MODEL, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
beforeEach(() => world.reset());
afterAll(() => world.close());

describe('the registry', () => {
  test('When a drone is registered again, then its name changes and its state does not', async () => {
    const droneId = await world.addDrone();
    const delivery = await world.dispatched();
    const body = { name: 'Kestrel 7', model_id: world.modelId, base_id: world.baseId };
    expect(await world.drone.ensureDrone({ params: { drone_id: droneId }, body })).toMatchObject({
      name: 'Kestrel 7',
      state: 'committed',
      delivery_id: delivery.id,
      battery: 1,
    });
    const unknown = { ...body, model_id: newId('model') };
    await expect(
      world.drone.ensureDrone({ params: { drone_id: newId('drone') }, body: unknown }),
    ).rejects.toMatchObject({ status: 404 });
    await expect(
      world.drone.ensureModel({
        params: { model_id: newId('model') },
        body: { ...MODEL, id: world.modelId },
      }),
    ).rejects.toMatchObject({ status: 400, errors: [{ field: 'id' }] });
  });

  test('When the fleet is listed, then each drone is on one page, filtered as asked', async () => {
    const drones = await world.addDrones(5);
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = await world.drone.listDrones({
        query: { limit: 2, ...(cursor !== undefined && { cursor }) },
      });
      pages.push(page.data.map((one) => one.id));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(pages.map((one) => one.length)).toEqual([2, 2, 1]);
    expect(new Set(pages.flat())).toEqual(new Set(drones));
    const params = { drone_id: drones[0]! };
    await world.drone.setDroneState({ params, body: { state: 'grounded', reason: 'storm', by: 'op' } });
    const query = { state: ['grounded' as const, 'lost' as const] };
    expect((await world.drone.listDrones({ query })).data.map((one) => one.id)).toEqual([drones[0]]);
    expect((await world.drone.listDrones({ query: { base_id: newId('base') } })).data).toEqual([]);
    await expect(world.drone.listDrones({ query: { cursor: 'nonsense' } })).rejects.toMatchObject({
      status: 400,
    });
  });

  test('When an operator changes a drone, then who and why are kept for good', async () => {
    const droneId = await world.addDrone();
    const params = { drone_id: droneId };
    await world.drone.setDroneState({
      params,
      body: { state: 'maintenance', reason: 'new rotor', by: 'ada' },
    });
    await world.drone.setDroneState({ params, body: { state: 'idle', reason: 'tested', by: 'ben' } });
    const { rows } = await withClient(world.database.url, (app) =>
      app.query(
        'SELECT from_state, to_state, reason, by FROM drone.drone_state_changes WHERE drone_id = $1 ORDER BY id',
        [droneId],
      ),
    );
    expect(rows).toEqual([
      { from_state: 'idle', to_state: 'maintenance', reason: 'new rotor', by: 'ada' },
      { from_state: 'maintenance', to_state: 'idle', reason: 'tested', by: 'ben' },
    ]);
    await expect(
      withClient(world.database.url, (app) => app.query('DELETE FROM drone.drone_state_changes')),
    ).rejects.toThrow('permission denied');
  });

  test('When the door asks, then the limits are those of the best models that fly', async () => {
    const strong = newId('model');
    const unused = newId('model');
    await world.ensureModel(strong, {
      max_payload_kg: 6,
      max_package_size: 'large',
      battery_capacity_wh: 200,
    });
    await world.ensureModel(unused, { max_payload_kg: 50 });
    await world.addDrone();
    await world.addDrone({ modelId: strong });
    // What was read before may be kept for some seconds: a process that has just begun knows only this.
    const other = await world.another();
    expect(await other.drone.limits({})).toMatchObject({
      max_payload_kg: 6,
      max_package_size: 'large',
      max_distance_m: longestDeliveryM({ ...MODEL, id: world.modelId }, 0),
      bases: [{ id: world.baseId }],
    });
  });
});

describe('a database that goes away', () => {
  test('When it is away, then the answer is 503, and the same step does its work once it is back', async () => {
    const relay = await startTcpRelay(world.database.url);
    const behind = await world.another({ databaseUrl: relay.through(world.database.url) });
    try {
      await world.addDrones(2);
      const delivery = world.job();
      await delivery.mustReserve();
      await relay.cut();
      await expect(delivery.reserve(1, behind.drone)).rejects.toMatchObject({ status: 503, retryAfterS: 2 });
      await expect(delivery.dispatch(1, behind.drone)).rejects.toMatchObject({ status: 503 });
      await relay.mend();
      await expect
        .poll(
          () =>
            delivery.dispatch(1, behind.drone).then(
              (one) => one.outcome,
              () => 'away',
            ),
          { timeout: 20_000 },
        )
        .toBe('dispatched');
      expect((await world.drone.listReservations({ query: { open: true } })).data).toHaveLength(1);
    } finally {
      await relay.mend().catch(() => undefined);
      await relay.close();
    }
  });
});
