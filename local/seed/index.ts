/** Puts the seed data into the drone and account services, through their contracts. Idempotent. */
import { Problem } from '../../shared/errors.ts';
import type { Client } from '../../shared/http/client.ts';
import type { accountContract } from '../../services/account/contract/index.ts';
import type { droneContract } from '../../services/drone/contract/index.ts';
import { ACCOUNTS, type SeedAccount } from './accounts.ts';
import { BASES, DRONES, MODELS } from './fleet.ts';

export { ACCOUNTS, type SeedAccount } from './accounts.ts';
export { BASES, DRONES, MODELS } from './fleet.ts';

export interface SeedTargets {
  drone: Pick<Client<typeof droneContract>, 'ensureModel' | 'ensureBase' | 'ensureDrone'>;
  account: Pick<Client<typeof accountContract>, 'ensureAccount'>;
}

export interface Seeded {
  models: number;
  bases: number;
  drones: number;
  accounts: number;
}

/** Creates or updates Fabrikam's models, bases and drones, and the demo accounts. Running it again changes nothing. */
export async function seedFleet({ drone, account }: SeedTargets): Promise<Seeded> {
  // A drone refers to its model and base, so these come first.
  await Promise.all([
    ...MODELS.map((model) => drone.ensureModel({ params: { model_id: model.id }, body: model })),
    ...BASES.map((base) => drone.ensureBase({ params: { base_id: base.id }, body: base })),
  ]);
  await Promise.all(DRONES.map(({ id, ...body }) => drone.ensureDrone({ params: { drone_id: id }, body })));
  const accounts: SeedAccount[] = Object.values(ACCOUNTS);
  await Promise.all(
    accounts.map(({ id, ...body }) => account.ensureAccount({ params: { account_id: id }, body })),
  );
  return { models: MODELS.length, bases: BASES.length, drones: DRONES.length, accounts: accounts.length };
}

/** For `seedFleet`: an account that is there already stays as it is, whatever a person has made of it since. */
export function keepingAccounts(
  account: Pick<Client<typeof accountContract>, 'getAccount' | 'ensureAccount'>,
): SeedTargets['account'] {
  return {
    ensureAccount: async (input) => {
      try {
        return await account.getAccount({ params: input.params });
      } catch (error) {
        if (error instanceof Problem && error.slug === 'not-found') return account.ensureAccount(input);
        throw error;
      }
    },
  };
}
