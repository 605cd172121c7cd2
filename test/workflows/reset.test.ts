/**
 * A workflow is reset behind its back: run again from an earlier point of its history. On the real Temporal server: the delivery
 * goes on where it was, whatever it has behind it, and its timeline says that it was reset, and why.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { repair } from '../../audit/repair.ts';
import { distanceM } from '../../shared/geodesy.ts';
import { reconcileWorkflowId } from '../../workflows/messages.ts';
import {
  expectLegalTimeline,
  grounded,
  openQuestions,
  ordered,
  orphansOf,
  reconciled,
  repaired,
  terminate,
  untilAsked,
} from './aftermath.ts';
import { type History, reset } from './reset-workflow.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

const RATE = 60;
const BY = { why: 'looked into it', actor: { role: 'operator', id: 'jo' } } as const;
let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ realTimeAtRate: RATE });
}, 120_000);
afterEach(() => lab.rest());
afterAll(() => lab.close());

/** It goes on to its end; nothing is held then, and the timeline is legal. */
async function expectDelivered(delivery: LabDelivery): Promise<Awaited<ReturnType<LabDelivery['read']>>> {
  const { delivery: ended, outcome } = await delivery.untilComplete();
  expect(outcome.status).toBe('delivered');
  expect(ended).toMatchObject({ status: 'delivered', complete: true });
  await delivery.untilNothingHeld();
  await expectLegalTimeline(delivery);
  expect(await openQuestions(delivery)).toEqual([]);
  expect(await orphansOf(lab, delivery)).toEqual([]);
  return ended;
}

const typesOf = async (delivery: LabDelivery) => (await delivery.events()).map(({ type }) => type);
const reservationsOf = async (delivery: LabDelivery) =>
  (await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } })).data;

const milestonesOf = async ({ clients }: Lab, { id }: LabDelivery) => {
  const { data } = await clients.drone.listReservations({ query: { delivery_id: id } });
  const told = await Promise.all(
    data.map(async (reservation) => {
      const params = { reservation_id: reservation.id };
      return (await clients.drone.readMilestones({ params, query: { after_sequence: 0 } })).data;
    }),
  );
  return told.flat().map(({ kind }) => kind);
};

