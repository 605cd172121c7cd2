/** What an account starts with, and when two registrations are the same. Figures are Fabrikam's own terms of business. */
import { createHash } from 'node:crypto';
import type { Static } from 'typebox';
import type { Money } from '../../../shared/schemas.ts';
import { type CreateAccount, type Preferences, TARIFF } from '../contract/index.ts';

/** Credit of an account that was granted none in particular: USD 1,000. */
const DEFAULT_CREDIT_LIMIT: Money = { amount: 100_000, currency: TARIFF.currency };

/** A carrier may step in, for no more than the delivery's own price. */
const DEFAULT_PREFERENCES: Preferences = { carrier_fallback: true, carrier_price_cap: null };

/** How long a repetition of the registration is answered with the first key again, wall milliseconds. */
export const REPLAY_MS = 24 * 60 * 60 * 1000;

export interface NewAccount {
  name: string;
  livemode: boolean;
  creditLimit: Money;
  preferences: Preferences;
}

/** The request with everything it left open filled in. */
export function newAccount(request: Static<typeof CreateAccount>): NewAccount {
  return {
    name: request.name,
    livemode: request.livemode ?? true,
    creditLimit: request.credit_limit ?? DEFAULT_CREDIT_LIMIT,
    preferences: { ...DEFAULT_PREFERENCES, ...request.preferences },
  };
}

/** Equal for equal registrations, whatever the order of their fields and whether defaults were written out. */
export function registrationHash({ name, livemode, creditLimit, preferences }: NewAccount): string {
  const cap = preferences.carrier_price_cap;
  const parts = [
    name,
    livemode,
    creditLimit.amount,
    creditLimit.currency,
    preferences.carrier_fallback,
    cap?.amount ?? null,
    cap?.currency ?? null,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
