import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isoTime } from '../../../shared/clock.ts';
import { newId } from '../../../shared/ids.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { silentLogger } from '../../../test/support/service.ts';
import { startTcpRelay } from '../../../test/support/tcp-relay.ts';
import { carrierContract } from '../contract/index.ts';
import { buildCarrierService } from '../service.ts';
import { itineraryOf, promiseOf } from '../simulated/rules.ts';
import {
  ANY_TIME,
  type CarrierUnderTest,
  DROPOFF,
  HeardSignals,
  NOON_MS,
  PICKUP,
  serveCarrier,
  stepsOf,
} from './support.ts';

let database: ServiceDatabase;
let service: CarrierUnderTest;
let sql: pg.Pool;
let wallMs = NOON_MS;

beforeAll(async () => {
  database = await createServiceDatabase('carrier');
  sql = new pg.Pool({ connectionString: database.url, max: 1 });
  service = await serveCarrier(database, () => wallMs);
});

beforeEach(() => {
  wallMs = NOON_MS;
});

afterEach(async () => {
  await simulate({
    available: true,
    fail_next_bookings: 0,
    fail_next_after_pickup: 0,
    lose_next_answers: 0,
    price_percent: 100,
  });
});

afterAll(async () => {
  await service.close();
  await sql.end();
  await database.drop();
});

type Simulation = Parameters<CarrierUnderTest['client']['setSimulation']>[0]['body'];
const simulate = (body: Simulation) => service.client.setSimulation({ body });
const promised = (atMs = NOON_MS) =>
  promiseOf(
    itineraryOf(
      {
        deliveryId: newId('delivery'),
        livemode: true,
        pickup: PICKUP,
        dropoff: DROPOFF,
        weightKg: 1,
        ...ANY_TIME,
      },
      atMs,
    ),
  );

describe('quote', () => {
  test('answers price and arrivals on the delivery’s clock', async () => {
    const clock = { anchorWallMs: NOON_MS, anchorMs: Date.parse('2030-06-01T08:00:00Z'), rate: 60 };
    wallMs = NOON_MS + 1_000;
    const { pickupEtaMs, dropoffEtaMs } = promised(Date.parse('2030-06-01T08:01:00Z'));
    const answer = await stepsOf(service, undefined, { clock }).quote();
    expect(answer).toEqual({
      outcome: 'quoted',
      quote_id: expect.stringMatching(/^quo_/) as unknown,
      carrier: 'Simulated City Courier',
      price: { amount: 715, currency: 'USD' },
      pickup_eta: isoTime(pickupEtaMs),
      dropoff_eta: isoTime(dropoffEtaMs),
      expires_at: '2030-06-01T08:31:00.000Z',
    });
  });

  test('answers a repetition with the first result, whatever has happened since, also when all come at once', async () => {
    const delivery = stepsOf(service);
    const answers = await Promise.all(Array.from({ length: 8 }, () => delivery.quote()));
    expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
    wallMs += 60_000;
    await simulate({ available: false });
    expect(await delivery.quote()).toEqual(answers[0]);
    const refused = await delivery.quote(`${delivery.deliveryId}/quote/2`);
    expect(refused).toMatchObject({ outcome: 'refused', reason: 'unavailable' });
    await simulate({ available: true });
    expect(await delivery.quote(`${delivery.deliveryId}/quote/2`)).toEqual(refused);
  });

  test.each([
    ['too_heavy', { weightKg: 25 }],
    ['too_far', { dropoff: { location: { latitude: 47.0, longitude: -122.9 } } }],
    ['too_late', { deadline: '2026-03-01T12:20:00Z' }],
    ['too_late', { pickup_window: { start: '2026-03-01T11:00:00Z', end: '2026-03-01T12:09:00Z' } }],
  ])('refuses what is %s', async (reason, over) => {
    expect(await stepsOf(service, undefined, over).quote()).toMatchObject({ outcome: 'refused', reason });
  });

  test('asks more when it is told to; what was quoted before stands', async () => {
    const [early, late] = [stepsOf(service), stepsOf(service)];
    const quoteId = await early.quoteId();
    await simulate({ price_percent: 150 });
    expect(await late.quote()).toMatchObject({ price: { amount: 1_073, currency: 'USD' } });
    expect(await early.book(quoteId)).toMatchObject({ booking: { price: { amount: 715 } } });
  });

  test('does not let a key stand for another delivery', async () => {
    const delivery = stepsOf(service);
    await delivery.quote();
    await expect(stepsOf(service).quote(`${delivery.deliveryId}/quote/1`)).rejects.toMatchObject({
      slug: 'idempotency-key-reused',
    });
  });
});

