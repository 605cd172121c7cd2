/** A drone that is not sent, as the drone service refuses: why, and whether that drone is asked again. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { aircraftContract, type DispatchRefusal } from '../../services/drone/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import { createClient } from '../../shared/http/client.ts';
import type { DroneId } from '../../shared/ids.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions, Scene } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const ON_THE_GROUND: DeliveryOptions = { pickup: { fromS: 900, toS: 3_600 } };

const eventsOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((one) => one.type === `delivery.${type}`);
/** The reserve steps that held a drone, with it, the first one first. */
async function reservations({ id }: LabDelivery): Promise<[step: string, droneId: DroneId][]> {
  const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: id } });
  return data.map((one): [string, DroneId] => [one.step_key.replace(`${id}/`, ''), one.drone_id]).reverse();
}

function onlyDroneOf({ droneIds: [droneId] }: Scene): DroneId {
  if (droneId === undefined) throw new Error('no drone');
  return droneId;
}

/** A delivery whose drone is held and cannot be sent, as the drone service is away for the dispatch. */
async function beforeDispatch(options: DeliveryOptions = {}): Promise<LabDelivery> {
  lab.faults.arm({ activity: 'dispatchDrone', how: 'down' });
  const delivery = await lab.start(options);
  await lab.until('the dispatch is being tried', () =>
    lab.faults.callsOf(delivery.id).some((one) => one.activity === 'dispatchDrone' && one.hit),
  );
  return delivery;
}

/** What an aircraft on its pad says of its battery, 0–1. */
async function sayBattery({ baseLocation }: Scene, drone_id: DroneId, battery: number): Promise<void> {
  const aircraft = createClient(aircraftContract, { baseUrl: lab.environment['DRONE_URL'] ?? '' });
  const sample = {
    recorded_at: isoTime(lab.wallNowMs),
    position: baseLocation,
    altitude_m: 0,
    speed_mps: 0,
    battery,
    flight_mode: 'parked',
  } as const;
  await aircraft.postTelemetry({ body: { drones: [{ drone_id, samples: [sample] }] } });
  await aircraft.close();
}

/** Its only drone, without a pilot, is held on the ground and has used up its battery when it is to be sent. */
async function refusedForItsBattery(): Promise<{ delivery: LabDelivery; droneId: DroneId }> {
  const scene = await lab.prepare({ drones: 0 });
  const droneId = await scene.addDrone({ pilot: false });
  const delivery = await scene.order(ON_THE_GROUND);
  await delivery.untilStatus('confirmed');
  await sayBattery(scene, droneId, 0.35);
  await delivery.untilStatus('awaiting_drone');
  return { delivery, droneId };
}

/** It has waited once, for this reason, which is no fault of its drone: the same one has flown at the first attempt. */
async function deliveredByTheSame(delivery: LabDelivery, reason: DispatchRefusal): Promise<void> {
  const { delivery: ended, outcome } = await delivery.untilComplete();
  const droneId = onlyDroneOf(delivery.scene);
  expect(ended).toMatchObject({ status: 'delivered', attempt: 1, drone_id: droneId });
  expect(outcome.attempts).toBe(1);
  expect((await eventsOf(delivery, 'awaiting_drone')).map(({ data }) => data)).toEqual([
    {
      detail: 'the drone could not be dispatched',
      reason,
      why: expect.any(String) as string,
      released_drone_id: droneId,
    },
  ]);
  const [[first] = [], [last] = []] = [
    (await reservations(delivery))[0],
    (await reservations(delivery)).at(-1),
  ];
  expect(first).toBe('reserve/1');
  expect(last).not.toBe(first);
  await delivery.untilNothingHeld();
}

