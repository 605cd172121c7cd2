import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createServiceDatabase,
  postgresAdminUrl,
  TEST_PASSWORDS,
  type ServiceDatabase,
} from '../test/support/postgres.ts';
import { provisionDatabase, withClient } from './provision.ts';
import { schemaOf, SERVICES } from './services.ts';

const INSUFFICIENT_PRIVILEGE = '42501';

describe('the roles of a service', () => {
  let database: ServiceDatabase;

  beforeAll(async () => {
    database = await createServiceDatabase('account');
    for (const service of SERVICES) {
      await withClient(database.services[service].ownerUrl, async (owner) => {
        await owner.query('CREATE TABLE probe (id serial PRIMARY KEY, note text)');
        await owner.query(
          `CREATE FUNCTION probe_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM probe'`,
        );
      });
    }
  });
  afterAll(() => database.drop());

  it.each(SERVICES)(
    'the runtime role of %s reads and writes rows of its own schema, without naming it',
    async (service) => {
      await withClient(database.services[service].url, async (runtime) => {
        await runtime.query(`INSERT INTO probe (note) VALUES ('one'), ('two')`);
        await runtime.query(`UPDATE probe SET note = 'three' WHERE note = 'one'`);
        await runtime.query(`DELETE FROM probe WHERE note = 'two'`);
        const { rows } = await runtime.query('SELECT note, probe_count() AS count FROM probe');
        expect(rows).toEqual([{ note: 'three', count: '1' }]);
      });
    },
  );

  it.each(SERVICES)('the runtime role of %s keeps time in UTC, whatever the server does', async (service) => {
    const elsewhere = await createServiceDatabase(service);
    try {
      await withClient(elsewhere.adminUrl, (admin) =>
        admin.query(`ALTER DATABASE ${elsewhere.databaseName} SET timezone = 'Asia/Kolkata'`),
      );
      await withClient(elsewhere.url, async (runtime) => {
        expect((await runtime.query('SHOW timezone')).rows).toEqual([{ TimeZone: 'UTC' }]);
      });
    } finally {
      await elsewhere.drop();
    }
  });

  it.each(SERVICES)('the runtime role of %s has no DDL', async (service) => {
    await withClient(database.services[service].url, async (runtime) => {
      for (const ddl of [
        'CREATE TABLE mine (id int)',
        'CREATE TEMPORARY TABLE mine (id int)',
        'CREATE TABLE public.mine (id int)',
        'CREATE SCHEMA mine',
        `CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
        'ALTER TABLE probe ADD COLUMN mine int',
        'CREATE INDEX ON probe (note)',
        'TRUNCATE probe',
        'DROP TABLE probe',
        'CREATE ROLE mine',
        'CREATE DATABASE mine',
        'GRANT SELECT ON probe TO PUBLIC',
      ]) {
        // A grant without the right to grant is a warning and no effect.
        if (ddl.startsWith('GRANT')) {
          await runtime.query(ddl);
          continue;
        }
        await expect(runtime.query(ddl), ddl).rejects.toMatchObject({ code: INSUFFICIENT_PRIVILEGE });
      }
      const { rows } = await runtime.query(
        `SELECT has_table_privilege('public', 'probe', 'SELECT') AS leaked`,
      );
      expect(rows).toEqual([{ leaked: false }]);
    });
  });

  it.each(SERVICES)('neither role of %s sees another service', async (service) => {
    for (const url of [database.services[service].url, database.services[service].ownerUrl]) {
      await withClient(url, async (client) => {
        for (const other of SERVICES.filter((name) => name !== service)) {
          for (const sql of [
            `SELECT * FROM ${schemaOf(other)}.probe`,
            `INSERT INTO ${schemaOf(other)}.probe (note) VALUES ('x')`,
            `CREATE TABLE ${schemaOf(other)}.mine (id int)`,
          ]) {
            await expect(client.query(sql), sql).rejects.toMatchObject({ code: INSUFFICIENT_PRIVILEGE });
          }
        }
      });
    }
  });

  it('a role cannot become another', async () => {
    await withClient(database.url, async (runtime) => {
      await expect(runtime.query('SET ROLE account_owner')).rejects.toMatchObject({
        code: INSUFFICIENT_PRIVILEGE,
      });
    });
  });
});

describe('provisionDatabase', () => {
  const databaseName = 'provision_test';
  afterAll(() =>
    withClient(postgresAdminUrl(), (admin) => admin.query(`DROP DATABASE ${databaseName} WITH (FORCE)`)),
  );

  it('may run again, and several times at once, and keeps the data', async () => {
    const provision = (): Promise<void> =>
      provisionDatabase({ adminUrl: postgresAdminUrl(), databaseName, passwords: TEST_PASSWORDS });
    await Promise.all([provision(), provision(), provision()]);
    const adminUrl = postgresAdminUrl().replace(/postgres$/, databaseName);
    await withClient(adminUrl, (admin) => admin.query('CREATE TABLE account.kept (id int)'));
    await provision();
    await withClient(adminUrl, async (admin) => {
      expect((await admin.query('SELECT * FROM account.kept')).rows).toEqual([]);
    });
  });
});