describe('book', () => {
  test('books the quote', async () => {
    const delivery = stepsOf(service);
    const booking = await delivery.booked();
    expect(booking).toEqual({
      id: expect.stringMatching(/^bkg_/) as unknown,
      step_key: delivery.bookKey,
      delivery_id: delivery.deliveryId,
      account_id: delivery.job.account_id,
      livemode: true,
      state: 'booked',
      carrier: 'Simulated City Courier',
      price: { amount: 715, currency: 'USD' },
      pickup_eta: isoTime(promised().pickupEtaMs),
      dropoff_eta: isoTime(promised().dropoffEtaMs),
      created_at: isoTime(NOON_MS),
      ended_at: null,
    });
    expect(await service.client.getBooking({ params: { booking_id: booking.id } })).toEqual(booking);
  });

  test('promises what is true at the time of the booking, not of the quote', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    wallMs += 300_000;
    const answer = await delivery.book(quoteId);
    expect(answer).toMatchObject({
      outcome: 'booked',
      booking: { dropoff_eta: isoTime(promised().dropoffEtaMs + 300_000) },
    });
  });

  test('answers a repetition with the same booking, also when all come at once', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    const answers = await Promise.all(Array.from({ length: 10 }, () => delivery.book(quoteId)));
    expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
    wallMs += 3_600_000;
    expect(await delivery.book(quoteId)).toMatchObject({ outcome: 'booked' });
    const { data } = await service.client.listBookings({ query: { delivery_id: delivery.deliveryId } });
    expect(data).toHaveLength(1);
    const { rows } = await sql.query('SELECT 1 FROM simulated_job WHERE reference = $1', [data[0]!.id]);
    expect(rows).toHaveLength(1);
  });

  test('finds the booking again when the carrier’s answer was lost', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    await simulate({ lose_next_answers: 1 });
    await expect(delivery.book(quoteId)).rejects.toMatchObject({ status: 503, retryAfterS: 2 });
    wallMs += 10_000;
    const answer = await delivery.book(quoteId);
    // Taken at the first try, so its times are of then.
    expect(answer).toMatchObject({
      outcome: 'booked',
      booking: { dropoff_eta: isoTime(promised().dropoffEtaMs) },
    });
    const { rows } = await sql.query(
      `SELECT 1 FROM simulated_job j JOIN booking b ON b.id = j.reference WHERE b.delivery_id = $1`,
      [delivery.deliveryId],
    );
    expect(rows).toHaveLength(1);
  });

  test('refuses a quote that has expired, and says so again', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    wallMs += 1_800_001;
    const refused = { outcome: 'refused', reason: 'quote_expired' };
    expect(await delivery.book(quoteId)).toMatchObject(refused);
    wallMs = NOON_MS;
    expect(await delivery.book(quoteId)).toMatchObject(refused);
    expect(await delivery.book(quoteId, `${delivery.deliveryId}/book/2`)).toMatchObject({
      outcome: 'booked',
    });
  });

  test('is refused by a carrier that takes no jobs, or would be too late by now', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    await simulate({ available: false });
    const refused = { outcome: 'refused', reason: 'unavailable' };
    expect(await delivery.book(quoteId)).toMatchObject(refused);
    await simulate({ available: true });
    expect(await delivery.book(quoteId)).toMatchObject(refused);

    const late = stepsOf(service, undefined, { deadline: isoTime(promised().dropoffEtaMs + 60_000) });
    const lateQuoteId = await late.quoteId();
    wallMs += 61_000;
    expect(await late.book(lateQuoteId)).toMatchObject({
      ...refused,
      detail: 'The courier would arrive at the dropoff 1 s after the deadline.',
    });
  });

  test('keeps to the window that was quoted: it is not there before, nor taken when it could only be there after', async () => {
    const window = (startMin: number, endMin: number) => ({
      pickup_window: {
        start: isoTime(NOON_MS + startMin * 60_000),
        end: isoTime(NOON_MS + endMin * 60_000),
      },
    });
    const ahead = stepsOf(service, undefined, window(60, 90));
    const booking = await ahead.booked();
    expect(booking.pickup_eta).toBe(isoTime(NOON_MS + 3_600_000));
    // The repetition of a step, and of one whose answer was lost, promises the same.
    expect(await ahead.book(await ahead.quoteId())).toEqual({ outcome: 'booked', booking });

    const late = stepsOf(service, undefined, window(0, 10));
    const quoteId = await late.quoteId();
    wallMs += 61_000;
    const refused = await late.book(quoteId);
    expect(refused).toMatchObject({ outcome: 'refused', reason: 'unavailable' });
    expect(JSON.stringify(refused)).toMatch(/at the pickup \d+ s after the end of its window/);
  });

  test('takes only the quote of its own delivery, for the job that was quoted', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    await expect(stepsOf(service).book(quoteId)).rejects.toMatchObject({ status: 404 });
    await expect(delivery.book(newId('quote'))).rejects.toMatchObject({ status: 404 });
    const heavier = stepsOf(service, delivery.deliveryId, { weightKg: 2 });
    await expect(heavier.book(quoteId)).rejects.toMatchObject({ status: 409, reason: 'other_job' });
    const refused = stepsOf(service, undefined, { weightKg: 99 });
    await refused.quote();
    const { rows } = await sql.query<{ id: typeof quoteId }>('SELECT id FROM quote WHERE delivery_id = $1', [
      refused.deliveryId,
    ]);
    await expect(refused.book(rows[0]!.id)).rejects.toMatchObject({ status: 409, reason: 'quote_refused' });
  });
});

