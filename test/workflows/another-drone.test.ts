/** A drone that comes down safely with the package, and another one that takes it over where it lies. In virtual time. */
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DroneId } from '../../shared/ids.ts';
import { distanceM } from '../../shared/geodesy.ts';
import type { ScriptedFailure } from '../support/pilot.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const DOWN: ScriptedFailure = { failure: 'motor_failure', stage: 'to_dropoff' };

/** Its first drone comes down like this; the others, so many, fly. A person is asked what is to be done, and may send one of them. */
async function down(
  failure: ScriptedFailure,
  { drones = 2, ...options }: DeliveryOptions = {},
): Promise<{ delivery: LabDelivery; first: DroneId }> {
  const scene = await lab.prepare({ ...options, drones: 1 });
  const [first] = scene.droneIds;
  if (first === undefined) throw new Error('no drone');
  lab.pilot.arm(first, failure);
  const delivery = await scene.order(options);
  await delivery.untilStatus('enroute_to_dropoff');
  for (let more = 1; more < drones; more += 1) await scene.addDrone();
  return { delivery, first };
}

const answersOf = ({ answers }: { answers: { answer: string }[] }) => answers.map((one) => one.answer);

const BY = { actor: { role: 'operator', id: 'test' } } as const;

/** The package lies where its first drone came down; a person sends another one. */
const sendAnother = (delivery: LabDelivery) => delivery.answer('package_set_down', 'another_drone');

const abort = (delivery: LabDelivery) => delivery.order('abort', { ...BY, why: 'the street is closed' });

async function reservations(delivery: LabDelivery) {
  const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
  return data.reverse();
}

