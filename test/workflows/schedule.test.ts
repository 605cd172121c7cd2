/** Scheduled pickups: the wait, moving it, and what happens to one that is long. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EXACT_MS, Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const LEAD_S = 600;
const RESCHEDULED = { outcome: 'rescheduled', reason: null, detail: null };
const inHours = (fromH: number, toH = fromH + 1) =>
  lab.windowIn({ fromS: fromH * HOUR_S, toS: toH * HOUR_S });
const after = (seconds: number) => lab.wallNowMs + seconds * 1000;
const eventTimeMs = async (delivery: LabDelivery, type: string) => {
  const event = (await delivery.events()).find((one) => one.type === type);
  return event ? Date.parse(event.occurred_at) : Number.NaN;
};
const countOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((one) => one.type === type).length;
const reserves = (delivery: LabDelivery) =>
  lab.faults.callsOf(delivery.id).filter((call) => call.activity === 'reserveDrone').length;

/** A delivery that is scheduled this many hours ahead. */
async function scheduled(hours: number, options: Parameters<Lab['start']>[0] = {}) {
  const delivery = await lab.start({
    pickup: { fromS: hours * HOUR_S, toS: (hours + 1) * HOUR_S },
    ...options,
  });
  await lab.settle();
  expect((await delivery.read()).status).toBe('scheduled');
  return delivery;
}

describe('a scheduled pickup', () => {
  it('sleeps until the lead time, takes off in time and is picked up in its window', async () => {
    const delivery = await scheduled(48);
    const window = (await delivery.read()).pickup_window!;
    const startMs = Date.parse(window.start);
    const planMs = startMs - LEAD_S * 1000;
    await lab.leapUntil(planMs - EXACT_MS, delivery);
    expect((await delivery.read()).status).toBe('scheduled');
    expect(reserves(delivery)).toBe(0);
    await lab.leapUntil(planMs + EXACT_MS, delivery);
    expect(await eventTimeMs(delivery, 'delivery.confirmed')).toBeGreaterThanOrEqual(planMs);
    const confirmed = await delivery.read();
    expect(confirmed.status).toBe('confirmed');
    expect(Date.parse(confirmed.eta.pickup_at!)).toBe(startMs);
    const { outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    const arrivedMs = await eventTimeMs(delivery, 'delivery.arrived_at_pickup');
    expect(arrivedMs).toBeGreaterThanOrEqual(startMs - EXACT_MS);
    expect(arrivedMs).toBeLessThan(startMs + 60_000);
    await delivery.untilNothingHeld();
  });

  it('whose window has begun is flown at once, without being scheduled', async () => {
    const delivery = await lab.start({ pickup: { fromS: 0, toS: HOUR_S } });
    await delivery.untilComplete();
    expect(await delivery.statuses()).not.toContain('scheduled');
  });

  it('without a drone waits for one until the window is over, and no longer', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const grounded = scene.droneIds[0]!;
    const waiting = await scene.order({ pickup: { fromS: 0, toS: 120 } });
    await waiting.untilStatus('awaiting_drone');
    const endMs = Date.parse((await waiting.read()).pickup_window!.end);
    await waiting.untilStatus('failed');
    const { delivery } = await waiting.untilComplete();
    expect(delivery.failure_reason).toBe('no_drone_available');
    const failedMs = await eventTimeMs(waiting, 'delivery.failed');
    expect(failedMs).toBeGreaterThanOrEqual(endMs);
    expect(failedMs).toBeLessThan(endMs + EXACT_MS);
    expect((await flying.read()).drone_id).toBe(grounded);
    await flying.untilComplete();
  });
});

describe('a cancel of a scheduled pickup', () => {
  it('is free and leaves nothing', async () => {
    const delivery = await scheduled(24);
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended.charge?.amount).toBe(0);
    expect(await delivery.held()).toEqual([]);
    expect(await delivery.reschedule(inHours(30))).toBe('gone');
  });

  it('while its drone waits on the ground for the time to take off is free too', async () => {
    const delivery = await scheduled(2);
    await lab.leapUntil(after(2 * HOUR_S - LEAD_S) + EXACT_MS, delivery);
    expect((await delivery.read()).status).toBe('confirmed');
    await delivery.cancel();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended.charge?.amount).toBe(0);
    expect(await delivery.held()).toEqual([]);
  });
});

