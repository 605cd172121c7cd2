/** What becomes of a delivery in the air: drones that fail, senders and recipients that are not there. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { aircraftContract } from '../../services/drone/contract/index.ts';
import { createClient } from '../../shared/http/client.ts';
import type { DroneId } from '../../shared/ids.ts';
import { unsaidMilestones } from '../../simulator/aircraft.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import { pickupRace } from './pickup-race.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
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
    const second = await droneOf(delivery);
    lab.pilot.disarm(second);

    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await expectOnlyLoadedBy(delivery, second);
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
    await expectOnlyLoadedBy(delivery, await droneOf(delivery));
  });

  it('and was only silent: it stands at the pickup when it is heard again, and may not load', async () => {
    const scene = await lab.prepare({ drones: 2 });
    // Before it could ask to load; long enough to be replaced, and back before its replacement is there.
    const silent = { failure: 'lost_link', stage: 'at_pickup', at: 0, forS: 130 } as const;
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, silent);
    const delivery = await scene.order();
    await lab.until('a second drone is on it', async () => (await delivery.read()).attempt === 2);
    const second = await droneOf(delivery);
    const first = scene.droneIds.find((one) => one !== second);
    if (!first) throw new Error('no first drone');
    lab.pilot.disarm(second);
    expect(lab.pilot.look(first)).toMatchObject({
      activity: { kind: 'awaiting_load_token' },
      linkLostUntilMs: expect.any(Number) as number,
    });
    await lab.until('the first is heard again', () => lab.pilot.look(first).linkLostUntilMs === null);
    expect((await delivery.read()).status).not.toBe('picked_up');

    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await expectOnlyLoadedBy(delivery, second);
    await delivery.untilNothingHeld();
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
    const { reason: asked } = await delivery.untilAsked('drone_down');
    const { interventions, status: kept, delayed } = await delivery.read();
    expect({ kept, delayed }).toEqual({ kept: 'enroute_to_dropoff', delayed: true });
    expect(interventions).toHaveLength(1);
    expect(asked).toMatch(/down \(motor_failure\).*last known at -?\d+/);
    expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });

    await delivery.answer('drone_down', answer);
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
    const { id } = await delivery.untilAsked('drone_down');
    await expect(resolve(delivery, id, 'forget it')).rejects.toThrow();
    await expect(resolve(delivery, id, 'lost', ' ')).rejects.toThrow();
    await expect(resolve(delivery, 'int_other', 'lost')).rejects.toThrow();
    await delivery.answer('drone_down', 'lost');
    await delivery.untilComplete();
  });
});

describe('a drone that tells late what it did while nobody heard it', () => {
  it('tells when it happened; told again, nothing happens again', async () => {
    const scene = await lab.prepare();
    const [droneId] = scene.droneIds;
    if (!droneId) throw new Error('no drone');
    lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_pickup', at: 0.5, forS: 140 });
    const delivery = await scene.order({ toPickupM: 200, toDropoffM: 300 });
    // It loads, flies and lets go, all of it unheard.
    await lab.until(
      'it has done it all',
      () => unsaidMilestones(lab.pilot.look(droneId)).at(-1)?.body.kind === 'released',
    );
    const told = unsaidMilestones(lab.pilot.look(droneId)).map(({ body }) => body);
    expect(told.map(({ kind }) => kind)).toEqual([
      'loaded',
      'departed_pickup',
      'arrived_at_dropoff',
      'released',
    ]);
    expect((await delivery.read()).status).toBe('arrived_at_pickup');
    const backMs = lab.pilot.look(droneId).linkLostUntilMs ?? Number.NaN;
    await delivery.untilStatus('delivered');

    const [reservation] = (await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } }))
      .data;
    if (!reservation) throw new Error('no reservation');
    const known = async () =>
      (
        await lab.clients.drone.readMilestones({
          params: { reservation_id: reservation.id },
          query: { after_sequence: 0 },
        })
      ).data;
    const asTold = told.map(({ kind, occurred_at }) => ({ kind, occurred_at }));
    const late = (await known()).filter(({ recorded_at }) => Date.parse(recorded_at) >= backMs);
    const once = late.filter(({ kind }) => kind !== 'landed');
    expect(once.map(({ kind, occurred_at }) => ({ kind, occurred_at }))).toEqual(asTold);
    const timeline = (await delivery.events()).filter(({ type }) => type in MILESTONE_OF);
    const lateEvents = timeline.slice(-asTold.length);
    expect(lateEvents.map(({ type, occurred_at }) => ({ kind: MILESTONE_OF[type], occurred_at }))).toEqual(
      asTold,
    );
    for (const { occurred_at, recorded_at } of [...once, ...lateEvents]) {
      expect(Date.parse(recorded_at)).toBeGreaterThanOrEqual(backMs);
      expect(Date.parse(occurred_at)).toBeLessThan(backMs);
    }

    const { delivery: ended } = await delivery.untilComplete();
    const before = { milestones: await known(), events: await delivery.events() };
    const aircraft = createClient(aircraftContract, { baseUrl: lab.environment['DRONE_URL'] ?? '' });
    try {
      const answers = [];
      for (const body of told)
        answers.push(await aircraft.postMilestone({ params: { drone_id: droneId }, body }));
      expect(answers.map(({ outcome }) => outcome)).toEqual(told.map(() => 'duplicate'));
    } finally {
      await aircraft.close();
    }
    await lab.settle();
    expect({ milestones: await known(), events: await delivery.events() }).toEqual(before);
    expect(ended.charge?.amount).toBe(delivery.price.amount);
    await expectOnlyLoadedBy(delivery, droneId);
  });
});

/** The events of the timeline that milestones make. */
const MILESTONE_OF: Readonly<Record<string, string>> = {
  'delivery.enroute_to_pickup': 'took_off',
  'delivery.arrived_at_pickup': 'arrived_at_pickup',
  'delivery.picked_up': 'loaded',
  'delivery.enroute_to_dropoff': 'departed_pickup',
  'delivery.arrived_at_dropoff': 'arrived_at_dropoff',
  'delivery.delivered': 'released',
};

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

async function droneOf(delivery: LabDelivery): Promise<DroneId> {
  const { drone_id } = await delivery.read();
  if (drone_id === null) throw new Error(`${delivery.id} has no drone`);
  return drone_id;
}

/** No other drone ever had the package: neither by the drone service, under whatever reservation, nor in its bay. */
async function expectOnlyLoadedBy(delivery: LabDelivery, droneId: DroneId): Promise<void> {
  const race = await pickupRace(delivery);
  expect(race).toMatchObject({ loadedBy: [droneId], carriedBy: [droneId], told: ['loaded'] });
  // All before it are barred for good.
  expect(race.loading.slice(0, -1).filter((one) => one !== 'barred')).toEqual([]);
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
