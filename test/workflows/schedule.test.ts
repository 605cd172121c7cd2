/** Scheduled pickups: the wait, moving it, and a delivery that waits for a month. In virtual time. */
import type { TypedSearchAttributes } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { Lab, type LabDelivery } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const LEAD_S = 600;
/** A timer is as late as the workflow task that set it took, which on a busy machine is seconds. It is never early. */
const EXACT_MS = 20_000;
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
/** How long it took from each drone that failed to the next one that was sent, milliseconds of its clock. */
async function waitsForAnother(delivery: LabDelivery): Promise<number[]> {
  const timesOf = (events: DeliveryEvent[], type: string) =>
    events.filter((one) => one.type === type).map((one) => Date.parse(one.occurred_at));
  const events = await delivery.events();
  const [, ...next] = timesOf(events, 'delivery.confirmed');
  return timesOf(events, 'delivery.drone_failed').map((at, index) => (next[index] ?? Infinity) - at);
}
const attributesOf = ({ typedSearchAttributes }: { typedSearchAttributes: TypedSearchAttributes }) =>
  Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
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

  it('of 30 days with 50 reschedules keeps a bounded history; each one takes effect exactly once', async () => {
    const historyEvents = 60;
    const delivery = await scheduled(29 * 24, { policy: { historyEvents } });
    const runs = new Set<string>();
    const beganMs = lab.wallNowMs;
    for (let n = 1; n <= 50; n += 1) {
      await lab.leapUntil(beganMs + n * 0.5 * DAY_S * 1000, delivery);
      const window = lab.windowIn({ fromS: 5 * DAY_S + n, toS: 6 * DAY_S });
      const answer = await delivery.reschedule(window, { updateId: `move-${n}` });
      expect(answer).toEqual(RESCHEDULED);
      // Sent again, also when the run that handled it has ended, and long after.
      expect(await delivery.reschedule(window, { updateId: `move-${n}` })).toEqual(RESCHEDULED);
      expect(await delivery.reschedule(window, { updateId: `move-${Math.ceil(n / 2)}` })).toEqual(
        RESCHEDULED,
      );
      expect((await delivery.read()).pickup_window).toEqual(window);
      const { runId, historyLength } = await delivery.handle.describe();
      expect(historyLength).toBeLessThan(historyEvents + 60);
      runs.add(runId);
    }
    expect(runs.size).toBeGreaterThan(5);
    expect(await countOf(delivery, 'delivery.rescheduled')).toBe(50);
    const { start } = (await delivery.read()).pickup_window!;
    await lab.leapUntil(Date.parse(start) - LEAD_S * 1000, delivery);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    await delivery.untilNothingHeld();
  }, 120_000);

  it('of a month, and then 20 drones that fail one after the other: the history stays bounded', async () => {
    const historyEvents = 100;
    const drones = 20;
    const scene = await lab.prepare({ drones });
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_pickup' });
    await scene.addDrone();
    const delivery = await scene.order({
      pickup: { fromS: 29 * DAY_S, toS: 30 * DAY_S },
      policy: { historyEvents },
    });
    await delivery.untilStatus('scheduled');
    await lab.leapUntil(after(29 * DAY_S - LEAD_S), delivery);
    const runs = new Map<string, number>();
    for (let attempt = 2; attempt <= drones + 1; attempt += 1) {
      await lab.until(`drone ${attempt} is sent`, async () => {
        const { runId, historyLength } = await delivery.handle.describe();
        runs.set(runId, historyLength);
        return (await countOf(delivery, 'delivery.confirmed')) >= attempt;
      });
    }
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: drones + 1 });
    expect(runs.size).toBeGreaterThan(5);
    // A flight is never left for a new history: the longest run has one drone more than it may begin with.
    expect(Math.max(...runs.values())).toBeLessThan(historyEvents + 120);
    expect(await countOf(delivery, 'delivery.drone_failed')).toBe(drones);
    // The first ones at once, later ones less and less fast: a fleet that all fails is not used up in a moment.
    const waits = await waitsForAnother(delivery);
    expect(Math.max(...waits.slice(0, 2))).toBeLessThan(5_000);
    expect(Math.min(...waits.slice(8))).toBeGreaterThanOrEqual(60_000);
    await delivery.untilNothingHeld();
  }, 120_000);

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

  it('updates sent across every continue-as-new are neither lost nor doubled', async () => {
    const delivery = await scheduled(24, { policy: { historyEvents: 50 } });
    const runs = new Set<string>();
    let sent = 0;
    for (let burst = 0; burst < 12; burst += 1) {
      // All at once, and not waited for: some reach the run that ends, some the next.
      const windows = [1, 2, 3, 4].map((n) => inHours(24 + burst, 40 + n));
      const asked = windows.map((window) => {
        sent += 1;
        return delivery.reschedule(window, { updateId: `at-once-${sent}` });
      });
      expect(await Promise.all(asked)).toEqual(windows.map(() => RESCHEDULED));
      runs.add((await delivery.handle.describe()).runId);
    }
    expect(runs.size).toBeGreaterThan(3);
    const moves = (await delivery.events()).filter((one) => one.type === 'delivery.rescheduled');
    expect(moves).toHaveLength(sent);
    // Each began where the one before ended: none was applied to what another run knew.
    moves.slice(1).forEach((event, index) => expect(event.data['from']).toEqual(moves[index]!.data['to']));
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    await delivery.untilComplete();
    expect(await delivery.held()).toEqual([]);
  });

  it('signals wake the run that goes on, which still undoes what the first one did', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const waiting = await scene.order({ policy: { historyEvents: 50, awaitDroneS: 2 * HOUR_S } });
    await waiting.untilStatus('awaiting_drone');
    const first = await waiting.handle.describe();
    const attributes = attributesOf(first);
    const isSameRun = async () => (await waiting.handle.describe()).runId === first.runId;
    for (let n = 0; n < 20 && (await isSameRun()); n += 1) {
      await waiting.handle.signal('droneAvailable');
      await lab.settle();
    }
    const next = await waiting.handle.describe();
    expect(next.runId).not.toBe(first.runId);
    expect(attributesOf(next)).toEqual(attributes);
    await flying.untilComplete();
    const { outcome } = await waiting.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    await waiting.untilNothingHeld();
  });

  it('a cancel in a run that goes on gives back what the first one took', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const waiting = await scene.order({ policy: { historyEvents: 50 } });
    await waiting.untilStatus('awaiting_drone');
    const { runId } = await waiting.handle.describe();
    while ((await waiting.handle.describe()).runId === runId) {
      await waiting.handle.signal('droneAvailable');
      await lab.settle();
    }
    expect(await waiting.held()).not.toEqual([]);
    expect(await waiting.cancel()).toMatchObject({ outcome: 'cancelled' });
    const { outcome } = await waiting.untilComplete();
    expect(outcome.compensation).toBe('complete');
    expect(await waiting.held()).toEqual([]);
    await flying.untilComplete();
  });
});
