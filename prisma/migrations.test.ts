import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createServiceDatabase,
  createTestDatabase,
  postgresAdminUrl,
  type ServiceDatabase,
} from '../test/support/postgres.ts';
import { applyMigrations, MigrationError, missingMigration, writeMigration } from './migrations.ts';
import { withClient } from './provision.ts';
import { SERVICES } from './services.ts';

describe('the services’ own migrations', () => {
  it.each(SERVICES)('of %s say the same as its schema.prisma', async (service) => {
    expect(await missingMigration(service, postgresAdminUrl())).toBeUndefined();
  });

  it.each(SERVICES)('of %s are applied once', async (service) => {
    const database = await createTestDatabase();
    expect(await applyMigrations({ service, ownerUrl: database.services[service].ownerUrl })).toEqual([]);
    await database.drop();
  });
});

describe('a folder of migrations', () => {
  const service = 'account';
  let prismaFolder: string;
  let database: ServiceDatabase;

  beforeEach(async () => {
    prismaFolder = await mkdtemp(join(tmpdir(), 'drone-delivery-prisma-'));
    database = await createServiceDatabase(service);
    await withClient(database.adminUrl, async (admin) => {
      await admin.query('DROP SCHEMA account CASCADE');
      await admin.query('CREATE SCHEMA account AUTHORIZATION account_owner');
      await admin.query('GRANT USAGE ON SCHEMA account TO account_app');
      await admin.query(
        'ALTER DEFAULT PRIVILEGES FOR ROLE account_owner IN SCHEMA account GRANT SELECT, INSERT ON TABLES TO account_app',
      );
    });
    await writeSchema('model Parcel {\n  id String @id\n  weight BigInt\n}\n');
  });
  afterEach(async () => {
    await database.drop();
    await rm(prismaFolder, { recursive: true });
  });

  const apply = (): Promise<string[]> =>
    applyMigrations({ service, ownerUrl: database.ownerUrl, prismaFolder });
  const create = (name: string): Promise<string | undefined> =>
    writeMigration({ service, name, adminUrl: postgresAdminUrl(), prismaFolder });

  async function writeSchema(models: string): Promise<void> {
    const path = join(prismaFolder, service, 'schema.prisma');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `datasource db {\n  provider = "postgresql"\n}\n\n${models}`);
  }

  async function writeSql(name: string, sql: string): Promise<void> {
    const path = join(prismaFolder, service, 'migrations', name, 'migration.sql');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, sql);
  }

  it('is written from the schema, step by step, and applied in order', async () => {
    const first = await create('Init');
    expect(first).toMatch(/\/\d{14}_init\/migration\.sql$/);
    expect(await readFile(first!, 'utf8')).toContain('CREATE TABLE "Parcel"');
    expect(await create('nothing')).toBeUndefined();
    expect(await apply()).toHaveLength(1);

    await writeSchema('model Parcel {\n  id String @id\n  weight BigInt\n  tag String?\n}\n');
    await writeSql('29990101000000_tag', 'ALTER TABLE "Parcel" ADD COLUMN "tag" TEXT;');
    expect(await missingMigration(service, postgresAdminUrl(), prismaFolder)).toBeUndefined();
    expect(await apply()).toEqual(['29990101000000_tag']);
    expect(await apply()).toEqual([]);
  });

  it('may hold what Prisma cannot say, which is then no difference', async () => {
    await writeSql(
      '20250101000000_init',
      `CREATE TABLE "Parcel" ("id" TEXT NOT NULL, "weight" BIGINT NOT NULL, CONSTRAINT "Parcel_pkey" PRIMARY KEY ("id"));
       CREATE FUNCTION refuse_lighter() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF NEW.weight < OLD.weight THEN RAISE EXCEPTION 'a parcel does not lose weight; not even one'; END IF;
         RETURN NEW;
       END;
       $$;
       CREATE TRIGGER parcel_weight BEFORE UPDATE ON "Parcel" FOR EACH ROW EXECUTE FUNCTION refuse_lighter();
       CREATE UNIQUE INDEX parcel_heavy ON "Parcel" (weight) WHERE weight > 100;
       ALTER TABLE "Parcel" ADD CONSTRAINT parcel_weight_positive CHECK (weight > 0);
       -- a comment at the end`,
    );
    expect(await missingMigration(service, postgresAdminUrl(), prismaFolder)).toBeUndefined();
    await apply();
    await withClient(database.ownerUrl, async (owner) => {
      await owner.query(`INSERT INTO "Parcel" VALUES ('a', 5)`);
      await expect(owner.query(`UPDATE "Parcel" SET weight = 4`)).rejects.toThrow(
        'does not lose weight; not even one',
      );
    });
  });

  it('that fails is reported with its name and line, leaves nothing, and runs once it is mended', async () => {
    await writeSql(
      '20250101000000_init',
      'CREATE TABLE "Parcel" ("id" TEXT PRIMARY KEY, "weight" BIGINT NOT NULL);',
    );
    await writeSql('20250102000000_broken', 'CREATE TABLE half (id int);\nCREATE TABLE other (id itn);\n');
    const failure = await apply().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MigrationError);
    expect((failure as Error).message).toContain('account/20250102000000_broken');
    expect((failure as Error).message).toContain('type "itn" does not exist (SQLSTATE 42704)');
    expect((failure as Error).message).toContain('line 2: CREATE TABLE other (id itn);');

    await writeSql('20250102000000_broken', 'CREATE TABLE half (id int);\nCREATE TABLE other (id int);\n');
    expect(await apply()).toEqual(['20250102000000_broken']);
  });

  it('is kept in Prisma’s own table, as Prisma writes it', async () => {
    await writeSql(
      '20250101000000_init',
      'CREATE TABLE "Parcel" ("id" TEXT PRIMARY KEY, "weight" BIGINT NOT NULL);',
    );
    await apply();
    const entries = await withClient(database.ownerUrl, async (owner) => {
      const { rows } = await owner.query<{
        migration_name: string;
        done: boolean;
        applied_steps_count: number;
      }>(
        'SELECT migration_name, finished_at IS NOT NULL AS done, applied_steps_count FROM _prisma_migrations',
      );
      return rows;
    });
    expect(entries).toEqual([{ migration_name: '20250101000000_init', done: true, applied_steps_count: 1 }]);
  });

  it('interrupted by kill -9 before its transaction ended is run again', async () => {
    await writeSql(
      '20250101000000_init',
      'CREATE TABLE "Parcel" ("id" TEXT PRIMARY KEY, "weight" BIGINT NOT NULL);',
    );
    await apply();
    // What is left when the process dies after the entry is made: an entry without an end.
    await withClient(database.ownerUrl, async (owner) => {
      await owner.query('DROP TABLE "Parcel"');
      await owner.query('UPDATE _prisma_migrations SET finished_at = NULL, applied_steps_count = 0');
    });
    expect(await apply()).toEqual(['20250101000000_init']);
  });

  it('is applied once when two processes start at the same time', async () => {
    await writeSql(
      '20250101000000_init',
      'CREATE TABLE "Parcel" ("id" TEXT PRIMARY KEY, "weight" BIGINT NOT NULL);',
    );
    const applied = await Promise.all([apply(), apply(), apply()]);
    expect(applied.flat()).toEqual(['20250101000000_init']);
  });

  it('keeps its table from the running service', async () => {
    await writeSql(
      '20250101000000_init',
      'CREATE TABLE "Parcel" ("id" TEXT PRIMARY KEY, "weight" BIGINT NOT NULL);',
    );
    await apply();
    await withClient(database.url, async (runtime) => {
      await runtime.query('SELECT * FROM "Parcel"');
      await expect(runtime.query('SELECT * FROM _prisma_migrations')).rejects.toMatchObject({
        code: '42501',
      });
    });
  });
});
