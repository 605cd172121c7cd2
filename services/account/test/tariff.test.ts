import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chargeFor, priceOf, TARIFF, type ChargedOutcome } from '../contract/index.ts';

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
