import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { withClient } from '../../../prisma/provision.ts';
import { type Running, type TestDelivery, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
beforeEach(() => world.reset());
afterAll(() => world.close());

async function openReservations(): Promise<{ drone_id: string; delivery_id: string }[]> {
  const { data } = await world.drone.listReservations({ query: { open: true, limit: 200 } });
  return data;
}

describe('reserving under contention', () => {
  test('When 50 deliveries want 10 drones through two processes, then 10 get one each and 40 wait', async () => {
    const drones = await world.addDrones(10);
    const other = await world.another();
    const deliveries = Array.from({ length: 50 }, () => world.job());
    const answers = await Promise.all(
      deliveries.map((delivery, index) => delivery.reserve(1, index % 2 === 0 ? world.drone : other.drone)),
    );
    const reserved = answers.filter((one) => one.outcome === 'reserved');
    expect(new Set(reserved.map((one) => one.drone_id))).toEqual(new Set(drones));
    expect(reserved).toHaveLength(10);
    expect(answers.filter((one) => one.outcome === 'unavailable')).toHaveLength(40);
    const open = await openReservations();
    expect(new Set(open.map((one) => one.drone_id)).size).toBe(10);
    expect(new Set(open.map((one) => one.delivery_id)).size).toBe(10);
  });

  test('When a step is repeated at the same time, then one drone is taken and every answer is the same', async () => {
    await world.addDrones(5);
    const other = await world.another();
    const delivery = world.job();
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        delivery.reserve(1, index % 2 === 0 ? world.drone : other.drone),
      ),
    );
    expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(await openReservations()).toHaveLength(1);
    await delivery.dispatch();
    expect(await delivery.reserve()).toEqual(answers[0]);
  });

  test('When one delivery reserves under two steps, then the second is refused until the first is released', async () => {
    await world.addDrones(2);
    const delivery = world.job();
    await delivery.mustReserve();
    await expect(delivery.reserve(2)).rejects.toMatchObject({ status: 409, reason: 'already_reserved' });
    expect(await delivery.release()).toEqual({ outcome: 'released' });
    const second = await delivery.mustReserve(2);
    expect(second.reservation_token).toBe(2);
  });

  test('When steps and their releases race, then whoever was released holds nothing', async () => {
    await world.addDrones(4);
    for (let round = 0; round < 15; round += 1) {
      const delivery = world.job();
      const [reserved] = await Promise.all([delivery.reserve(), delivery.release()]);
      expect(['reserved', 'released']).toContain(reserved.outcome);
      expect(await delivery.release(1, 2)).not.toEqual({ outcome: 'loaded' });
      expect(await delivery.reserve()).toEqual({ outcome: 'released' });
      expect(await openReservations()).toHaveLength(0);
    }
    const { data } = await world.drone.listDrones({ query: { state: ['idle'] } });
    expect(data).toHaveLength(4);
  });
});