describe('a delivery that is reset to its beginning', () => {
  it.each(['awaiting_drone', 'enroute_to_pickup', 'enroute_to_dropoff'] as const)(
    'when %s: goes on, every step has happened once, and the timeline says why it was reset',
    async (status) => {
      const scene = await lab.prepare();
      if (status === 'awaiting_drone') await grounded(scene);
      const delivery = await ordered(lab, status, scene);
      await reset(lab, delivery, { why: 'jo: it stood still' });
      expect(await orphansOf(lab, delivery)).toEqual([]);
      if (status === 'awaiting_drone') await scene.setDrones('idle');
      expect(await expectDelivered(delivery)).toMatchObject({ charge: delivery.price });
      const events = await typesOf(delivery);
      expect(new Set(events).size).toBe(events.length);
      const told = (await delivery.events()).filter(({ type }) => type === 'delivery.workflow_reset');
      expect(told).toMatchObject([{ status, data: { why: 'jo: it stood still' } }]);
      expect(await reservationsOf(delivery)).toHaveLength(1);
    },
    120_000,
  );

  it('after it had waited for a drone: flies on with the one that it got', async () => {
    const scene = await grounded(await lab.prepare());
    const delivery = await ordered(lab, 'awaiting_drone', scene);
    await scene.setDrones('idle');
    await delivery.untilStatus('enroute_to_dropoff');
    await reset(lab, delivery);
    await expectDelivered(delivery);
    expect(await reservationsOf(delivery)).toHaveLength(1);
  }, 120_000);

  it('after a drone on the ground was given back: flies on with the one that has the package', async () => {
    const scene = await lab.prepare();
    const delivery = await scene.order({ pickup: { fromS: 500, toS: 900 } });
    await delivery.untilStatus('confirmed');
    await delivery.reschedule(lab.windowIn({ fromS: 450, toS: 900 }));
    await lab.until('it is confirmed anew', async () => (await reservationsOf(delivery)).length === 2);
    const { pickup_window: window } = await delivery.read();
    await delivery.untilStatus('enroute_to_dropoff');
    await reset(lab, delivery);
    expect(await expectDelivered(delivery)).toMatchObject({ pickup_window: window });
    expect(await reservationsOf(delivery)).toHaveLength(2);
  }, 120_000);

  it('after its drone was replaced: comes by another way to where it was, and goes on', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'motor_failure' });
    const delivery = await ordered(lab, 'enroute_to_pickup', scene);
    await scene.addDrone();
    await lab.until('another drone is on its way', async () => {
      const { attempt, status } = await delivery.read();
      return attempt > 1 && status === 'enroute_to_pickup';
    });
    const before = await delivery.read();
    await reset(lab, delivery);
    expect(await expectDelivered(delivery)).toMatchObject({
      drone_id: before.drone_id,
      attempt: before.attempt,
      charge: delivery.price,
    });
  }, 120_000);

  it('and whose drone is replaced then: what happens anew is recorded anew, though it has happened before', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'motor_failure' });
    const delivery = await ordered(lab, 'enroute_to_pickup', scene);
    const second = await scene.addDrone();
    lab.pilot.arm(second, { failure: 'sender_absent' });
    await lab.until('the second drone waits for the sender', async () => {
      const { drone_id, status } = await delivery.read();
      return drone_id === second && status === 'arrived_at_pickup';
    });
    await reset(lab, delivery);
    await lab.until('it is told', async () => (await typesOf(delivery)).includes('delivery.workflow_reset'));
    const third = await scene.addDrone();
    await delivery.order('reassignDrone', BY, 'reassign');
    const ended = await expectDelivered(delivery);
    expect(ended).toMatchObject({ drone_id: third, attempt: 3 });
    const confirmed = (await delivery.events()).filter(({ type }) => type === 'delivery.confirmed');
    expect(confirmed.map(({ data }) => data['drone_id'])).toEqual([scene.droneIds[0], second, third]);
  }, 120_000);

  it('after it was late: need not be late again, and no event is taken for another one', async () => {
    const scene = await lab.prepare();
    // What it does at the dropoff is told late; while the price cannot be captured, it stays delivered and open.
    for (const droneId of scene.droneIds) {
      lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_dropoff', at: 0.05, forS: 45 });
    }
    lab.faults.arm({ activity: 'capture', how: 'down' });
    const delivery = await scene.order({ policy: { releaseS: 3 } });
    await delivery.untilStatus('delivered');
    expect(await typesOf(delivery)).toContain('delivery.overdue');
    await reset(lab, delivery);
    lab.faults.clear();
    expect(await expectDelivered(delivery)).toMatchObject({ charge: delivery.price });
  }, 120_000);

  it('with a carrier, after no drone was free: the carrier has it, and no drone is reserved beside it', async () => {
    const account = { carrier: true, carrierCapCents: 10_000 };
    const scene = await grounded(await lab.prepare({ account }));
    const delivery = await ordered(lab, 'awaiting_drone', scene, { policy: { awaitDroneS: 30 } });
    await lab.until('the carrier is on its way', async () => (await delivery.read()).booking_id !== null);
    await scene.setDrones('idle');
    await reset(lab, delivery);
    expect(await expectDelivered(delivery)).toMatchObject({ fulfilment: 'carrier' });
    expect(await reservationsOf(delivery)).toEqual([]);
    const { data } = await lab.clients.carrier.listBookings({ query: { delivery_id: delivery.id } });
    expect(data).toHaveLength(1);
  }, 120_000);
});

