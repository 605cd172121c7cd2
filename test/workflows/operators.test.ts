/** What operators order, at every wait of a delivery: another drone, an abort, a retry, native Cancel. In virtual time. */
import { WorkflowNotFoundError, WorkflowUpdateFailedError, WorkflowUpdateStage } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DeliveryEvent, DeliveryStatus } from '../../services/delivery/contract/index.ts';
import type { DroneId } from '../../shared/ids.ts';
import type { DeliveryState, OperatorAnswer, OperatorCommands } from '../../workflows/messages.ts';
import type { ActivityName } from './faults.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions, Scene } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const ORDER = { why: 'the test says so', actor: { role: 'operator', id: 'jo' } } as const;
const BY_JO = { by: 'operator:jo', why: 'the test says so' };

/** Sends an update, and lets time pass until it is answered. */
const order = <K extends keyof OperatorCommands>(
  delivery: LabDelivery,
  update: K,
  command: Omit<OperatorCommands[K], keyof typeof ORDER>,
  updateId?: string,
) => delivery.order(update, { ...ORDER, ...command } as OperatorCommands[K], updateId);
const reassign = (delivery: LabDelivery, updateId?: string) => order(delivery, 'reassignDrone', {}, updateId);
const abort = (delivery: LabDelivery, updateId?: string) => order(delivery, 'abort', {}, updateId);

const REFUSED = (reason: string) => ({ outcome: 'refused', reason });
const REASSIGNING = { outcome: 'reassigning', reason: null };
const CANCELLED = { outcome: 'cancelled', reason: null };
const RETURNING = { outcome: 'returning', reason: null };

const typed = (events: DeliveryEvent[], type: string) =>
  events.filter((event) => event.type === `delivery.${type}`);

/** A delivery that waits where a step does not answer. */
async function stuckAt(step: ActivityName, options: DeliveryOptions = {}): Promise<LabDelivery> {
  lab.faults.arm({ activity: step, how: 'down' });
  const delivery = await lab.start(options);
  await lab.until(
    `${step} is being tried`,
    () => lab.faults.callsOf(delivery.id).filter((call) => call.activity === step).length > 4,
  );
  return delivery;
}

/** One that waits for a drone, because the only one flies another. */
async function awaitingDrone(): Promise<{ delivery: LabDelivery; flying: LabDelivery }> {
  const scene = await lab.prepare();
  const flying = await scene.order();
  await flying.untilStatus('enroute_to_pickup');
  const delivery = await scene.order();
  await delivery.untilStatus('awaiting_drone');
  return { delivery, flying };
}

/** One whose drone is at that point, and stays there before the pickup. */
async function at(status: DeliveryStatus, options: DeliveryOptions = {}): Promise<LabDelivery> {
  const scene = await lab.prepare({ ...options, drones: 0 });
  // A drone without a pilot has its mission, and does not take off.
  const first = await scene.addDrone({ pilot: status !== 'confirmed' });
  if (status === 'arrived_at_pickup') lab.pilot.arm(first, { failure: 'sender_absent' });
  const delivery = await scene.order(options);
  await delivery.untilStatus(status);
  return delivery;
}

async function byCarrier(status: DeliveryStatus): Promise<LabDelivery> {
  const scene = await lab.prepare({ drones: 0, account: { carrier: true, carrierCapCents: 10_000 } });
  const delivery = await scene.order();
  await delivery.untilStatus(status);
  return delivery;
}

/** One that has failed and cannot undo everything: a person is asked. */
async function compensating(): Promise<LabDelivery> {
  lab.faults.arm({ activity: 'reserveDrone', how: 'refuse' }, { activity: 'voidPackages', how: 'refuse' });
  const delivery = await lab.start();
  await lab.until('an intervention is open', async () => (await openInterventions(delivery)).length === 1);
  return delivery;
}

async function openInterventions(delivery: LabDelivery): Promise<string[]> {
  const { interventions } = await delivery.read();
  return interventions.filter((one) => one.resolved_at === null).map((one) => one.id);
}

async function ended(): Promise<LabDelivery> {
  const delivery = await lab.start();
  await delivery.untilComplete();
  return delivery;
}

const BEFORE_PICKUP = ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup'] as const;