describe('reserving while the database stalls', () => {
  const STALL_MS = 5_000;

  /** Does the work while `asking` waits for a table, in a statement like this. */
  async function whileWaiting<T>(
    { table, statement }: { table: string; statement: string },
    asking: () => Promise<T>,
    work: () => Promise<unknown>,
  ): Promise<T> {
    return withClient(world.database.ownerUrl, async (owner) => {
      await owner.query('BEGIN');
      await owner.query(`LOCK TABLE drone.${table} IN ACCESS EXCLUSIVE MODE`);
      const asked = asking();
      await vi.waitFor(
        async () => {
          // Within a transaction it would be as it was at the first look.
          const { rowCount } = await withClient(world.database.adminUrl, (other) =>
            other.query(
              `SELECT FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`,
              [`%${statement}%`],
            ),
          );
          expect(rowCount).toBe(1);
        },
        { timeout: 30_000 },
      );
      await work();
      await owner.query('COMMIT');
      return asked;
    });
  }

  const reservationsOf = async (delivery: TestDelivery) =>
    (await world.drone.listReservations({ query: { delivery_id: delivery.id } })).data;

  test('When its drone comes free during the look, then its reservation begins no earlier than the one before has ended', async () => {
    await world.addDrone();
    const before = world.job();
    await before.mustReserve();
    const after = world.job();
    await whileWaiting(
      { table: 'waiting_list', statement: 'AS fleet' },
      () => after.mustReserve(),
      async () => {
        world.nowMs += STALL_MS;
        await before.release();
      },
    );
    const [[ended], [begun]] = [await reservationsOf(before), await reservationsOf(after)];
    expect(Date.parse(ended?.ended_at ?? '')).toBe(world.nowMs);
    expect(Date.parse(begun?.created_at ?? '')).toBeGreaterThanOrEqual(world.nowMs);
    expect(Date.parse(after.held.eta.pickup_at)).toBeGreaterThan(world.nowMs);
  });

  test('When its drone was somebody else’s between the look and the taking, then it looks again', async () => {
    const droneId = await world.addDrone();
    const delivery = world.job();
    await whileWaiting(
      { table: 'assignments', statement: 'WITH pick' },
      () => delivery.mustReserve(),
      async () => {
        world.nowMs += STALL_MS;
        for (const state of ['maintenance', 'idle'] as const) {
          await world.drone.setDroneState({
            params: { drone_id: droneId },
            body: { state, reason: 'a new propeller', by: 'test' },
          });
        }
      },
    );
    const [begun] = await reservationsOf(delivery);
    expect(Date.parse(begun?.created_at ?? '')).toBe(world.nowMs);
  });
});

describe('the pickup race', () => {
  test('When recall and load token race through two processes, then exactly one wins, every time', async () => {
    await world.addDrone();
    const other = await world.another();
    const won = { recall: 0, load: 0 };
    for (let round = 0; round < 30; round += 1) {
      const delivery = await world.dispatched();
      await delivery.flyTo('arrived_at_pickup');
      const [one, two]: [Running, Running] =
        round % 2 === 0 ? [world.service, other] : [other, world.service];
      const [recall, load, loadAgain, recallAgain] = await Promise.all([
        delivery.recall(1, 1, one.drone),
        delivery.requestLoadToken(two.aircraft),
        delivery.requestLoadToken(one.aircraft),
        delivery.recall(1, 2, two.drone),
      ]);
      const { loading } = await delivery.reservation();
      if (recall.outcome === 'recalled') {
        won.recall += 1;
        expect(loading).toBe('barred');
        expect(load).toEqual({ outcome: 'refused', reason: 'recalled' });
        expect(loadAgain).toEqual(load);
        expect(recallAgain).toEqual(recall);
        expect(await delivery.tell('loaded', { load_token: 'ldt_late' })).toEqual({
          outcome: 'refused',
          reason: 'not_granted',
        });
      } else {
        won.load += 1;
        expect(recall.outcome).toBe('pending');
        expect(recallAgain).toEqual(recall);
        expect(loading).toBe('granted');
        expect(load.outcome).toBe('granted');
        expect(loadAgain).toEqual(load);
        expect((await delivery.tell('recalled_empty')).outcome).toBe('recorded');
        expect(await delivery.recall(1, 3)).toEqual({ outcome: 'recalled' });
      }
      expect((await delivery.tell('landed')).outcome).toBe('recorded');
    }
    expect(won.recall + won.load).toBe(30);
  });

  test('When a recall is pending and the package goes aboard, then the delivery goes on', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('arrived_at_pickup');
    await delivery.getLoadToken();
    expect(await delivery.recall()).toEqual({ outcome: 'pending' });
    expect(await delivery.recall(1, 2)).toEqual({ outcome: 'pending' });
    expect((await delivery.mission()).mission).toMatchObject({ version: 2, command: 'recall' });
    // Nobody has called it back for good: whoever repeats its dispatch hears that it was sent.
    expect(await delivery.dispatch()).toMatchObject({ outcome: 'dispatched' });
    await delivery.tell('loaded');
    expect(await delivery.dispatch()).toMatchObject({ outcome: 'dispatched' });
    expect(await delivery.recall(1, 3)).toEqual({ outcome: 'loaded' });
    expect((await delivery.mission()).mission).toMatchObject({ version: 3, command: 'fly' });
    await delivery.tell('departed_pickup');
    await delivery.tell('arrived_at_dropoff');
    await delivery.tell('released');
    expect(await delivery.recall(1, 4)).toEqual({ outcome: 'loaded' });
    await delivery.tell('landed');
    await world.runDue();
    expect(delivery.signalled()).toContain('released');
  });

  test('When it is recalled before it loads, then it flies home and stays reserved until it has landed', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('took_off');
    expect(await delivery.recall()).toEqual({ outcome: 'recalled' });
    expect(await delivery.recall(1, 2)).toEqual({ outcome: 'recalled' });
    expect(await delivery.dispatch()).toMatchObject({ outcome: 'refused', reason: 'recalled' });
    expect(await delivery.release()).toEqual({ outcome: 'recalling' });
    const { mission } = await delivery.mission();
    expect(mission).toMatchObject({ version: 2, command: 'recall' });
    expect(mission?.legs.map((leg) => leg.kind)).toEqual(['home']);
    expect(await delivery.droneState()).toMatchObject({ state: 'returning' });
    expect((await openReservations()).map((one) => one.delivery_id)).toEqual([delivery.id]);
    // It had not heard yet: what it tells is kept, and changes nothing for the workflow.
    expect((await delivery.tell('arrived_at_pickup')).outcome).toBe('recorded');
    expect((await delivery.tell('recalled_empty')).outcome).toBe('recorded');
    await delivery.tell('landed');
    await world.runDue();
    expect(delivery.signalled()).toEqual(['took_off']);
    expect(await delivery.release(1, 2)).toEqual({ outcome: 'already_released' });
    expect(await delivery.recall(1, 3)).toEqual({ outcome: 'recalled' });
  });

  test('When the recall comes before the dispatch, then the dispatch does nothing', async () => {
    await world.addDrone();
    const delivery = world.job();
    await delivery.mustReserve();
    expect(await delivery.recall()).toEqual({ outcome: 'never_dispatched' });
    expect(await delivery.dispatch()).toMatchObject({ outcome: 'refused', reason: 'recalled' });
    expect(await delivery.release()).toEqual({ outcome: 'released' });
    expect(await delivery.droneState()).toMatchObject({ state: 'idle' });

    const never = world.job();
    expect(await never.recall()).toEqual({ outcome: 'never_dispatched' });
    expect(await never.release()).toEqual({ outcome: 'never_reserved' });
    expect(await never.reserve()).toEqual({ outcome: 'released' });
  });
});