describe('what was asked of a delivery before it is reset', () => {
  it('a cancel that was refused stays refused, and so is a new one', async () => {
    const delivery = await ordered(lab, 'enroute_to_dropoff', await lab.prepare());
    const refusal = { outcome: 'refused', reason: 'already_picked_up' };
    expect(await delivery.cancel()).toMatchObject(refusal);
    await reset(lab, delivery);
    expect(await delivery.cancel('anew')).toMatchObject(refusal);
    expect(await delivery.cancel()).toMatchObject(refusal);
    expect(await expectDelivered(delivery)).toMatchObject({ charge: delivery.price });
  }, 120_000);

  it('a cancel that waits for the aircraft’s answer is still for the aircraft to settle', async () => {
    const delivery = await lab.startUnheard({ stage: 'at_pickup', at: 0.5, forS: 120 });
    await lab.until('it may be loading', async () => {
      const [reservation] = await reservationsOf(delivery);
      return reservation?.loading === 'granted';
    });
    expect(await delivery.cancel()).toMatchObject({ outcome: 'pending' });
    await reset(lab, delivery);
    await lab.until('the aircraft has said what it did', async () => {
      const [reservation] = await reservationsOf(delivery);
      return reservation?.loading !== 'granted';
    });
    const [reservation] = await reservationsOf(delivery);
    await lab.until('it has ended', async () => (await delivery.read()).complete);
    const isAboard = reservation?.loading === 'loaded';
    expect(await delivery.read()).toMatchObject({ status: isAboard ? 'delivered' : 'cancelled' });
    await delivery.untilNothingHeld();
    await expectLegalTimeline(delivery);
    expect(await orphansOf(lab, delivery)).toEqual([]);
  }, 120_000);

  it('a reschedule that was refused, and one that was not, count as they were answered', async () => {
    const scene = await lab.prepare();
    const delivery = await scene.order({ pickup: { fromS: 1_200, toS: 1_500 } });
    await delivery.untilStatus('scheduled');
    const window = lab.windowIn({ fromS: 300, toS: 1_200 });
    expect(await delivery.reschedule(window, { updateId: 'earlier' })).toMatchObject({
      outcome: 'rescheduled',
    });
    await delivery.untilStatus('enroute_to_pickup');
    const later = lab.windowIn({ fromS: 6_000, toS: 7_000 });
    const refusal = { outcome: 'refused', reason: 'drone_dispatched' };
    expect(await delivery.reschedule(later, { updateId: 'late' })).toMatchObject(refusal);
    await reset(lab, delivery);
    expect(await delivery.reschedule(later, { updateId: 'late' })).toMatchObject(refusal);
    expect(await expectDelivered(delivery)).toMatchObject({ pickup_window: window });
  }, 120_000);

  it('another dropoff is paid for once it is flown to, and one that was refused is not', async () => {
    const delivery = await (await lab.prepare()).order({ priceCents: 679 });
    await delivery.untilStatus('enroute_to_pickup');
    const tooFar = await delivery.changeDropoff(delivery.dropoffAt(60_000), { updateId: 'too-far' });
    expect(tooFar).toMatchObject({ outcome: 'refused', reason: 'out_of_range' });
    // To 4 km, for 120 more.
    await delivery.changeDropoff(delivery.dropoffAt(4_000), { updateId: 'farther' });
    await delivery.untilStatus('arrived_at_dropoff');
    await reset(lab, delivery);
    const ended = await expectDelivered(delivery);
    expect(ended).toMatchObject({ charge: { amount: 799 }, price: { amount: 799 } });
    const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } });
    expect(data.map(({ captured, state }) => captured?.amount ?? state).sort()).toEqual([120, 679, 'voided']);
  }, 120_000);

  it('another dropoff that the aircraft took late is not asked of it again: the one after it stands', async () => {
    const scene = await lab.prepare();
    const delivery = await scene.order({ toDropoffM: 5_000 });
    await delivery.untilStatus('enroute_to_dropoff');
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'to_dropoff', at: 0, forS: 60 });
    await lab.until('it is out of reach', () =>
      scene.droneIds.every((droneId) => lab.pilot.look(droneId).linkLostUntilMs !== null),
    );
    const late = await delivery.changeDropoff(delivery.dropoffAt(5_200, 10), { updateId: 'late' });
    expect(late).toMatchObject({ outcome: 'pending' });
    const changes = async () =>
      (await typesOf(delivery)).filter((type) => type === 'delivery.dropoff_changed');
    await lab.until('it has taken it', async () => (await changes()).length === 1);
    const there = delivery.dropoffAt(5_100, 5);
    expect(await delivery.changeDropoff(there, { updateId: 'last' })).toMatchObject({ outcome: 'changed' });
    await reset(lab, delivery);
    expect(await expectDelivered(delivery)).toMatchObject({ dropoff: { location: there } });
    expect(await changes()).toHaveLength(2);
  }, 120_000);

  it('each time to its beginning, with another dropoff after each: every one is flown to and paid for', async () => {
    const delivery = await (
      await lab.prepare()
    ).order({ pickup: { fromS: 900, toS: 1_500 }, priceCents: 679 });
    await delivery.untilStatus('scheduled');
    for (const [metres, cents] of [
      [3_000, 739],
      [4_000, 799],
      [5_000, 859],
    ] as const) {
      expect(
        await delivery.changeDropoff(delivery.dropoffAt(metres), { updateId: `to-${metres}` }),
      ).toMatchObject({
        outcome: 'changed',
      });
      expect((await delivery.read()).price.amount).toBe(cents);
      await reset(lab, delivery);
      await lab.until('it is told', async () => {
        const told = (await typesOf(delivery)).filter((type) => type === 'delivery.workflow_reset');
        return told.length === (metres - 2_000) / 1_000;
      });
    }
    const ended = await expectDelivered(delivery);
    expect(ended).toMatchObject({
      charge: { amount: 859 },
      dropoff: { location: delivery.dropoffAt(5_000) },
    });
    const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } });
    expect(data.map(({ captured }) => captured?.amount).sort()).toEqual([60, 60, 60, 679]);
  }, 120_000);

  it('an abort that turned the drone round leads home', async () => {
    const delivery = await ordered(lab, 'enroute_to_dropoff', await lab.prepare());
    expect(await delivery.order('abort', BY, 'abort')).toMatchObject({ outcome: 'returning' });
    await reset(lab, delivery);
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'returned', complete: true });
    await delivery.untilNothingHeld();
    await expectLegalTimeline(delivery);
    expect(await orphansOf(lab, delivery)).toEqual([]);
  }, 120_000);
});

