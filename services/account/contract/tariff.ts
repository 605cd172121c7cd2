/**
 * Fabrikam's tariff: what a delivery costs, by distance, weight and urgency. Pure. The figures are Fabrikam's own list
 * prices; they are data of the business, not derived from anything.
 */
import type { Money } from '../../../shared/schemas.ts';

export const TARIFF = {
  currency: 'USD',
  baseCents: 499,
  perKmCents: 60,
  perKgCents: 50,
  /** Times the whole. */
  expeditedFactor: 1.5,
  /** Part of the price that is kept when the sender was absent or cancelled after dispatch. */
  lateFeeFactor: 0.4,
  /** At most so much of the declared value of a lost package is credited: what parcel carriers answer for without extra cover. */
  declaredValueLimitCents: 10_000,
} as const;

export interface Priced {
  /** Straight flight from pickup to dropoff, metres. */
  distanceM: number;
  /** All packages together, kg. */
  weightKg: number;
  expedited: boolean;
}

/** The list price, in whole cents. */
export function priceOf({ distanceM, weightKg, expedited }: Priced): Money {
  const cents = TARIFF.baseCents + (distanceM / 1000) * TARIFF.perKmCents + weightKg * TARIFF.perKgCents;
  return { amount: Math.round(cents * (expedited ? TARIFF.expeditedFactor : 1)), currency: TARIFF.currency };
}

/**
 * Outcomes of a delivery that a charge depends on. A drone that came after the pickup window, so that nobody loaded it, is
 * `our_failure`.
 */
export type ChargedOutcome =
  | 'delivered'
  | 'returned'
  | 'cancelled_before_dispatch'
  | 'cancelled_after_dispatch'
  | 'sender_absent'
  | 'our_failure'
  | 'lost';

/** The list price of a flight back to the sender: by the distance alone, in whole cents. */
export function priceOfReturn(distanceM: number): Money {
  return { amount: Math.round((distanceM / 1000) * TARIFF.perKmCents), currency: TARIFF.currency };
}

/**
 * The charge by outcome: delivered full; after dispatch or sender absent a fee; returned full and the leg back; else nothing.
 * @param legBack what the flight back costs, as far as it could be authorized; null: nothing
 */
export function chargeFor(outcome: ChargedOutcome, price: Money, legBack: Money | null = null): Money {
  const factor = {
    delivered: 1,
    returned: 1,
    cancelled_before_dispatch: 0,
    cancelled_after_dispatch: TARIFF.lateFeeFactor,
    sender_absent: TARIFF.lateFeeFactor,
    our_failure: 0,
    lost: 0,
  }[outcome];
  const back = outcome === 'returned' ? (legBack?.amount ?? 0) : 0;
  return { amount: Math.round(price.amount * factor) + back, currency: price.currency };
}

/**
 * What is credited for a delivery that was lost: the declared value of its packages, each up to the limit; where
 * none is declared, the price of the delivery. A value in another currency than the price's counts as none: there is no rate to go
 * by. Minor units.
 */
export function creditNoteFor(price: Money, packages: readonly { declared_value?: Money | null }[]): Money {
  const declared = packages.reduce(
    (sum, { declared_value: value }) =>
      value?.currency === price.currency ? sum + Math.min(value.amount, TARIFF.declaredValueLimitCents) : sum,
    0,
  );
  return { amount: declared > 0 ? declared : price.amount, currency: price.currency };
}

/**
 * How much of each of several authorizations a charge takes: the first ones in full, the last as far as needed. What the
 * authorizations do not cover is not charged.
 */
export function partsOf(charge: Money, authorized: readonly Money[]): Money[] {
  let left = charge.amount;
  return authorized.map(({ amount, currency }) => {
    const part = Math.min(left, amount);
    left -= part;
    return { amount: part, currency };
  });
}