describe('writeOffBooking', () => {
  test('closes a booking with the package aboard, once; whatever the carrier does then is not followed', async () => {
    const delivery = stepsOf(service);
    const { id } = await delivery.booked();
    wallMs = promised().dropoffEtaMs + 1_000;
    await service.app.carrierPump.runDue();
    expect(await delivery.cancel()).toEqual({ outcome: 'already_picked_up' });
    expect(await delivery.writeOff()).toEqual({ outcome: 'written_off' });
    expect(await delivery.writeOff()).toEqual({ outcome: 'written_off' });
    expect(await delivery.writeOff('another')).toEqual({ outcome: 'already_written_off' });
    expect(await delivery.cancel('another')).toEqual({ outcome: 'already_ended' });
    wallMs += 24 * 3_600_000;
    await service.app.carrierPump.runDue();
    const booking = await service.client.getBooking({ params: { booking_id: id } });
    expect(booking).toMatchObject({ state: 'lost', ended_at: isoTime(promised().dropoffEtaMs + 1_000) });
    const { data } = await service.client.listBookings({
      query: { delivery_id: delivery.deliveryId, open: true },
    });
    expect(data).toEqual([]);
    await expect(sql.query(`UPDATE booking SET state = 'delivered' WHERE id = $1`, [id])).rejects.toThrow(
      /stays ended/,
    );
  });

  test('leaves one that has ended as it is', async () => {
    const delivery = stepsOf(service);
    const { id } = await delivery.booked();
    wallMs += 24 * 3_600_000;
    await service.app.carrierPump.runDue();
    expect(await delivery.writeOff()).toEqual({ outcome: 'already_ended' });
    expect(await service.client.getBooking({ params: { booking_id: id } })).toMatchObject({
      state: 'delivered',
    });
  });

  test('of a step that never ran keeps it from running late; of a refused one says that nothing was booked', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    expect(await delivery.writeOff()).toEqual({ outcome: 'never_booked' });
    expect(await delivery.book(quoteId)).toMatchObject({ outcome: 'refused', reason: 'cancelled' });
    const refused = stepsOf(service);
    const laterQuoteId = await refused.quoteId();
    wallMs += 1_800_001;
    await refused.book(laterQuoteId);
    expect(await refused.writeOff()).toEqual({ outcome: 'never_booked' });
  });

  test('is refused while nobody knows whether the carrier took it', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    await simulate({ lose_next_answers: 1 });
    await expect(delivery.book(quoteId)).rejects.toMatchObject({ status: 503 });
    await expect(delivery.writeOff()).rejects.toMatchObject({ status: 409, reason: 'not_booked' });
  });
});

