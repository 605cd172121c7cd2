/** An operator's wish for another drone that crosses with what gives the drone back on the ground anyway. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isoTime } from '../../shared/clock.ts';
import {
  DRONE_MILESTONE_SIGNAL,
  type DroneMilestoneSignal,
  type ReassignDroneCommand,
} from '../../workflows/messages.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const HOUR_S = 3600;
const BY = { why: 'its rotor sounds rough', actor: { role: 'operator', id: 'jo' } } as const;
const WINDOW: DeliveryOptions = { pickup: { fromS: 900, toS: HOUR_S } };
const REASSIGNING = { outcome: 'reassigning' };
const CHANGED = { outcome: 'changed', reason: null, detail: null };
/** Farther than the drone that is nearest can fly, and not than the long-range one. */
const FAR_M = 11_000;

const eventsOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((one) => one.type === `delivery.${type}`);
const countOf = (delivery: LabDelivery, activity: string) =>
  lab.faults.callsOf(delivery.id).filter((call) => call.activity === activity).length;
const reassign = (delivery: LabDelivery, command: Partial<ReassignDroneCommand> = {}) =>
  delivery.order('reassignDrone', { ...BY, ...command }, 'reassign-1');

/** What the operator wanted is done once, said so, and kept with who and why; nothing goes round. */
async function isGrantedOnce(delivery: LabDelivery, drone: string | null): Promise<void> {
  // It is answered before the drone is given back.
  await lab.settle();
  const [event, ...more] = await eventsOf(delivery, 'reassign_requested');
  expect(more).toEqual([]);
  expect(event?.data).toMatchObject({ by: 'operator:jo', why: BY.why, drone_id: drone });
  expect(countOf(delivery, 'releaseDrone')).toBe(1);
}

describe('another drone is wanted while the dropoff is changed to where only another one can go', () => {
  it.each([
    { what: 'with a pickup window', options: WINDOW },
    { what: 'without one', options: {} },
  ])('$what: the drone is given back once, for both', async ({ options }) => {
    const scene = await lab.prepare();
    const [nearest] = scene.droneIds;
    const farther = await scene.addLongRangeDrone();
    lab.faults.arm({ activity: 'rerouteDrone', how: 'hang', times: 1 });
    // The change waits where the drone is confirmed, also of a delivery that would be sent at once.
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_confirmed/, times: 7 });
    const delivery = await scene.order(options);
    await lab.until('it is being confirmed', () => countOf(delivery, 'appendEvents') > 2);
    const changing = delivery.askToChangeDropoff(delivery.dropoffAt(FAR_M));
    await lab.until('the flight is being changed', () => lab.faults.isHanging(delivery.id));
    const reassigning = delivery.handle.executeUpdate('reassignDrone', {
      args: [BY] as [unknown],
      updateId: 'reassign-1',
    });
    await lab.settle();
    lab.faults.clear();
    expect(await lab.untilSettled('the change is answered', changing)).toEqual(CHANGED);
    expect(await lab.untilSettled('the order is answered', reassigning)).toMatchObject(REASSIGNING);
    await lab.until('another one has it', async () => (await delivery.read()).drone_id === farther);
    await isGrantedOnce(delivery, nearest ?? '');
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    await delivery.untilNothingHeld();
  });
});

describe('another drone is wanted in the moment in which the pickup is moved', () => {
  /** Both come while the delivery is busy, and are there together when it is not any more. */
  async function movedAndReassigned(excludePresent: boolean) {
    const delivery = await lab.start({ ...WINDOW, drones: 2 });
    await delivery.untilStatus('confirmed');
    const { drone_id: droneId } = await delivery.read();
    lab.faults.arm({ activity: 'rerouteDrone', how: 'hang', times: 1 });
    const changing = delivery.askToChangeDropoff(delivery.dropoffAt(3_000));
    await lab.until('the flight is being changed', () => lab.faults.isHanging(delivery.id));
    const window = lab.windowIn({ fromS: 2 * HOUR_S, toS: 3 * HOUR_S });
    const moving = delivery.reschedule(window);
    const reassigning = delivery.handle.executeUpdate('reassignDrone', {
      args: [{ ...BY, excludePresent }] as [unknown],
      updateId: 'reassign-1',
    });
    await lab.settle();
    lab.faults.clear();
    expect(await lab.untilSettled('the change is answered', changing)).toEqual(CHANGED);
    expect(await lab.untilSettled('the move is answered', moving)).toMatchObject({ outcome: 'rescheduled' });
    expect(await lab.untilSettled('the order is answered', reassigning)).toMatchObject(REASSIGNING);
    expect(await delivery.read()).toMatchObject({ status: 'scheduled', drone_id: null, attempt: 0 });
    await isGrantedOnce(delivery, droneId);
    await lab.leapUntil(Date.parse(window.start) - 500_000, delivery);
    return { delivery, before: droneId, after: (await delivery.read()).drone_id };
  }

  it('it is given back once, and for the new window another one is taken', async () => {
    const { delivery, before, after } = await movedAndReassigned(true);
    expect(after).not.toBe(before);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  it('unless it may be asked again', async () => {
    const { delivery, before, after } = await movedAndReassigned(false);
    expect(after).toBe(before);
    await delivery.cancel();
    await delivery.untilNothingHeld();
  });
});

it('a drone that fails on the ground before the wish is taken up: it is granted with that, and kept', async () => {
  const delivery = await lab.start({ ...WINDOW, drones: 2 });
  await delivery.untilStatus('confirmed');
  const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
  const [reservation] = data;
  if (!reservation) throw new Error('nothing is reserved');
  lab.faults.arm({ activity: 'rerouteDrone', how: 'hang', times: 1 });
  const changing = delivery.askToChangeDropoff(delivery.dropoffAt(3_000));
  await lab.until('the flight is being changed', () => lab.faults.isHanging(delivery.id));
  const reassigning = reassign(delivery);
  const at = isoTime(lab.nowMs);
  await lab.workflows.signal(delivery.id, DRONE_MILESTONE_SIGNAL, {
    reservationId: reservation.id,
    reservationToken: reservation.token,
    sequence: 1,
    kind: 'failed',
    droneId: reservation.drone_id,
    occurredAt: at,
    recordedAt: at,
    position: null,
    detail: { cause: 'motor_failure', aboard: false },
  } satisfies DroneMilestoneSignal);
  await lab.settle();
  lab.faults.clear();
  await lab.untilSettled('the change is answered', changing);
  expect(await reassigning).toMatchObject(REASSIGNING);
  await isGrantedOnce(delivery, reservation.drone_id);
  const { outcome } = await delivery.untilComplete();
  expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
  await delivery.untilNothingHeld();
});
