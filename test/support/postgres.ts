// A fresh, migrated database for a test, copied from the run's template in a few dozen milliseconds.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { inject } from 'vitest';
import {
  restrictDatabase,
  serviceUrls,
  withClient,
  withDatabase,
  type ServicePasswords,
} from '../../prisma/provision.ts';
import { SERVICES, type ServiceName } from '../../prisma/services.ts';

export const TEMPLATE_DATABASE = 'template_drone_delivery';

/** The roles' passwords on the run's server, which only listens on loopback and is gone after the run. */
export const TEST_PASSWORDS = Object.fromEntries(
  SERVICES.map((service) => [service, { owner: `${service}-owner`, runtime: `${service}-runtime` }]),
) as Record<ServiceName, ServicePasswords>;

export interface TestDatabase {
  databaseName: string;
  /** The superuser's URL of this database. */
  adminUrl: string;
  /** The URLs of each service's runtime role and of its owner role in this database. */
  services: Readonly<Record<ServiceName, { url: string; ownerUrl: string }>>;
  /** Drops the database, ending the sessions that are still open in it. */
  drop(): Promise<void>;
}

export interface ServiceDatabase extends TestDatabase {
  /** What the service connects with: its runtime role. */
  url: string;
  /** The role that owns the service's tables. */
  ownerUrl: string;
}

/** The superuser's URL of the run's server, database `postgres`. */
export function postgresAdminUrl(): string {
  return inject('postgresAdminUrl');
}

/** A fresh database with the schemas of all services in it. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = postgresAdminUrl();
  const databaseName = `test_${randomBytes(6).toString('hex')}`;
  await withClient(serverUrl, async (admin) => {
    await copyTemplate(admin, databaseName);
    await restrictDatabase(admin, databaseName);
  });
  const entries = SERVICES.map((service) => {
    const { runtimeUrl, ownerUrl } = serviceUrls(serverUrl, service, TEST_PASSWORDS[service], databaseName);
    return [service, { url: runtimeUrl, ownerUrl }] as const;
  });
  return {
    databaseName,
    adminUrl: withDatabase(serverUrl, databaseName),
    services: Object.fromEntries(entries) as TestDatabase['services'],
    drop: () =>
      withClient(serverUrl, async (admin) => {
        await admin.query(`DROP DATABASE IF EXISTS ${databaseName} WITH (FORCE)`);
      }),
  };
}

/** A fresh database, with the URLs of one service at hand; the schemas of the others are in it too. */
export async function createServiceDatabase(service: ServiceName): Promise<ServiceDatabase> {
  const database = await createTestDatabase();
  return { ...database, ...database.services[service] };
}

/** Postgres refuses to copy a template in which a session is open, and autovacuum may have one for a moment. */
async function copyTemplate(admin: pg.Client, databaseName: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await admin.query(`CREATE DATABASE ${databaseName} TEMPLATE ${TEMPLATE_DATABASE}`);
      return;
    } catch (error) {
      const isInUse = error instanceof pg.DatabaseError && error.code === '55006';
      if (!isInUse || tries === 50) throw error;
      await delay(100);
    }
  }
}