describe('cancelBooking', () => {
  test('cancels, once', async () => {
    const delivery = stepsOf(service);
    const { id } = await delivery.booked();
    expect(await delivery.cancel()).toEqual({ outcome: 'cancelled' });
    expect(await delivery.cancel()).toEqual({ outcome: 'cancelled' });
    expect(await delivery.cancel('another/cancel/1')).toEqual({ outcome: 'already_cancelled' });
    expect(await service.client.getBooking({ params: { booking_id: id } })).toMatchObject({
      state: 'cancelled',
      ended_at: isoTime(NOON_MS),
    });
  });

  test('of a step that never ran keeps it from running late', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    expect(await delivery.cancel()).toEqual({ outcome: 'never_booked' });
    expect(await delivery.cancel()).toEqual({ outcome: 'never_booked' });
    expect(await delivery.cancel('another/cancel/1')).toEqual({ outcome: 'already_cancelled' });
    expect(await delivery.book(quoteId)).toMatchObject({ outcome: 'refused', reason: 'cancelled' });
    const { data } = await service.client.listBookings({ query: { delivery_id: delivery.deliveryId } });
    expect(data).toEqual([]);
  });

  test('of a step whose answer was lost cancels what the carrier had taken', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    await simulate({ lose_next_answers: 1 });
    await expect(delivery.book(quoteId)).rejects.toMatchObject({ status: 503 });
    expect(await delivery.cancel()).toEqual({ outcome: 'cancelled' });
    expect(await delivery.book(quoteId)).toMatchObject({ outcome: 'refused', reason: 'cancelled' });
    const { rows } = await sql.query(
      `SELECT j.cancelled_at IS NOT NULL AS cancelled FROM simulated_job j JOIN booking b ON b.id = j.reference
        WHERE b.delivery_id = $1`,
      [delivery.deliveryId],
    );
    expect(rows).toEqual([{ cancelled: true }]);
  });

  test('that died after the carrier had heard it is what its book step is refused for', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    await simulate({ lose_next_answers: 1 });
    await expect(delivery.book(quoteId)).rejects.toMatchObject({ status: 503 });
    await sql.query(
      `UPDATE simulated_job SET cancelled_at = now()
        WHERE reference = (SELECT id FROM booking WHERE delivery_id = $1)`,
      [delivery.deliveryId],
    );
    const refused = { outcome: 'refused', reason: 'cancelled' };
    expect(await delivery.book(quoteId)).toMatchObject(refused);
    expect(await delivery.cancel()).toEqual({ outcome: 'never_booked' });
    expect(await delivery.book(quoteId)).toMatchObject(refused);
  });

  test('of a refused step says that nothing was booked', async () => {
    const delivery = stepsOf(service);
    const quoteId = await delivery.quoteId();
    await simulate({ available: false });
    await delivery.book(quoteId);
    expect(await delivery.cancel()).toEqual({ outcome: 'never_booked' });
  });

  test('comes too late from the pickup on, whether or not anybody has looked', async () => {
    const pickedUpMs = itineraryTimes().picked_up;
    const early = stepsOf(service);
    await early.booked();
    wallMs = pickedUpMs - 1;
    expect(await early.cancel()).toEqual({ outcome: 'cancelled' });

    wallMs = NOON_MS;
    const late = stepsOf(service);
    const { id } = await late.booked();
    wallMs = pickedUpMs;
    expect(await late.cancel()).toEqual({ outcome: 'already_picked_up' });
    // Another process, whose wall is a little behind, must not undo that.
    wallMs = pickedUpMs - 1_000;
    expect(await late.cancel('another/cancel/1')).toEqual({ outcome: 'already_picked_up' });
    wallMs = pickedUpMs;
    await service.app.carrierPump.runDue();
    expect(await late.cancel()).toEqual({ outcome: 'already_picked_up' });
    wallMs = itineraryTimes().delivered;
    expect(await late.cancel()).toEqual({ outcome: 'already_ended' });
    await service.app.carrierPump.runDue();
    expect(await late.cancel()).toEqual({ outcome: 'already_ended' });
    expect(await service.client.getBooking({ params: { booking_id: id } })).toMatchObject({
      state: 'delivered',
      ended_at: isoTime(itineraryTimes().delivered),
    });
  });

  test('racing its own book step leaves nothing booked, whichever comes first', async () => {
    for (let round = 0; round < 20; round += 1) {
      const delivery = stepsOf(service);
      const quoteId = await delivery.quoteId();
      const [booked, cancelled] = await Promise.all([delivery.book(quoteId), delivery.cancel()]);
      expect(['cancelled', 'never_booked']).toContain(cancelled.outcome);
      if (booked.outcome === 'booked') expect(cancelled.outcome).toBe('cancelled');
      else expect(booked.reason).toBe('cancelled');
      expect(await delivery.book(quoteId)).toMatchObject({ outcome: 'refused', reason: 'cancelled' });
      const { rows } = await sql.query(
        `SELECT 1 FROM simulated_job j JOIN booking b ON b.id = j.reference
          WHERE b.delivery_id = $1 AND j.cancelled_at IS NULL`,
        [delivery.deliveryId],
      );
      expect(rows).toEqual([]);
    }
  });

  test('racing the pickup: either it is cancelled and never picked up, or the other way round', async () => {
    for (let round = 0; round < 10; round += 1) {
      wallMs = NOON_MS;
      const delivery = stepsOf(service);
      const { id } = await delivery.booked();
      let reads = round;
      // Two processes whose walls differ: for some the pickup has come, for some not yet.
      const pickedUpMs = itineraryTimes().picked_up;
      const straddling = await serveCarrier(database, () => pickedUpMs - ((reads += 1) % 2));
      try {
        const [cancelled] = await Promise.all([
          stepsOf(straddling, delivery.deliveryId).cancel(),
          straddling.app.carrierPump.runDue(),
        ]);
        wallMs = pickedUpMs + 1;
        await service.app.carrierPump.runDue();
        const { state } = await service.client.getBooking({ params: { booking_id: id } });
        expect([cancelled.outcome, state]).toEqual(
          cancelled.outcome === 'cancelled' ? ['cancelled', 'cancelled'] : ['already_picked_up', 'picked_up'],
        );
      } finally {
        await straddling.close();
      }
    }
  });
});