describe('reassignDrone', () => {
  it.each(BEFORE_PICKUP)('when %s: another drone does it, the first comes home free', async (status) => {
    const delivery = await at(status);
    const first = (await delivery.read()).drone_id;
    await delivery.scene.addDrone();
    expect(await reassign(delivery)).toMatchObject(REASSIGNING);

    const { delivery: done, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    expect(done.drone_id).not.toBe(first);
    const events = await delivery.events();
    expect(typed(events, 'awaiting_drone').map((event) => event.data)).toEqual([
      expect.objectContaining({ ...BY_JO, released_drone_id: first }),
    ]);
    expect(typed(events, 'picked_up')).toHaveLength(1);
    await delivery.scene.boardAll();
    await delivery.untilNothingHeld();
    await untilIdle(first);
  });

  it('while the mission is being uploaded: it is interrupted, and recalled in case it was heard', async () => {
    const delivery = await stuckAt('dispatchDrone', { drones: 2 });
    expect((await delivery.read()).status).toBe('confirmed');
    expect(await reassign(delivery)).toMatchObject(REASSIGNING);
    lab.faults.clear();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await delivery.untilNothingHeld();
  });

  it('twice with one id: the second hears the first one’s answer, and it happens once', async () => {
    const delivery = await at('enroute_to_pickup');
    await delivery.scene.addDrone();
    await delivery.scene.addDrone();
    const first = await reassign(delivery, 'the-same');
    await lab.until('a second drone is on it', async () => (await delivery.read()).attempt === 2);
    expect(await reassign(delivery, 'the-same')).toEqual(first);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await delivery.untilNothingHeld();
  });

  it('is no failure of the drone: it does not count against the limit', async () => {
    const delivery = await at('enroute_to_pickup', { policy: { maxAttempts: 1 } });
    await delivery.scene.addDrone();
    await reassign(delivery);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await delivery.untilNothingHeld();
  });

  it('takes the same drone again when it is told to', async () => {
    const delivery = await at('enroute_to_pickup');
    const first = (await delivery.read()).drone_id;
    await order(delivery, 'reassignDrone', { excludePresent: false });
    const { delivery: done, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    expect(done.drone_id).toBe(first);
    await delivery.untilNothingHeld();
  });

  it.each([30, 120])(
    'with the drone loading, out of reach for %d s: pending; it was loaded, so it goes on',
    async (forS) => {
      const delivery = await loadingInSilence(forS);
      await delivery.scene.addDrone();
      expect(await reassign(delivery)).toMatchObject({ outcome: 'pending', reason: 'aircraft_unreachable' });
      const { outcome } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
      const events = await delivery.events();
      expect(typed(events, 'reassign_requested').map((event) => event.data)).toEqual([
        expect.objectContaining(BY_JO),
      ]);
      await delivery.untilNothingHeld();
    },
  );

  it('with a cancel taken before it, which waits for the aircraft’s word: is refused, and it is cancelled when that is found empty', async () => {
    // It still writes down that the drone has arrived: what is asked for meanwhile waits.
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_arrived_at_pickup/ });
    const delivery = await loadingInSilence(100_000);
    await delivery.scene.addDrone();
    const { droneIds } = delivery.scene;
    const ask = (update: string, command: object) =>
      delivery.handle.startUpdate<OperatorAnswer, [unknown]>(update, {
        args: [command],
        waitForStage: WorkflowUpdateStage.ACCEPTED,
      });
    const reassigning = await ask('reassignDrone', ORDER);
    const cancelling = await ask('cancel', { ...ORDER, reason: 'requested_by_sender' });
    lab.faults.clear();
    const answers = lab.untilSettled(
      'both are answered',
      Promise.all([reassigning.result(), cancelling.result()]),
    );
    expect(await answers).toMatchObject([REFUSED('being_cancelled'), { outcome: 'pending' }]);
    const params = { drone_id: droneIds[0] ?? expect.unreachable() };
    await lab.until('it is given up for lost', async () => {
      return (await lab.clients.drone.getDrone({ params })).state === 'lost';
    });
    await lab.clients.drone.setDroneState({
      params,
      body: { state: 'maintenance', reason: 'fetched', by: 'ops-anna', package_aboard: false },
    });
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'cancelled', reason: 'requested_by_sender', attempts: 1 });
    await delivery.untilNothingHeld();
  });

  it.each([
    { when: 'starting', make: () => stuckAt('authorize'), reason: 'no_drone' },
    { when: 'awaiting_drone', make: async () => (await awaitingDrone()).delivery, reason: 'no_drone' },
    { when: 'with a carrier', make: () => byCarrier('enroute_to_pickup'), reason: 'by_carrier' },
    { when: 'after the pickup', make: () => at('enroute_to_dropoff'), reason: 'already_picked_up' },
    { when: 'at the dropoff', make: () => at('arrived_at_dropoff'), reason: 'already_picked_up' },
  ])('$when: is refused with the reason, and the delivery goes on', async ({ make, reason }) => {
    const delivery = await make();
    expect(await reassign(delivery)).toMatchObject(REFUSED(reason));
    lab.faults.clear();
    const { outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    await delivery.untilNothingHeld();
  });
});

describe('abort before the pickup', () => {
  it.each([
    { when: 'starting', make: () => stuckAt('authorize') },
    { when: 'reserving', make: () => stuckAt('reserveDrone') },
    { when: 'awaiting_drone', make: async () => (await awaitingDrone()).delivery },
    ...BEFORE_PICKUP.map((status) => ({ when: status, make: () => at(status) })),
    { when: 'with a carrier', make: () => byCarrier('enroute_to_pickup') },
  ])('$when: acts as an operator’s cancel, and nothing is left', async ({ make }) => {
    const delivery = await make();
    expect(await abort(delivery)).toMatchObject(CANCELLED);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({
      status: 'cancelled',
      reason: 'requested_by_operator',
      compensation: 'complete',
    });
    expect(typed(await delivery.events(), 'cancelled')[0]?.data).toMatchObject(BY_JO);
    await delivery.scene.boardAll();
    await delivery.untilNothingHeld();
  });

  it.each([30, 120])(
    'with the drone loading, out of reach for %d s: pending; it was loaded, so it is turned round',
    async (forS) => {
      const delivery = await loadingInSilence(forS);
      expect(await abort(delivery)).toMatchObject({ outcome: 'pending', reason: 'aircraft_unreachable' });
      const { outcome } = await delivery.untilComplete();
      expect(outcome.status).toBe('returned');
      await delivery.untilNothingHeld();
    },
  );
});

