/** The data of a local stack: database, schemas and roles brought up to date, then fleet, demo accounts and keys. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { provisionDatabase, serviceUrls } from '../prisma/provision.ts';
import { applyMigrations } from '../prisma/migrations.ts';
import { SERVICES } from '../prisma/services.ts';
import { accountContract } from '../services/account/contract/index.ts';
import { droneContract } from '../services/drone/contract/index.ts';
import { createClient } from '../shared/http/client.ts';
import { CLAIM_FILE } from './claim.ts';
import { reachableDirectory, serverIdentity } from './postgres-binaries.ts';
import { type StackSettings, urlOf } from './roles.ts';
import type { Secrets } from './secrets.ts';
import { ACCOUNTS, keepingAccounts, seedFleet } from './seed/index.ts';
import { registerKeys } from './seed/keys.ts';

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
    const seeded = await seedFleet({ drone, account: keepingAccounts(account) });
    await registerKeys(account, {
      operator: operatorKey,
      drone: droneKey,
      businesses: Object.values(ACCOUNTS).map((one) => {
        const key = accountKeys[one.id];
        if (key === undefined) throw new Error(`There is no key for the account ${one.id}`);
        return { account: one, key };
      }),
    });
    return `${seeded.drones} drones at ${seeded.bases} bases, ${seeded.accounts} accounts`;
  } finally {
    await Promise.all([account.close(), drone.close()]);
  }
}

/**
 * Removes all that a stack has kept in its directory, wherever Postgres had to put its part of it. Not the claim: who removes the data is
 * about to start there, and without it a second one would remove them while the first one runs.
 */
export async function removeData(directory: string): Promise<void> {
  const postgres = await reachableDirectory(join(directory, 'postgres'), await serverIdentity());
  const kept = (await entriesOf(directory)).filter((name) => name !== CLAIM_FILE);
  for (const path of [postgres, ...kept.map((name) => join(directory, name))]) {
    await rm(path, { recursive: true, force: true });
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
