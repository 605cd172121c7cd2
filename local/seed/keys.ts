/** The API keys that a stack or a deployment begins with: somebody has to be able to make the others. */
import type { Client } from '../../shared/http/client.ts';
import type { accountContract } from '../../services/account/contract/index.ts';
import type { SeedAccount } from './accounts.ts';

export interface FirstKeys {
  /** For a person who operates the system. */
  operator?: string | undefined;
  /** For the fleet, or the gateway that speaks for it. */
  drone?: string | undefined;
  businesses?: { account: Pick<SeedAccount, 'id' | 'name' | 'livemode'>; key: string }[];
}

/** Registers the keys that are given; only their hashes are kept. Idempotent. Answers how many there were. */
export async function registerKeys(
  account: Pick<Client<typeof accountContract>, 'ensureKey'>,
  { operator, drone, businesses = [] }: FirstKeys,
): Promise<number> {
  const nobody = { account_id: null, drone_id: null, livemode: true };
  const bodies = [
    ...(operator === undefined
      ? []
      : [{ ...nobody, key: operator, role: 'operator' as const, name: 'First operator' }]),
    ...(drone === undefined ? [] : [{ ...nobody, key: drone, role: 'drone' as const, name: 'Fleet' }]),
    ...businesses.map(({ account: { id, name, livemode }, key }) => ({
      key,
      role: 'business' as const,
      name: `${name}, first key`,
      account_id: id,
      drone_id: null,
      livemode,
    })),
  ];
  await Promise.all(bodies.map((body) => account.ensureKey({ body })));
  return bodies.length;
}
