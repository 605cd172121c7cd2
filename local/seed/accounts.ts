/** Demo businesses: each shows one thing that an account can be. */
import type { Account } from '../../services/account/contract/index.ts';
import type { AccountId } from '../../shared/ids.ts';
import { seedId } from './ids.ts';

export type SeedAccount = Pick<Account, 'name' | 'livemode' | 'state' | 'credit_limit' | 'preferences'> & {
  id: AccountId;
};

const usd = (dollars: number) => ({ amount: dollars * 100, currency: 'USD' });
const DRONES_ONLY = { carrier_fallback: false, carrier_price_cap: null };

function account(name: string, figures: Omit<SeedAccount, 'id' | 'name' | 'livemode'>): SeedAccount {
  return { id: seedId('account', name), name, livemode: true, ...figures };
}

export const ACCOUNTS = {
  /** An ordinary customer: ample credit, drones only. */
  standard: account('Contoso Pharmacy', {
    state: 'active',
    credit_limit: usd(5_000),
    preferences: DRONES_ONLY,
  }),
  /** Lets a carrier take over when no drone can do the job. */
  carrierFallback: account('Northwind Traders', {
    state: 'active',
    credit_limit: usd(5_000),
    preferences: { carrier_fallback: true, carrier_price_cap: usd(60) },
  }),
  suspended: account('Adventure Works', {
    state: 'suspended',
    credit_limit: usd(1_000),
    preferences: DRONES_ONLY,
  }),
  /** Its credit is less than the cheapest delivery costs. */
  tinyCredit: account('Tailwind Toys', { state: 'active', credit_limit: usd(1), preferences: DRONES_ONLY }),
} as const satisfies Record<string, SeedAccount>;
