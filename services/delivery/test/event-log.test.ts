// What the database itself refuses, whoever writes: tried as the role that owns the tables, so that nothing else is in the way.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { canTransition, DELIVERY_STATUSES, type DeliveryStatus } from '../contract/index.ts';
import { aCreation, pathTo, runningDeliveryService, toStatus } from './support.ts';

let database: ServiceDatabase;
let owner: pg.Client;
let app: pg.Client;
const existing = new Map<DeliveryStatus, { id: string; sequence: number }>();

beforeAll(async () => {
  database = await createServiceDatabase('delivery');
  const service = await runningDeliveryService(database.url);
  for (const status of DELIVERY_STATUSES) {
    const { id } = await service.client.createDelivery({ body: aCreation() });
    const path = pathTo(status);
    if (path.length > 0) {
      await service.client.appendEvents(
        { params: { delivery_id: id }, body: { events: path.map((step) => toStatus(step)) } },
        { idempotencyKey: `${id}/setup/1` },
      );
    }
    existing.set(status, { id, sequence: 1 + path.length });
  }
  await service.close();
  owner = new pg.Client({ connectionString: database.ownerUrl });
  app = new pg.Client({ connectionString: database.url });
  await owner.connect();
  await app.connect();
});
afterAll(async () => {
  await owner.end();
  await app.end();
  await database.drop();
});

/** Runs statements in a transaction that is rolled back; answers the constraint that refused, or null. */
async function refusedBy(...statements: { text: string; values?: unknown[] }[]): Promise<string | null> {
  await owner.query('BEGIN');
  try {
    for (const statement of statements) await owner.query(statement);
    return null;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error.constraint ?? error.message;
    throw error;
  } finally {
    await owner.query('ROLLBACK');
  }
}

/** An event in the place of the delivery's last one, one further and with another status. */
const insertEvent = (id: string, sequence: number, status: string) => ({
  text: `INSERT INTO delivery_events (delivery_id, sequence, id, account_id, livemode, type, status, occurred_at,
      recorded_at, data, state)
    SELECT id, $2::int, 'evt_' || $2 || id, account_id, livemode, 'delivery.test', $3, created_at, created_at, '{}', state
    FROM deliveries WHERE id = $1`,
  values: [id, sequence, status],
});

describe('the transition trigger', () => {
  const pairs = DELIVERY_STATUSES.flatMap((from) => DELIVERY_STATUSES.map((to) => [from, to] as const));

  it('says of every pair of statuses what the state machine says', async () => {
    const wrong: string[] = [];
    for (const [from, to] of pairs) {
      const { id, sequence } = existing.get(from)!;
      const refusal = await refusedBy(insertEvent(id, sequence + 1, to));
      // An event that changes no status keeps it.
      const expected = from === to || canTransition(from, to) ? null : 'delivery_status_transition';
      if (refusal !== expected) wrong.push(`${from} → ${to}: ${refusal ?? 'allowed'}`);
    }
    expect(wrong).toEqual([]);
    expect(pairs).toHaveLength(225);
  });

  it('refuses a status that is none, and a first event other than created', async () => {
    const { id, sequence } = existing.get('confirmed')!;
    expect(await refusedBy(insertEvent(id, sequence + 1, 'lost'))).toBe('delivery_status_transition');
    const copy = {
      text: `INSERT INTO deliveries (id, account_id, livemode, created_at, requested, status, sequence, complete,
          open_interventions, state, updated_at)
        SELECT 'del_other', account_id, livemode, created_at, requested, status, 1, complete, 0, state, updated_at
        FROM deliveries WHERE id = $1`,
      values: [id],
    };
    expect(await refusedBy(copy)).toBe('delivery_follows_events');
    await owner.query('ALTER TABLE deliveries DISABLE TRIGGER state_follows_events');
    expect(await refusedBy(copy, insertEvent('del_other', 1, 'confirmed'))).toBe(
      'delivery_status_transition',
    );
    await owner.query('ALTER TABLE deliveries ENABLE TRIGGER state_follows_events');
  });
});

describe('the event log', () => {
  it('has no gap and no event twice', async () => {
    const { id, sequence } = existing.get('confirmed')!;
    expect(await refusedBy(insertEvent(id, sequence + 2, 'cancelled'))).toBe('delivery_event_sequence');
    expect(await refusedBy(insertEvent(id, 0, 'created'))).toBe('delivery_event_sequence');
    expect(await refusedBy(insertEvent(id, sequence, 'confirmed'))).toBe('delivery_events_pkey');
    expect(
      await refusedBy(insertEvent(id, sequence + 1, 'confirmed'), insertEvent(id, sequence + 2, 'cancelled')),
    ).toBe(null);
  });

  it.each([
    ['UPDATE delivery_events SET data = \'{"a":1}\'', 'delivery_events_append_only'],
    ["UPDATE delivery_events SET type = 'x' WHERE sequence = 1", 'delivery_events_append_only'],
    ['DELETE FROM delivery_events WHERE sequence = 1', 'delivery_events_append_only'],
    ['TRUNCATE delivery_events CASCADE', 'delivery_events_append_only'],
    ['DELETE FROM feed_entries', 'feed_entries_append_only'],
    ['DELETE FROM deliveries', 'delivery_events_delivery_id_fkey'],
    ["UPDATE deliveries SET id = id || 'x'", 'delivery_events_delivery_id_fkey'],
  ])('refuses its owner: %s', async (text, constraint) => {
    expect(await refusedBy({ text })).toBe(constraint);
  });

  it('gives the running service no right to rewrite it', async () => {
    for (const text of ['UPDATE delivery_events SET data = data', 'DELETE FROM delivery_events'])
      await expect(app.query(text)).rejects.toThrow(/permission denied/);
  });

  it('cannot be left behind by the read model', async () => {
    const { id } = existing.get('confirmed')!;
    const update = (set: string) => ({ text: `UPDATE deliveries SET ${set} WHERE id = $1`, values: [id] });
    expect(await refusedBy(update("status = 'cancelled'"))).toBe('delivery_follows_events');
    expect(await refusedBy(update('sequence = sequence + 1'))).toBe('delivery_follows_events');
    expect(await refusedBy(update('sequence = sequence - 1'))).toBe('delivery_follows_events');
    expect(await refusedBy(update('personal = NULL'))).toBe(null);
  });
});
