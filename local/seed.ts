/**
 * `npm run seed`: loads Fabrikam's fleet and the demo accounts into running drone and account services, and registers the
 * keys that the environment gives. Run again, it leaves alone what a person has changed of the accounts since.
 */
import { Command } from 'commander';
import { accountContract } from '../services/account/contract/index.ts';
import { droneContract } from '../services/drone/contract/index.ts';
import { ConfigError, parseEnv } from '../shared/config.ts';
import { messageOf, Problem } from '../shared/errors.ts';
import { createClient } from '../shared/http/client.ts';
import { ACCOUNTS, keepingAccounts, seedFleet } from './seed/index.ts';
import { registerKeys } from './seed/keys.ts';
import { SeedEnvironment } from './seed-environment.ts';

async function main(): Promise<void> {
  const { keysOnly } = new Command('npm run seed --')
    .description('Loads the demo fleet and accounts, and registers the keys given in the environment')
    .option('--keys-only', 'only OPERATOR_KEY and DRONE_KEY: for a fleet and businesses of one’s own', false)
    .parse()
    .opts<{ keysOnly: boolean }>();
  const env = parseEnv(SeedEnvironment);
  const account = createClient(accountContract, { baseUrl: env.ACCOUNT_URL });
  const drone = createClient(droneContract, { baseUrl: env.DRONE_URL });
  try {
    if (!keysOnly) {
      const seeded = await seedFleet({ drone, account: keepingAccounts(account) });
      console.log(
        `Seeded ${seeded.models} models, ${seeded.bases} bases, ${seeded.drones} drones and ${seeded.accounts} accounts.`,
      );
    }
    const registered = await registerKeys(account, {
      operator: env.OPERATOR_KEY,
      drone: env.DRONE_KEY,
      businesses:
        keysOnly || env.ACCOUNT_KEY === undefined
          ? []
          : [{ account: ACCOUNTS.standard, key: env.ACCOUNT_KEY }],
    });
    if (registered > 0) console.log(`Registered ${registered} keys.`);
  } finally {
    await Promise.all([account.close(), drone.close()]);
  }
}

main().catch((error: unknown) => {
  const known = error instanceof ConfigError || error instanceof Problem;
  console.error(known ? messageOf(error) : error);
  process.exitCode = 1;
});