test('fails as many bookings as it is told to, of many at once', async () => {
  await simulate({ fail_next_bookings: 3 });
  const deliveries = Array.from({ length: 8 }, () => stepsOf(service));
  const ids = (await Promise.all(deliveries.map((one) => one.booked()))).map(({ id }) => id);
  expect(await simulate({})).toMatchObject({ available: true, fail_next_bookings: 0 });
  wallMs = itineraryTimes().delivered;
  await service.app.carrierPump.runDue();
  const states = await Promise.all(
    ids.map(async (id) => (await service.client.getBooking({ params: { booking_id: id } })).state),
  );
  expect(states.filter((state) => state === 'failed')).toHaveLength(3);
  expect(states.filter((state) => state === 'delivered')).toHaveLength(5);
  const failed = deliveries[states.indexOf('failed')]!;
  expect(await failed.cancel()).toEqual({ outcome: 'already_ended' });
});

test('fails with the package in its hands as it is told to: nobody can cancel that any more', async () => {
  await simulate({ fail_next_after_pickup: 1 });
  const [late, sound] = [stepsOf(service), stepsOf(service)];
  const lateId = (await late.booked()).id;
  const soundId = (await sound.booked()).id;
  expect(await simulate({})).toMatchObject({ fail_next_after_pickup: 0 });
  wallMs = itineraryTimes().delivered;
  await service.app.carrierPump.runDue();
  const stepsTold = async (booking_id: typeof lateId) =>
    (await service.client.readMilestones({ params: { booking_id }, query: { after_sequence: 0 } })).data.map(
      (one) => one.state,
    );
  expect(await stepsTold(lateId)).toEqual([
    'enroute_to_pickup',
    'arrived_at_pickup',
    'picked_up',
    'enroute_to_dropoff',
    'failed',
  ]);
  expect((await stepsTold(soundId)).at(-1)).toBe('delivered');
  expect(await late.cancel()).toEqual({ outcome: 'already_ended' });
});