describe('what the database refuses whatever the code does', () => {
  test('a second loadable reservation, a way back from barred, a package aboard a free drone', async () => {
    await world.addDrones(2);
    const delivery = await world.dispatched();
    await delivery.flyTo('loaded');
    const recalled: TestDelivery = await world.dispatched();
    await recalled.recall();
    await withClient(world.database.ownerUrl, async (owner) => {
      await owner.query('SET search_path = drone');
      const attempt = (sql: string, parameters: string[]) => owner.query(sql, parameters);
      const open = delivery.reservationId;
      await expect(
        attempt(`UPDATE reservations SET delivery_id = $1, loading = 'none' WHERE id = $2`, [
          delivery.id,
          recalled.reservationId,
        ]),
      ).rejects.toThrow('loading cannot go from barred to none');
      await expect(
        attempt(`UPDATE reservations SET drone_id = $1 WHERE id = $2`, [
          delivery.droneId,
          recalled.reservationId,
        ]),
      ).rejects.toThrow('reservations_one_open_per_drone');
      await expect(
        attempt(`UPDATE reservations SET state = 'ended', ended_at = created_at WHERE id = $1`, [open]),
      ).rejects.toThrow('reservations_aboard_is_committed');
      await expect(
        attempt(`UPDATE reservations SET state = 'released' WHERE id = $1`, [open]),
      ).rejects.toThrow('committed cannot become released');
      await expect(
        attempt(`UPDATE drones SET state = 'idle' WHERE id = $1`, [delivery.droneId]),
      ).rejects.toThrow('drones_free_without_reservation');
      await expect(attempt(`UPDATE reservations SET token = 9 WHERE id = $1`, [open])).rejects.toThrow(
        'cannot become',
      );
    });
  });
});
