// Once for a test run: one Postgres for all, with a migrated template database that each test copies.
import { type TestProject } from 'vitest/node';
import { startThrowawayPostgres } from '../local/throwaway-postgres.ts';
import { applyMigrations } from '../prisma/migrations.ts';
import { provisionDatabase, serviceUrls } from '../prisma/provision.ts';
import { SERVICES } from '../prisma/services.ts';
import { fetchTemporalForTests } from './support/temporal.ts';
import { TEMPLATE_DATABASE, TEST_PASSWORDS } from './support/postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgresAdminUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // May fetch or build for minutes on a new machine: here nothing times out.
  await fetchTemporalForTests();
  const postgres = await startThrowawayPostgres();
  try {
    await provisionDatabase({
      adminUrl: postgres.adminUrl,
      databaseName: TEMPLATE_DATABASE,
      passwords: TEST_PASSWORDS,
    });
    for (const service of SERVICES) {
      const { ownerUrl } = serviceUrls(
        postgres.adminUrl,
        service,
        TEST_PASSWORDS[service],
        TEMPLATE_DATABASE,
      );
      await applyMigrations({ service, ownerUrl });
    }
    project.provide('postgresAdminUrl', postgres.adminUrl);
  } catch (error) {
    await postgres.stop();
    throw error;
  }
  return () => postgres.stop();
}
