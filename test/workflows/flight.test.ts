/** What becomes of a delivery in the air: drones that fail, senders and recipients that are not there. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Lab, type LabDelivery } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

describe('a drone that fails before the pickup', () => {
  it.each([
    { failure: 'motor_failure', stage: 'to_pickup' },
    { failure: 'motor_failure', stage: 'at_pickup' },
    { failure: 'lost_link', stage: 'to_pickup' },
  ] as const)('($failure, $stage) is replaced, and only one is ever loaded', async ({ failure, stage }) => {
    const scene = await lab.prepare({ drones: 2 });
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure, stage });
    const delivery = await scene.order();
    await lab.until('a second drone is on it', async () => (await delivery.read()).attempt === 2);
    // The fault was on both: the second one's is taken away before it is met.
    const second = (await delivery.read()).drone_id;
    if (second === null) throw new Error('no second drone');
    lab.pilot.disarm(second);

    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    expect(await loadings(delivery)).toBe(1);
    const statuses = await delivery.statuses();
    expect(statuses.slice(statuses.indexOf('awaiting_drone'))).toEqual([
      'awaiting_drone',
      'confirmed',
      'enroute_to_pickup',
      'arrived_at_pickup',
      'picked_up',
      'enroute_to_dropoff',
      'arrived_at_dropoff',
      'delivered',
    ]);
  });

  it('and never even took off: is replaced when it is overdue', async () => {
    const scene = await lab.prepare({ drones: 0 });
    const still = await scene.addDrone({ pilot: false });
    const delivery = await scene.order();
    await delivery.untilStatus('confirmed');
    await scene.addDrone();
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    expect(ended.drone_id).not.toBe(still);
    expect(await loadings(delivery)).toBe(1);
  });

  it('one after the other: at the limit the delivery fails', async () => {
    const scene = await lab.prepare({ drones: 2 });
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'motor_failure' });
    const delivery = await scene.order({ policy: { maxAttempts: 2 } });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'drone_lost', attempt: 2 });
    await delivery.untilNothingHeld();
  });
});

describe('a drone that goes down with the package aboard', () => {
  it.each([
    { answer: 'lost', status: 'failed', reason: 'package_lost', charged: 0 },
    { answer: 'delivered', status: 'delivered', reason: null, charged: 1 },
    { answer: 'returned', status: 'returned', reason: null, charged: 1 },
  ] as const)('is a person’s to settle: $answer', async ({ answer, status, reason, charged }) => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    const delivery = await scene.order();
    await lab.until(
      'an intervention is open',
      async () => (await delivery.read()).interventions.length === 1,
    );
    const { interventions, status: kept, delayed } = await delivery.read();
    expect({ kept, delayed }).toEqual({ kept: 'enroute_to_dropoff', delayed: true });
    expect(interventions[0]?.reason).toMatch(/down \(motor_failure\).*last known at -?\d+/);
    expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });

    await resolve(delivery, interventions[0]?.id ?? '', answer);
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status, failure_reason: reason });
    expect(ended.charge?.amount).toBe(charged * delivery.price.amount);
    const { data: credited } = await lab.clients.account.listCreditNotes({
      query: { delivery_id: delivery.id },
    });
    expect(credited.map((one) => one.amount)).toEqual(answer === 'lost' ? [delivery.price] : []);
    expect(ended.interventions[0]?.resolution).toMatchObject({ answer, by: 'operator:test' });
  });

  it('only seemed to: when it is heard again, nobody has to settle anything', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) {
      lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'to_dropoff', at: 0.1, forS: 240 });
    }
    const delivery = await scene.order();
    await lab.until(
      'an intervention is open',
      async () => (await delivery.read()).interventions.length === 1,
    );
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', delayed: false });
    expect(ended.interventions[0]?.resolution).toMatchObject({ answer: 'goes_on', by: 'system' });
    await delivery.untilNothingHeld();
  });

  it('takes no answer that is not offered, nor one without a reason', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    const delivery = await scene.order();
    await lab.until(
      'an intervention is open',
      async () => (await delivery.read()).interventions.length === 1,
    );
    const [intervention] = (await delivery.read()).interventions;
    const id = intervention?.id ?? '';
    await expect(resolve(delivery, id, 'forget it')).rejects.toThrow();
    await expect(resolve(delivery, id, 'lost', ' ')).rejects.toThrow();
    await expect(resolve(delivery, 'int_other', 'lost')).rejects.toThrow();
    await resolve(delivery, id, 'lost');
    await delivery.untilComplete();
  });
});

describe('a sender who is not there', () => {
  it('fails the delivery after the time to load, for a fee; the drone comes home empty', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
    const delivery = await scene.order();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'failed',
      failure_reason: 'sender_absent',
      compensation: 'complete',
    });
    expect(ended.charge?.amount).toBe(Math.round(delivery.price.amount * 0.4));
    await delivery.untilNothingHeld();
    const undone = (await delivery.events()).filter((event) => event.type === 'delivery.compensated');
    expect(undone.map((event) => event.data['step'])).toEqual([
      'capture_charge',
      'recall_drone/1',
      'release_drone/1',
      'void_packages',
    ]);
  });
});

describe('a dropoff that is blocked', () => {
  it('brings the package back, on a real flight with its own milestones', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'dropoff_blocked' });
    const delivery = await scene.order({ undeliverableAction: 'return' });
    await delivery.untilStatus('enroute_to_return');
    const { eta } = await delivery.read();
    expect(eta).toMatchObject({ status: 'confirmed', dropoff_at: null });
    const { delivery: ended } = await delivery.untilComplete();
    const arrived = (await delivery.events()).find((one) => one.type === 'delivery.arrived_at_return');
    const lateMs = Date.parse(arrived?.occurred_at ?? '') - Date.parse(eta.return_at ?? '');
    expect(Math.abs(lateMs)).toBeLessThan(30_000);
    // Full, and the 2 km back.
    const back = { ...delivery.price, amount: 120 };
    expect(ended).toMatchObject({ status: 'returned', return_price: back });
    expect(ended.charge?.amount).toBe(delivery.price.amount + back.amount);
    expect((await delivery.statuses()).slice(-4)).toEqual([
      'arrived_at_dropoff',
      'enroute_to_return',
      'arrived_at_return',
      'returned',
    ]);
    await delivery.untilNothingHeld();
  });

  it('leaves it there, marked as unattended, when the sender asked for that', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'dropoff_blocked' });
    const delivery = await scene.order({ undeliverableAction: 'leave' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', left_unattended: true });
    await delivery.untilNothingHeld();
  });
});

async function loadings(delivery: LabDelivery): Promise<number> {
  return (await delivery.events()).filter((event) => event.type === 'delivery.picked_up').length;
}

async function resolve(
  delivery: LabDelivery,
  interventionId: string,
  answer: string,
  why = 'seen on site',
): Promise<void> {
  await delivery.handle.executeUpdate('resolveIntervention', {
    args: [{ interventionId, answer, why, actor: { role: 'operator', id: 'test' } }],
  });
}
