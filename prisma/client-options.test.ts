// The errors are provoked on a real server that is killed, stopped and started: their shapes are not Prisma's contract.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startThrowawayPostgres, type ThrowawayPostgres } from '../local/throwaway-postgres.ts';
import { TEST_PASSWORDS } from '../test/support/postgres.ts';
import { PrismaClient } from './account/generated/client.ts';
import { clientOptions } from './client-options.ts';
import { isDatabaseUnavailable, isSerializationFailure, isUniqueViolation } from './database-errors.ts';
import { provisionDatabase, serviceUrls, withClient } from './provision.ts';

const POOL = 2;

let postgres: ThrowawayPostgres;
let client: PrismaClient;
let url: string;
const lost: string[] = [];

beforeAll(async () => {
  postgres = await startThrowawayPostgres();
  await provisionDatabase({ adminUrl: postgres.adminUrl, passwords: TEST_PASSWORDS });
  const { ownerUrl, runtimeUrl } = serviceUrls(postgres.adminUrl, 'account', TEST_PASSWORDS.account);
  url = runtimeUrl;
  await withClient(ownerUrl, (owner) => owner.query('CREATE TABLE counter (id text PRIMARY KEY, value int)'));
  client = new PrismaClient(
    clientOptions({
      service: 'account',
      connectionString: runtimeUrl,
      poolSize: POOL,
      onConnectionLost: (error) => lost.push(error.message),
    }),
  );
  await client.$executeRaw`INSERT INTO counter VALUES ('a', 0)`;
});
afterAll(async () => {
  await client.$disconnect();
  await postgres.stop();
});

const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => expect.unreachable('it should have failed'),
    (error: unknown) => error,
  );
/** A statement that returns a row after a while: `pg_sleep` itself returns a type that Prisma does not know. */
const sleep = (seconds: number): Promise<unknown> =>
  client.$queryRaw`SELECT 1 FROM (SELECT pg_sleep(${seconds})) AS slept`;

describe('what the statement did', () => {
  it('a second row with the same key is a unique violation, of that constraint', async () => {
    const error = await errorOf(client.$executeRaw`INSERT INTO counter VALUES ('a', 1)`);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'counter_pkey')).toBe(true);
    expect(isUniqueViolation(error, 'another_key')).toBe(false);
    expect(isDatabaseUnavailable(error)).toBe(false);
    expect(isSerializationFailure(error)).toBe(false);
  });

  it('so it is for the plain driver and for a model’s write', async () => {
    const plain = await errorOf(
      withClient(url, (session) => session.query(`INSERT INTO counter VALUES ('a', 1)`)),
    );
    expect(isUniqueViolation(plain, 'counter_pkey')).toBe(true);
    const ofModel = {
      code: 'P2002',
      meta: {
        modelName: 'Counter',
        driverAdapterError: {
          name: 'DriverAdapterError',
          cause: {
            originalCode: '23505',
            kind: 'UniqueConstraintViolation',
            constraint: { index: 'counter_pkey' },
          },
        },
      },
    };
    expect(isUniqueViolation(ofModel, 'counter_pkey')).toBe(true);
  });

  it('two serializable transactions that write the same row: the loser may try again', async () => {
    const add = (): Promise<void> =>
      client.$transaction(
        async (transaction) => {
          await transaction.$queryRaw`SELECT value FROM counter`;
          await transaction.$queryRaw`SELECT 1 FROM (SELECT pg_sleep(0.2)) AS slept`;
          await transaction.$executeRaw`UPDATE counter SET value = value + 1`;
        },
        { isolationLevel: 'Serializable' },
      );
    const error = await errorOf(Promise.all([add(), add()]));
    expect(isSerializationFailure(error)).toBe(true);
    expect(isDatabaseUnavailable(error)).toBe(false);
  });

  it.each([
    ['a division by zero', 'SELECT 1/0'],
    ['a missing table', 'SELECT 1 FROM nowhere'],
    ['a statement that took too long', `DO $$ BEGIN RAISE query_canceled; END $$`],
  ])('%s is none of these', async (_name, sql) => {
    const error = await errorOf(client.$executeRawUnsafe(sql));
    expect([isUniqueViolation(error), isSerializationFailure(error), isDatabaseUnavailable(error)]).toEqual([
      false,
      false,
      false,
    ]);
  });

  it.each([undefined, null, 'text', 7, {}, new Error('something else')])('%o is none of these', (error) => {
    expect([isUniqueViolation(error), isSerializationFailure(error), isDatabaseUnavailable(error)]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('a Postgres that is not there', () => {
  const readValue = (): Promise<unknown> => client.$queryRaw`SELECT value FROM counter`;

  it('killed in the middle of a statement and of a transaction, then down, then back', async () => {
    const statement = errorOf(sleep(20));
    const transaction = errorOf(
      client.$transaction(async (inner) => {
        await inner.$queryRaw`SELECT 1 FROM (SELECT pg_sleep(20)) AS slept`;
      }),
    );
    await waitForStatements(POOL);
    await postgres.crash();
    expect(isDatabaseUnavailable(await statement)).toBe(true);
    expect(isDatabaseUnavailable(await transaction)).toBe(true);
    expect(isDatabaseUnavailable(await errorOf(readValue()))).toBe(true);
    expect(isDatabaseUnavailable(await errorOf(client.$transaction([client.$queryRaw`SELECT 1`])))).toBe(
      true,
    );
    expect(
      isDatabaseUnavailable(await errorOf(client.$transaction((inner) => inner.$queryRaw`SELECT 1`))),
    ).toBe(true);
    await postgres.restart();
    await readValue();
  });

  it('shut down in the middle of a statement while another connection is idle', async () => {
    const statement = errorOf(sleep(20));
    await readValue();
    await waitForStatements(1);
    lost.length = 0;
    await postgres.shutDown();
    expect(isDatabaseUnavailable(await statement)).toBe(true);
    expect(lost.length).toBeGreaterThan(0);
    await postgres.restart();
    await readValue();
  });

  it('with its connections all in use', async () => {
    const busy = Promise.all([sleep(4), sleep(4)]);
    await waitForStatements(POOL);
    expect(isDatabaseUnavailable(await errorOf(readValue()))).toBe(true);
    await busy;
    const busyAgain = Promise.all([sleep(4), sleep(4)]);
    await waitForStatements(POOL);
    expect(
      isDatabaseUnavailable(await errorOf(client.$transaction((inner) => inner.$queryRaw`SELECT 1`))),
    ).toBe(true);
    await busyAgain;
  });

  it('that takes no more connections', async () => {
    const tooMany = {
      code: 'P2010',
      meta: { driverAdapterError: { cause: { originalCode: '53300', kind: 'TooManyConnections' } } },
    };
    expect(isDatabaseUnavailable(tooMany)).toBe(true);
  });

  async function waitForStatements(count: number): Promise<void> {
    await expect
      .poll(
        () =>
          withClient(postgres.adminUrl, async (admin) => {
            const { rows } = await admin.query<{ count: number }>(
              `SELECT count(*)::int AS count FROM pg_stat_activity
               WHERE usename = 'account_app' AND state = 'active' AND query LIKE '%pg_sleep%'`,
            );
            return rows[0]?.count;
          }),
        { timeout: 10_000 },
      )
      .toBe(count);
  }
});