describe('abort after the pickup', () => {
  it.each(['picked_up', 'enroute_to_dropoff', 'arrived_at_dropoff'] as const)(
    'when %s: the drone turns round and brings the package back; asked twice, once',
    async (status) => {
      const scene = await lab.prepare();
      const delivery = await scene.order();
      await delivery.untilStatus(status === 'picked_up' ? 'arrived_at_pickup' : status);
      if (status === 'picked_up') {
        await lab.until('it is loaded', async () => typed(await delivery.events(), 'picked_up').length === 1);
      }
      const first = await abort(delivery, 'the-same');
      expect(first).toMatchObject(RETURNING);
      expect(await abort(delivery, 'the-same')).toEqual(first);
      expect(await abort(delivery, 'another')).toMatchObject(RETURNING);

      const { delivery: done } = await delivery.untilComplete();
      expect(done).toMatchObject({ status: 'returned', compensation: 'none' });
      expect(done.charge?.amount).toBe(delivery.price.amount + (done.return_price?.amount ?? 0));
      const statuses = await delivery.statuses();
      expect(statuses.slice(-3)).toEqual(['enroute_to_return', 'arrived_at_return', 'returned']);
      expect(typed(await delivery.events(), 'abort_requested')[0]?.data).toMatchObject(BY_JO);
      expect(lab.faults.callsOf(delivery.id).filter((call) => call.activity === 'recallDrone')).toEqual([]);
      await delivery.untilNothingHeld();
    },
  );

  it('when it returns already: nothing changes', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'dropoff_blocked' });
    const delivery = await scene.order();
    await delivery.untilStatus('enroute_to_return');
    expect(await abort(delivery)).toMatchObject(RETURNING);
    const { outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('returned');
    await delivery.untilNothingHeld();
  });

  it('with the drone service away: as soon as it is back', async () => {
    const delivery = await at('enroute_to_dropoff');
    lab.faults.arm({ activity: 'returnToSender', how: 'down', times: 2 });
    expect(await abort(delivery)).toMatchObject(RETURNING);
    expect((await delivery.untilComplete()).outcome.status).toBe('returned');
  });

  it('that the drone service refuses for good: the delivery goes on', async () => {
    const delivery = await at('enroute_to_dropoff');
    lab.faults.arm({ activity: 'returnToSender', how: 'refuse' });
    expect(await abort(delivery)).toMatchObject(REFUSED('drone_refused'));
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
  });

  it('with the drone down: is refused, for the intervention asks what to do', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) {
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    }
    const delivery = await scene.order();
    await lab.until('an intervention is open', async () => (await openInterventions(delivery)).length === 1);
    expect(await abort(delivery)).toMatchObject(REFUSED('drone_down'));
    const [interventionId = ''] = await openInterventions(delivery);
    await order(delivery, 'resolveIntervention', { interventionId, answer: 'lost' });
    expect((await delivery.untilComplete()).outcome.status).toBe('failed');
  });

  it('with a carrier: is refused, as its contract knows no way back', async () => {
    const delivery = await byCarrier('enroute_to_dropoff');
    expect(await abort(delivery)).toMatchObject(REFUSED('carrier_has_package'));
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
    await delivery.untilNothingHeld();
  });
});

describe('abort after the pickup, with the aircraft out of reach', () => {
  it('for a while: pending, for all who ask; it turns round as soon as it hears of it', async () => {
    const delivery = await lab.startUnheard({ stage: 'to_dropoff', at: 0.5, forS: 20 });
    const pending = { outcome: 'pending', reason: 'aircraft_unreachable' };
    expect(await abort(delivery)).toMatchObject(pending);
    expect(await abort(delivery)).toMatchObject(pending);
    await delivery.untilStatus('enroute_to_return');
    expect(await abort(delivery)).toMatchObject(RETURNING);
    expect((await delivery.untilComplete()).outcome.status).toBe('returned');
    expect(typed(await delivery.events(), 'abort_requested')).toHaveLength(1);
    await delivery.untilNothingHeld();
  });

  it('and letting go of the package meanwhile: pending, and it was delivered', async () => {
    const delivery = await lab.startUnheard({ stage: 'at_dropoff', at: 0.2, forS: 30 });
    expect(await abort(delivery)).toMatchObject({ outcome: 'pending', reason: 'aircraft_unreachable' });
    const { outcome, delivery: done } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    expect(done.charge).toEqual(delivery.price);
    await delivery.untilNothingHeld();
  });

  it('for a moment, in which it lets go of the package: is refused, and it was delivered', async () => {
    const delivery = await lab.startUnheard({ stage: 'at_dropoff', at: 0.8, forS: 4 });
    expect(await abort(delivery)).toMatchObject(REFUSED('already_released'));
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
    await delivery.untilNothingHeld();
  });

  it('for a moment, in which it comes down: is refused, for the intervention asks what to do', async () => {
    const delivery = await lab.startUnheard(
      { stage: 'to_dropoff', at: 0.5, forS: 4 },
      { failure: 'motor_failure', stage: 'to_dropoff', at: 0.51 },
    );
    expect(await abort(delivery)).toMatchObject(REFUSED('drone_down'));
    await lab.until('a person is asked', async () => (await openInterventions(delivery)).length === 1);
    const [interventionId = ''] = await openInterventions(delivery);
    await order(delivery, 'resolveIntervention', { interventionId, answer: 'lost' });
    expect((await delivery.untilComplete()).outcome.status).toBe('failed');
  });
});

describe('while it compensates', () => {
  it('a reassignment and an abort are refused, and retryCompensation tries again at once', async () => {
    const delivery = await compensating();
    expect(await reassign(delivery)).toMatchObject(REFUSED('already_failed'));
    expect(await abort(delivery)).toMatchObject(REFUSED('already_failed'));

    const [interventionId = ''] = await openInterventions(delivery);
    expect(interventionId).toBe(`int_${delivery.id.slice(4)}_void_packages`);
    lab.faults.clear();
    const first = await order(delivery, 'retryCompensation', { interventionId }, 'the-same');
    expect(first).toMatchObject({ outcome: 'accepted' });
    const { outcome, delivery: done } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', compensation: 'complete' });
    expect(done.interventions[0]?.resolution).toEqual({
      answer: 'retry',
      by: BY_JO.by,
      why: BY_JO.why,
    });
    expect(typed(await delivery.events(), 'intervention_resolved')).toHaveLength(1);
    await delivery.untilNothingHeld();
  });

  it('a retry that fails again asks again', async () => {
    const delivery = await compensating();
    const [interventionId = ''] = await openInterventions(delivery);
    await order(delivery, 'retryCompensation', { interventionId });
    await lab.until(
      'it has been asked again',
      async () => typed(await delivery.events(), 'intervention_opened').length === 2,
    );
    lab.faults.clear();
    await order(delivery, 'retryCompensation', { interventionId });
    expect((await delivery.untilComplete()).outcome.compensation).toBe('complete');
    await delivery.untilNothingHeld();
  });
});