describe('a drone that comes down safely with the package', () => {
  it('is followed by another one, as a person decides; it keeps its status, and is delivered', async () => {
    const { delivery, first } = await down(DOWN);
    const asked = await delivery.untilAsked('drone_down_1');
    expect(answersOf(asked)).toEqual(['lost', 'delivered', 'returned']);
    const anew = await delivery.untilAsked('package_set_down_1');
    expect(answersOf(anew)).toEqual(['lost', 'delivered', 'returned', 'another_drone']);
    expect(await delivery.read()).toMatchObject({ status: 'enroute_to_dropoff', delayed: true });

    await delivery.answer('package_set_down_1', 'another_drone');
    await lab.until('another drone flies', async () => (await delivery.read()).attempt === 2);
    const underWay = await delivery.read();
    expect(underWay).toMatchObject({
      status: 'enroute_to_dropoff',
      delayed: true,
      eta: { status: 'confirmed' },
    });
    expect(underWay.drone_id).not.toBe(first);
    expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });
    expect(await abort(delivery)).toMatchObject({ outcome: 'refused', reason: 'not_aboard' });
    // Nobody is loaded meanwhile, and it flies to where the package lies.
    expect(await reservations(delivery)).toMatchObject([
      { state: 'ended', step_key: `${delivery.id}/reserve/1` },
      { state: 'committed', loading: 'none', step_key: `${delivery.id}/reserve/2` },
    ]);
    const setDown = (await delivery.events()).find((one) => one.type === 'delivery.package_set_down');
    const mission = lab.pilot.look(underWay.drone_id as DroneId).mission;
    expect(mission?.pickup).toEqual(setDown?.data['position']);
    expect(distanceM(mission?.return_to ?? delivery.dropoffAt(0), delivery.pickup)).toBeLessThan(1);

    await lab.until('it flies again', async () => !(await delivery.read()).delayed);
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    expect(ended).toMatchObject({ delayed: false, charge: delivery.price });
    const statuses = await delivery.statuses();
    expect(new Set(statuses).size).toBe(statuses.length);
    const events = await delivery.events();
    // The abort that was refused is told beside what goes on.
    const isTold = ({ type }: { type: string }) => type === 'delivery.order_answered';
    expect(events.filter(isTold)).toHaveLength(1);
    expect(
      lastOf(
        events.filter((event) => !isTold(event)),
        9,
      ),
    ).toEqual([
      'redispatched',
      'drone_took_off',
      'drone_arrived_at_pickup',
      'drone_loaded',
      'drone_departed_pickup',
      'arrived_at_dropoff',
      'delivered',
      'settled',
    ]);
    await delivery.untilNothingHeld();
  });

  it('is not, when it crashed: until whoever fetched it has taken the package out', async () => {
    const { delivery, first } = await down({ ...DOWN, failure: 'crash' });
    const asked = await delivery.untilAsked('drone_down_1');
    expect(answersOf(asked)).not.toContain('another_drone');
    await expect(delivery.answer('drone_down_1', 'another_drone')).rejects.toBeInstanceOf(
      WorkflowUpdateFailedError,
    );
    expect((await reservations(delivery))[0]).toMatchObject({ state: 'committed', loading: 'loaded' });

    const place = delivery.dropoffAt(700);
    await lab.clients.drone.setDroneState({
      params: { drone_id: first },
      body: { state: 'maintenance', reason: 'fetched', by: 'ops-anna', package_at: place },
    });
    await sendAnother(delivery);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await delivery.untilNothingHeld();
  });

  it('is followed by a third one, when the second fails before it has the package', async () => {
    const { delivery } = await down(DOWN);
    const [, second] = delivery.scene.droneIds;
    if (second === undefined) throw new Error('no drone');
    lab.pilot.arm(second, { failure: 'motor_failure', stage: 'to_pickup' });
    await sendAnother(delivery);
    await lab.until(
      'the second is down',
      async () => (await lab.clients.drone.getDrone({ params: { drone_id: second } })).state === 'grounded',
    );
    await delivery.scene.addDrone();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 3 });
    expect((await reservations(delivery)).map((one) => one.loading)).toEqual(['loaded', 'barred', 'loaded']);
    await delivery.untilNothingHeld();
  });

  it('waits while no other is free, and asks again; the abort brings it back once it is aboard', async () => {
    const { delivery } = await down(DOWN, { drones: 1, policy: { awaitDroneS: 600, historyEvents: 50 } });
    await sendAnother(delivery);
    await lab.until('it waits', async () => (await delivery.read()).delay_reason === 'no_drone');
    expect(await abort(delivery)).toMatchObject({ outcome: 'refused', reason: 'not_aboard' });
    const again = await delivery.untilAsked('package_on_ground_1');
    expect(answersOf(again)).toContain('another_drone');
    await delivery.answer('package_on_ground_1', 'another_drone');
    await delivery.scene.addDrone();
    await lab.until('it flies again', async () =>
      (await delivery.events()).some((one) => one.type === 'delivery.drone_departed_pickup'),
    );
    expect(await abort(delivery)).toMatchObject({ outcome: 'returning' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended.status).toBe('returned');
    expect(ended.charge?.amount).toBeGreaterThan(delivery.price.amount);
    await delivery.untilNothingHeld();
  });

  it('takes no other dropoff while its package lies there, and asks what a Cancel in the Temporal UI meant', async () => {
    const { delivery } = await down(DOWN, { drones: 1 });
    await sendAnother(delivery);
    await lab.until('it waits', async () => (await delivery.read()).delay_reason === 'no_drone');
    expect(await delivery.changeDropoff(delivery.dropoffAt(1_500))).toMatchObject({
      outcome: 'refused',
      reason: 'drone_down',
    });
    await delivery.handle.cancel();
    await delivery.answer('cancel_requested', 'carry_on');
    await delivery.scene.addDrone();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await delivery.untilNothingHeld();
  });

  it('on the way back is followed by one that brings it back too', async () => {
    const scene = await lab.prepare({ drones: 1 });
    const [first] = scene.droneIds;
    if (first === undefined) throw new Error('no drone');
    lab.pilot.arm(first, { failure: 'dropoff_blocked' });
    const delivery = await scene.order();
    await delivery.untilStatus('enroute_to_return');
    lab.pilot.arm(first, { failure: 'motor_failure', stage: 'to_return' });
    await scene.addDrone();
    const asked = await delivery.untilAsked('package_set_down');
    expect(answersOf(asked)).toEqual(['lost', 'returned', 'another_drone']);
    await delivery.answer('package_set_down', 'another_drone');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'returned', attempt: 2, return_price: { amount: 120 } });
    await delivery.untilNothingHeld();
  });
});

const lastOf = (events: { type: string }[], count: number) =>
  events.slice(1 - count).map((one) => one.type.replace('delivery.', ''));
