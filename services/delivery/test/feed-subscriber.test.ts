// A subscriber of the feed as notification or history will be one: it keeps the position that it has applied up to, and asks for
// what comes after. Whatever writers, sequencers and restores do meanwhile, it applies every event once.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startThrowawayPostgres } from '../../../local/throwaway-postgres.ts';
import { applyMigrations } from '../../../prisma/migrations.ts';
import {
  DATABASE_NAME,
  provisionDatabase,
  serviceUrls,
  withClient,
  withDatabase,
} from '../../../prisma/provision.ts';
import { type DeliveryId, newId } from '../../../shared/ids.ts';
import {
  createServiceDatabase,
  type ServiceDatabase,
  TEST_PASSWORDS,
} from '../../../test/support/postgres.ts';
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

class Subscriber {
  cursor = 0;
  readonly applied: string[] = [];

  /** One page: what it applied is remembered with the position, as a real one does in one transaction. */
  async read(service: RunningDeliveryService, waitMs = 0): Promise<number> {
    const { entries } = await service.client.readFeed({
      query: { after: this.cursor, limit: 7, wait_ms: waitMs },
    });
    this.applied.push(...entries.map(({ event }) => `${event.delivery_id} ${event.sequence}`));
    this.cursor = entries.at(-1)?.position ?? this.cursor;
    return entries.length;
  }

  async readToTheEnd(service: RunningDeliveryService): Promise<void> {
    while ((await this.read(service)) > 0);
  }
}

async function session(url = database.url): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

/** The delivery's next event, written as the service writes it: read model and event in one statement. */
async function appendNext(
  client: pg.Client,
  id: DeliveryId,
  sequence: number,
  status: string,
): Promise<void> {
  await client.query(
    `WITH changed AS (UPDATE deliveries SET status = $3, sequence = $2 WHERE id = $1 RETURNING *)
     INSERT INTO delivery_events (delivery_id, sequence, id, account_id, livemode, type, status, occurred_at,
       recorded_at, data, state)
     SELECT id, $2, $4, account_id, livemode, 'delivery.' || $3, $3, created_at, created_at, '{}',
       state || jsonb_build_object('status', $3::text, 'sequence', $2::int) FROM changed`,
    [id, sequence, status, newId('event')],
  );
}

async function fly(service: RunningDeliveryService): Promise<void> {
  const { id } = await service.client.createDelivery({ body: aCreation() });
  for (const status of pathTo('delivered')) {
    await service.client.appendEvents(
      { params: { delivery_id: id }, body: { events: [toStatus(status)] } },
      { idempotencyKey: `${id}/${status}/1` },
    );
  }
}

/** Every event that there is, as a subscriber notes it. */
async function allEvents(url = database.url): Promise<string[]> {
  const client = await session(url);
  const { rows } = await client.query<{ it: string }>(
    `SELECT delivery_id || ' ' || sequence AS it FROM delivery_events`,
  );
  await client.end();
  return rows.map((row) => row.it).sort();
}

function expectEachOnceInOrder(applied: readonly string[], events: readonly string[]): void {
  expect([...applied].sort()).toEqual(events);
  const last = new Map<string, number>();
  for (const line of applied) {
    const [id = '', sequence] = line.split(' ');
    expect(Number(sequence)).toBe((last.get(id) ?? 0) + 1);
    last.set(id, Number(sequence));
  }
}