test('lists bookings newest first, by page, delivery, and whether they are under way', async () => {
  const open = stepsOf(service);
  const ended = stepsOf(service);
  const { id: openId } = await open.booked();
  const { id: endedId } = await ended.booked();
  await ended.cancel();
  const ids = async (query: object) =>
    (await service.client.listBookings({ query: { limit: 200, ...query } })).data.map(({ id }) => id);
  expect(await ids({ delivery_id: open.deliveryId })).toEqual([openId]);
  expect(await ids({ open: true })).toContain(openId);
  expect(await ids({ open: true })).not.toContain(endedId);
  expect(await ids({ open: false })).toContain(endedId);
  expect(await ids({ open: false })).not.toContain(openId);
  const first = await service.client.listBookings({ query: { limit: 1 } });
  const second = await service.client.listBookings({ query: { limit: 1, cursor: first.next_cursor! } });
  expect(second.data[0]!.id < first.data[0]!.id).toBe(true);
  await expect(service.client.listBookings({ query: { cursor: 'x' } })).rejects.toMatchObject({
    status: 400,
  });
});

test('names every wrong field, and refuses a clock that shows no time', async () => {
  const delivery = stepsOf(service);
  const payload = { ...delivery.job, pickup: { location: { latitude: 91, longitude: 0 } }, weight_kg: 0 };
  const headers = { 'idempotency-key': 'x' };
  const response = await service.app.inject({ method: 'POST', url: '/quotes', headers, payload });
  expect(response.statusCode).toBe(400);
  const { errors } = response.json<{ errors: { field: string }[] }>();
  expect(errors.map((one) => one.field).sort()).toEqual([
    'deadline',
    'pickup.location.latitude',
    'weight_kg',
  ]);
  const clock = { anchorWallMs: 0, anchorMs: 1e300, rate: 1 };
  await expect(stepsOf(service, undefined, { clock }).quote()).rejects.toMatchObject({
    status: 400,
    errors: [{ field: 'clock' }],
  });
  await expect(
    stepsOf(service, undefined, { deadline: '0000-01-01T00:00:00Z' }).quote(),
  ).rejects.toMatchObject({ status: 400, errors: [{ field: 'deadline' }] });
  const pickup_window = { start: '0000-01-01T00:00:00Z', end: '2026-03-01T13:00:00Z' };
  await expect(stepsOf(service, undefined, { pickup_window }).quote()).rejects.toMatchObject({
    status: 400,
    errors: [{ field: 'pickup_window.start' }],
  });
  await expect(service.client.getBooking({ params: { booking_id: newId('booking') } })).rejects.toMatchObject(
    { status: 404 },
  );
});

test('documents every operation', async () => {
  const document = (await service.app.inject('/openapi.json')).json<{
    paths: Record<string, Record<string, { operationId: string }>>;
  }>();
  const operations = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((one) => one.operationId),
  );
  expect(operations.sort()).toEqual(Object.keys(carrierContract).sort());
});

test('says 503 with Retry-After while the database is down', async () => {
  const relay = await startTcpRelay(database.url);
  const app = await buildCarrierService({
    databaseUrl: relay.through(database.url),
    logger: silentLogger,
    poolSize: 1,
    workflows: new HeardSignals(),
  });
  const list = () => app.inject('/bookings');
  try {
    expect((await list()).statusCode).toBe(200);
    await relay.cut();
    const answer = await list();
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    await relay.mend();
    await expect.poll(async () => (await list()).statusCode, { timeout: 10_000 }).toBe(200);
  } finally {
    await app.close();
    await relay.close();
  }
});

/** When each step of a booking made at noon comes to pass. */
function itineraryTimes() {
  const job = {
    deliveryId: newId('delivery'),
    livemode: true,
    pickup: PICKUP,
    dropoff: DROPOFF,
    weightKg: 1.2,
    ...ANY_TIME,
  };
  const times = Object.fromEntries(itineraryOf(job, NOON_MS).map(({ state, atMs }) => [state, atMs]));
  return { picked_up: times['picked_up']!, delivered: times['delivered']! };
}
