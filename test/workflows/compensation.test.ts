/**
 * What only a person can settle: a compensation closed by hand, an event that the delivery service refuses, a milestone that nobody
 * knows. What else can happen to a step or a compensation is in the compensation matrix. In virtual time.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DroneMilestoneSignal } from '../../workflows/messages.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

describe('when a status cannot be recorded after the pickup', () => {
  it.each(['picked_up', 'delivered'] as const)(
    '%s: done lets it go, and the delivery completes, with every status in its timeline',
    async (status) => {
      lab.faults.arm({ activity: 'appendEvents', how: 'refuse', times: 1, key: RegExp(`event_${status}/`) });
      const delivery = await lab.start();
      await delivery.answer('unrecorded', 'done');

      const { outcome, delivery: ended } = await delivery.untilComplete();
      expect(outcome.status).toBe('delivered');
      expect(ended).toMatchObject({ status: 'delivered', charge: delivery.price });
      expect(ended.interventions).toMatchObject([{ resolution: { answer: 'done', by: 'operator:test' } }]);
      expect((await delivery.statuses()).slice(-5)).toEqual([
        'arrived_at_pickup',
        'picked_up',
        'enroute_to_dropoff',
        'arrived_at_dropoff',
        'delivered',
      ]);
      const walked = (await delivery.events()).find((event) => event.type === `delivery.${status}`);
      expect(walked?.data).toEqual({ unrecorded: true });
      await delivery.untilNothingHeld();
    },
  );
});

describe('a compensation that fails for good', () => {
  it('can be closed as done by hand', async () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'refuse' }, { activity: 'voidPackages', how: 'refuse' });
    const delivery = await lab.start();
    const { reason } = await delivery.untilAsked('compensation:void_packages');
    expect(reason).toContain(`${delivery.id}/register/1`);
    await delivery.answer('compensation:void_packages', 'done');
    const { outcome } = await delivery.untilComplete();
    expect(outcome.compensation).toBe('complete');
    const events = await delivery.events();
    expect(events.find((event) => event.data['outcome'] === 'closed_by_hand')?.data['step']).toBe(
      'void_packages',
    );
  });
});

describe('an event that is refused for good', () => {
  it.each(['event_picked_up/1', 'event_delivered/1', 'event_settled/1'])(
    '%s: with the package aboard or there, a person is asked, and the delivery goes on',
    async (event) => {
      lab.faults.arm({ activity: 'appendEvents', how: 'refuse', key: new RegExp(`${event}$`) });
      const delivery = await lab.start();
      const { reason } = await delivery.untilAsked('unrecorded');
      expect(reason).toContain(`${delivery.id}/${event}`);
      lab.faults.clear();
      await delivery.answer('unrecorded', 'retry');
      const { outcome, delivery: ended } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
      expect(ended.charge).toEqual(delivery.price);
      await delivery.untilNothingHeld();
    },
  );

  it('of its end: everything is undone meanwhile', async () => {
    lab.faults.arm(
      { activity: 'reserveDrone', how: 'act_then_refuse' },
      { activity: 'appendEvents', how: 'refuse', key: /event_failed\/1$/ },
    );
    const delivery = await lab.start();
    await delivery.untilAsked('unrecorded');
    await delivery.untilNothingHeld();
    lab.faults.clear();
    await delivery.answer('unrecorded', 'retry');
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    const types = (await delivery.events()).map((event) => event.type);
    expect(types.indexOf('delivery.failed')).toBeLessThan(types.indexOf('delivery.compensated'));
  });

  it('of its cancellation: the canceller hears that it is cancelled, and everything is undone', async () => {
    const delivery = await lab.start();
    await delivery.untilStatus('enroute_to_pickup');
    lab.faults.arm({ activity: 'appendEvents', how: 'refuse', key: /event_cancelled\/1$/ });
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    await delivery.untilAsked('unrecorded');
    lab.faults.clear();
    await delivery.answer('unrecorded', 'retry');
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'cancelled', compensation: 'complete' });
    await delivery.untilNothingHeld();
  });

  it('can be left out of the record', async () => {
    lab.faults.arm({ activity: 'appendEvents', how: 'refuse', key: /event_settled\/1$/ });
    const delivery = await lab.start();
    await delivery.answer('unrecorded', 'done');
    expect(await delivery.handle.result()).toMatchObject({ status: 'delivered' });
    expect((await delivery.events()).map((event) => event.type)).not.toContain('delivery.settled');
  });
});

describe('a milestone that no service knows', () => {
  it('holds nothing up, and is asked for less and less often', async () => {
    const scene = await lab.prepare({ drones: 0 });
    const still = await scene.addDrone({ pilot: false });
    const delivery = await scene.order({ policy: { pickupArrivalSlackS: 12 * 60 * 60 } });
    await delivery.untilStatus('confirmed');
    const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
    const [reservation] = data;
    if (!reservation) throw new Error('no reservation');
    const at = new Date(lab.nowMs).toISOString();
    const signal: DroneMilestoneSignal = {
      reservationId: reservation.id,
      reservationToken: reservation.token,
      sequence: 99,
      kind: 'took_off',
      droneId: still,
      occurredAt: at,
      recordedAt: at,
      position: null,
      detail: {},
    };
    await delivery.handle.signal('droneMilestone', signal);
    const lookedAt = () =>
      lab.faults.callsOf(delivery.id).filter((call) => call.activity === 'readDroneMilestones').length;
    await lab.until('it is being looked for', () => lookedAt() > 0);
    await lab.leapUntil(lab.wallNowMs + 60 * 60 * 1000, delivery);
    expect(lookedAt()).toBeLessThan(30);
    // A cancel is heard meanwhile.
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    await delivery.untilComplete();
  });
});

describe('when a drone is still held after what should give it back', () => {
  /** It fails for good as its drone arrives, and the recall reaches the drone service when the drone has come so far. */
  async function recalledWhen(loading: 'granted' | 'loaded'): Promise<LabDelivery> {
    const scene = await lab.prepare();
    const [droneId] = scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    // While it is not heard, it does not say whether it has loaded.
    if (loading === 'granted') {
      lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_pickup', at: 0.5, forS: 50 });
    }
    lab.faults.arm(
      { activity: 'appendEvents', how: 'refuse', key: /event_arrived_at_pickup/, times: 1 },
      { activity: 'recallDrone', how: 'down' },
    );
    const delivery = await scene.order();
    await lab.until(`the drone is ${loading}`, async () => {
      const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      return data[0]?.loading === loading;
    });
    lab.faults.clear();
    return delivery;
  }
  const outcomesOf = async (delivery: LabDelivery, step: string) =>
    (await delivery.events())
      .filter((one) => one.type === 'delivery.compensated' && one.data['step'] === step)
      .map((one) => one.data['outcome']);

  it('a recall that waits for the aircraft’s word is asked again until it has it', async () => {
    const delivery = await recalledWhen('granted');
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    expect(await outcomesOf(delivery, 'recall_drone/1')).not.toEqual(['pending']);
    const recalls = lab.faults.callsOf(delivery.id).filter(({ activity }) => activity === 'recallDrone');
    expect(
      new Set(recalls.filter(({ result }) => result === 'ok').map(({ key }) => key)).size,
    ).toBeGreaterThan(1);
    await delivery.untilNothingHeld();
  });

  it('a release that finds the package aboard is not done: a person hears of it, until the drone is empty', async () => {
    const delivery = await recalledWhen('loaded');
    const kind = 'compensation:release_drone/1';
    const { reason } = await delivery.untilAsked(kind);
    expect(reason).toContain('still held (loaded)');
    expect(await delivery.read()).toMatchObject({ complete: false, compensation: 'needs_intervention' });
    const { outcome, delivery: ended } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    expect(ended.interventions.find((one) => one.kind === kind)?.resolved_at).not.toBeNull();
    expect(await outcomesOf(delivery, 'release_drone/1')).not.toContain('loaded');
    await delivery.untilNothingHeld();
  });
});

