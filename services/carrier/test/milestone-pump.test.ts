import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isoTime, type ClockSettings } from '../../../shared/clock.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { startTcpRelay } from '../../../test/support/tcp-relay.ts';
import { type CarrierUnderTest, HeardSignals, NOON_MS, serveCarrier, stepsOf } from './support.ts';

const STEPS = [
  'enroute_to_pickup',
  'arrived_at_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
  'delivered',
];
const HOUR_MS = 3_600_000;

let database: ServiceDatabase;
const running: CarrierUnderTest[] = [];
let wallMs = NOON_MS;

beforeAll(async () => {
  database = await createServiceDatabase('carrier');
});

beforeEach(() => {
  // Past everything that an earlier test booked, so that tests do not see one another's bookings come due.
  wallMs += 24 * HOUR_MS;
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.close()));
});

afterAll(async () => {
  await database.drop();
});

async function start(options: { workflows?: HeardSignals; wall?: () => number; databaseUrl?: string } = {}) {
  const service = await serveCarrier(
    { ...database, url: options.databaseUrl ?? database.url },
    options.wall ?? (() => wallMs),
    options.workflows,
  );
  running.push(service);
  return service;
}

test('tells the workflow each step when it has come to pass, and knows when the next one is due', async () => {
  const service = await start();
  const delivery = stepsOf(service);
  const { id, dropoff_eta } = await delivery.booked();
  const told: string[] = [];
  for (;;) {
    const nextMs = await service.app.carrierPump.runDue();
    if (nextMs === null) break;
    expect(nextMs).toBeGreaterThan(wallMs);
    // A millisecond before its time nothing has happened.
    wallMs = nextMs - 1;
    await service.app.carrierPump.runDue();
    expect(service.workflows.of(delivery.deliveryId).map(({ state }) => state)).toEqual(told);
    wallMs = nextMs;
    await service.app.carrierPump.runDue();
    const last = service.workflows.of(delivery.deliveryId).at(-1)!;
    expect(last).toEqual({
      bookingId: id,
      sequence: told.length + 1,
      state: STEPS[told.length],
      occurredAt: isoTime(wallMs),
      recordedAt: isoTime(wallMs),
    });
    told.push(last.state);
  }
  expect(told).toEqual(STEPS);
  const arrival = service.workflows.of(delivery.deliveryId)[4]!;
  expect(arrival.occurredAt).toBe(dropoff_eta);
  const { data } = await service.client.readMilestones({
    params: { booking_id: id },
    query: { after_sequence: 4 },
  });
  expect(data.map(({ sequence, state }) => [sequence, state])).toEqual([
    [5, 'arrived_at_dropoff'],
    [6, 'delivered'],
  ]);
});

