import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { destination, distanceM } from '../../../shared/geodesy.ts';
import { newId } from '../../../shared/ids.ts';
import { priceOf } from '../../account/contract/index.ts';
import type { CarrierJob } from '../domain/adapter.ts';
import {
  COURIER,
  failingItinerary,
  itineraryOf,
  lockedFrom,
  offerFor,
  promiseOf,
} from '../simulated/rules.ts';
import { ANY_TIME, DROPOFF, NOON_MS, PICKUP } from './support.ts';

const deliveryId = newId('delivery');
const JOB: CarrierJob = {
  deliveryId,
  livemode: true,
  pickup: PICKUP,
  dropoff: DROPOFF,
  weightKg: 1.2,
  ...ANY_TIME,
};
const job = (over: Partial<CarrierJob>): CarrierJob => ({ ...JOB, ...over });
const awayKm = (km: number) => ({ location: destination(PICKUP.location, 45, km * 1000) });

const anyJob = fc
  .record({
    km: fc.double({ min: 0.01, max: COURIER.maxDistanceKm - 0.01, noNaN: true }),
    courseDeg: fc.double({ min: 0, max: 359, noNaN: true }),
    weightKg: fc.double({ min: 0.01, max: COURIER.maxWeightKg, noNaN: true }),
  })
  .map(({ km, courseDeg, weightKg }) =>
    job({ weightKg, dropoff: { location: destination(PICKUP.location, courseDeg, km * 1000) } }),
  );

describe('an itinerary', () => {
  test('takes the times of a courier by car in a city', () => {
    const seconds = itineraryOf(JOB, NOON_MS).map(({ state, atMs }) => [
      state,
      Math.round((atMs - NOON_MS) / 1000),
    ]);
    // 2.5 km and 5.02 km straight, by road 1.2 times that, at 25 km/h: 432 s and 868 s.
    expect(seconds).toEqual([
      ['enroute_to_pickup', 120],
      ['arrived_at_pickup', 120 + 432],
      ['picked_up', 120 + 432 + 240],
      ['enroute_to_dropoff', 120 + 432 + 240 + 30],
      ['arrived_at_dropoff', 120 + 432 + 240 + 30 + 868],
      ['delivered', 120 + 432 + 240 + 30 + 868 + 180],
    ]);
  });

  test('with a pickup window is at the pickup with its start, or as soon as it can', () => {
    const arrivalMs = NOON_MS + (120 + 432) * 1000;
    const at = (pickupFromMs: number) => {
      const itinerary = itineraryOf(job({ pickupFromMs, pickupByMs: pickupFromMs + 1 }), NOON_MS);
      // It sets out so late that it need not wait there.
      expect(itinerary[1]!.atMs - itinerary[0]!.atMs).toBe(432_000);
      return promiseOf(itinerary).pickupEtaMs;
    };
    expect(at(arrivalMs + 600_000)).toBe(arrivalMs + 600_000);
    expect(at(arrivalMs - 1)).toBe(arrivalMs);
    expect(at(NOON_MS - 600_000)).toBe(arrivalMs);
  });

  test('always goes forward, and drives no faster than the courier does', () => {
    fc.assert(
      fc.property(anyJob, (one) => {
        const itinerary = itineraryOf(one, NOON_MS);
        for (const [index, step] of itinerary.entries()) {
          expect(step.atMs).toBeGreaterThan(itinerary[index - 1]?.atMs ?? NOON_MS);
        }
        const hours = (itinerary[4]!.atMs - itinerary[3]!.atMs) / 3_600_000;
        const roadKm = (distanceM(one.pickup.location, one.dropoff.location) / 1000) * COURIER.circuity;
        expect(hours * COURIER.speedKmh).toBeCloseTo(roadKm, 3);
      }),
    );
  });

  test('that fails breaks down on the way to the pickup, with nothing aboard', () => {
    const normal = itineraryOf(JOB, NOON_MS);
    const failing = failingItinerary(normal);
    expect(failing.map(({ state }) => state)).toEqual(['enroute_to_pickup', 'failed']);
    expect(failing[1]!.atMs).toBeGreaterThan(normal[0]!.atMs);
    expect(failing[1]!.atMs).toBeLessThan(normal[1]!.atMs);
    expect(lockedFrom(normal)).toBe(3);
    expect(lockedFrom(failing)).toBe(2);
  });
});

describe('an offer', () => {
  test('names price, arrivals and how long it is good for', () => {
    const promised = promiseOf(itineraryOf(JOB, NOON_MS));
    expect(offerFor(JOB, NOON_MS)).toEqual({
      ...promised,
      // 3.90 + 5.02 km × 1.2 × 0.48 + 1.2 kg × 0.30
      price: { amount: 715, currency: 'USD' },
      expiresAtMs: NOON_MS + 1_800_000,
    });
  });

  test('costs less than the list price of the same job by drone, so that the fallback fits under it', () => {
    fc.assert(
      fc.property(anyJob, (one) => {
        const offer = offerFor(one, NOON_MS);
        if ('refused' in offer) throw new Error(offer.detail);
        const list = priceOf({
          distanceM: distanceM(one.pickup.location, one.dropoff.location),
          weightKg: one.weightKg,
          expedited: false,
        });
        expect(offer.price.amount).toBeLessThanOrEqual(list.amount);
      }),
    );
  });

  test('is refused beyond the courier’s weight and distance', () => {
    expect(offerFor(job({ weightKg: COURIER.maxWeightKg }), NOON_MS)).not.toHaveProperty('refused');
    expect(offerFor(job({ weightKg: COURIER.maxWeightKg + 0.1 }), NOON_MS)).toEqual({
      refused: 'too_heavy',
      detail: '20.1 kg is more than the 20 kg that the courier carries.',
    });
    expect(offerFor(job({ dropoff: awayKm(39.9) }), NOON_MS)).not.toHaveProperty('refused');
    expect(offerFor(job({ dropoff: awayKm(41) }), NOON_MS)).toEqual({
      refused: 'too_far',
      detail: '41.0 km is farther than the 40 km that the courier goes.',
    });
  });

  test('is refused when it would come too late, to the millisecond', () => {
    const { pickupEtaMs } = promiseOf(itineraryOf(JOB, NOON_MS));
    expect(offerFor(job({ pickupByMs: pickupEtaMs }), NOON_MS)).not.toHaveProperty('refused');
    expect(offerFor(job({ pickupByMs: pickupEtaMs - 1 }), NOON_MS)).toEqual({
      refused: 'too_late',
      detail: 'The courier would arrive at the pickup 1 s after the end of its window.',
    });
    const { dropoffEtaMs } = promiseOf(itineraryOf(JOB, NOON_MS));
    expect(offerFor(job({ deadlineMs: dropoffEtaMs }), NOON_MS)).not.toHaveProperty('refused');
    expect(offerFor(job({ deadlineMs: dropoffEtaMs - 1 }), NOON_MS)).toEqual({
      refused: 'too_late',
      detail: 'The courier would arrive at the dropoff 1 s after the deadline.',
    });
  });
});
