import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  chargeFor,
  creditNoteFor,
  partsOf,
  priceOf,
  priceOfReturn,
  TARIFF,
  type ChargedOutcome,
} from '../contract/index.ts';

const job = fc.record({
  distanceM: fc.double({ min: 0, max: 100_000, noNaN: true }),
  weightKg: fc.double({ min: 0.001, max: 50, noNaN: true }),
  expedited: fc.boolean(),
});
const price = fc.record({ amount: fc.nat(1_000_000), currency: fc.constant('USD') });
const OUTCOMES: ChargedOutcome[] = [
  'delivered',
  'returned',
  'cancelled_before_dispatch',
  'cancelled_after_dispatch',
  'sender_absent',
  'our_failure',
  'lost',
];

describe('the price', () => {
  test('is the list price of an example', () => {
    // 4.99 + 5 km × 0.60 + 1.2 kg × 0.50
    expect(priceOf({ distanceM: 5000, weightKg: 1.2, expedited: false })).toEqual({
      amount: 859,
      currency: 'USD',
    });
    expect(priceOf({ distanceM: 5000, weightKg: 1.2, expedited: true }).amount).toBe(1289);
  });

  test('is a whole number of cents, at least the base price', () => {
    fc.assert(
      fc.property(job, (one) => {
        const { amount, currency } = priceOf(one);
        expect(Number.isSafeInteger(amount)).toBe(true);
        expect(amount).toBeGreaterThanOrEqual(TARIFF.baseCents);
        expect(currency).toBe(TARIFF.currency);
      }),
    );
  });

  test('never falls with distance, weight or urgency', () => {
    fc.assert(
      fc.property(job, fc.nat(50_000), fc.nat(20), (one, metres, kg) => {
        const { amount } = priceOf(one);
        expect(priceOf({ ...one, distanceM: one.distanceM + metres }).amount).toBeGreaterThanOrEqual(amount);
        expect(priceOf({ ...one, weightKg: one.weightKg + kg }).amount).toBeGreaterThanOrEqual(amount);
        expect(priceOf({ ...one, expedited: true }).amount).toBeGreaterThanOrEqual(amount);
      }),
    );
  });
});

describe('the charge', () => {
  test('is full, a fee or nothing, by outcome', () => {
    const of = (outcome: ChargedOutcome) => chargeFor(outcome, { amount: 1000, currency: 'USD' }).amount;
    expect(Object.fromEntries(OUTCOMES.map((outcome) => [outcome, of(outcome)]))).toEqual({
      delivered: 1000,
      returned: 1000,
      cancelled_before_dispatch: 0,
      cancelled_after_dispatch: 400,
      sender_absent: 400,
      our_failure: 0,
      lost: 0,
    });
  });

  test('never exceeds the price that was authorized, and keeps its currency', () => {
    fc.assert(
      fc.property(fc.constantFrom(...OUTCOMES), price, (outcome, full) => {
        const { amount, currency } = chargeFor(outcome, full);
        expect(Number.isSafeInteger(amount)).toBe(true);
        expect(amount).toBeGreaterThanOrEqual(0);
        expect(amount).toBeLessThanOrEqual(full.amount);
        expect(currency).toBe(full.currency);
      }),
    );
  });
});

describe('a charge of several pieces', () => {
  const usd = (amount: number) => ({ amount, currency: 'USD' });
  test('of a return is the price and the leg back; of anything else the leg back is nothing', () => {
    expect(priceOfReturn(2_000)).toEqual(usd(2 * TARIFF.perKmCents));
    expect(chargeFor('returned', usd(1000), usd(120))).toEqual(usd(1120));
    expect(chargeFor('delivered', usd(1000), usd(120))).toEqual(usd(1000));
    expect(chargeFor('lost', usd(1000), usd(120))).toEqual(usd(0));
  });

  test('takes the first authorizations in full and the last as far as needed, and never more than there is', () => {
    expect(partsOf(usd(1_100), [usd(1_000), usd(300), usd(50)])).toEqual([usd(1_000), usd(100), usd(0)]);
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.nat(), { minLength: 1 }), (amount, pieces) => {
        const parts = partsOf(
          usd(amount),
          pieces.map((one) => usd(one)),
        ).map((one) => one.amount);
        const total = pieces.reduce((sum, one) => sum + one, 0);
        expect(parts.reduce((sum, one) => sum + one, 0)).toBe(Math.min(amount, total));
        parts.forEach((part, index) => expect(part).toBeLessThanOrEqual(pieces[index] ?? 0));
      }),
    );
  });
});

describe('what is credited for a lost delivery', () => {
  const usd = (amount: number) => ({ amount, currency: 'USD' });
  const limit = TARIFF.declaredValueLimitCents;

  test('is the declared value of its packages, each up to the limit', () => {
    expect(creditNoteFor(usd(859), [{ declared_value: usd(2_500) }])).toEqual(usd(2_500));
    expect(
      creditNoteFor(usd(859), [{ declared_value: usd(limit + 1) }, {}, { declared_value: usd(300) }]),
    ).toEqual(usd(limit + 300));
    // Less than the price too: what was declared is what it was worth.
    expect(creditNoteFor(usd(859), [{ declared_value: usd(1) }])).toEqual(usd(1));
  });

  test('is the price where nothing is declared, or only in a currency that it cannot be credited in', () => {
    for (const packages of [
      [],
      [{}],
      [{ declared_value: null }],
      [{ declared_value: usd(0) }],
      [{ declared_value: { amount: 9_000, currency: 'EUR' } }],
    ]) {
      expect(creditNoteFor(usd(859), packages)).toEqual(usd(859));
    }
  });
});