test('by itself, on a clock that runs fast: a booking is delivered in seconds, in order', async () => {
  const workflows = new HeardSignals();
  const service = await start({ workflows, wall: Date.now });
  const anchorWallMs = Date.now();
  // The whole job takes half an hour, so three seconds.
  const clock: ClockSettings = { anchorWallMs, anchorMs: NOON_MS, rate: 600 };
  const delivery = stepsOf(service, undefined, { clock });
  const booking = await delivery.booked();
  await expect
    .poll(() => workflows.of(delivery.deliveryId).map(({ state }) => state), { timeout: 15_000 })
    .toEqual(STEPS);
  const heard = workflows.of(delivery.deliveryId);
  expect(heard.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  for (const { occurredAt, recordedAt } of heard) {
    expect(Date.parse(recordedAt)).toBeGreaterThanOrEqual(Date.parse(occurredAt));
  }
  expect(heard[4]!.occurredAt).toBe(booking.dropoff_eta);
});

test('what was missed while no process ran is told by the next one, in order', async () => {
  const first = await start();
  const delivery = stepsOf(first);
  await delivery.booked();
  await first.app.carrierPump.runDue();
  await first.close();
  running.splice(0);
  wallMs += HOUR_MS;
  const second = await start();
  await second.app.carrierPump.runDue();
  expect(second.workflows.of(delivery.deliveryId).map(({ sequence, state }) => [sequence, state])).toEqual(
    STEPS.map((state, index) => [index + 1, state]),
  );
});

test('a booking made in one process is taken over by another when that one dies of it', async () => {
  const dying = await start();
  const delivery = stepsOf(dying);
  await delivery.booked();
  await dying.app.carrierPump.runDue();
  // It claims the booking and never comes back from telling the workflow.
  let release = () => {};
  dying.workflows.gate = new Promise((resolve) => (release = resolve));
  wallMs += HOUR_MS;
  const hanging = dying.app.carrierPump.runDue();
  const heir = await start();
  await expect
    .poll(
      async () => {
        wallMs += 10_000;
        await heir.app.carrierPump.runDue();
        return heir.workflows.of(delivery.deliveryId).map(({ sequence }) => sequence);
      },
      { timeout: 10_000 },
    )
    .toEqual([1, 2, 3, 4, 5, 6]);
  release();
  await hanging;
});

test('while Temporal is down it keeps what has happened, tries again, and keeps the order', async () => {
  const service = await start();
  const delivery = stepsOf(service);
  const { id } = await delivery.booked();
  await service.app.carrierPump.runDue();
  service.workflows.failures = 3;
  wallMs += HOUR_MS;
  const retries: number[] = [];
  let nextMs = await service.app.carrierPump.runDue();
  while (nextMs !== null && service.workflows.of(delivery.deliveryId).length === 0) {
    retries.push(nextMs - wallMs);
    wallMs = nextMs;
    nextMs = await service.app.carrierPump.runDue();
  }
  // Each wait is longer than the one before.
  expect(retries).toEqual([250, 500, 1000]);
  expect(service.workflows.of(delivery.deliveryId).map(({ sequence }) => sequence)).toEqual([
    1, 2, 3, 4, 5, 6,
  ]);
  expect(await service.client.getBooking({ params: { booking_id: id } })).toMatchObject({
    state: 'delivered',
  });
});

test('a workflow that is gone acknowledges too, and the carrier goes on', async () => {
  const service = await start();
  const delivery = stepsOf(service);
  const { id } = await delivery.booked();
  service.workflows.gone.add(delivery.deliveryId);
  wallMs += HOUR_MS;
  expect(await service.app.carrierPump.runDue()).toBeNull();
  expect(service.workflows.of(delivery.deliveryId)).toEqual([]);
  expect(await service.client.getBooking({ params: { booking_id: id } })).toMatchObject({
    state: 'delivered',
  });
});

test('several processes at once tell every step of every booking, each booking’s in order', async () => {
  const workflows = new HeardSignals();
  const services = await Promise.all([start({ workflows }), start({ workflows }), start({ workflows })]);
  const deliveries = Array.from({ length: 30 }, (_, index) => stepsOf(services[index % 3]!));
  await Promise.all(deliveries.map((one) => one.booked()));
  for (let minute = 0; minute < 40; minute += 2) {
    wallMs += 120_000;
    await Promise.all(services.map(({ app }) => app.carrierPump.runDue()));
  }
  for (const { deliveryId } of deliveries) {
    const heard = workflows.of(deliveryId).map(({ sequence }) => sequence);
    expect([...new Set(heard)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(heard).toEqual([...heard].sort((a, b) => a - b));
  }
});

test('a cancelled booking says nothing any more', async () => {
  const service = await start();
  const delivery = stepsOf(service);
  const { id } = await delivery.booked();
  wallMs = (await service.app.carrierPump.runDue())!;
  await service.app.carrierPump.runDue();
  expect(await delivery.cancel()).toEqual({ outcome: 'cancelled' });
  wallMs += HOUR_MS;
  expect(await service.app.carrierPump.runDue()).toBeNull();
  expect(service.workflows.of(delivery.deliveryId).map(({ state }) => state)).toEqual(['enroute_to_pickup']);
  expect(await service.client.getBooking({ params: { booking_id: id } })).toMatchObject({
    state: 'cancelled',
  });
});

describe('with the database gone for a while', () => {
  test('it goes on when it is back', async () => {
    const relay = await startTcpRelay(database.url);
    const workflows = new HeardSignals();
    const service = await start({ workflows, wall: Date.now, databaseUrl: relay.through(database.url) });
    try {
      const clock: ClockSettings = { anchorWallMs: Date.now(), anchorMs: NOON_MS, rate: 600 };
      const delivery = stepsOf(service, undefined, { clock });
      await delivery.booked();
      await relay.cut();
      await expect(service.app.carrierPump.runDue()).rejects.toThrow();
      await relay.mend();
      await expect
        .poll(() => workflows.of(delivery.deliveryId).map(({ sequence }) => sequence), { timeout: 45_000 })
        .toEqual([1, 2, 3, 4, 5, 6]);
    } finally {
      running.splice(0);
      await service.close();
      await relay.close();
    }
  }, 60_000);
});
