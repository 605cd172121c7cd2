/**
 * How the simulated carrier does business: a courier with a car in city traffic. Pure. What has no source named is Fabrikam's
 * assumption about such a company.
 */
import { distanceM } from '../../../shared/geodesy.ts';
import type { Money } from '../../../shared/schemas.ts';
import type { CarrierJob, CarrierOffer, CarrierRefusal, CarrierStep, Promised } from '../domain/adapter.ts';

export const COURIER = {
  name: 'Simulated City Courier',
  /** From door to door in a city, with lights and traffic. */
  speedKmh: 25,
  /** Road over straight distance in a city: G. F. Newell, "Traffic Flow on Transportation Networks", 1980, about 1.2. */
  circuity: 1.2,
  /** Straight distance from where a free courier usually is. */
  approachKm: 2.5,
  /** From the booking until a courier sets out. */
  dispatchS: 120,
  /** From the arrival until the package is aboard, and until it is handed over. */
  pickupHandlingS: 240,
  dropoffHandlingS: 180,
  /** From the package aboard until the car moves. */
  departureS: 30,
  maxWeightKg: 20,
  /** Straight distance. */
  maxDistanceKm: 40,
  quoteValidS: 1800,
} as const;

/** Below Fabrikam's own list price for the same job, so that an account without a price cap of its own gets the fallback. */
export const COURIER_TARIFF = {
  currency: 'USD',
  baseCents: 390,
  perRoadKmCents: 48,
  perKgCents: 30,
} as const;

/** Part of the way to the stop after which a job that is to fail breaks down. */
const BREAKDOWN_AFTER = 0.5;

/**
 * What the courier would take for the job and when it would arrive when booked now, or why it would not.
 * @param pricePercent of its tariff: more, when many want it
 */
export function offerFor(job: CarrierJob, nowMs: number, pricePercent = 100): CarrierOffer | CarrierRefusal {
  const distanceKm = distanceM(job.pickup.location, job.dropoff.location) / 1000;
  if (job.weightKg > COURIER.maxWeightKg) {
    return {
      refused: 'too_heavy',
      detail: `${job.weightKg} kg is more than the ${COURIER.maxWeightKg} kg that the courier carries.`,
    };
  }
  if (distanceKm > COURIER.maxDistanceKm) {
    return {
      refused: 'too_far',
      detail: `${distanceKm.toFixed(1)} km is farther than the ${COURIER.maxDistanceKm} km that the courier goes.`,
    };
  }
  const promised = promiseOf(itineraryOf(job, nowMs));
  if (job.pickupByMs !== null && promised.pickupEtaMs > job.pickupByMs) {
    const lateS = Math.ceil((promised.pickupEtaMs - job.pickupByMs) / 1000);
    return {
      refused: 'too_late',
      detail: `The courier would arrive at the pickup ${lateS} s after the end of its window.`,
    };
  }
  if (job.deadlineMs !== null && promised.dropoffEtaMs > job.deadlineMs) {
    const lateS = Math.ceil((promised.dropoffEtaMs - job.deadlineMs) / 1000);
    return {
      refused: 'too_late',
      detail: `The courier would arrive at the dropoff ${lateS} s after the deadline.`,
    };
  }
  return {
    ...promised,
    price: courierPrice(distanceKm, job.weightKg, pricePercent),
    expiresAtMs: nowMs + COURIER.quoteValidS * 1000,
  };
}

/** All steps of a job booked now, in their order, with their times. It sets out so that it is not there before the sender. */
export function itineraryOf(job: CarrierJob, bookedAtMs: number): CarrierStep[] {
  const steps: CarrierStep[] = [];
  const earliestMs = bookedAtMs + (COURIER.dispatchS + driveS(COURIER.approachKm)) * 1000;
  let atMs = bookedAtMs + Math.max(0, Math.round((job.pickupFromMs ?? 0) - earliestMs));
  const after = (seconds: number, state: CarrierStep['state']) => {
    atMs += Math.round(seconds * 1000);
    steps.push({ state, atMs });
  };
  after(COURIER.dispatchS, 'enroute_to_pickup');
  after(driveS(COURIER.approachKm), 'arrived_at_pickup');
  after(COURIER.pickupHandlingS, 'picked_up');
  after(COURIER.departureS, 'enroute_to_dropoff');
  after(driveS(distanceM(job.pickup.location, job.dropoff.location) / 1000), 'arrived_at_dropoff');
  after(COURIER.dropoffHandlingS, 'delivered');
  return steps;
}

/** The same job, with a car that breaks down on the way to the pickup. */
export function failingItinerary(itinerary: readonly CarrierStep[]): CarrierStep[] {
  const [departure, arrival] = itinerary;
  if (!departure || !arrival) return [];
  const atMs = Math.round(departure.atMs + (arrival.atMs - departure.atMs) * BREAKDOWN_AFTER);
  return [departure, { state: 'failed', atMs }];
}

/** The same job, with a car that breaks down on the way to the dropoff: the package is in it. */
export function failingLateItinerary(itinerary: readonly CarrierStep[]): CarrierStep[] {
  const at = itinerary.findIndex((step) => step.state === 'enroute_to_dropoff');
  const [departure, arrival] = itinerary.slice(at);
  if (at < 0 || !departure || !arrival) return [];
  const atMs = Math.round(departure.atMs + (arrival.atMs - departure.atMs) * BREAKDOWN_AFTER);
  return [...itinerary.slice(0, at + 1), { state: 'failed', atMs }];
}

/** When the courier arrives at both ends. */
export function promiseOf(itinerary: readonly CarrierStep[]): Promised {
  const arrival = (state: CarrierStep['state']) => itinerary.find((step) => step.state === state)?.atMs;
  const pickupEtaMs = arrival('arrived_at_pickup');
  const dropoffEtaMs = arrival('arrived_at_dropoff');
  if (pickupEtaMs === undefined || dropoffEtaMs === undefined) {
    throw new RangeError('An itinerary without both arrivals promises nothing');
  }
  return { pickupEtaMs, dropoffEtaMs };
}

/** The step, counted from 1, from which on a job cannot be cancelled: the pickup, or the breakdown before it. */
export function lockedFrom(itinerary: readonly CarrierStep[]): number {
  return itinerary.findIndex(({ state }) => state === 'picked_up' || state === 'failed') + 1;
}

function courierPrice(distanceKm: number, weightKg: number, pricePercent: number): Money {
  const { currency, baseCents, perRoadKmCents, perKgCents } = COURIER_TARIFF;
  const cents = baseCents + distanceKm * COURIER.circuity * perRoadKmCents + weightKg * perKgCents;
  return { amount: Math.round((cents * pricePercent) / 100), currency };
}

/** Seconds by road between two places this far apart. */
function driveS(straightKm: number): number {
  return ((straightKm * COURIER.circuity) / COURIER.speedKmh) * 3600;
}