describe('an order of which no event tells what it caused', () => {
  const KIM = { actor: { role: 'operator', id: 'kim' }, why: 'it is late' } as const;
  const BY_KIM = { by: 'operator:kim', why: 'it is late' };
  const told = async (delivery: LabDelivery) =>
    typed(await delivery.events(), 'order_answered').map((event) => event.data);

  /** Sends an update, which the workflow has when this returns. */
  const ask = (delivery: LabDelivery, update: string, command: object) =>
    delivery.handle.startUpdate<OperatorAnswer, [unknown]>(update, {
      args: [command],
      waitForStage: WorkflowUpdateStage.ACCEPTED,
    });

  it('as it is refused, is told with who, why and the answer', async () => {
    const delivery = await at('enroute_to_dropoff');
    await reassign(delivery);
    await order(delivery, 'abort', {});
    await abort(delivery);
    await delivery.untilComplete();
    expect(await told(delivery)).toEqual([
      { order: 'reassignDrone', ...BY_JO, outcome: 'refused', reason: 'already_picked_up' },
      // The first one's own event tells of it.
      { order: 'abort', ...BY_JO, outcome: 'returning', reason: null },
    ]);
    expect(typed(await delivery.events(), 'abort_requested')).toHaveLength(1);
  });

  it('as it shares what another one’s caused, is told beside it', async () => {
    const delivery = await at('enroute_to_dropoff');
    lab.faults.arm({ activity: 'returnToSender', how: 'down', times: 2 });
    const both = [await ask(delivery, 'abort', ORDER), await ask(delivery, 'abort', KIM)];
    const answers = await lab.untilSettled('both are answered', Promise.all(both.map((one) => one.result())));
    expect(answers).toMatchObject([RETURNING, RETURNING]);
    await delivery.untilComplete();
    expect(typed(await delivery.events(), 'abort_requested').map((event) => event.data)).toEqual([
      expect.objectContaining(BY_JO),
    ]);
    expect(await told(delivery)).toEqual([{ order: 'abort', ...BY_KIM, outcome: 'returning', reason: null }]);
  });

  it('before the pickup shares a cancel: each is told, by whomever the delivery was cancelled', async () => {
    const delivery = await at('enroute_to_pickup');
    lab.faults.arm({ activity: 'recallDrone', how: 'down', times: 2 });
    const cancelling = { ...ORDER, reason: 'requested_by_operator' };
    const all = [
      await ask(delivery, 'cancel', cancelling),
      await ask(delivery, 'cancel', { ...cancelling, ...KIM }),
      await ask(delivery, 'abort', { ...KIM, why: 'it is too late' }),
    ];
    await lab.untilSettled('all are answered', Promise.all(all.map((one) => one.result())));
    await delivery.untilComplete();
    expect(typed(await delivery.events(), 'cancelled')[0]?.data).toEqual({
      ...BY_JO,
      abort: { by: 'operator:kim', why: 'it is too late' },
    });
    expect(await told(delivery)).toEqual([
      { order: 'cancel', ...BY_KIM, outcome: 'cancelled', reason: null },
    ]);
  });

  it('to take another drone, met by that one’s failure, is told', async () => {
    // It still writes down that it is on its way: what is asked for meanwhile waits.
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_enroute_to_pickup/ });
    const scene = await lab.prepare();
    const [first] = scene.droneIds;
    if (first === undefined) return expect.unreachable();
    lab.pilot.arm(first, { failure: 'motor_failure', stage: 'to_pickup' });
    const delivery = await scene.order();
    await lab.until('it is down', () => lab.pilot.look(first).activity.kind === 'down');
    await scene.addDrone();
    const asking = await ask(delivery, 'reassignDrone', ORDER);
    lab.faults.clear();
    expect(await lab.untilSettled('it is answered', asking.result())).toMatchObject(REASSIGNING);
    await delivery.untilComplete();
    const [seeking] = typed(await delivery.events(), 'awaiting_drone');
    expect(seeking?.data).toMatchObject({ failed_drone_id: first });
    const granted = typed(await delivery.events(), 'reassign_requested').map(({ data }) => data);
    expect(granted).toEqual([{ ...BY_JO, drone_id: first, excluded: true }]);
    expect(await told(delivery)).toEqual([]);
  });

  it('to take another drone, shared with one that would have the same again, excludes that', async () => {
    const delivery = await at('enroute_to_pickup');
    const first = (await delivery.read()).drone_id;
    await delivery.scene.addDrone();
    lab.faults.arm({ activity: 'recallDrone', how: 'down', times: 2 });
    const both = [
      await ask(delivery, 'reassignDrone', { ...ORDER, excludePresent: false }),
      await ask(delivery, 'reassignDrone', KIM),
    ];
    await lab.untilSettled('both are answered', Promise.all(both.map((one) => one.result())));
    const { delivery: done } = await delivery.untilComplete();
    expect(done.drone_id).not.toBe(first);
    expect(await told(delivery)).toEqual([
      { order: 'reassignDrone', ...BY_KIM, outcome: 'reassigning', reason: null },
    ]);
  });

  it('answered pending, is told when it is settled: a cancel that the loading has forestalled', async () => {
    const delivery = await loadingInSilence(30);
    const cancelling = await ask(delivery, 'cancel', { ...ORDER, reason: 'requested_by_operator' });
    expect(await lab.untilSettled('it is answered', cancelling.result())).toMatchObject({
      outcome: 'pending',
    });
    expect(await told(delivery)).toEqual([]);
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
    expect(await told(delivery)).toEqual([
      { order: 'cancel', ...BY_JO, outcome: 'refused', reason: 'already_picked_up' },
    ]);
  });

  it('and an abort that goes on with the package aboard is told once, by its own event', async () => {
    const delivery = await loadingInSilence(30);
    const both = [await ask(delivery, 'abort', ORDER), await ask(delivery, 'abort', KIM)];
    await lab.untilSettled('both are answered', Promise.all(both.map((one) => one.result())));
    expect((await delivery.untilComplete()).outcome.status).toBe('returned');
    expect(typed(await delivery.events(), 'abort_requested')).toHaveLength(1);
    expect(await told(delivery)).toEqual([{ order: 'abort', ...BY_KIM, outcome: 'returning', reason: null }]);
  });

  it('as it is an answer that came too late, is told', async () => {
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_intervention_opened/ });
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) {
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    }
    const delivery = await scene.order();
    const open = async () => (await delivery.handle.query<DeliveryState>('state')).openInterventions;
    await lab.until('a person is asked', async () => (await open()).length > 0);
    const [interventionId] = await open();
    const both = [
      await ask(delivery, 'resolveIntervention', { ...ORDER, interventionId, answer: 'returned' }),
      await ask(delivery, 'resolveIntervention', { ...KIM, interventionId, answer: 'lost' }),
    ];
    lab.faults.clear();
    await delivery.untilComplete();
    expect(await both[1]?.result()).toMatchObject(REFUSED('intervention_not_open'));
    expect(await told(delivery)).toEqual([
      { order: 'resolveIntervention', ...BY_KIM, outcome: 'refused', reason: 'intervention_not_open' },
    ]);
  });

  it('is written before the workflow ends, which has ended its delivery', async () => {
    const delivery = await compensating();
    const [interventionId = ''] = await openInterventions(delivery);
    lab.faults.clear();
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_order_answered/, times: 3 });
    expect(await reassign(delivery)).toMatchObject(REFUSED('already_failed'));
    await order(delivery, 'resolveIntervention', { interventionId, answer: 'done' });
    await delivery.untilComplete();
    expect(await told(delivery)).toEqual([
      { order: 'reassignDrone', ...BY_JO, outcome: 'refused', reason: 'already_failed' },
    ]);
  });

  it('of the business is none: what it is answered is all that it needs to know', async () => {
    const delivery = await at('enroute_to_dropoff');
    expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });
    await delivery.untilComplete();
    expect(await told(delivery)).toEqual([]);
  });

  it('hammered in, is told so often and no more', async () => {
    const delivery = await byCarrier('confirmed');
    for (let times = 0; times < 60; times += 5) {
      await lab.untilSettled(
        'five are answered',
        Promise.all(Array.from({ length: 5 }, () => delivery.order('reassignDrone', ORDER))),
      );
    }
    await delivery.untilComplete();
    const all = await told(delivery);
    expect(all).toHaveLength(50);
    expect(all.filter((data) => data['further'] !== undefined)).toEqual([all.at(-1)]);
  });
});