describe('a subscriber', () => {
  it('skips no event and applies none twice while transactions are held open across its reads', async () => {
    const [fast, slow] = [new Subscriber(), new Subscriber()];
    const held = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const { id } = await one.client.createDelivery({ body: aCreation() });
        const client = await session();
        await client.query('BEGIN');
        await appendNext(client, id, 2, 'confirmed');
        return { id, client };
      }),
    );
    const isHeld = new Set(held.map(({ id }) => `${id} 2`));
    // The last one to have begun ends first, each across several pages of both subscribers; one is rolled back.
    for (const [index, { client, id }] of [...held.entries()].reverse()) {
      await Promise.all([fly(one), fly(two)]);
      await fast.readToTheEnd(index % 2 === 0 ? one : two);
      await slow.read(two);
      expect(fast.applied.filter((line) => isHeld.has(line))).toEqual([]);
      if (index === 2) await client.query('ROLLBACK');
      else {
        await appendNext(client, id, 3, 'enroute_to_pickup');
        await client.query('COMMIT');
      }
      isHeld.delete(`${id} 2`);
      await client.end();
      await fast.read(one);
    }
    await fast.readToTheEnd(two);
    await slow.readToTheEnd(one);
    const events = await allEvents();
    expect(events).toHaveLength(5 + 4 * 2 + 5 * 2 * 8);
    expectEachOnceInOrder(fast.applied, events);
    expect(slow.applied).toEqual(fast.applied);
  });

  it('waits for a sequencer that is at it, and loses nothing when that dies', async () => {
    const subscriber = new Subscriber();
    await subscriber.readToTheEnd(one);
    const [sequencer, watcher] = [await session(), await session()];
    sequencer.on('error', () => undefined);
    // It holds the head from before there is anything to place, so that no other one comes before it.
    await sequencer.query('BEGIN');
    await sequencer.query('SELECT position FROM feed_head FOR UPDATE');
    const { rows } = await sequencer.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const { id } = await one.client.createDelivery({ body: aCreation() });
    await sequencer.query('SELECT place_events(1000)');
    const reading = subscriber.read(two, 20_000);
    await expect
      .poll(async () => {
        const waiting = await watcher.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.rowCount;
      })
      .toBeGreaterThan(0);
    expect(subscriber.applied).not.toContain(`${id} 1`);
    await watcher.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await reading;
    await subscriber.readToTheEnd(one);
    expect(subscriber.applied).toContain(`${id} 1`);
    expectEachOnceInOrder(subscriber.applied, await allEvents());
    await watcher.end();
  });

  it('goes on where it was after a dump and a restore on another server, whose transaction ids are lower', async () => {
    const elsewhere = await emptyServer();
    try {
      await outrun(elsewhere.adminUrl);
      const subscriber = new Subscriber();
      const before = await transactionId(database.adminUrl);
      await fly(one);
      await subscriber.readToTheEnd(one);
      const readBefore = subscriber.applied.length;
      // Not read when the dump is taken: some have their place in the feed, some have none yet.
      await fly(two);
      await two.client.readFeed({ query: { after: Number.MAX_SAFE_INTEGER } });
      // The superuser's: a restore may take longer than a service's transaction may be idle.
      const blocker = await session(database.adminUrl);
      await blocker.query('BEGIN');
      await blocker.query('SELECT position FROM delivery.feed_head FOR UPDATE');
      await fly(one);
      await restore(database.adminUrl, elsewhere.adminUrl);
      await blocker.query('ROLLBACK');
      await blocker.end();
      const service = await runningDeliveryService(elsewhere.url);
      try {
        await subscriber.readToTheEnd(service);
        expect(subscriber.applied).toHaveLength(readBefore + 2 * 8);
        // And then what happens after the restore.
        await fly(service);
        await subscriber.readToTheEnd(service);
        expect(subscriber.applied).toHaveLength(readBefore + 3 * 8);
        expectEachOnceInOrder(subscriber.applied, await allEvents(elsewhere.url));
        // Whatever was written there, the restored rows too, has a lower id than what had been read by then.
        expect(await transactionId(elsewhere.adminUrl)).toBeLessThan(before);
      } finally {
        await service.close();
      }
    } finally {
      await elsewhere.stop();
    }
  });
});

