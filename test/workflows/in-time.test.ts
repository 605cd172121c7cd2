/** The end of the pickup window, and the deadline: what is not there in time is not sent, and our lateness costs the sender nothing. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import type { DroneId } from '../../shared/ids.ts';
import { EXACT_MS, Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const MINUTE_S = 60;
/** About seven minutes to fly, with what it takes to go up and down. */
const FAR_M = 7_000;
const eventsOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((one) => one.type === `delivery.${type}`);
const endedAtMs = async (delivery: LabDelivery, status: Delivery['status']) =>
  Date.parse((await eventsOf(delivery, status))[0]?.occurred_at ?? '');
/** What was decided for it, with what was found of its own drones. */
async function explained({ id, scene }: LabDelivery) {
  const { data } = await lab.clients.drone.explainAssignment({ params: { delivery_id: id } });
  const isOurs = (one: { drone_id: DroneId }) => scene.droneIds.includes(one.drone_id);
  return data.map(({ outcome, candidates }) => ({ outcome, candidates: candidates.filter(isOurs) }));
}

/** It has cost nothing, and nothing is left. */
async function failsForNothing(delivery: LabDelivery, reason: Delivery['failure_reason']): Promise<Delivery> {
  const { delivery: ended } = await delivery.untilComplete();
  expect(ended).toMatchObject({
    status: 'failed',
    failure_reason: reason,
    compensation: 'complete',
    charge: { amount: 0 },
  });
  const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } });
  expect(data.map(({ state }) => state)).toEqual(['voided']);
  await delivery.untilNothingHeld();
  return ended;
}

describe('a pickup window', () => {
  it('that a drone would miss which frees itself shortly before its end: it is not sent, and nothing is charged', async () => {
    const scene = await lab.prepare();
    await scene.setDrones('maintenance');
    const delivery = await scene.order({ toPickupM: FAR_M, pickup: { fromS: 0, toS: 15 * MINUTE_S } });
    await delivery.untilStatus('awaiting_drone');
    const endMs = Date.parse((await delivery.read()).pickup_window?.end ?? '');
    await lab.leapUntil(endMs - MINUTE_S * 1000, delivery);
    await scene.setDrones('idle');
    await lab.settle();
    expect((await delivery.read()).status).toBe('awaiting_drone');
    const ended = await failsForNothing(delivery, 'no_drone_available');
    expect(ended.attempt).toBe(0);
    const failedMs = await endedAtMs(delivery, 'failed');
    expect(failedMs).toBeGreaterThanOrEqual(endMs);
    expect(failedMs).toBeLessThan(endMs + EXACT_MS);
  });

  it('that the only drone would miss from the beginning: why is kept, and the delivery says so', async () => {
    const delivery = await lab.start({ toPickupM: FAR_M, pickup: { fromS: 0, toS: 2 * MINUTE_S } });
    const ended = await failsForNothing(delivery, 'no_drone_available');
    const [decision] = await explained(delivery);
    const [candidate] = decision?.candidates ?? [];
    expect(candidate).toMatchObject({ verdict: 'too_late' });
    expect(ended.failure_detail).toContain(`at the pickup the first at ${candidate?.arrival_at}`);
  });

  it('that has passed while the drone service was away: nothing is reserved any more', async () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'down' });
    const delivery = await lab.start({ pickup: { fromS: 0, toS: 15 * MINUTE_S } });
    const backMs = lab.wallNowMs + 20 * MINUTE_S * 1000;
    await lab.until('it is back', () => lab.wallNowMs > backMs);
    lab.faults.clear();
    const ended = await failsForNothing(delivery, 'no_drone_available');
    expect(ended.failure_detail).toContain('The pickup window ended at');
    expect((await explained(delivery)).map((one) => one.outcome)).toEqual(['unavailable']);
  });

  it('that is over when another drone is needed: none is sent', async () => {
    const scene = await lab.prepare();
    const [first] = scene.droneIds;
    if (!first) throw new Error('no drone');
    lab.pilot.arm(first, { failure: 'motor_failure', stage: 'to_pickup' });
    const delivery = await scene.order({ pickup: { fromS: 0, toS: 2.5 * MINUTE_S } });
    await lab.until(
      'its drone has failed',
      async () => (await eventsOf(delivery, 'drone_failed')).length > 0,
    );
    await scene.addDrone();
    const ended = await failsForNothing(delivery, 'no_drone_available');
    expect(ended.attempt).toBe(1);
  });

  it('that begins later: its drone is sent in time, and the deadline counts from then', async () => {
    const window = { fromS: 20 * MINUTE_S, toS: 30 * MINUTE_S };
    const missed = await lab.start({ pickup: window, deadlineInS: 21 * MINUTE_S });
    await failsForNothing(missed, 'no_drone_available');
    const [decision] = await explained(missed);
    expect(decision?.candidates).toMatchObject([{ verdict: 'too_late' }]);
    const kept = await lab.start({ pickup: window, deadlineInS: 25 * MINUTE_S });
    const { delivery: ended } = await kept.untilComplete();
    expect(ended.status).toBe('delivered');
    await kept.untilNothingHeld();
  });
});