describe('a reschedule', () => {
  it.each([
    { what: 'later', hours: 72 },
    { what: 'earlier', hours: 5 },
    { what: 'to now', hours: 0 },
  ])('$what moves the timer', async ({ hours }) => {
    const delivery = await scheduled(24);
    const window = inHours(hours);
    expect(await delivery.reschedule(window)).toEqual(RESCHEDULED);
    expect((await delivery.read()).pickup_window).toEqual(window);
    const planMs = Date.parse(window.start) - LEAD_S * 1000;
    if (hours > 0) {
      await lab.leapUntil(planMs - EXACT_MS, delivery);
      expect(reserves(delivery)).toBe(0);
      await lab.leapUntil(planMs + EXACT_MS, delivery);
    }
    expect(reserves(delivery)).toBe(1);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    const event = (await delivery.events()).find((one) => one.type === 'delivery.rescheduled');
    expect(event?.data).toMatchObject({ to: window, by: `business:${delivery.scene.accountId}` });
  });

  it('sent twice with one id takes effect once', async () => {
    const delivery = await scheduled(24);
    const window = inHours(30);
    expect(await delivery.reschedule(window, { updateId: 'same' })).toEqual(RESCHEDULED);
    expect(await delivery.reschedule(window, { updateId: 'same' })).toEqual(RESCHEDULED);
    expect(await countOf(delivery, 'delivery.rescheduled')).toBe(1);
    await delivery.cancel();
  });

  it('to the window it has is no event', async () => {
    const delivery = await scheduled(24);
    const { pickup_window } = await delivery.read();
    expect(await delivery.reschedule(pickup_window!)).toEqual(RESCHEDULED);
    expect(await countOf(delivery, 'delivery.rescheduled')).toBe(0);
    await delivery.cancel();
  });

  it('from another window than it has is refused', async () => {
    const delivery = await scheduled(24);
    const seen = (await delivery.read()).pickup_window;
    await delivery.reschedule(inHours(30), { updateId: 'first', from: seen });
    expect(await delivery.reschedule(inHours(40), { updateId: 'second', from: seen })).toMatchObject({
      outcome: 'refused',
      reason: 'window_changed',
    });
    await delivery.cancel();
  });

  it('at the moment the timer fires: the pickup is moved, and no drone is held for the old one', async () => {
    const delivery = await scheduled(2);
    lab.faults.arm({ activity: 'reserveDrone', how: 'hang', times: 1 });
    await lab.leapUntil(after(2 * HOUR_S - LEAD_S) - EXACT_MS, delivery);
    await lab.until('a drone is being reserved', () => lab.faults.isHanging(delivery.id));
    const window = inHours(10);
    const asking = delivery.reschedule(window);
    await lab.settle();
    // The drone is reserved while the reschedule waits for that.
    lab.faults.clear();
    expect(await asking).toEqual(RESCHEDULED);
    expect(await delivery.read()).toMatchObject({ status: 'scheduled', pickup_window: window });
    expect((await delivery.held()).filter((one) => one.startsWith('reservation'))).toEqual([]);
    await lab.leapUntil(Date.parse(window.start) - LEAD_S * 1000, delivery);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    await delivery.untilNothingHeld();
  });

  it('while its drone waits on the ground gives the drone back', async () => {
    const delivery = await scheduled(2);
    await lab.leapUntil(after(2 * HOUR_S - LEAD_S) + EXACT_MS, delivery);
    expect((await delivery.read()).status).toBe('confirmed');
    expect(await delivery.reschedule(inHours(5))).toEqual(RESCHEDULED);
    expect(await delivery.read()).toMatchObject({ status: 'scheduled', drone_id: null, attempt: 0 });
    expect((await delivery.held()).filter((one) => one.startsWith('reservation'))).toEqual([]);
    await lab.leapUntil(after(5 * HOUR_S - LEAD_S), delivery);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  it('while it waits for a drone gives up its place in the line', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const waiting = await scene.order();
    await waiting.untilStatus('awaiting_drone');
    expect(await waiting.reschedule(inHours(10))).toEqual(RESCHEDULED);
    expect(await waiting.read()).toMatchObject({ status: 'scheduled', delayed: false });
    await flying.untilComplete();
    expect((await waiting.read()).status).toBe('scheduled');
    await waiting.cancel();
    await waiting.untilNothingHeld();
  });

  it('after the drone was sent is refused', async () => {
    const delivery = await lab.start();
    await delivery.untilStatus('enroute_to_pickup');
    expect(await delivery.reschedule(inHours(10))).toMatchObject({
      outcome: 'refused',
      reason: 'drone_dispatched',
    });
    const { outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
  });

  it.each([
    { what: 'past', from: -2, to: -1, field: 'pickup_window.end' },
    { what: 'too far ahead', from: 24 * 31, to: 24 * 31 + 1, field: 'pickup_window.start' },
    { what: 'without length', from: 5, to: 5, field: 'pickup_window.end' },
  ])('to a window that is $what is impossible, and changes nothing', async ({ from, to, field }) => {
    const delivery = await scheduled(24);
    const before = await delivery.read();
    expect(await delivery.reschedule(inHours(from, to))).toMatchObject({
      outcome: 'impossible',
      errors: [{ field }],
    });
    expect(await delivery.read()).toEqual(before);
    await delivery.cancel();
  });
});

describe('a long wait', () => {
  it('renews the authorization before it runs out', async () => {
    const delivery = await scheduled(20 * 24);
    await lab.leapUntil(after(20 * DAY_S - LEAD_S), delivery);
    const { outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    const renewals = lab.faults.callsOf(delivery.id).filter((one) => one.activity === 'renewAuthorization');
    expect(renewals.map((one) => one.key)).toEqual([1, 2, 3].map((n) => `${delivery.id}/renew/${n}`));
    await delivery.untilNothingHeld();
  });

  it('fails with the reason when the account was suspended meanwhile, and leaves nothing', async () => {
    const delivery = await scheduled(20 * 24);
    await lab.clients.account.setAccountState({
      params: { account_id: delivery.scene.accountId },
      body: { state: 'suspended', reason: 'unpaid', by: 'test' },
    });
    await lab.leapUntil(after(6 * DAY_S), delivery);
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'account_suspended' });
    expect(ended.charge?.amount).toBe(0);
    expect(await delivery.held()).toEqual([]);
  });

  it('drones that fail one after the other are replaced as long as the next one makes the deadline, and no longer', async () => {
    const scene = await lab.prepare({ drones: 9 });
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_pickup' });
    const deadlineInS = 700;
    const delivery = await scene.order({ deadlineInS });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'failed',
      failure_reason: 'no_drone_available',
      compensation: 'complete',
    });
    const failures = await countOf(delivery, 'delivery.drone_failed');
    expect(failures).toBeGreaterThan(3);
    expect(failures).toBeLessThan(scene.droneIds.length);
    const confirmed = (await delivery.events()).filter((one) => one.type === 'delivery.confirmed');
    for (const { occurred_at } of confirmed)
      expect(Date.parse(occurred_at)).toBeLessThan(Date.parse(ended.deadline ?? ''));
    await delivery.untilNothingHeld();
  }, 120_000);
});
