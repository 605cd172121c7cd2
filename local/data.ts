/** The data of a local stack: database, schemas and roles brought up to date, then fleet, demo accounts and keys. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { provisionDatabase, serviceUrls } from '../prisma/provision.ts';
import { applyMigrations } from '../prisma/migrations.ts';
import { SERVICES } from '../prisma/services.ts';
import { accountContract } from '../services/account/contract/index.ts';
import { droneContract } from '../services/drone/contract/index.ts';
import { Problem } from '../shared/errors.ts';
import { createClient } from '../shared/http/client.ts';
import { reachableDirectory, serverIdentity } from './postgres-binaries.ts';
import { type StackSettings, urlOf } from './roles.ts';
import type { Secrets } from './secrets.ts';
import { ACCOUNTS, seedFleet } from './seed/index.ts';

/** Database, roles and migrations. Answers what was applied, in words. */
export async function prepareData(
  adminUrl: string,
  { databasePasswords }: Secrets,
  say: (detail: string) => void,
): Promise<string> {
  say('roles and schemas');
  await provisionDatabase({ adminUrl, passwords: databasePasswords });
  let applied = 0;
  for (const service of SERVICES) {
    say(`migrations of ${service}`);
    const { ownerUrl } = serviceUrls(adminUrl, service, databasePasswords[service]);
    applied += (await applyMigrations({ service, ownerUrl })).length;
  }
  return applied === 0 ? 'up to date' : `${applied} migrations applied`;
}

/** Through the services' contracts, like any other client. What a person has changed since the first start is left alone. */
export async function seedAccountsAndFleet(settings: StackSettings): Promise<string> {
  const account = createClient(accountContract, { baseUrl: urlOf(settings, 'account') });
  const drone = createClient(droneContract, { baseUrl: urlOf(settings, 'drone') });
  const { operatorKey, droneKey, accountKeys } = settings.secrets;
  try {
    const seeded = await seedFleet({
      drone,
      account: {
        ensureAccount: async (input) =>
          (await existing(() => account.getAccount({ params: input.params }))) ??
          (await account.ensureAccount(input)),
      },
    });
    const shared = { account_id: null, drone_id: null, livemode: true };
    await account.ensureKey({
      body: { ...shared, key: operatorKey, role: 'operator', name: 'Local operator' },
    });
    await account.ensureKey({ body: { ...shared, key: droneKey, role: 'drone', name: 'Simulated fleet' } });
    for (const { id, name, livemode } of Object.values(ACCOUNTS)) {
      const key = accountKeys[id];
      if (key === undefined) throw new Error(`There is no key for the account ${id}`);
      await account.ensureKey({
        body: { key, role: 'business', name: `${name}, local`, account_id: id, drone_id: null, livemode },
      });
    }
    return `${seeded.drones} drones at ${seeded.bases} bases, ${seeded.accounts} accounts`;
  } finally {
    await Promise.all([account.close(), drone.close()]);
  }
}

async function existing<T>(find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find();
  } catch (error) {
    if (error instanceof Problem && error.slug === 'not-found') return undefined;
    throw error;
  }
}

/** Removes all that a stack has kept in its directory, wherever Postgres had to put its part of it. */
export async function removeData(directory: string): Promise<void> {
  const postgres = await reachableDirectory(join(directory, 'postgres'), await serverIdentity());
  for (const path of [postgres, directory]) await rm(path, { recursive: true, force: true });
}