describe('a compensation that a person has tried again in vain', () => {
  const compensationStuckS = 60;
  const openings = async (delivery: LabDelivery) =>
    (await delivery.events()).filter((event) => event.type === 'delivery.intervention_opened');
  const untilAskedTimes = (delivery: LabDelivery, times: number) =>
    lab.until(`it was asked ${times} times`, async () => (await openings(delivery)).length === times);

  it('asks anew after as long again, as often as it takes, and can be closed by hand then', async () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'refuse' }, { activity: 'voidPackages', how: 'down' });
    const delivery = await lab.start({ policy: { compensationStuckS } });
    const kind = 'compensation:void_packages';
    for (const times of [1, 2]) {
      await delivery.answer(kind, 'retry');
      await lab.settle();
      expect(await delivery.openInterventions()).toEqual([]);
      await untilAskedTimes(delivery, times + 1);
    }
    const askedAt = (await openings(delivery)).map((event) => Date.parse(event.occurred_at));
    for (const [index, at] of askedAt.slice(1).entries()) {
      expect(at - (askedAt[index] ?? 0)).toBeGreaterThanOrEqual(compensationStuckS * 1000);
    }
    expect(await delivery.read()).toMatchObject({ complete: false, compensation: 'needs_intervention' });
    const { reason } = await delivery.untilAsked(kind);
    expect(reason).toContain('still being retried');
    await delivery.answer(kind, 'done');
    expect((await delivery.untilComplete()).outcome).toMatchObject({
      status: 'failed',
      compensation: 'complete',
    });
  });

  it('asks nobody anew when it succeeds within that time', async () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'refuse' }, { activity: 'voidPackages', how: 'down' });
    const delivery = await lab.start({ policy: { compensationStuckS } });
    await delivery.answer('compensation:void_packages', 'retry');
    lab.faults.clear();
    await delivery.untilComplete();
    expect(await openings(delivery)).toHaveLength(1);
    await delivery.untilNothingHeld();
  });

  it('asks anew too about a recall that the aircraft does not answer', async () => {
    lab.faults.arm(
      { activity: 'appendEvents', how: 'refuse', key: /event_arrived_at_pickup/, times: 1 },
      { activity: 'recallDrone', how: 'lie', answer: { outcome: 'pending' } },
    );
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
    const delivery = await scene.order({ policy: { compensationStuckS } });
    await delivery.answer('compensation:recall_drone/1', 'retry');
    await untilAskedTimes(delivery, 2);
    lab.faults.clear();
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', compensation: 'complete' });
    expect(ended.interventions.map((one) => one.resolution?.answer)).toEqual(['succeeded']);
    await delivery.untilNothingHeld();
  });

  it('holds up nothing beside it: the wait for a drone ends in its time', async () => {
    const awaitDroneS = 60;
    // The drone, and its retry; not the place in the line.
    lab.faults.arm({ activity: 'releaseDrone', how: 'down', key: /release\/[12]$/ });
    const delivery = await lab.start({ policy: { awaitDroneS, compensationStuckS: 120, historyEvents: 50 } });
    await delivery.untilStatus('enroute_to_pickup');
    await delivery.order('reassignDrone', { actor: { role: 'operator', id: 'test' }, why: 'it rattles' });
    await delivery.untilAsked('compensation:release_drone/1');
    await lab.settle();
    await delivery.answer('compensation:release_drone/1', 'retry');
    // There is none for it: it asks in vain, and goes on waiting.
    await delivery.handle.signal('droneAvailable');
    await delivery.untilStatus('failed');
    const events = await delivery.events();
    const asked = Date.parse((await openings(delivery))[0]?.occurred_at ?? '');
    const failed = Date.parse(events.find((event) => event.type === 'delivery.failed')?.occurred_at ?? '');
    expect(failed - asked).toBeLessThan((awaitDroneS + 30) * 1000);
    lab.faults.clear();
    expect((await delivery.untilComplete()).outcome).toMatchObject({ reason: 'no_drone_available' });
    await delivery.untilNothingHeld();
  });
});

describe('what was lost', () => {
  it('is credited once, by its declared value, and until then a person hears what is not', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    lab.faults.arm({ activity: 'issueCreditNote', how: 'act_then_refuse', times: 1 });
    const delivery = await scene.order({ declaredCents: 2_500 });
    await delivery.answer('drone_down', 'lost');
    const kind = 'compensation:issue_credit_note';
    expect((await delivery.untilAsked(kind)).reason).toContain('2500 USD are not credited to the account.');
    expect(await delivery.read()).toMatchObject({ complete: false, compensation: 'needs_intervention' });
    await delivery.answer(kind, 'retry');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'package_lost', charge: { amount: 0 } });
    const credit = { amount: 2_500, currency: 'USD' };
    const { data } = await lab.clients.account.listCreditNotes({ query: { delivery_id: delivery.id } });
    expect(data).toMatchObject([{ account_id: scene.accountId, livemode: false, amount: credit }]);
    expect((await delivery.events()).at(-1)?.data).toMatchObject({ outcome: 'lost', credit });
  });
});