describe('a deadline', () => {
  it('that no drone would make is not flown for: the delivery waits for a nearer one, and fails for nothing', async () => {
    const delivery = await lab.start({ toPickupM: FAR_M, deadlineInS: 8 * MINUTE_S });
    await delivery.untilStatus('awaiting_drone');
    const ended = await failsForNothing(delivery, 'no_drone_available');
    expect(ended.failure_detail).toMatch(/at the dropoff the first at .*, where the deadline is /);
  });

  it('that a nearer drone makes, which comes later, is made', async () => {
    const scene = await lab.prepare();
    await scene.setDrones('maintenance');
    const delivery = await scene.order({ deadlineInS: 8 * MINUTE_S });
    await delivery.untilStatus('awaiting_drone');
    await scene.setDrones('idle');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended.status).toBe('delivered');
    expect(await endedAtMs(delivery, 'arrived_at_dropoff')).toBeLessThanOrEqual(
      Date.parse(ended.deadline ?? ''),
    );
    await delivery.untilNothingHeld();
  });
});

describe('a drone that was sent in time and comes after the window', () => {
  async function late(nobodyLoads: boolean): Promise<LabDelivery> {
    const scene = await lab.prepare();
    const [drone] = scene.droneIds;
    if (!drone) throw new Error('no drone');
    if (nobodyLoads) lab.pilot.arm(drone, { failure: 'sender_absent' });
    // The dispatch does not answer for a while: the window was long enough for it when the drone was reserved.
    lab.faults.arm({ activity: 'dispatchDrone', how: 'down', times: 11 });
    const delivery = await scene.order({
      toPickupM: 1_500,
      pickup: { fromS: 0, toS: 2.2 * MINUTE_S },
      policy: { loadingS: 5 * MINUTE_S },
    });
    await delivery.untilStatus('arrived_at_pickup');
    const { pickup_window } = await delivery.read();
    expect(await endedAtMs(delivery, 'arrived_at_pickup')).toBeGreaterThan(
      Date.parse(pickup_window?.end ?? ''),
    );
    return delivery;
  }

  it('and nobody loads: that is not the sender’s absence, and costs nothing', async () => {
    const delivery = await late(true);
    const ended = await failsForNothing(delivery, 'pickup_window_missed');
    expect(ended.failure_detail).toContain(
      `after the pickup window had ended at ${ended.pickup_window?.end}`,
    );
    const waitedMs = (await endedAtMs(delivery, 'failed')) - (await endedAtMs(delivery, 'arrived_at_pickup'));
    expect(waitedMs).toBeGreaterThanOrEqual(5 * MINUTE_S * 1000);
  });

  it('and is loaded all the same: it flies, for the price', async () => {
    const delivery = await late(false);
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', charge: delivery.price });
    await delivery.untilNothingHeld();
  });

  it('unlike one that comes before its end: then the sender was absent, for a fee', async () => {
    const scene = await lab.prepare();
    for (const drone of scene.droneIds) lab.pilot.arm(drone, { failure: 'sender_absent' });
    const delivery = await scene.order({
      pickup: { fromS: 0, toS: 3 * MINUTE_S },
      policy: { loadingS: 5 * MINUTE_S },
    });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'failed',
      failure_reason: 'sender_absent',
      charge: { amount: 494 },
    });
    await delivery.untilNothingHeld();
  });
});