describe('a drone that cannot be given back', () => {
  const STUCK = [
    { compensation: 'recallDrone', key: /recall\/2$/, kind: 'compensation:recall_drone/1' },
    { compensation: 'releaseDrone', key: /release\/1$/, kind: 'compensation:release_drone/1' },
  ] as const;

  async function untilAsked(delivery: LabDelivery): Promise<string> {
    await lab.until('a person is asked', async () => (await openInterventions(delivery)).length === 1);
    const [interventionId = ''] = await openInterventions(delivery);
    return interventionId;
  }

  it.each(STUCK)(
    '($compensation fails for good): another one delivers, and the end waits until it is',
    async ({ compensation, key, kind }) => {
      lab.faults.arm({ activity: compensation, how: 'refuse', key });
      const delivery = await at('enroute_to_pickup');
      await delivery.scene.addDrone();
      expect(await reassign(delivery)).toMatchObject(REASSIGNING);
      const interventionId = await untilAsked(delivery);
      await delivery.untilStatus('delivered');
      await lab.settle();
      const { complete, compensation: state, interventions } = await delivery.read();
      expect({ complete, state, kinds: interventions.map((one) => one.kind) }).toEqual({
        complete: false,
        state: 'needs_intervention',
        kinds: [kind],
      });
      const done = lab.faults.callsOf(delivery.id).filter((call) => call.result === 'ok');
      const other = compensation === 'recallDrone' ? 'releaseDrone' : 'recallDrone';
      expect(done.map((call) => call.activity)).toContain(other);
      expect(typed(await delivery.events(), 'picked_up')).toHaveLength(1);

      lab.faults.clear();
      await order(delivery, 'retryCompensation', { interventionId });
      const { outcome } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'delivered', attempts: 2, compensation: 'complete' });
      await delivery.untilNothingHeld();
    },
  );

  it('and none is free: the delivery can be cancelled all the same', async () => {
    lab.faults.arm({ activity: 'releaseDrone', how: 'refuse', key: /release\/1$/ });
    const delivery = await at('enroute_to_pickup');
    await reassign(delivery);
    const interventionId = await untilAsked(delivery);
    await delivery.untilStatus('awaiting_drone');
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    expect(await delivery.read()).toMatchObject({ status: 'cancelled', compensation: 'needs_intervention' });
    lab.faults.clear();
    await order(delivery, 'resolveIntervention', { interventionId, answer: 'retry' });
    expect((await delivery.untilComplete()).outcome).toMatchObject({ compensation: 'complete' });
    await delivery.untilNothingHeld();
  });

  it('from the line in which it waits for one: the carrier takes over in time', async () => {
    const options: DeliveryOptions = {
      drones: 0,
      deadlineInS: 3_600,
      policy: { carrierLeadS: 3_000 },
      account: { carrier: true, carrierCapCents: 10_000 },
    };
    const scene = await lab.prepare(options);
    const params = { drone_id: await scene.addDrone({ pilot: false }) };
    await lab.clients.drone.setDroneState({
      params,
      body: { state: 'maintenance', reason: 'inspection', by: 'test' },
    });
    lab.faults.arm({ activity: 'releaseDrone', how: 'refuse', key: /release\/1$/ });
    const delivery = await scene.order(options);
    const interventionId = await untilAsked(delivery);
    await delivery.untilStatus('delivered');
    expect(await delivery.read()).toMatchObject({ fulfilment: 'carrier', complete: false });
    lab.faults.clear();
    await order(delivery, 'retryCompensation', { interventionId });
    expect((await delivery.untilComplete()).outcome).toMatchObject({ compensation: 'complete' });
    await delivery.untilNothingHeld();
  });

  it('from a dropoff that it may know: the change is answered, and it does not fly', async () => {
    const options: DeliveryOptions = {
      pickup: { fromS: 7_200, toS: 10_800 },
      toDropoffM: 1_000,
      priceCents: 900,
    };
    const scene = await lab.prepare(options);
    const delivery = await scene.order(options);
    await delivery.untilStatus('scheduled');
    const { pickup_window: window } = await delivery.read();
    await lab.leapUntil(Date.parse(window?.start ?? '') - 580_000, delivery);
    expect((await delivery.read()).status).toBe('confirmed');
    lab.faults.arm(
      { activity: 'rerouteDrone', how: 'act_then_refuse' },
      { activity: 'undoReroute', how: 'refuse' },
    );
    expect(await delivery.changeDropoff(delivery.dropoffAt(3_000))).toMatchObject(REFUSED('step_failed'));
    const interventionId = await untilAsked(delivery);
    await delivery.untilStatus('delivered');
    const seeking = typed(await delivery.events(), 'awaiting_drone').map((event) => event.data);
    expect(seeking).toEqual([expect.objectContaining({ detail: 'another drone is needed for the dropoff' })]);
    expect((await delivery.read()).dropoff.location).toEqual(delivery.dropoffAt(1_000));
    lab.faults.clear();
    await order(delivery, 'resolveIntervention', { interventionId, answer: 'done' });
    expect((await delivery.untilComplete()).outcome).toMatchObject({ compensation: 'complete' });
    await delivery.untilNothingHeld();
  });
});

