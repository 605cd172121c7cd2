/** A carrier instead of a drone, and the pickup window: it is asked in time for it, keeps to it, or is not booked. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../shared/ids.ts';
import { isoTime } from '../../shared/clock.ts';
import { EXACT_MS, Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const MINUTE_S = 60;
const CARRIER = { account: { carrier: true, carrierCapCents: 10_000 } };
const timeOf = async (delivery: LabDelivery, type: string) =>
  Date.parse((await delivery.events()).find((one) => one.type === `delivery.${type}`)?.occurred_at ?? '');
const countOf = (delivery: LabDelivery, activity: string) =>
  lab.faults.callsOf(delivery.id).filter((call) => call.activity === activity).length;

/** No drone can do it, and a carrier may. */
async function withoutDrone(options: DeliveryOptions): Promise<LabDelivery> {
  const scene = await lab.prepare(CARRIER);
  await scene.setDrones('maintenance');
  return scene.order(options);
}

/** What became of it; it was picked up within its window. */
async function carriedInItsWindow(delivery: LabDelivery) {
  const { delivery: ended } = await delivery.untilComplete();
  expect(ended).toMatchObject({ status: 'delivered', fulfilment: 'carrier' });
  const { start = '', end = '' } = ended.pickup_window ?? {};
  const arrivedMs = await timeOf(delivery, 'arrived_at_pickup');
  expect(arrivedMs).toBeGreaterThanOrEqual(Date.parse(start));
  expect(arrivedMs).toBeLessThanOrEqual(Date.parse(end));
  await delivery.untilNothingHeld();
  return { startMs: Date.parse(start), endMs: Date.parse(end), arrivedMs };
}

async function failsForNothing(delivery: LabDelivery, says: RegExp): Promise<void> {
  const { delivery: ended } = await delivery.untilComplete();
  expect(ended).toMatchObject({
    status: 'failed',
    failure_reason: 'carrier_unavailable',
    charge: { amount: 0 },
  });
  expect(ended.failure_detail).toMatch(says);
  expect(countOf(delivery, 'bookCarrier')).toBe(0);
  await delivery.untilNothingHeld();
}

describe('the wait for a drone', () => {
  it('is given up a quarter of an hour before the window ends, in time for the carrier', async () => {
    const delivery = await withoutDrone({ pickup: { fromS: 0, toS: 60 * MINUTE_S } });
    const { endMs } = await carriedInItsWindow(delivery);
    const bookedMs = await timeOf(delivery, 'confirmed');
    expect(bookedMs).toBeGreaterThanOrEqual(endMs - 15 * MINUTE_S * 1000);
    expect(bookedMs).toBeLessThan(endMs - 15 * MINUTE_S * 1000 + EXACT_MS);
  });

  it('is as long as the policy says', async () => {
    const policy = { carrierPickupLeadS: 40 * MINUTE_S };
    const delivery = await withoutDrone({ pickup: { fromS: 0, toS: 60 * MINUTE_S }, policy });
    const { endMs } = await carriedInItsWindow(delivery);
    expect(await timeOf(delivery, 'confirmed')).toBeLessThan(endMs - 40 * MINUTE_S * 1000 + EXACT_MS);
  });

  it('is none where the window is short: a drone is asked for, then the carrier, who does not come before it begins', async () => {
    const delivery = await withoutDrone({ pickup: { fromS: 30 * MINUTE_S, toS: 35 * MINUTE_S } });
    const { startMs, arrivedMs } = await carriedInItsWindow(delivery);
    // The search begins with the lead time, and has found none by then.
    const bookedMs = await timeOf(delivery, 'confirmed');
    expect(bookedMs).toBeGreaterThanOrEqual(startMs - 10 * MINUTE_S * 1000);
    expect(bookedMs).toBeLessThan(startMs - 10 * MINUTE_S * 1000 + EXACT_MS);
    expect(arrivedMs).toBeLessThan(startMs + EXACT_MS);
    expect(countOf(delivery, 'reserveDrone')).toBe(1);
  });

  it('is never so short that a drone that is there is not taken', async () => {
    const delivery = await lab.start({ ...CARRIER, pickup: { fromS: 0, toS: 5 * MINUTE_S } });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', fulfilment: 'drone' });
  });
});

describe('a carrier', () => {
  it('that could only come after the window refuses, and the delivery fails for nothing', async () => {
    const delivery = await withoutDrone({ pickup: { fromS: 0, toS: 5 * MINUTE_S } });
    await failsForNothing(delivery, /would arrive at the pickup \d+ s after the end of its window/);
  });

  it.each([
    {
      what: 'the window',
      pickupInMin: 61,
      dropoffInMin: 80,
      says: /at the pickup at .*, whose window ends at/,
    },
    {
      what: 'the deadline',
      pickupInMin: 50,
      dropoffInMin: 200,
      says: /at the dropoff at .*; the deadline is/,
    },
  ])('whose quote misses $what is not booked', async ({ pickupInMin, dropoffInMin, says }) => {
    const inMin = (minutes: number) => isoTime(lab.nowMs + minutes * MINUTE_S * 1000);
    lab.faults.arm({
      activity: 'quoteCarrier',
      how: 'lie',
      answer: {
        outcome: 'quoted',
        quote_id: newId('quote'),
        carrier: 'Slow Carrier',
        price: { amount: 500, currency: 'USD' },
        pickup_eta: inMin(pickupInMin),
        dropoff_eta: inMin(dropoffInMin),
        expires_at: inMin(600),
      },
    });
    const delivery = await withoutDrone({
      pickup: { fromS: 0, toS: 60 * MINUTE_S },
      deadlineInS: 180 * MINUTE_S,
    });
    await failsForNothing(delivery, says);
  });
});

describe('while a carrier is asked, and none is booked yet', () => {
  it('another window and another dropoff are refused with that reason, and a cancel is free', async () => {
    lab.faults.arm({ activity: 'quoteCarrier', how: 'down' });
    const delivery = await lab.start({ ...CARRIER, drones: 0, policy: { awaitDroneS: 1 } });
    await lab.until('a carrier is asked', () => countOf(delivery, 'quoteCarrier') > 0);
    const reason = 'carrier_being_asked';
    expect(await delivery.reschedule(lab.windowIn({ fromS: 3_600, toS: 7_200 }))).toMatchObject({ reason });
    expect(await delivery.changeDropoff(delivery.dropoffAt(1_000))).toMatchObject({ reason });
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    lab.faults.clear();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended.charge?.amount).toBe(0);
  });

  it('once it is booked, they are refused with that; and once it has the package, a cancel says so', async () => {
    const delivery = await lab.start({ ...CARRIER, drones: 0, policy: { awaitDroneS: 1 } });
    await lab.until('it is booked', async () => (await delivery.read()).fulfilment === 'carrier');
    const reason = 'carrier_booked';
    expect(await delivery.reschedule(lab.windowIn({ fromS: 3_600, toS: 7_200 }))).toMatchObject({ reason });
    expect(await delivery.changeDropoff(delivery.dropoffAt(1_000))).toMatchObject({ reason });
    await delivery.untilStatus('enroute_to_dropoff');
    expect(await delivery.cancel()).toMatchObject({
      reason: 'already_picked_up',
      detail: 'The carrier has the package. It can no longer be cancelled.',
    });
    await delivery.untilComplete();
  });
});
