import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DeliveryId } from '../../../shared/ids.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import type { FeedEntry } from '../contract/index.ts';
import {
  aCreation,
  pathTo,
  type RunningDeliveryService,
  runningDeliveryService,
  toStatus,
} from './support.ts';

let database: ServiceDatabase;
let one: RunningDeliveryService;
let two: RunningDeliveryService;
/** The end of the feed when a test begins. */
let start: number;

beforeAll(async () => {
  database = await createServiceDatabase('delivery');
  one = await runningDeliveryService(database.url);
  two = await runningDeliveryService(database.url);
});
afterAll(async () => {
  await one.close();
  await two.close();
  await database.drop();
});
beforeEach(async () => {
  start = await endOfFeed(one);
});

/** Places everything there is, and answers the last position. */
async function endOfFeed(service: RunningDeliveryService): Promise<number> {
  const beyond = Number.MAX_SAFE_INTEGER;
  return (await service.client.readFeed({ query: { after: beyond } })).last_position;
}

async function readAll(service: RunningDeliveryService, after: number, limit = 7): Promise<FeedEntry[]> {
  const all: FeedEntry[] = [];
  for (;;) {
    const { entries } = await service.client.readFeed({ query: { after, limit } });
    const last = entries.at(-1);
    if (!last) return all;
    all.push(...entries);
    after = last.position;
  }
}

async function fly(service: RunningDeliveryService, other = service): Promise<DeliveryId> {
  const { id } = await service.client.createDelivery({ body: aCreation() });
  for (const [index, status] of pathTo('delivered').entries()) {
    await (index % 2 ? service : other).client.appendEvents(
      { params: { delivery_id: id }, body: { events: [toStatus(status)] } },
      { idempotencyKey: `${id}/${status}/1` },
    );
  }
  return id;
}

const contiguous = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + 1 + i);

describe('the feed', () => {
  it('has every event once, in the order of each delivery, at positions without a gap', async () => {
    const ids = await Promise.all([fly(one), fly(two), fly(one, two), fly(two, one)]);
    const entries = await readAll(two, start);
    expect(entries.map((entry) => entry.position)).toEqual(contiguous(start, 4 * 8));
    for (const id of ids) {
      const own = entries.filter((entry) => entry.event.delivery_id === id);
      expect(own.map((entry) => entry.event.sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
  });

  it('shows the delivery as it was after each event', async () => {
    const id = await fly(one);
    const entries = await readAll(one, start);
    expect(entries.map((entry) => entry.delivery.status)).toEqual(['created', ...pathTo('delivered')]);
    expect(entries.map((entry) => entry.delivery.sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(entries.map((entry) => entry.delivery.ended_at !== null)).toEqual([
      ...Array<boolean>(7).fill(false),
      true,
    ]);
    expect(entries.at(-1)?.delivery).toEqual(await one.client.getDelivery({ params: { delivery_id: id } }));
  });

  it('does not skip an event whose transaction commits late', async () => {
    const late = await one.client.createDelivery({ body: aCreation() });
    start = await endOfFeed(one);
    const session = new pg.Client({ connectionString: database.url });
    await session.connect();
    await session.query('BEGIN');
    await session.query(
      `WITH changed AS (UPDATE deliveries SET status = 'confirmed', sequence = 2 WHERE id = $1 RETURNING *)
       INSERT INTO delivery_events (delivery_id, sequence, id, account_id, livemode, type, status, occurred_at,
         recorded_at, data, state)
       SELECT id, 2, 'evt_01h455vb4pex5vsknk084sn02q', account_id, livemode, 'delivery.confirmed', 'confirmed',
         created_at, created_at, '{}', state FROM changed`,
      [late.id],
    );
    // The others overtake it: they are read, to the end, while it is still open.
    const overtaking = await fly(two);
    const before = await readAll(one, start);
    expect(new Set(before.map((entry) => entry.event.delivery_id))).toEqual(new Set([overtaking]));
    const position = before.at(-1)!.position;
    await session.query('COMMIT');
    await session.end();
    const after = await readAll(two, position);
    expect(after.map((entry) => [entry.position, entry.event.delivery_id, entry.event.sequence])).toEqual([
      [position + 1, late.id, 2],
    ]);
  });

  it('keeps its order while several processes read, write and place at once', async () => {
    const readers = [one, two, one, two].map(async (service) => {
      const seen: FeedEntry[] = [];
      let after = start;
      while (seen.length < 10 * 8) {
        const page = await service.client.readFeed({ query: { after, limit: 9, wait_ms: 2_000 } });
        seen.push(...page.entries);
        after = page.entries.at(-1)?.position ?? after;
      }
      return seen.map((entry) => `${entry.position} ${entry.event.id}`);
    });
    await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 ? fly(one, two) : fly(two))));
    const [first, ...rest] = await Promise.all(readers);
    expect(first).toHaveLength(80);
    expect(first!.map((line) => Number(line.split(' ')[0]))).toEqual(contiguous(start, 80));
    for (const seen of rest) expect(seen).toEqual(first);
  });

  it.each([
    ['the same process', () => one],
    ['another process', () => two],
  ])('a long poll hears of what %s writes', async (_name, writer) => {
    const { id } = await one.client.createDelivery({ body: aCreation() });
    start = await endOfFeed(one);
    const waiting = one.client.readFeed({ query: { after: start, wait_ms: 20_000 } });
    await writer().client.appendEvents(
      { params: { delivery_id: id }, body: { events: [toStatus('confirmed')] } },
      { idempotencyKey: 'k' },
    );
    const began = performance.now();
    const { entries } = await waiting;
    expect(entries.map((entry) => entry.event.status)).toEqual(['confirmed']);
    // Far from the end of the wait; how soon exactly is for a benchmark.
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('a long poll without news ends in time, and its reader loses nothing', async () => {
    const page = await one.client.readFeed({ query: { after: start, wait_ms: 50 } });
    expect(page).toEqual({ entries: [], last_position: start });
  });

  it('tells its end with every page', async () => {
    await fly(one);
    const page = await two.client.readFeed({ query: { after: start, limit: 1 } });
    expect(page.entries.map((entry) => entry.position)).toEqual([start + 1]);
    expect(page.last_position).toBe(start + 8);
    // Also to a reader that is beyond it: after a restore of older data.
    const beyond = await one.client.readFeed({ query: { after: start + 500 } });
    expect(beyond).toEqual({ entries: [], last_position: start + 8 });
  });

  it('answers those who wait when the service closes', async () => {
    const third = await runningDeliveryService(database.url);
    const waiting = third.client.readFeed({ query: { after: start, wait_ms: 30_000 } });
    await expect
      .poll(async () => (await third.app.inject('/metrics')).body)
      .toMatch(/feed_waiting_readers\{.*\} 1/);
    const began = performance.now();
    const closing = third.app.close();
    expect(await waiting).toEqual({ entries: [], last_position: start });
    await closing;
    expect(performance.now() - began).toBeLessThan(10_000);
    await third.client.close();
  });

  it('places events without a reader, too', async () => {
    await fly(one);
    const session = new pg.Client({ connectionString: database.url });
    await session.connect();
    await expect
      .poll(async () => (await session.query('SELECT FROM unplaced_events')).rowCount, { timeout: 10_000 })
      .toBe(0);
    const { rows } = await session.query<{ position: string }>('SELECT position FROM feed_head');
    expect(Number(rows[0]?.position)).toBe(start + 8);
    await session.end();
  });
});
