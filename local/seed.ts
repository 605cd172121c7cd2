/** `npm run seed`: loads Fabrikam's fleet and the demo accounts into running drone and account services. */
import { Type } from 'typebox';
import { accountContract } from '../services/account/contract/index.ts';
import { droneContract } from '../services/drone/contract/index.ts';
import { ConfigError, parseEnv } from '../shared/config.ts';
import { messageOf, Problem } from '../shared/errors.ts';
import { createClient } from '../shared/http/client.ts';
import { seedFleet } from './seed/index.ts';

const Env = Type.Object({
  ACCOUNT_URL: Type.String({ default: 'http://127.0.0.1:4101', description: 'The account service' }),
  DRONE_URL: Type.String({ default: 'http://127.0.0.1:4103', description: 'The drone service' }),
});

async function main(): Promise<void> {
  const env = parseEnv(Env);
  const account = createClient(accountContract, { baseUrl: env.ACCOUNT_URL });
  const drone = createClient(droneContract, { baseUrl: env.DRONE_URL });
  try {
    const seeded = await seedFleet({ drone, account });
    console.log(
      `Seeded ${seeded.models} models, ${seeded.bases} bases, ${seeded.drones} drones and ${seeded.accounts} accounts.`,
    );
  } finally {
    await Promise.all([account.close(), drone.close()]);
  }
}

main().catch((error: unknown) => {
  const known = error instanceof ConfigError || error instanceof Problem;
  console.error(known ? messageOf(error) : error);
  process.exitCode = 1;
});