describe('what an update or time brings about', () => {
  it.each([
    {
      event: 'rescheduled',
      lead: async () => {
        const delivery = await lab.start({ pickup: { fromS: 7_200, toS: 10_800 } });
        await delivery.untilStatus('scheduled');
        await delivery.reschedule(lab.windowIn({ fromS: 10_000, toS: 12_000 }));
        return delivery;
      },
    },
    {
      event: 'dropoff_changed',
      lead: async () => {
        const delivery = await at('enroute_to_pickup', { priceCents: 900 });
        await delivery.changeDropoff(delivery.dropoffAt(1_500));
        return delivery;
      },
    },
    {
      event: 'dropoff_change_requested',
      lead: async () => {
        const delivery = await lab.startUnheard({ at: 0.5, forS: 300 });
        await delivery.changeDropoff(delivery.dropoffAt(1_500));
        return delivery;
      },
    },
    {
      event: 'intervention_resolved',
      lead: async () => {
        const delivery = await compensating();
        const [interventionId = ''] = await openInterventions(delivery);
        await order(delivery, 'resolveIntervention', { interventionId, answer: 'done' });
        return delivery;
      },
    },
    {
      event: 'overdue',
      lead: async () => {
        const scene = await lab.prepare();
        for (const droneId of scene.droneIds) {
          lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'to_dropoff', forS: 900 });
        }
        return scene.order();
      },
    },
  ])(
    'is written ($event) only once that is in the history, with which it may be lost',
    async ({ event, lead }) => {
      const delivery = await lead();
      await lab.until('it is written', async () => typed(await delivery.events(), event).length > 0);
      const written = lab.faults.callsOf(delivery.id).filter((call) => call.key.includes(`/event_${event}/`));
      expect(written.map((call) => call.isLocal)).toEqual([false]);
    },
  );
});

