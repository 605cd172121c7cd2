import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeliveryId, newId } from '../../shared/ids.ts';
import { anAccept, type Ingestion, startWorld, type World } from './world.ts';

const WITHIN = { timeout: 25_000, interval: 50 };
let world: World;
let database: pg.Client;

beforeEach(async () => {
  world = await startWorld();
  database = new pg.Client({ connectionString: world.database.services.ingestion.url });
  await database.connect();
});
afterEach(async () => {
  await database.end();
  await world.close();
});

const QUICK = { startTimeoutMs: 2_000, startLeaseMs: 3_000 };

async function accept(service: Ingestion, count: number, expedited = false): Promise<DeliveryId[]> {
  const answers = await Promise.all(
    Array.from({ length: count }, () =>
      service.client.accept({ body: anAccept({ request: { expedited } }) }),
    ),
  );
  return answers.map((answer) => answer.delivery.id);
}

async function states(): Promise<Record<string, number>> {
  const { rows } = await database.query<{ state: string; count: number }>(
    'SELECT state, count(*)::int AS count FROM delivery_requests GROUP BY state',
  );
  return Object.fromEntries(rows.map((row) => [row.state, row.count]));
}

const allStarted = (count: number) => expect.poll(states, WITHIN).toEqual({ started: count });

describe('the starter', () => {
  it('starts what is accepted, at once and once, with all that the workflow needs', async () => {
    const service = await world.ingestion({ policy: { loadingS: 60 } });
    const body = anAccept({ request: { external_id: 'e1', expedited: true } });
    const { delivery } = await service.client.accept({ body });
    await allStarted(1);
    expect(world.workflows.started).toEqual([
      {
        deliveryId: delivery.id,
        accountId: body.account_id,
        livemode: true,
        externalId: 'e1',
        pickup: delivery.pickup,
        dropoff: delivery.dropoff,
        packages: delivery.packages,
        expedited: true,
        deadline: null,
        undeliverableAction: 'return',
        price: delivery.price,
        clock: { anchorWallMs: 0, anchorMs: 0, rate: 1 },
        acceptedAt: delivery.created_at,
        policy: { loadingS: 60 },
      },
    ]);
  });

  it('starts again, when asked, what Temporal has lost before it did anything, and nothing else', async () => {
    const service = await world.ingestion();
    const [lost, known, begun] = await accept(service, 3);
    await allStarted(3);
    const startAgain = (id: DeliveryId) => service.client.startAgain({ params: { delivery_id: id } });
    world.workflows.forget(lost!);
    expect(await startAgain(lost!)).toEqual({ state: 'starting' });
    expect(await startAgain(known!)).toEqual({ state: 'starting' });
    await expect.poll(() => world.workflows.startCalls.get(known!), WITHIN).toBe(2);
    await allStarted(3);
    expect(world.workflows.startsOf(lost!)).toBe(2);
    // Temporal knows it: it has not been doubled.
    expect(world.workflows.startsOf(known!)).toBe(1);

    await expect
      .poll(
        async () => world.delivery.getDelivery({ params: { delivery_id: begun! } }).catch(() => null),
        WITHIN,
      )
      .not.toBeNull();
    const event = {
      type: 'delivery.confirmed',
      status: 'confirmed' as const,
      occurred_at: '2026-03-01T12:00:00Z',
    };
    await world.delivery.appendEvents(
      { params: { delivery_id: begun! }, body: { events: [event] } },
      { idempotencyKey: `${begun!}/event_confirmed/1` },
    );
    world.workflows.forget(begun!);
    await expect(startAgain(begun!)).rejects.toMatchObject({ status: 409, reason: 'has_begun' });
    await expect(startAgain(newId('delivery'))).rejects.toMatchObject({ status: 404 });
    expect(world.workflows.startsOf(begun!)).toBe(1);
  });

  it('takes for not begun, when asked to start it again, what has not come through to the delivery service yet', async () => {
    const service = await world.ingestion({ pumps: false });
    const [id] = await accept(service, 1);
    const params = { delivery_id: id! };
    await expect(world.delivery.getDelivery({ params })).rejects.toMatchObject({ status: 404 });
    expect(await service.client.startAgain({ params })).toEqual({ state: 'accepted' });
    await service.app.ingestionPumps.runDue();
    expect(await states()).toEqual({ started: 1 });
    expect(world.workflows.startsOf(id!)).toBe(1);
  });

  it('keeps what the workers cannot take yet, where a cancel is free, and goes on as soon as they can', async () => {
    const service = await world.ingestion({ tuning: { startConcurrency: 2, maxTasksWaiting: 10 } });
    world.workflows.waiting = 11;
    const ids = await accept(service, 30);
    // It slows down and does not stop: the server's figure is an estimate.
    await expect.poll(() => world.workflows.started.length, WITHIN).toBeGreaterThan(0);
    const waiting = (await states())['accepted'] ?? 0;
    expect(waiting).toBeGreaterThan(20);
    const held = ids.find((id) => !world.workflows.startCalls.has(id))!;
    const answer = await service.client.cancel({
      params: { delivery_id: held },
      body: {
        account_id: null,
        reason: 'requested_by_sender',
        actor: { role: 'operator', id: 'test' },
      },
    });
    expect(answer).toMatchObject({ outcome: 'cancelled' });
    world.workflows.waiting = 10;
    await expect.poll(states, WITHIN).toEqual({ started: 29, cancelled: 1 });
    expect(world.workflows.startCalls.has(held)).toBe(false);
  });

  it('loses and doubles none while Temporal is down, and goes on when it is back', async () => {
    const service = await world.ingestion({ tuning: QUICK });
    world.workflows.down = true;
    const ids = await accept(service, 60);
    await expect.poll(() => world.workflows.startCalls.size, WITHIN).toBeGreaterThan(0);
    expect(world.workflows.started).toEqual([]);
    const { unstarted, oldest_unstarted_at } = await service.client.backlog({});
    expect(unstarted).toBe(60);
    expect(Date.parse(oldest_unstarted_at ?? '')).toBeLessThanOrEqual(Date.now());
    const metrics = (await service.app.inject('/metrics')).body;
    expect(metrics).toMatch(/ingestion_unstarted\{.*\} 60/);
    world.workflows.down = false;
    await allStarted(60);
    expect(new Set(world.workflows.started.map((input) => input.deliveryId))).toEqual(new Set(ids));
    for (const id of ids) expect(world.workflows.startsOf(id)).toBe(1);
    expect(await service.client.backlog({})).toMatchObject({ unstarted: 0, oldest_unstarted_at: null });
  });

  it('while Temporal is down, touches few rows, so that the others can still be cancelled at once', async () => {
    const service = await world.ingestion({ tuning: QUICK });
    world.workflows.down = true;
    await accept(service, 40);
    await expect.poll(() => [...world.workflows.startCalls.values()].length, WITHIN).toBeGreaterThan(0);
    const { accepted = 0 } = await states();
    expect(accepted).toBeGreaterThan(20);
  });

  it('drains a backlog expedited first, then oldest first', async () => {
    const early = await world.ingestion({ pumps: false });
    const order: DeliveryId[] = [];
    for (const expedited of [false, true, false, true]) {
      order.push(...(await accept(early, 1, expedited)));
      // The order is by the millisecond.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const drain = await world.ingestion({ pumps: false, tuning: { startConcurrency: 1 } });
    await drain.app.ingestionPumps.runDue();
    expect(world.workflows.started.map((input) => input.deliveryId)).toEqual([
      order[1],
      order[3],
      order[0],
      order[2],
    ]);
  });

  it('two processes share a backlog without starting anything twice', async () => {
    const early = await world.ingestion({ pumps: false });
    const ids = await accept(early, 100);
    await Promise.all([world.ingestion(), world.ingestion()]);
    await allStarted(100);
    for (const id of ids) expect(world.workflows.startCalls.get(id)).toBe(1);
  });

  it('a start whose answer was lost counts once it is told "already started"', async () => {
    const lost = new Set<DeliveryId>();
    world.workflows.losesAnswer = ({ deliveryId }) => {
      const isFirst = !lost.has(deliveryId);
      lost.add(deliveryId);
      return isFirst;
    };
    const service = await world.ingestion({ tuning: QUICK });
    const ids = await accept(service, 10);
    await allStarted(10);
    for (const id of ids) {
      expect(world.workflows.startsOf(id)).toBe(1);
      expect(world.workflows.startCalls.get(id)).toBeGreaterThan(1);
    }
  });

  it('one row that cannot be started holds up no other', async () => {
    let poison: DeliveryId | undefined;
    world.workflows.beforeStart = async ({ deliveryId }) => {
      poison ??= deliveryId;
      if (deliveryId === poison) throw new Error('3 INVALID_ARGUMENT');
    };
    const service = await world.ingestion({ tuning: QUICK });
    await accept(service, 1);
    await expect.poll(() => poison, WITHIN).toBeDefined();
    await accept(service, 20);
    await expect.poll(states, WITHIN).toEqual({ starting: 1, started: 20 });
  });

  it('a process that died between start and mark is made up for by another', async () => {
    let nowMs = Date.now();
    const options = { pumps: false, wall: () => nowMs, tuning: QUICK };
    const first = await world.ingestion(options);
    const [id] = await accept(first, 1);
    // What a process leaves that dies between the start and its mark.
    await database.query(
      `UPDATE delivery_requests SET state = 'starting', starting_since = $1, start_due_at = $2, start_attempts = 1`,
      [new Date(nowMs), new Date(nowMs + QUICK.startLeaseMs)],
    );
    await world.workflows.start({ deliveryId: id } as never);
    const second = await world.ingestion(options);
    await second.app.ingestionPumps.runDue();
    // The claim of the dead one keeps others off until it is over.
    expect(await states()).toEqual({ starting: 1 });
    nowMs += QUICK.startLeaseMs;
    await second.app.ingestionPumps.runDue();
    expect(await states()).toEqual({ started: 1 });
    expect(world.workflows.startsOf(id!)).toBe(1);
  });
});

describe('a row older than Temporal’s memory', () => {
  const retentionMs = 60_000;
  let nowMs: number;
  let service: Ingestion;
  let id: DeliveryId;

  beforeEach(async () => {
    nowMs = Date.now();
    service = await world.ingestion({
      pumps: false,
      wall: () => nowMs,
      tuning: { ...QUICK, retentionMs },
    });
    [id] = (await accept(service, 1)) as [DeliveryId];
    world.workflows.losesAnswer = () => true;
    await expect(service.app.ingestionPumps.runDue()).rejects.toThrow('UNAVAILABLE');
    world.workflows.losesAnswer = () => false;
    expect(await states()).toEqual({ starting: 1 });
    nowMs += retentionMs;
  });

  it('is not started again when its delivery tells that the workflow ran', async () => {
    await world.delivery.appendEvents(
      {
        params: { delivery_id: id },
        body: {
          events: [
            {
              type: 'delivery.failed',
              status: 'failed',
              occurred_at: new Date(nowMs).toISOString(),
              patch: { complete: true },
            },
          ],
        },
      },
      { idempotencyKey: `${id}/fail/1` },
    );
    world.workflows.forget(id);
    await service.app.ingestionPumps.runDue();
    expect(await states()).toEqual({ started: 1 });
    expect(world.workflows.startCalls.get(id)).toBe(1);
  });

  it('is started when nothing has happened to its delivery', async () => {
    world.workflows.forget(id);
    await service.app.ingestionPumps.runDue();
    expect(await states()).toEqual({ started: 1 });
    expect(world.workflows.startCalls.get(id)).toBe(2);
  });

  it('waits while the delivery service cannot be asked', async () => {
    await world.cutDelivery();
    await expect(service.app.ingestionPumps.runDue()).rejects.toThrow();
    expect(await states()).toEqual({ starting: 1 });
    expect(world.workflows.startCalls.get(id)).toBe(1);
    await world.mendDelivery();
    nowMs += 120_000;
    await service.app.ingestionPumps.runDue();
    expect(await states()).toEqual({ started: 1 });
  });
});