/** A cluster of its own, as a restore after a loss has it: new, and with nothing in it but the delivery service's tables. */
async function emptyServer(): Promise<{ url: string; adminUrl: string; stop: () => Promise<void> }> {
  const server = await startThrowawayPostgres();
  try {
    await provisionDatabase({ adminUrl: server.adminUrl, passwords: TEST_PASSWORDS });
    const { ownerUrl, runtimeUrl } = serviceUrls(server.adminUrl, 'delivery', TEST_PASSWORDS.delivery);
    await applyMigrations({ service: 'delivery', ownerUrl });
    return {
      url: runtimeUrl,
      adminUrl: withDatabase(server.adminUrl, DATABASE_NAME),
      stop: () => server.stop(),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** The next transaction's id. */
async function transactionId(adminUrl: string): Promise<bigint> {
  return withClient(adminUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
    return BigInt(rows[0]?.id ?? expect.unreachable('a transaction has no id'));
  });
}

/** More transactions than a restore, and what a test does after it, could ever need. */
const TRANSACTIONS_AHEAD = 20_000n;

/** The run's server takes so many transactions that another one stays behind it. */
async function outrun(otherAdminUrl: string): Promise<void> {
  const target = (await transactionId(otherAdminUrl)) + TRANSACTIONS_AHEAD;
  const missing = target - (await transactionId(database.adminUrl));
  await withClient(database.adminUrl, (client) =>
    client.query(
      `DO $$ BEGIN FOR n IN 1..${missing} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`,
    ),
  );
}

/**
 * What pg_dump and a restore make of the service's data, without needing pg_dump: the rows of every table of the schema, by COPY
 * in its text format and in the order of their names, before any trigger or foreign key is there to see them; all written by
 * one new transaction, in another physical order; then every sequence set where it was. Both servers are on this machine, and
 * run as the same user.
 */
async function restore(fromAdminUrl: string, toAdminUrl: string): Promise<void> {
  const [source, destination] = [await session(fromAdminUrl), await session(toAdminUrl)];
  try {
    for (const client of [source, destination]) {
      await client.query('SET search_path = delivery');
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    }
    const { rows: unplaced } = await source.query('SELECT FROM unplaced_events');
    expect(unplaced).toHaveLength(8);
    // Neither triggers nor foreign keys: pg_dump makes them after the rows.
    await destination.query('SET LOCAL session_replication_role = replica');
    const tables = await tablesOf(source);
    expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(['feed_entries', 'feed_head']));
    expect(await tablesOf(destination)).toEqual(tables);
    // The server's own file: whoever runs the tests need not be who runs Postgres.
    const { rows: settings } = await source.query<{ file: string }>(
      `SELECT quote_literal(current_setting('data_directory') || '/dump-of-' || current_database()) AS file`,
    );
    const file = settings[0]?.file ?? '';
    for (const { name, columns } of tables) {
      await source.query(`COPY (SELECT ${columns} FROM ${name} ORDER BY random()) TO ${file}`);
      await destination.query(`DELETE FROM ${name}`);
      await destination.query(`COPY ${name} (${columns}) FROM ${file}`);
    }
    const sequences = await sequencesOf(source);
    expect(sequences.map(({ name }) => name)).toContain('unplaced_events_ticket_seq');
    for (const { name, at, used } of sequences) {
      await destination.query('SELECT setval($1::regclass, $2, $3)', [name, at, used]);
    }
    await destination.query('COMMIT');
    await source.query('COMMIT');
  } finally {
    await source.end();
    await destination.end();
  }
}

/** Every table of the schema with the columns that are stored, not computed. */
async function tablesOf(client: pg.Client): Promise<{ name: string; columns: string }[]> {
  const { rows } = await client.query<{ name: string; columns: string }>(`
    SELECT quote_ident(c.relname) AS name, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relnamespace = 'delivery'::regnamespace AND c.relkind = 'r'
    GROUP BY c.relname ORDER BY c.relname`);
  return rows;
}

/** Every sequence of the schema, those of identity columns too, and where it is. */
async function sequencesOf(client: pg.Client): Promise<{ name: string; at: string; used: boolean }[]> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT quote_ident(relname) AS name FROM pg_class
    WHERE relnamespace = 'delivery'::regnamespace AND relkind = 'S' ORDER BY relname`);
  const sequences = [];
  for (const { name } of rows) {
    const state = await client.query<{ at: string; used: boolean }>(
      `SELECT last_value AS at, is_called AS used FROM ${name}`,
    );
    const [{ at, used } = expect.unreachable(`${name} has no state`)] = state.rows;
    sequences.push({ name, at, used });
  }
  return sequences;
}