describe('a drone that is not sent', () => {
  it('as its lease ran out meanwhile is not to blame: it is reserved again, and flies', async () => {
    const delivery = await beforeDispatch();
    await lab.until('the lease is over', async () => {
      const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      return data.every(({ state }) => state === 'expired');
    });
    lab.faults.clear();
    await deliveredByTheSame(delivery, 'lease_expired');
  });

  it('as its reservation was released is not to blame: it is reserved again, and flies', async () => {
    const delivery = await beforeDispatch();
    const body = { delivery_id: delivery.id, reserve_key: `${delivery.id}/reserve/1`, reason: 'by hand' };
    await lab.clients.drone.release({ body }, { idempotencyKey: `${delivery.id}/by_hand/1` });
    lab.faults.clear();
    await deliveredByTheSame(delivery, 'released');
  });

  it('as its battery is too low is not to blame: the delivery waits for it, and it flies once it is charged', async () => {
    const { delivery, droneId } = await refusedForItsBattery();
    expect(await delivery.read()).toMatchObject({ delayed: true, delay_reason: 'no_drone', attempt: 0 });
    const [event] = await eventsOf(delivery, 'awaiting_drone');
    expect(event?.data['why']).toMatch(/^At worst it would land with .* must be left\.$/);
    const { state } = await lab.clients.drone.getDrone({ params: { drone_id: droneId } });
    expect(state).toBe('charging');
    await sayBattery(delivery.scene, droneId, 1);
    await delivery.scene.boardAll();
    await deliveredByTheSame(delivery, 'low_battery');
  });

  it('as it was grounded is to blame: another one flies, at the second attempt', async () => {
    const delivery = await beforeDispatch();
    const { scene } = delivery;
    const first = onlyDroneOf(scene);
    const second = await scene.addDrone();
    await lab.clients.drone.setDroneState({
      params: { drone_id: first },
      body: { state: 'grounded', reason: 'cracked propeller', by: 'test' },
    });
    lab.faults.clear();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', attempt: 2, drone_id: second });
    expect((await eventsOf(delivery, 'awaiting_drone')).map(({ data }) => data)).toEqual([
      {
        detail: 'the drone could not be dispatched',
        reason: 'drone_unfit',
        why: 'The drone is grounded: cracked propeller.',
        failed_drone_id: first,
      },
    ]);
    expect(await reservations(delivery)).toEqual([
      ['reserve/1', first],
      ['reserve/2', second],
    ]);
    await delivery.untilNothingHeld();
  });

  it('time and again, for no fault of its own, is asked for less and less often', async () => {
    const answer = { outcome: 'refused', reason: 'lease_expired', detail: 'says the test' };
    lab.faults.arm({ activity: 'dispatchDrone', how: 'lie', answer, times: 4 });
    const delivery = await lab.start();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', attempt: 1 });
    const atMs = async (type: string) =>
      (await eventsOf(delivery, type)).map((one) => Date.parse(one.occurred_at));
    const [waits, confirms] = [await atMs('awaiting_drone'), await atMs('confirmed')];
    const pausesMs = waits.map((waitedMs, index) => (confirms[index + 1] ?? 0) - waitedMs);
    expect(pausesMs).toHaveLength(4);
    expect(pausesMs[2]).toBeGreaterThanOrEqual(5_000);
    expect(pausesMs[3]).toBeGreaterThanOrEqual(10_000);
    await delivery.untilNothingHeld();
  });
});

describe('a cancel, when a drone is not sent,', () => {
  it('while the delivery waits for another is free, and nothing is left', async () => {
    const { delivery } = await refusedForItsBattery();
    await isCancelledForFree(delivery);
  });

  it('while that drone is being given back is free, and nothing is left', async () => {
    const answer = { outcome: 'refused', reason: 'released', detail: 'says the test' };
    lab.faults.arm(
      { activity: 'dispatchDrone', how: 'lie', answer, times: 1 },
      { activity: 'releaseDrone', how: 'down', times: 6 },
    );
    const delivery = await lab.start();
    await lab.until('it is being given back', () =>
      lab.faults.callsOf(delivery.id).some((one) => one.activity === 'releaseDrone'),
    );
    await isCancelledForFree(delivery);
    expect(await reservations(delivery)).toHaveLength(1);
  });

  async function isCancelledForFree(delivery: LabDelivery): Promise<void> {
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'cancelled', charge: { amount: 0 }, compensation: 'complete' });
    await delivery.untilNothingHeld();
  }
});

describe('a drone that is not sent for a package on the ground', () => {
  /** Its first drone has come down with the package; a person has another one sent, which the drone service refuses so often. */
  async function refusedAgain(times: number, reason: DispatchRefusal): Promise<LabDelivery> {
    const scene = await lab.prepare();
    lab.pilot.arm(onlyDroneOf(scene), { failure: 'motor_failure', stage: 'to_dropoff' });
    const delivery = await scene.order({ policy: { maxAttempts: 1 } });
    await delivery.untilStatus('enroute_to_dropoff');
    await scene.addDrone();
    const answer = { outcome: 'refused', reason, detail: 'says the test' };
    lab.faults.arm({ activity: 'dispatchDrone', how: 'lie', answer, times });
    await delivery.answer('package_set_down', 'another_drone');
    return delivery;
  }

  it('for no fault of its own is reserved again, and nobody is asked', async () => {
    const delivery = await refusedAgain(1, 'lease_expired');
    const { delivery: ended } = await delivery.untilComplete();
    const [, second] = delivery.scene.droneIds;
    expect(ended).toMatchObject({ status: 'delivered', attempt: 2, drone_id: second });
    expect((await eventsOf(delivery, 'redispatch_failed')).map(({ data }) => data)).toEqual([
      {
        detail: 'the drone could not be dispatched',
        reason: 'lease_expired',
        why: 'says the test',
        released_drone_id: second,
      },
    ]);
    await delivery.untilNothingHeld();
  });

  it('time and again has people asked', async () => {
    const delivery = await refusedAgain(5, 'lease_expired');
    const { reason } = await delivery.untilAsked('package_on_ground');
    expect(reason).toContain(
      '5 drones could not be sent for it, one after the other. The last one: says the test',
    );
    expect((await eventsOf(delivery, 'redispatch_failed')).length).toBe(5);
    await delivery.answer('package_on_ground', 'another_drone');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', attempt: 2 });
    await delivery.untilNothingHeld();
  });

  it('as it is unfit is to blame: people are asked, as their policy has it', async () => {
    const delivery = await refusedAgain(1, 'drone_unfit');
    await delivery.untilAsked('package_on_ground');
    const [, second] = delivery.scene.droneIds;
    const [event] = await eventsOf(delivery, 'redispatch_failed');
    expect(event?.data).toMatchObject({ reason: 'drone_unfit', failed_drone_id: second });
    expect((await delivery.read()).attempt).toBe(2);
  });
});