describe('what people are asked when a delivery is reset', () => {
  it('is asked anew where it still needs an answer, and takes it', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'crash', stage: 'to_dropoff' });
    const delivery = await scene.order();
    const { id } = await untilAsked(lab, delivery);
    await reset(lab, delivery);
    await lab.until('it is asked anew', async () => {
      const { openInterventions } = await delivery.handle.query<{ openInterventions: string[] }>('state');
      return openInterventions.includes(id) && (await openQuestions(delivery)).some((one) => one.id === id);
    });
    const told = await typesOf(delivery);
    expect(told.slice(told.indexOf('delivery.workflow_reset'))).toEqual([
      'delivery.workflow_reset',
      'delivery.intervention_resolved',
      'delivery.intervention_opened',
    ]);
    const command = { ...BY, interventionId: id, answer: 'lost' };
    expect(await delivery.order('resolveIntervention', command, 'lost')).toMatchObject({
      outcome: 'accepted',
    });
    await lab.until('it has ended', async () => (await delivery.read()).complete);
    expect(await delivery.read()).toMatchObject({ status: 'failed', failure_reason: 'package_lost' });
    expect(await openQuestions(delivery)).toEqual([]);
    await expectLegalTimeline(delivery);
  }, 120_000);

  it('and what somebody has answered is not asked again: the drone that took the package over flies on', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    const delivery = await scene.order();
    await lab.until('it has set the package down', async () =>
      (await openQuestions(delivery)).some(({ answers }) =>
        answers.some(({ answer }) => answer === 'another_drone'),
      ),
    );
    const [question] = await openQuestions(delivery);
    const second = await scene.addDrone();
    await delivery.order(
      'resolveIntervention',
      { ...BY, interventionId: question!.id, answer: 'another_drone' },
      'another',
    );
    await lab.until('the second drone has it', async () => {
      const [last] = await reservationsOf(delivery);
      return last?.drone_id === second && last.loading === 'loaded';
    });
    await reset(lab, delivery);
    const ended = await expectDelivered(delivery);
    expect(ended).toMatchObject({ drone_id: second, attempt: 2 });
    expect(await reservationsOf(delivery)).toHaveLength(2);
  }, 120_000);
});

