/** What becomes of a delivery: the happy path, every refusal, every failure after it, every deadline. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../shared/ids.ts';
import { DRONE_AVAILABLE_SIGNAL } from '../../workflows/messages.ts';
import { Lab } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const HAPPY = [
  'created',
  'confirmed',
  'enroute_to_pickup',
  'arrived_at_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
  'delivered',
];

describe('when all goes well', () => {
  it('flies the package there, charges the price and leaves nothing held', async () => {
    const delivery = await lab.start();
    const { delivery: ended, outcome } = await delivery.untilComplete();

    expect(await delivery.statuses()).toEqual(HAPPY);
    expect(outcome).toEqual({ status: 'delivered', reason: null, compensation: 'none', attempts: 1 });
    expect(ended).toMatchObject({
      fulfilment: 'drone',
      drone_id: delivery.scene.droneIds[0],
      attempt: 1,
      charge: delivery.price,
      compensation: 'none',
      delayed: false,
    });
    await delivery.untilNothingHeld();
  });

  it('numbers its events without a gap and keeps its ETA within half a minute of what happens', async () => {
    const delivery = await lab.start();
    // What was promised when it was confirmed still stands in it at the end.
    const { eta: promised } = (await delivery.untilComplete()).delivery;

    const events = await delivery.events();
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, index) => index + 1));
    const happenedAt = (type: string) => events.find((event) => event.type === type)?.occurred_at ?? '';
    const missedByS = (type: string, eta: string | null) =>
      Math.abs(Date.parse(happenedAt(type)) - Date.parse(eta ?? '')) / 1000;
    expect(missedByS('delivery.arrived_at_pickup', promised.pickup_at)).toBeLessThan(30);
  });

  it('does its last workflow task anew when something comes meanwhile, and tells everything once all the same', async () => {
    const scene = await lab.prepare({ account: { state: 'suspended' } });
    const id = newId('delivery');
    const key = /event_compensation_complete/;
    lab.faults.arm({ activity: 'appendEvents', how: 'act_then_hang', key, of: id, times: 1 });
    const delivery = await scene.order({ id });
    await expect.poll(() => lab.faults.isHanging(id)).toBe(true);
    await delivery.handle.signal(DRONE_AVAILABLE_SIGNAL);
    lab.faults.mend(id);
    const { outcome } = await delivery.untilComplete();

    expect(outcome).toMatchObject({ status: 'failed' });
    expect(await delivery.tasksLost()).toBe(1);
    const told = lab.faults.requestsOf(id).filter(({ operation }) => operation === 'appendEvents');
    expect(told.map((request) => request.key?.replace(`${id}/`, ''))).toEqual([
      'event_failed/1',
      ...['event_compensated/1', 'event_compensation_complete/1'],
      ...['event_compensated/1', 'event_compensation_complete/1'],
    ]);
    expect((await delivery.events()).map(({ type }) => type.replace('delivery.', ''))).toEqual([
      'created',
      'failed',
      'compensated',
      'compensation_complete',
    ]);
  });

  it('costs at most 80 events and 20 billable actions', async () => {
    const delivery = await lab.start();
    await delivery.untilComplete();
    const { events } = await delivery.handle.fetchHistory();
    expect(events?.length).toBeLessThanOrEqual(80);
  });
});

describe('when business says no', () => {
  it.each([
    {
      why: 'the account is suspended',
      options: { account: { state: 'suspended' as const } },
      reason: 'account_suspended',
    },
    {
      why: 'the account is closed',
      options: { account: { state: 'closed' as const } },
      reason: 'account_closed',
    },
    {
      why: 'the credit does not cover the price',
      options: { account: { creditCents: 100 } },
      reason: 'credit_exceeded',
    },
    { why: 'no drone of the fleet can lift it', options: { weightKg: 50 }, reason: 'payload_too_heavy' },
    { why: 'no drone can fly there and back', options: { toDropoffM: 60_000 }, reason: 'out_of_range' },
  ])('fails with $reason when $why, and leaves nothing held', async ({ options, reason }) => {
    const delivery = await lab.start(options);
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', reason, compensation: 'complete' });
    expect(ended).toMatchObject({ failure_reason: reason, compensation: 'complete', charge: { amount: 0 } });
    expect(ended.failure_detail).toMatch(/\S/);
    await delivery.untilNothingHeld();
  });
});

describe('when no drone is free', () => {
  it('waits for one, and flies when one frees itself', async () => {
    const scene = await lab.prepare();
    const first = await scene.order();
    await first.untilStatus('enroute_to_pickup');
    const second = await scene.order();
    await second.untilStatus('awaiting_drone');
    expect(await second.read()).toMatchObject({ delayed: true, delay_reason: 'no_drone' });
    const { delivery } = await second.untilComplete();
    expect(delivery).toMatchObject({ status: 'delivered', delayed: false });
    await second.untilNothingHeld();
  });

  it('lets an expedited delivery have the first one that frees itself', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const standard = await scene.order();
    await standard.untilStatus('awaiting_drone');
    const expedited = await scene.order({ expedited: true });
    await expedited.untilStatus('awaiting_drone');
    await lab.until('one of them got it', async () =>
      (await Promise.all([standard.read(), expedited.read()])).some((one) => one.status !== 'awaiting_drone'),
    );
    expect((await standard.read()).status).toBe('awaiting_drone');
    await expedited.untilComplete();
    await standard.untilComplete();
  });

  it('fails at the deadline when the account allows no carrier', async () => {
    const scene = await lab.prepare({ drones: 1 });
    await ground(scene.droneIds);
    const delivery = await scene.order({ deadlineInS: 1_800 });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'no_drone_available' });
    expect(await delivery.statuses()).toEqual(['created', 'awaiting_drone', 'failed']);
    await delivery.untilNothingHeld();
  });

  it('waits from when it hears that none is free, however long that took', async () => {
    const scene = await lab.prepare({ drones: 1 });
    await ground(scene.droneIds);
    lab.faults.arm({ activity: 'reserveDrone', how: 'down' });
    const waitS = 1_800;
    const delivery = await scene.order({ policy: { awaitDroneS: waitS } });
    const backMs = lab.wallNowMs + 1_200_000;
    await lab.until('the drone service is back', () => lab.wallNowMs > backMs);
    lab.faults.clear();
    await delivery.untilComplete();
    const events = await delivery.events();
    const timeMs = (status: string) =>
      Date.parse(events.find((one) => one.status === status)?.occurred_at ?? '');
    const waitedMs = timeMs('failed') - timeMs('awaiting_drone');
    expect(waitedMs).toBeGreaterThanOrEqual(waitS * 1_000);
    expect(waitedMs).toBeLessThan(waitS * 1_000 + 5_000);
  });

  it('goes by carrier when the account allows one, within its price cap', async () => {
    const scene = await lab.prepare({ drones: 1, account: { carrier: true, carrierCapCents: 10_000 } });
    await ground(scene.droneIds);
    const delivery = await scene.order({ policy: { awaitDroneS: 300 } });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', fulfilment: 'carrier', drone_id: null });
    expect(await delivery.statuses()).toEqual(['created', 'awaiting_drone', ...HAPPY.slice(1)]);
    await delivery.untilNothingHeld();
  });

  it('fails when the carrier asks more than the cap', async () => {
    const scene = await lab.prepare({ drones: 1, account: { carrier: true, carrierCapCents: 1 } });
    await ground(scene.droneIds);
    const delivery = await scene.order({ policy: { awaitDroneS: 300 } });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'carrier_unavailable' });
    await delivery.untilNothingHeld();
  });

  it('goes by carrier at once what no drone can lift', async () => {
    const delivery = await lab.start({ weightKg: 8, account: { carrier: true, carrierCapCents: 10_000 } });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', fulfilment: 'carrier' });
  });

  async function ground(droneIds: readonly string[]): Promise<void> {
    for (const droneId of droneIds) {
      await lab.clients.drone.setDroneState({
        params: { drone_id: droneId as never },
        body: { state: 'maintenance', reason: 'inspection', by: 'test' },
      });
    }
  }
});