describe('answers that meet', () => {
  /** A person is asked, and the workflow still writes that down: answers are held meanwhile. */
  async function asking(
    scene: Scene,
    policy: DeliveryOptions['policy'] = {},
  ): Promise<{ delivery: LabDelivery; interventionId: string }> {
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_intervention_opened/ });
    const delivery = await scene.order({ policy });
    const open = async () => (await delivery.handle.query<DeliveryState>('state')).openInterventions;
    await lab.until('a person is asked', async () => (await open()).length > 0);
    const [interventionId = ''] = await open();
    return { delivery, interventionId };
  }

  /** Sends an answer, which the workflow has when this returns. */
  function answer(delivery: LabDelivery, interventionId: string, choice: string) {
    return delivery.handle.startUpdate<OperatorAnswer, [unknown]>('resolveIntervention', {
      args: [{ ...ORDER, why: `it is ${choice}`, interventionId, answer: choice }],
      waitForStage: WorkflowUpdateStage.ACCEPTED,
    });
  }

  it('each other: the first is recorded with who and why, the second hears that it came too late', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) {
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    }
    const { delivery, interventionId } = await asking(scene);
    const first = await answer(delivery, interventionId, 'returned');
    const second = await answer(delivery, interventionId, 'lost');
    lab.faults.clear();
    const { delivery: done } = await delivery.untilComplete();
    expect(await first.result()).toMatchObject({ outcome: 'accepted' });
    expect(await second.result()).toMatchObject({
      ...REFUSED('intervention_not_open'),
      detail: `${interventionId} is not open any more: operator:jo has closed it with returned (it is returned).`,
    });
    expect(done.status).toBe('returned');
    expect(done.interventions.map((one) => one.resolution)).toEqual([
      { answer: 'returned', by: 'operator:jo', why: 'it is returned' },
    ]);
  });

  it('the news that the drone goes on: the delivery goes on too, and whoever gave it up hears why', async () => {
    const scene = await lab.prepare();
    const [droneId] = scene.droneIds;
    if (droneId === undefined) return expect.unreachable();
    lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_dropoff', at: 0.05, forS: 45 });
    const { delivery, interventionId } = await asking(scene, { releaseS: 3, dropoffArrivalSlackS: 5 });
    await lab.until('the drone is heard again', () => !isOutOfReach(droneId));
    const late = await answer(delivery, interventionId, 'lost');
    lab.faults.clear();
    const { delivery: done } = await delivery.untilComplete();
    expect(await late.result()).toMatchObject(REFUSED('intervention_not_open'));
    expect(done.status).toBe('delivered');
    expect(done.interventions.map((one) => one.resolution)).toEqual([
      expect.objectContaining({ answer: 'goes_on', by: 'system' }),
    ]);
  });

  it('a newer question: it closes the older one, which takes no answer any more', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) {
      lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_dropoff', at: 0.05, forS: 100_000 });
    }
    const delivery = await scene.order({ policy: { releaseS: 3, dropoffArrivalSlackS: 5 } });
    // The newer one is asked before the older one is closed.
    await lab.until('it was asked twice', async () => {
      const { interventions } = await delivery.read();
      return interventions.length === 2 && interventions.some((one) => one.resolved_at !== null);
    });
    const byKind = async (kind: string) =>
      (await delivery.read()).interventions.find((one) => one.kind === kind) ?? expect.unreachable();
    const [overdue, down] = [await byKind('overdue'), await byKind('drone_down')];
    expect(overdue.reason).toMatch(
      /overdue since .*, last known at -?\d+\.\d+, -?\d+\.\d+ \(arrived at dropoff, /,
    );
    expect(overdue.resolution).toEqual({ answer: 'replaced', by: 'system', why: `replaced by ${down.id}` });
    await expect(
      order(delivery, 'resolveIntervention', { interventionId: overdue.id, answer: 'lost' }),
    ).rejects.toMatchObject({ cause: { type: 'intervention_not_open' } });
    await order(delivery, 'resolveIntervention', { interventionId: down.id, answer: 'lost' });
    const { delivery: done } = await delivery.untilComplete();
    expect(done).toMatchObject({ status: 'failed', failure_reason: 'package_lost' });
    expect((await byKind('drone_down')).resolution).toEqual({ answer: 'lost', ...BY_JO });
  });
});

describe('after its end', () => {
  it.each(['reassignDrone', 'abort', 'retryCompensation', 'resolveIntervention'] as const)(
    '%s finds no running workflow',
    async (update) => {
      const delivery = await ended();
      const args = [{ ...ORDER, interventionId: 'int_x', answer: 'retry' }] as [unknown];
      await expect(delivery.handle.executeUpdate(update, { args })).rejects.toThrow(WorkflowNotFoundError);
    },
  );
});

describe('an order that is repeated by its update id after the end', () => {
  it('hears its first answer; a new one hears that the workflow is gone', async () => {
    const delivery = await at('enroute_to_pickup');
    const send = (updateId: string) =>
      lab.workflows.order(
        delivery.id,
        'abort',
        { ...ORDER, request: 'a fingerprint' },
        { updateId, timeoutMs: 20_000 },
      );
    const first = await send('the-same');
    expect(first).toMatchObject({ ...CANCELLED, request: 'a fingerprint' });
    await delivery.untilComplete();
    expect(await send('the-same')).toEqual(first);
    expect(await send('another')).toBe('gone');
  });

  it('of a wrong one hears what is wrong, by field', async () => {
    const delivery = await at('enroute_to_dropoff');
    const wrong = await lab.workflows.order(
      delivery.id,
      'abort',
      { ...ORDER, why: '' },
      { updateId: 'wrong', timeoutMs: 20_000 },
    );
    expect(wrong).toMatchObject({ outcome: 'rejected', why: 'invalid', errors: [{ field: 'why' }] });
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
  });
});