describe('a delivery that has ended, or is ending, when it is reset', () => {
  it('after it was terminated and reconciled: finds everything undone, and ends', async () => {
    const delivery = await ordered(lab, 'enroute_to_pickup', await lab.prepare());
    await repaired(lab, delivery, await terminate(lab, delivery));
    const before = await delivery.read();
    await reset(lab, delivery, { why: 'jo: was it that?' });
    expect(await delivery.handle.result()).toMatchObject({ status: 'failed', reason: 'workflow_terminated' });
    const after = await delivery.read();
    expect(after).toMatchObject({ status: 'failed', charge: before.charge, complete: true });
    const later = (await expectLegalTimeline(delivery)).slice(before.sequence);
    expect(later).toMatchObject([{ type: 'delivery.workflow_reset', data: { why: 'jo: was it that?' } }]);
    expect(await reservationsOf(delivery)).toHaveLength(1);
    expect(await orphansOf(lab, delivery)).toEqual([]);
  }, 120_000);

  it('while the reconciler is at it: stays closed, and only what is left is undone', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    lab.faults.arm({ activity: 'voidPackages', how: 'down' });
    const orphans = await terminate(lab, delivery);
    await repair(lab.temporal, lab.taskQueue, orphans);
    await lab.until('it is being undone', () =>
      lab.faults
        .callsOf(reconcileWorkflowId(delivery.id))
        .some(({ activity }) => activity === 'voidPackages'),
    );
    await delivery.scene.setDrones('idle');
    await reset(lab, delivery);
    // What is down holds up neither of them in seeing who has the delivery.
    expect(await reconciled(lab, delivery)).toMatchObject({ outcome: 'carried' });
    lab.faults.clear();
    await lab.until('it is complete', async () => (await delivery.read()).complete);
    expect(await delivery.handle.result()).toMatchObject({ status: 'failed', reason: 'workflow_terminated' });
    expect(await delivery.read()).toMatchObject({ compensation: 'complete', charge: { amount: 0 } });
    await delivery.untilNothingHeld();
    expect(await reservationsOf(delivery)).toEqual([]);
    await expectLegalTimeline(delivery);
    expect(await orphansOf(lab, delivery)).toEqual([]);
  }, 120_000);

  it('while its drone brings the package back for the reconciler: is returned, and charged', async () => {
    const delivery = await ordered(lab, 'enroute_to_dropoff', await lab.prepare(), { toDropoffM: 7_000 });
    // So far out that it is reset long before the package is home, on a busy machine too.
    await lab.until('it is far out', async () => {
      const { data } = await lab.clients.drone.live({ query: { delivery_id: [delivery.id] } });
      return data.some(({ position }) => distanceM(position, delivery.pickup) > 2_500);
    });
    await repair(lab.temporal, lab.taskQueue, await terminate(lab, delivery));
    await lab.until('it is being brought back', () =>
      lab.faults
        .callsOf(reconcileWorkflowId(delivery.id))
        .some(({ activity }) => activity === 'returnToSender'),
    );
    await reset(lab, delivery);
    expect(await reconciled(lab, delivery)).toMatchObject({ outcome: 'carried' });
    await lab.until('it has ended', async () => (await delivery.read()).complete);
    expect(await delivery.handle.result()).toMatchObject({ status: 'returned' });
    const ended = await delivery.read();
    expect(ended).toMatchObject({ status: 'returned', failure_reason: null });
    const back = (await delivery.events()).filter(({ type }) => type.startsWith('delivery.return_'));
    expect(back).toMatchObject([
      { type: 'delivery.return_authorized', data: { amount: ended.return_price } },
    ]);
    expect(ended.charge?.amount).toBe(delivery.price.amount + (ended.return_price?.amount ?? 0));
    await delivery.untilNothingHeld();
    await expectLegalTimeline(delivery);
    expect(await orphansOf(lab, delivery)).toEqual([]);
  }, 120_000);

  it('and whose worker goes on with the run that is no more: is charged by the new one alone, and what the other has authorized is voided', async () => {
    const own = await Lab.open({ realTimeAtRate: RATE, build: null });
    try {
      const before = await own.employ({});
      const scene = await own.prepare();
      for (const droneId of scene.droneIds) own.pilot.arm(droneId, { failure: 'dropoff_blocked' });
      const delivery = await ordered(own, 'enroute_to_dropoff', scene, { taskTimeoutMs: 60_000 });
      // All that the drone does until it is back comes in one task, so that its worker is not told that the run is no more.
      await before.stop();
      await own.until('the package is back', async () =>
        (await milestonesOf(own, delivery)).includes('released'),
      );
      own.faults.arm({ activity: 'authorize', key: /reauthorize\/1$/, how: 'hang', times: 1 });
      await own.employ({});
      const ofReturn = () => own.faults.callsOf(delivery.id).filter(({ key }) => /\/reauthorize\//.test(key));
      await own.until('the way back is being authorized', () => own.faults.isHanging(delivery.id));
      await reset(own, delivery);
      await own.until('the new run knows how far the delivery had come', () =>
        own.faults.callsOf(delivery.id).some(({ activity, acted }) => activity === 'tellOfReset' && acted),
      );
      own.faults.mend(delivery.id);
      const { delivery: ended } = await delivery.untilComplete();
      // The run that is no more goes on until its task is done, which is before anything is charged.
      const captures = own.faults.callsOf(delivery.id).filter(({ activity }) => activity === 'capture');
      expect(captures.map(({ acted }) => acted)).toEqual([true, true]);
      expect(ofReturn().map(({ key }) => key.split('/').at(-1))).toEqual(['1', '1001']);
      const query = { delivery_id: delivery.id };
      const { data } = await own.clients.account.listAuthorizations({ query });
      expect(Object.fromEntries(data.map(({ step_key, state }) => [step_key, state]))).toEqual({
        [`${delivery.id}/authorize/1`]: 'captured',
        [`${delivery.id}/reauthorize/1`]: 'voided',
        [`${delivery.id}/reauthorize/1001`]: 'captured',
      });
      const charged = data.reduce((sum, { captured }) => sum + (captured?.amount ?? 0), 0);
      expect(charged).toBe(delivery.price.amount + (ended.return_price?.amount ?? 0));
      expect(ended).toMatchObject({ status: 'returned', charge: { amount: charged } });
      await delivery.untilNothingHeld();
    } finally {
      await own.close();
    }
  }, 120_000);

  it('while it undoes what a cancel has ended: stays cancelled, and nothing is left', async () => {
    const delivery = await ordered(lab, 'enroute_to_pickup', await lab.prepare());
    lab.faults.arm({ activity: 'voidPackages', how: 'down' });
    await delivery.cancel();
    await lab.until('it is being undone', () =>
      lab.faults.callsOf(delivery.id).some((call) => call.activity === 'voidPackages'),
    );
    await reset(lab, delivery);
    lab.faults.clear();
    await lab.until('it is complete', async () => (await delivery.read()).complete);
    expect(await delivery.handle.result()).toMatchObject({ status: 'cancelled' });
    expect(await delivery.read()).toMatchObject({ status: 'cancelled', failure_reason: null });
    await delivery.untilNothingHeld();
    await expectLegalTimeline(delivery);
    expect(await orphansOf(lab, delivery)).toEqual([]);
  }, 120_000);
});

describe('a delivery that is reset', () => {
  it('to the middle of its history, and then again: goes on, and each is told', async () => {
    const scene = await grounded(await lab.prepare());
    const delivery = await ordered(lab, 'awaiting_drone', scene);
    await scene.setDrones('idle');
    await delivery.untilStatus('enroute_to_dropoff');
    // Before anything was signalled: it waits for a drone.
    const to = (events: History) =>
      Number(events.find((one) => one.workflowExecutionSignaledEventAttributes)?.eventId);
    await reset(lab, delivery, { why: 'first', to });
    await lab.until('it is told', async () => (await typesOf(delivery)).includes('delivery.workflow_reset'));
    await reset(lab, delivery, { why: 'second', to });
    await expectDelivered(delivery);
    const told = (await delivery.events()).filter(({ type }) => type === 'delivery.workflow_reset');
    expect(told.map(({ data }) => data['why'])).toEqual(['first', 'second']);
    expect(await reservationsOf(delivery)).toHaveLength(1);
  }, 120_000);
});
