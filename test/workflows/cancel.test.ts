/** A cancel at every wait, and at every step. In virtual time; while the package is loaded: `cancel-loading.test.ts`. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DroneId } from '../../shared/ids.ts';
import type { ActivityName } from './faults.ts';
import { Lab } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const CANCELLED = { outcome: 'cancelled', reason: null, detail: null };

describe('a cancel before the pickup', () => {
  it.each(['confirmed', 'enroute_to_pickup', 'arrived_at_pickup'] as const)(
    'when %s: the drone is recalled, a fee is charged, nothing is left',
    async (status) => {
      const scene = await lab.prepare({ drones: 0 });
      // A drone without a pilot has its mission, and does not take off.
      await scene.addDrone({ pilot: status !== 'confirmed' });
      if (status === 'arrived_at_pickup') senderStaysAway(scene.droneIds);
      const delivery = await scene.order();
      await delivery.untilStatus(status);
      expect(await delivery.cancel()).toEqual(CANCELLED);
      expect((await delivery.read()).status).toBe('cancelled');
      const { outcome, delivery: ended } = await delivery.untilComplete();
      expect(outcome).toMatchObject({
        status: 'cancelled',
        reason: 'requested_by_sender',
        compensation: 'complete',
      });
      expect(ended.charge?.amount).toBe(Math.round(delivery.price.amount * 0.4));
      await scene.boardAll();
      await delivery.untilNothingHeld();
    },
  );

  it('while it waits for a drone: nothing is charged, and its place in the line is given up', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const waiting = await scene.order();
    await waiting.untilStatus('awaiting_drone');
    expect(await waiting.cancel()).toEqual(CANCELLED);
    const { delivery: ended } = await waiting.untilComplete();
    expect(ended.charge).toEqual({ amount: 0, currency: 'USD' });
    await flying.untilComplete();
    await flying.untilNothingHeld();
    await waiting.untilNothingHeld();
  });

  it('while a carrier is on its way to the pickup: the booking is cancelled', async () => {
    const scene = await lab.prepare({ drones: 0, account: { carrier: true, carrierCapCents: 10_000 } });
    const delivery = await scene.order();
    await delivery.untilStatus('enroute_to_pickup');
    expect(await delivery.cancel()).toEqual(CANCELLED);
    await delivery.untilComplete();
    await delivery.untilNothingHeld();
  });

  const steps: ActivityName[] = ['authorize', 'registerPackages', 'reserveDrone', 'dispatchDrone'];
  it.each(steps)('while %s does not answer: it is interrupted and undone', async (step) => {
    lab.faults.arm({ activity: step, how: 'down' });
    const delivery = await lab.start();
    await lab.until(
      `${step} is being tried`,
      () => lab.faults.callsOf(delivery.id).filter((call) => call.activity === step).length > 4,
    );
    expect(await delivery.cancel()).toEqual(CANCELLED);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'cancelled', compensation: 'complete' });
    await delivery.untilNothingHeld();
  });

  // Done within the same workflow task as the update, it would stand written without a cause when that task is lost.
  it('is written as the outcome only once it is in the history itself', async () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'down' });
    const delivery = await lab.start();
    await lab.until('it is being tried', () =>
      lab.faults.callsOf(delivery.id).some((call) => call.activity === 'reserveDrone'),
    );
    expect(await delivery.cancel()).toEqual(CANCELLED);
    await delivery.untilComplete();
    const { events } = await delivery.handle.fetchHistory();
    const accepted = events?.findIndex((one) => one.workflowExecutionUpdateAcceptedEventAttributes) ?? -1;
    const written =
      events?.findIndex(
        (one) => one.activityTaskScheduledEventAttributes?.activityType?.name === 'appendEvents',
      ) ?? -1;
    expect(accepted).toBeGreaterThan(0);
    expect(written).toBeGreaterThan(accepted);
  });

  it('twice: the second one hears the same, and nothing happens twice', async () => {
    const delivery = await lab.start();
    await delivery.untilStatus('enroute_to_pickup');
    expect(await delivery.cancel('first')).toEqual(CANCELLED);
    await delivery.untilComplete();
    expect(await delivery.cancel('second')).toBe('gone');
    const events = await delivery.events();
    expect(events.filter((event) => event.type === 'delivery.cancelled')).toHaveLength(1);
  });

  it('from the Temporal UI acts as the cancel update', async () => {
    const delivery = await lab.start();
    await delivery.untilStatus('enroute_to_pickup');
    await delivery.handle.cancel();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'cancelled', reason: 'requested_by_operator' });
    await delivery.untilNothingHeld();
  });
});

describe('a cancel after the pickup', () => {
  it.each(['enroute_to_dropoff', 'arrived_at_dropoff'] as const)(
    'when %s: is refused, and the delivery goes on',
    async (status) => {
      const delivery = await lab.start();
      await delivery.untilStatus(status);
      expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });
      const { outcome } = await delivery.untilComplete();
      expect(outcome.status).toBe('delivered');
    },
  );
});

describe('a cancel that makes no sense', () => {
  it('is rejected by the validator, and leaves no trace in the history', async () => {
    const delivery = await lab.start();
    await delivery.untilStatus('enroute_to_pickup');
    await expect(
      delivery.handle.executeUpdate('cancel', {
        args: [{ reason: 'mood', actor: { role: 'business', id: 'x' } }],
      }),
    ).rejects.toThrow();
    expect((await delivery.read()).status).toBe('enroute_to_pickup');
  });
});

function senderStaysAway(droneIds: readonly DroneId[]): void {
  for (const droneId of droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
}