describe('Cancel in the Temporal UI after the pickup', () => {
  it.each([
    { answer: 'abort', status: 'returned' },
    { answer: 'carry_on', status: 'delivered' },
  ])('asks a person: $answer', async ({ answer, status }) => {
    const delivery = await at('enroute_to_dropoff');
    await delivery.handle.cancel();
    await lab.until('a person is asked', async () => (await openInterventions(delivery)).length === 1);
    const [intervention] = (await delivery.read()).interventions;
    expect(intervention).toMatchObject({ kind: 'cancel_requested' });
    expect(intervention?.answers.map((one) => one.answer)).toEqual(['abort', 'carry_on']);

    await order(delivery, 'resolveIntervention', { interventionId: intervention?.id ?? '', answer });
    const { delivery: done } = await delivery.untilComplete();
    expect(done.status).toBe(status);
    expect(done.interventions[0]?.resolution).toEqual({ answer, ...BY_JO });
    await delivery.untilNothingHeld();
  });

  it('that nobody answers: the delivery goes on, and its end closes the question', async () => {
    const delivery = await at('enroute_to_dropoff');
    await delivery.handle.cancel();
    const { delivery: done, outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    expect(done.interventions[0]?.resolution).toMatchObject({ answer: 'ended', by: 'system' });
    await delivery.untilNothingHeld();
  });

  it('with a carrier: the only answer is to carry on', async () => {
    const delivery = await byCarrier('enroute_to_dropoff');
    await delivery.handle.cancel();
    await lab.until('a person is asked', async () => (await openInterventions(delivery)).length === 1);
    const [intervention] = (await delivery.read()).interventions;
    expect(intervention?.answers.map((one) => one.answer)).toEqual(['carry_on']);
    await order(delivery, 'resolveIntervention', {
      interventionId: intervention?.id ?? '',
      answer: 'carry_on',
    });
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
    await delivery.untilNothingHeld();
  });
});

describe('a command that is wrong', () => {
  const UPDATES = [
    'cancel',
    'reschedule',
    'reassignDrone',
    'abort',
    'resolveIntervention',
    'retryCompensation',
  ] as const;
  const { EventType } = temporal.api.enums.v1;

  it.each(UPDATES)(
    '%s: is rejected with what would be right, and leaves the delivery unharmed',
    async (update) => {
      const delivery = await at('enroute_to_pickup');
      const reject = async (input: unknown) => {
        const error = await delivery.handle.executeUpdate(update, { args: [input] as [unknown] }).then(
          () => expect.unreachable('it was accepted'),
          (cause: unknown) => cause,
        );
        expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
        const { cause } = error as WorkflowUpdateFailedError;
        expect(cause).toBeInstanceOf(ApplicationFailure);
        return cause as ApplicationFailure;
      };
      for (const input of [undefined, null, 'now!', 7, []]) {
        expect((await reject(input)).message).toContain(`${update} is rejected and nothing has changed`);
      }
      const empty = await reject({});
      expect(empty.type).toBe('invalid_command');
      expect(empty.message).toContain('actor must name who asks');
      expect(empty.message).toMatch(/For example: \{.*"actor"/);
      const nobody = await reject({ ...ORDER, actor: { role: 'operator', id: ' ' } });
      expect(nobody.message).toContain('actor must name who asks');
      const typo = await reject({ ...ORDER, becuase: 'of it' });
      expect(typo.message).toContain('becuase is not known');

      const history = await delivery.handle.fetchHistory();
      const seen = new Set((history.events ?? []).map((event) => event.eventType));
      expect(seen.has(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED)).toBe(false);
      expect(seen.has(EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)).toBe(false);
      const { outcome } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
      await delivery.untilNothingHeld();
    },
  );

  it('an intervention that is not open, or no compensation, is named', async () => {
    const delivery = await at('enroute_to_dropoff');
    await expect(order(delivery, 'retryCompensation', { interventionId: 'int_x' })).rejects.toMatchObject({
      cause: { type: 'intervention_not_open', message: 'int_x is not open; open are: none.' },
    });
    await delivery.handle.cancel();
    await lab.until('a person is asked', async () => (await openInterventions(delivery)).length === 1);
    const [interventionId = ''] = await openInterventions(delivery);
    const rejected = async (answer: Promise<unknown>): Promise<unknown> =>
      (
        await answer.then(
          () => expect.unreachable('it was accepted'),
          (error: unknown) => error as Error,
        )
      ).cause;
    const noRetry = await rejected(order(delivery, 'retryCompensation', { interventionId }));
    expect(noRetry).toMatchObject({ type: 'intervention_not_open' });
    expect(String(noRetry)).toContain('no compensation');
    const noAnswer = await rejected(
      order(delivery, 'resolveIntervention', { interventionId, answer: 'explode' }),
    );
    expect(noAnswer).toMatchObject({ type: 'invalid_command' });
    expect(String(noAnswer)).toContain('answer must be one of abort, carry_on');
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
  });
});

describe('a drone that fell silent while it might load, and was fetched', () => {
  async function fetchedWith(packageAboard: boolean): Promise<LabDelivery> {
    const scene = await lab.prepare();
    const params = { drone_id: scene.droneIds[0]! };
    const delivery = await loadingInSilence(100_000, scene);
    await lab.until('it is given up for lost', async () => {
      return (await lab.clients.drone.getDrone({ params })).state === 'lost';
    });
    await scene.addDrone();
    await lab.clients.drone.setDroneState({
      params,
      body: { state: 'maintenance', reason: 'fetched', by: 'ops-anna', package_aboard: packageAboard },
    });
    return delivery;
  }

  it('with the package in it: a person says what becomes of that, and nobody else flies', async () => {
    const delivery = await fetchedWith(true);
    await lab.until('a person is asked', async () => (await openInterventions(delivery)).length === 1);
    const [interventionId = ''] = await openInterventions(delivery);
    expect(interventionId).toContain('drone_down');
    await order(delivery, 'resolveIntervention', { interventionId, answer: 'lost' });
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', attempts: 1 });
    await delivery.untilNothingHeld();
  });

  it('empty: another drone takes over', async () => {
    const delivery = await fetchedWith(false);
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    await delivery.untilNothingHeld();
  });
});

/** Its drone may load, has lost its link while it does, and is not heard for that long. */
async function loadingInSilence(forS: number, given?: Scene): Promise<LabDelivery> {
  const scene = given ?? (await lab.prepare());
  for (const droneId of scene.droneIds) {
    lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_pickup', at: 0.5, forS });
  }
  const delivery = await scene.order();
  await lab.until('it loads, out of reach', async () => {
    const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
    const [droneId] = scene.droneIds;
    return data[0]?.loading === 'granted' && droneId !== undefined && isOutOfReach(droneId);
  });
  return delivery;
}

function isOutOfReach(droneId: DroneId): boolean {
  return lab.pilot.look(droneId).linkLostUntilMs !== null;
}

async function untilIdle(droneId: DroneId | null): Promise<void> {
  if (droneId === null) throw new Error('no drone');
  await lab.until(`${droneId} is free`, async () => {
    const { state } = await lab.clients.drone.getDrone({ params: { drone_id: droneId } });
    return state === 'idle' || state === 'charging';
  });
}
