/**
 * A workflow is terminated behind its back. On the real Temporal server: the audit names what is held, the reconciler gives it
 * back, asks people about what only they know, and says so.
 */
import { ScheduleNotFoundError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { temporalCarriers } from '../../audit/carriers.ts';
import { deliveryOf, findOrphans, type Orphan } from '../../audit/orphans.ts';
import { isSafeToRepair, repair } from '../../audit/repair.ts';
import { orphanTable } from '../../audit/table.ts';
import {
  deliveryOfIntervention,
  INTERVENTION_ID_PATTERN,
} from '../../services/delivery/contract/interventions.ts';
import type { DeliveryStatus, Intervention } from '../../services/delivery/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import { ensureReconcileSchedule } from '../../workers/reconcile-schedule.ts';
import {
  type OperatorAnswer,
  RECONCILE_SCHEDULE,
  RECONCILE_SWEEP_WORKFLOW,
  reconcileWorkflowId,
  RESOLVE_INTERVENTION_UPDATE,
} from '../../workflows/messages.ts';
import {
  expectLegalTimeline,
  grounded,
  kindsOf,
  openQuestions,
  ordered,
  orphansOf,
  reconciled,
  repaired,
  terminate,
  untilAsked,
} from './aftermath.ts';
import type { ActivityName } from './faults.ts';
import { reset } from './reset-workflow.ts';
import { openFrontDoor } from './front-door.ts';
import { IDENTITY, Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { Scene } from './scene.ts';

const RATE = 60;
let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ realTimeAtRate: RATE });
}, 120_000);
afterEach(() => lab.rest());
afterAll(() => lab.close());

/** Whose act it was is kept once, with the status that the delivery had then. */
async function expectTermination(delivery: LabDelivery, status: DeliveryStatus): Promise<void> {
  const told = (await delivery.events()).filter(({ type }) => type === 'delivery.workflow_terminated');
  expect(told).toMatchObject([{ status, data: { by: IDENTITY, why: 'the customer called' } }]);
  expect(Date.parse(String(told[0]?.data['at']))).toBeLessThanOrEqual(Date.now());
}

/** Starts the reconciler for what is orphaned, and does not wait for it. */
async function beginRepair(delivery: LabDelivery): Promise<void> {
  const orphans = await terminate(lab, delivery);
  expect(await repair(lab.temporal, lab.taskQueue, orphans)).toEqual([delivery.id]);
}

/** A delivery whose drone has crashed with the package, and about which its own workflow has asked. */
async function crashedWithPackage(): Promise<{ delivery: LabDelivery; asked: string }> {
  const scene = await lab.prepare();
  for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'crash', stage: 'to_dropoff' });
  const delivery = await scene.order();
  const { id } = await untilAsked(lab, delivery);
  return { delivery, asked: id };
}

/** Has it terminated and repaired, and answers what the reconciler asks instead of its workflow. */
async function askedAnew(delivery: LabDelivery, asked: string): Promise<Intervention> {
  await beginRepair(delivery);
  return untilAsked(lab, delivery, [asked]);
}

const reconcilersCallsOf = (delivery: LabDelivery, name: ActivityName) =>
  lab.faults.callsOf(reconcileWorkflowId(delivery.id)).filter(({ activity }) => activity === name);

/** Everything is as it must be in the end. */
async function expectSettled(delivery: LabDelivery): Promise<Awaited<ReturnType<LabDelivery['read']>>> {
  const ended = await delivery.read();
  expect(ended.complete).toBe(true);
  expect(await openQuestions(delivery)).toEqual([]);
  await expectLegalTimeline(delivery);
  expect(await orphansOf(lab, delivery)).toEqual([]);
  return ended;
}

/** Answers what the reconciler asks, as its workflow's page in the Temporal UI does. */
function answerInUi(delivery: LabDelivery, interventionId: string, answer: string) {
  const asking = lab.temporal.workflow
    .getHandle(reconcileWorkflowId(delivery.id))
    .executeUpdate<OperatorAnswer, [unknown]>(RESOLVE_INTERVENTION_UPDATE, {
      args: [{ interventionId, answer, why: 'seen on site', actor: { role: 'operator', id: 'jo' } }],
    });
  return lab.untilSettled('it is answered', asking);
}

const answersOf = ({ answers }: { answers: { answer: string }[] }) => answers.map(({ answer }) => answer);
const chargesOf = async (delivery: LabDelivery) =>
  (await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } })).data.map(
    ({ captured, state }) => captured?.amount ?? state,
  );
const creditsOf = async (delivery: LabDelivery) =>
  (await lab.clients.account.listCreditNotes({ query: { delivery_id: delivery.id } })).data.map(
    ({ amount }) => amount.amount,
  );

describe('a delivery that is terminated', () => {
  const waits: [DeliveryStatus, () => Promise<Scene>, Orphan['kind'][]][] = [
    [
      'awaiting_drone',
      async () => grounded(await lab.prepare()),
      ['authorization', 'delivery', 'packages', 'waiting_place'],
    ],
    [
      'confirmed',
      async () => {
        const scene = await lab.prepare({ drones: 0 });
        await scene.addDrone({ pilot: false });
        return scene;
      },
      ['authorization', 'delivery', 'mission', 'packages'],
    ],
    ['enroute_to_pickup', () => lab.prepare(), ['authorization', 'delivery', 'mission', 'packages']],
    ['arrived_at_pickup', () => lab.prepare(), ['authorization', 'delivery', 'mission', 'packages']],
    ['enroute_to_dropoff', () => lab.prepare(), ['authorization', 'delivery', 'mission', 'packages']],
  ];
  it.each(waits)(
    'when %s: what it holds is named, given back, and it is failed without a charge',
    async (status, scene, kinds) => {
      // So far out that its drone is still flying when it is repaired, on a busy machine too.
      const delivery = await ordered(lab, status, await scene(), { toPickupM: 5_000, toDropoffM: 6_000 });
      const orphans = await terminate(lab, delivery);
      expect(kindsOf(orphans)).toEqual(kinds);
      for (const one of orphans) {
        expect(one).toMatchObject({
          accountId: delivery.scene.accountId,
          status,
          workflow: 'terminated',
          isBeingRepaired: false,
        });
        expect(Date.parse(one.since)).toBeLessThanOrEqual(lab.nowMs);
        expect(orphanTable(orphans, { colour: false })).toContain(one.id);
      }
      if (status === 'confirmed') await delivery.scene.boardAll();
      const { outcome, undone } = await repaired(lab, delivery, orphans);
      expect(outcome).toBe('reconciled');
      expect(undone).toHaveLength(kinds.length - 1);
      expect(await delivery.read()).toMatchObject({
        status: 'failed',
        failure_reason: 'workflow_terminated',
        failure_detail: `Its workflow was terminated while the delivery was ${status}.`,
        compensation: 'complete',
        complete: true,
        charge: { amount: 0, currency: 'USD' },
      });
      const failed = (await delivery.events()).find((event) => event.type === 'delivery.failed');
      expect(failed?.data).toMatchObject({ why: 'the customer called' });
      await expectTermination(delivery, status);
    },
    120_000,
  );

  it('with its package aboard: the drone brings that back to the sender before it comes home', async () => {
    const delivery = await ordered(lab, 'enroute_to_dropoff', await lab.prepare());
    const { undone } = await repaired(lab, delivery, await terminate(lab, delivery));
    expect(undone).toContainEqual(expect.stringMatching(/^mission reserve\/1: returning$/));
    const [reservation] = (await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } }))
      .data;
    const { data } = await lab.clients.drone.readMilestones({
      params: { reservation_id: reservation!.id },
      query: { after_sequence: 0 },
    });
    expect(data.map(({ kind }) => kind)).toContain('arrived_at_return');
  }, 120_000);

  it('while a carrier is on its way: the booking is cancelled', async () => {
    const scene = await lab.prepare({ drones: 0, account: { carrier: true, carrierCapCents: 10_000 } });
    const delivery = await ordered(lab, 'enroute_to_pickup', scene);
    const orphans = await terminate(lab, delivery);
    expect(kindsOf(orphans)).toEqual(['authorization', 'booking', 'delivery', 'packages']);
    await repaired(lab, delivery, orphans);
    expect(await delivery.read()).toMatchObject({ status: 'failed', complete: true });
  }, 120_000);

  it('while two services refuse for good: each is a case of its own, which says what to do and closes by itself', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    const orphans = await terminate(lab, delivery);
    lab.faults.arm(
      { activity: 'voidPackages', how: 'refuse', times: 1 },
      { activity: 'voidAuthorization', how: 'refuse' },
    );
    const repairing = repaired(lab, delivery, orphans);
    const listed = async (open: boolean) => {
      const query = { delivery_id: delivery.id, open, limit: 100 };
      return (await lab.clients.delivery.listInterventions({ query })).data;
    };
    await Promise.race([
      repairing,
      lab.until('one has closed, the other one is open', async () => (await listed(false)).length === 1),
    ]);
    const [closed] = await listed(false);
    expect(closed).toMatchObject({
      kind: 'compensation:packages',
      resolution: { answer: 'reconciled', by: 'reconciler' },
    });
    const [open, ...others] = await listed(true);
    expect(others).toEqual([]);
    expect(open).toMatchObject({ kind: 'compensation:authorization', delivery_id: delivery.id, answers: [] });
    expect(open?.reason).toMatch(/settle it there.*closes by itself/);
    for (const one of [closed, open]) {
      expect(one?.id).toMatch(new RegExp(INTERVENTION_ID_PATTERN));
      expect(deliveryOfIntervention(one?.id ?? '')).toBe(delivery.id);
    }
    lab.faults.clear();
    await repairing;
    expect(await listed(true)).toEqual([]);
  }, 120_000);

  it('while it is being undone: the rest is undone, and it stays cancelled', async () => {
    const delivery = await ordered(lab, 'enroute_to_pickup', await lab.prepare());
    lab.faults.arm({ activity: 'voidPackages', how: 'down' });
    await delivery.cancel();
    await lab.until('it is being undone', () =>
      lab.faults.callsOf(delivery.id).some((call) => call.activity === 'voidPackages'),
    );
    const orphans = await terminate(lab, delivery);
    lab.faults.clear();
    expect(kindsOf(orphans)).toEqual(expect.arrayContaining(['delivery', 'packages']));
    await repaired(lab, delivery, orphans);
    const ended = await delivery.read();
    expect(ended).toMatchObject({ status: 'cancelled', failure_reason: null, complete: true });
    await expectTermination(delivery, 'cancelled');
    const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } });
    expect(ended.charge?.amount).toBe(data.reduce((sum, one) => sum + (one.captured?.amount ?? 0), 0));
  }, 120_000);

  it('once it is delivered and not yet charged: it is charged, and stays delivered', async () => {
    lab.faults.arm({ activity: 'capture', how: 'down' });
    const delivery = await ordered(lab, 'delivered', await lab.prepare());
    const orphans = await terminate(lab, delivery);
    lab.faults.clear();
    expect(kindsOf(orphans)).toEqual(['authorization', 'delivery']);
    await repaired(lab, delivery, orphans);
    expect(await delivery.read()).toMatchObject({
      status: 'delivered',
      compensation: 'none',
      charge: delivery.price,
      complete: true,
    });
    await expectTermination(delivery, 'delivered');
  }, 120_000);

  it('once it is given up for lost and not yet credited: it is credited, and stays lost', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    lab.faults.arm({ activity: 'issueCreditNote', how: 'down' });
    const delivery = await scene.order({ declaredCents: 2_500 });
    await delivery.answer('drone_down', 'lost');
    await lab.until('all else is undone', async () =>
      (await delivery.held()).every((one) => /^res/.test(one)),
    );
    const orphans = await terminate(lab, delivery);
    lab.faults.clear();
    for (const drone_id of scene.droneIds) {
      await lab.clients.drone.setDroneState({
        params: { drone_id },
        body: { state: 'maintenance', reason: 'fetched', by: 'test' },
      });
    }
    await repaired(lab, delivery, orphans);
    expect(await delivery.read()).toMatchObject({
      failure_reason: 'package_lost',
      compensation: 'complete',
      complete: true,
    });
    const { data } = await lab.clients.account.listCreditNotes({ query: { delivery_id: delivery.id } });
    expect(data.map((one) => one.amount)).toEqual([{ amount: 2_500, currency: 'USD' }]);
  }, 120_000);

  it('delivered to another dropoff and not yet charged: what was raised is charged, and no more', async () => {
    lab.faults.arm({ activity: 'capture', how: 'down' });
    const delivery = await (await lab.prepare()).order({ priceCents: 679 });
    await delivery.untilStatus('enroute_to_dropoff');
    // To 4 km, for 120 more; then back to 3.
    await delivery.changeDropoff(delivery.dropoffAt(4_000), { updateId: 'farther' });
    await delivery.changeDropoff(delivery.dropoffAt(3_000), { updateId: 'nearer' });
    await delivery.untilStatus('delivered');
    const orphans = await terminate(lab, delivery);
    lab.faults.clear();
    expect(kindsOf(orphans)).toEqual(['authorization', 'authorization', 'delivery']);
    await repaired(lab, delivery, orphans);
    const ended = await delivery.read();
    expect(ended).toMatchObject({ status: 'delivered', charge: { amount: 739 }, complete: true });
    const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } });
    expect(data.map((one) => one.captured?.amount).sort()).toEqual([60, 679]);
  }, 120_000);

  it('is found and repaired by the sweep, whatever arrives late is repaired after it', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    const healthy = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    await delivery.handle.terminate();
    const sweep = (id: string) =>
      lab.temporal.workflow.execute(RECONCILE_SWEEP_WORKFLOW, {
        workflowId: `sweep-${delivery.id}-${id}`,
        taskQueue: lab.taskQueue,
      }) as Promise<{ repairing: string[] }>;
    expect((await sweep('1')).repairing).toEqual([delivery.id]);
    await lab.until('it is complete', async () => (await delivery.read()).complete);
    await delivery.untilNothingHeld();
    await lab.temporal.workflow.getHandle(reconcileWorkflowId(delivery.id)).result();
    const sequence = (await delivery.read()).sequence;
    // A step of the terminated workflow that was still on its way.
    await lab.clients.account.authorize(
      {
        body: {
          account_id: delivery.scene.accountId,
          delivery_id: delivery.id,
          livemode: false,
          amount: delivery.price,
        },
      },
      { idempotencyKey: `${delivery.id}/authorize/2` },
    );
    expect(kindsOf(await orphansOf(lab, delivery))).toEqual(['authorization']);
    expect((await sweep('2')).repairing).toEqual([delivery.id]);
    await lab.temporal.workflow.getHandle(reconcileWorkflowId(delivery.id)).result();
    expect(await orphansOf(lab, delivery)).toEqual([]);
    const later = (await delivery.events()).slice(sequence);
    expect(later.map(({ type }) => type)).toEqual(['delivery.compensated']);
    expect((await delivery.read()).complete).toBe(true);
    expect(await healthy.read()).toMatchObject({ status: 'awaiting_drone', complete: false });
    expect((await sweep('3')).repairing).toEqual([]);
    await healthy.cancel();
  }, 120_000);
});

describe('a package that nobody has when its delivery is terminated', () => {
  it('and lies where its drone has set it down: a person is asked, who delivers it by hand, and it is charged', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    const delivery = await scene.order();
    await lab.until('it has set the package down', async () =>
      (await openQuestions(delivery)).some((one) => answersOf(one).includes('another_drone')),
    );
    const before = await openQuestions(delivery);
    await beginRepair(delivery);
    const question = await untilAsked(
      lab,
      delivery,
      before.map(({ id }) => id),
    );
    // What its own workflow had asked takes no answer any more.
    expect(await openQuestions(delivery)).toEqual([question]);
    expect(question.reason).toContain(
      `lies at ${before[0]!.reason.split('lies at ')[1]!.replace(/\.$/, '')}`,
    );
    expect(answersOf(question)).toEqual(['lost', 'delivered', 'returned']);
    expect(await delivery.read()).toMatchObject({ status: 'enroute_to_dropoff', complete: false });
    expect(await chargesOf(delivery)).toEqual(['authorized']);
    expect(await answerInUi(delivery, question.id, 'delivered')).toMatchObject({ outcome: 'accepted' });
    await reconciled(lab, delivery);
    const ended = await expectSettled(delivery);
    expect(ended).toMatchObject({ status: 'delivered', charge: delivery.price });
    expect(ended.interventions.find(({ id }) => id === question.id)).toMatchObject({
      resolution: { answer: 'delivered', by: 'operator:jo', why: 'seen on site' },
    });
    await expectTermination(delivery, 'enroute_to_dropoff');
  }, 120_000);

  it('or is set down while it is sent back: a person is asked by the API, gives it up for lost, and it is credited', async () => {
    const door = await openFrontDoor(lab, {});
    try {
      const scene = await lab.prepare();
      for (const droneId of scene.droneIds)
        lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_return' });
      // So far that it is still under way when the repair begins, on a busy machine too.
      const delivery = await door.order(await door.callerOf(scene), scene, { toDropoffM: 5_000 });
      await lab.until('it is known', async () => (await deliveryOf(lab.clients, delivery.id)) !== null);
      await delivery.untilStatus('enroute_to_dropoff');
      await beginRepair(delivery);
      await lab.until('it lies on the ground', async () =>
        (await openQuestions(delivery)).some(({ id }) => id.endsWith('_reconcile_package_on_ground')),
      );
      const [question] = await openQuestions(delivery);
      const operator = await door.operator();
      const answering = operator.resolveIntervention(
        { params: { intervention_id: question!.id }, body: { answer: 'lost', why: 'run over' } },
        { idempotencyKey: 'lost' },
      );
      expect(await lab.untilSettled('it is answered', answering)).toMatchObject({ outcome: 'accepted' });
      await reconciled(lab, delivery);
      expect(await expectSettled(delivery)).toMatchObject({
        status: 'failed',
        failure_reason: 'package_lost',
        charge: { amount: 0 },
      });
      expect(await creditsOf(delivery)).toEqual([delivery.price.amount]);
      const again = operator.resolveIntervention(
        { params: { intervention_id: question!.id }, body: { answer: 'delivered', why: 'found' } },
        { idempotencyKey: 'found' },
      );
      await expect(again).rejects.toMatchObject({ status: 409, reason: 'intervention_not_open' });
    } finally {
      await door.close();
    }
  }, 120_000);

  it('or is in a drone that has crashed: a person is asked, who brings it back', async () => {
    const { delivery, asked } = await crashedWithPackage();
    const question = await askedAnew(delivery, asked);
    expect(question).toMatchObject({ kind: 'drone_down' });
    expect(await answerInUi(delivery, question.id, 'returned')).toMatchObject({ outcome: 'accepted' });
    await reconciled(lab, delivery);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'returned', charge: delivery.price });
  }, 120_000);

  it('stays asked about while a service that knows where it is does not answer: the answer waits for it', async () => {
    const { delivery, asked } = await crashedWithPackage();
    const question = await askedAnew(delivery, asked);
    const down = vi
      .spyOn(lab.clients.carrier, 'listBookings')
      .mockRejectedValue(new Problem('unavailable', { detail: 'down, says the test' }));
    const looks = () => reconcilersCallsOf(delivery, 'examineDelivery').length;
    let answering: ReturnType<typeof answerInUi>;
    try {
      const before = looks();
      await lab.until('it was looked at without that service', () => looks() >= before + 3);
      expect(await openQuestions(delivery)).toMatchObject([{ id: question.id }]);
      answering = answerInUi(delivery, question.id, 'returned');
      const whenAsked = looks();
      await lab.until('it was looked at again', () => looks() >= whenAsked + 3);
      expect(await openQuestions(delivery)).toMatchObject([{ id: question.id }]);
    } finally {
      down.mockRestore();
    }
    expect(await answering).toMatchObject({ outcome: 'accepted' });
    await reconciled(lab, delivery);
    const ended = await expectSettled(delivery);
    expect(ended).toMatchObject({ status: 'returned' });
    const told = (await delivery.events()).filter(({ type }) => type === 'delivery.intervention_opened');
    expect(told.filter(({ data }) => data['kind'] === 'drone_down')).toHaveLength(2);
  }, 240_000);

  it('takes the answer to what an earlier reconciler had asked as soon as it has looked', async () => {
    const { delivery, asked } = await crashedWithPackage();
    const question = await askedAnew(delivery, asked);
    const handle = lab.temporal.workflow.getHandle(reconcileWorkflowId(delivery.id));
    await handle.terminate('the test has it begin anew');
    lab.faults.arm({ activity: 'recallDrone', how: 'hang', of: reconcileWorkflowId(delivery.id) });
    await repair(lab.temporal, lab.taskQueue, await orphansOf(lab, delivery));
    await lab.until('its drone does not answer', () =>
      reconcilersCallsOf(delivery, 'recallDrone').some(({ hit }) => hit),
    );
    const answering = answerInUi(delivery, question.id, 'returned');
    expect(await answering).toMatchObject({ outcome: 'accepted' });
    lab.faults.clear();
    await reconciled(lab, delivery);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'returned' });
  }, 120_000);

  it('or whose carrier has given up with it: a person is asked, and what was not delivered is credited', async () => {
    await lab.clients.carrier.setSimulation({ body: { fail_next_after_pickup: 1 } });
    const scene = await lab.prepare({ drones: 0, account: { carrier: true, carrierCapCents: 10_000 } });
    const delivery = await scene.order({ declaredCents: 2_500 });
    const { id } = await untilAsked(lab, delivery);
    const question = await askedAnew(delivery, id);
    expect(question).toMatchObject({ kind: 'carrier_failed' });
    expect(await answerInUi(delivery, question.id, 'lost')).toMatchObject({ outcome: 'accepted' });
    await reconciled(lab, delivery);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'failed', failure_reason: 'package_lost' });
    expect(await creditsOf(delivery)).toEqual([2_500]);
  }, 120_000);

  it('and was handed over before anybody noticed: it is delivered, with its proof', async () => {
    const scene = await lab.prepare();
    const delivery = await scene.order({ confirmation: 'photo' });
    await delivery.untilStatus('enroute_to_dropoff');
    const orphans = await terminate(lab, delivery);
    await lab.until('its drone has let go', async () => {
      const params = { delivery_id: delivery.id };
      return (await lab.clients.delivery.getConfirmation({ params })).confirmed_at !== null;
    });
    await repaired(lab, delivery, orphans);
    expect(await expectSettled(delivery)).toMatchObject({
      status: 'delivered',
      confirmation_status: 'confirmed',
      charge: delivery.price,
    });
  }, 120_000);

  it('and is with its carrier: that delivers it, and it is charged', async () => {
    const scene = await lab.prepare({ drones: 0, account: { carrier: true, carrierCapCents: 10_000 } });
    const delivery = await ordered(lab, 'picked_up', scene);
    const orphans = await terminate(lab, delivery);
    await repaired(lab, delivery, orphans);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'delivered', charge: delivery.price });
  }, 120_000);

  it('is left to its workflow again when that is reset: the reconciler asks no more', async () => {
    const { delivery, asked: id } = await crashedWithPackage();
    const question = await askedAnew(delivery, id);
    await reset(lab, delivery);
    expect(await reconciled(lab, delivery)).toMatchObject({ outcome: 'carried' });
    await lab.until('its workflow asks', async () => {
      const open = (await openQuestions(delivery)).map((one) => one.id);
      return open.includes(id) && !open.includes(question.id);
    });
    await delivery.order('resolveIntervention', {
      interventionId: id,
      answer: 'returned',
      why: 'seen on site',
      actor: { role: 'operator', id: 'jo' },
    });
    await lab.until('it is complete', async () => (await delivery.read()).complete);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'returned' });
  }, 120_000);
});

describe('a service that is down while a terminated delivery is undone', () => {
  it('holds up none of the others, and becomes a case of its own, which closes by itself', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    lab.faults.arm({ activity: 'voidPackages', how: 'down' });
    await beginRepair(delivery);
    await lab.until('all else is undone', async () =>
      (await delivery.held()).every((one) => one.startsWith('package')),
    );
    const question = await untilAsked(lab, delivery);
    expect(question).toMatchObject({ kind: 'compensation:packages', answers: [] });
    expect(question.reason).toContain('has not succeeded so far');
    lab.faults.clear();
    await reconciled(lab, delivery);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'failed', compensation: 'complete' });
    // What is done while the reconciler waits is not done again.
    const undone = (await delivery.events()).filter(({ type }) => type === 'delivery.compensated');
    const steps = undone.map(({ data }) => data['step']);
    expect(steps).toEqual([...new Set(steps)]);
    expect(reconcilersCallsOf(delivery, 'voidPackages').filter(({ result }) => result === 'ok')).toHaveLength(
      1,
    );
    // Nor is a question closed twice.
    const closing = lab.faults
      .callsOf(reconcileWorkflowId(delivery.id))
      .filter(({ activity, result }) => activity === 'appendEvents' && result === 'failed');
    expect(closing).toEqual([]);
  }, 120_000);

  it('and does not even say what it holds: what the others hold is undone, and nothing is complete before it is known', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    await delivery.handle.terminate('the customer called');
    const down = vi
      .spyOn(lab.clients.package, 'listRegistered')
      .mockRejectedValue(new Problem('unavailable', { detail: 'down, says the test' }));
    try {
      const orphan = { deliveryId: delivery.id, accountId: delivery.scene.accountId } as Orphan;
      await repair(lab.temporal, lab.taskQueue, [orphan]);
      await lab.until('the money is given back', async () => (await chargesOf(delivery))[0] === 'voided');
      const question = await untilAsked(lab, delivery);
      expect(question).toMatchObject({ kind: 'compensation:package', answers: [] });
      expect(await delivery.read()).toMatchObject({ status: 'failed', complete: false });
    } finally {
      down.mockRestore();
    }
    await reconciled(lab, delivery);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'failed', compensation: 'complete' });
  }, 240_000);
});

describe('what arrives late for a delivery that is complete', () => {
  it('and is refused for good: a person is asked, and it stays complete', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    await delivery.cancel();
    await delivery.untilComplete();
    const { accountId } = delivery.scene;
    const body = { account_id: accountId, delivery_id: delivery.id, livemode: false, amount: delivery.price };
    await lab.clients.account.authorize({ body }, { idempotencyKey: `${delivery.id}/authorize/2` });
    lab.faults.arm({ activity: 'voidAuthorization', how: 'refuse' });
    expect(await repair(lab.temporal, lab.taskQueue, await orphansOf(lab, delivery))).toEqual([delivery.id]);
    const question = await untilAsked(lab, delivery);
    expect(question).toMatchObject({ kind: 'compensation:authorization', answers: [] });
    expect(await delivery.read()).toMatchObject({ complete: true, compensation: 'complete' });
    lab.faults.clear();
    await reconciled(lab, delivery);
    expect(await expectSettled(delivery)).toMatchObject({ status: 'cancelled', compensation: 'complete' });
    // Its end is told once.
    const ends = (await delivery.events()).filter(({ type }) => type === 'delivery.compensation_complete');
    expect(ends).toHaveLength(1);
  }, 120_000);
});

describe('a delivery that ended well', () => {
  it('leaves no orphan though its drone still flies home', async () => {
    const delivery = await lab.start();
    await lab.until('it is complete', async () => (await delivery.read()).complete);
    await delivery.handle.result();
    const { data } = await lab.clients.drone.listReservations({
      query: { delivery_id: delivery.id, open: true },
    });
    expect(data).toMatchObject([{ state: 'committed', homeward: true }]);
    expect(await orphansOf(lab, delivery)).toEqual([]);
  }, 120_000);
});

describe('the schedule of the sweep', () => {
  it('is made once, takes another interval, stays paused, runs when triggered, and goes when it is not wanted', async () => {
    const handle = lab.temporal.schedule.getHandle(RECONCILE_SCHEDULE);
    const ensure = (everyS: number) => ensureReconcileSchedule(lab.temporal, lab.taskQueue, everyS);
    await ensure(0);
    await ensure(3600);
    await handle.pause('maintenance');
    await Promise.all([ensure(7200), ensure(7200)]);
    const described = await handle.describe();
    expect(described.spec.intervals).toMatchObject([{ every: 7_200_000 }]);
    expect(described.state).toMatchObject({ paused: true, note: 'maintenance' });
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    await delivery.handle.terminate();
    await handle.trigger();
    await lab.until('the sweep has repaired it', async () => (await delivery.read()).complete);
    expect(await delivery.read()).toMatchObject({ failure_reason: 'workflow_terminated' });
    await ensure(0);
    await expect(handle.describe()).rejects.toThrow(ScheduleNotFoundError);
  }, 120_000);

  it('is not held up by a sweep whose worker has died', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    await delivery.handle.terminate();
    lab.faults.arm({ activity: 'sweepOrphans', how: 'hang', times: 1 });
    const sweep = await lab.temporal.workflow.start(RECONCILE_SWEEP_WORKFLOW, {
      taskQueue: lab.taskQueue,
      workflowId: `${RECONCILE_SCHEDULE}-of-a-dead-worker`,
    });
    expect(await sweep.result()).toMatchObject({ repairing: [delivery.id] });
    expect(lab.faults.calls.filter(({ activity }) => activity === 'sweepOrphans').at(-2)).toMatchObject({
      hit: true,
    });
    await lab.until('the sweep has repaired it', async () => (await delivery.read()).complete);
  }, 120_000);
});

describe('the reconciler', () => {
  it('leaves a delivery alone whose workflow lives, and one that left nothing', async () => {
    const living = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    const [orphan] = [{ deliveryId: living.id, accountId: living.scene.accountId } as Orphan];
    await repair(lab.temporal, lab.taskQueue, [orphan]);
    const handle = lab.temporal.workflow.getHandle(reconcileWorkflowId(living.id));
    expect(await handle.result()).toEqual({ outcome: 'carried', undone: [] });
    await living.cancel();
    await living.untilComplete();
    await repair(lab.temporal, lab.taskQueue, [orphan]);
    expect(await lab.temporal.workflow.getHandle(reconcileWorkflowId(living.id)).result()).toEqual({
      outcome: 'nothing_left',
      undone: [],
    });
  }, 120_000);

  it('looks before it acts: once the delivery’s workflow is reset it does nothing more for it', async () => {
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    const orphans = await terminate(lab, delivery);
    lab.faults.arm({ activity: 'voidPackages', how: 'refuse', of: reconcileWorkflowId(delivery.id) });
    expect(await repair(lab.temporal, lab.taskQueue, orphans)).toEqual([delivery.id]);
    const tries = () => reconcilersCallsOf(delivery, 'voidPackages').length;
    // It waits longer and longer between two: long enough for the reset, once it has looked what came of the last one.
    const isWaiting = () => {
      const last = lab.faults.callsOf(reconcileWorkflowId(delivery.id)).at(-1);
      return last?.activity === 'examineDelivery' && last.result === 'ok';
    };
    await lab.until('it has tried often', () => tries() >= 5 && isWaiting(), { withinMs: 60_000 });
    // Its own workflow lives until it has been seen to.
    lab.faults.arm({ activity: 'voidPackages', how: 'down', of: delivery.id });
    await reset(lab, delivery);
    const before = tries();
    expect(await reconciled(lab, delivery)).toMatchObject({ outcome: 'carried' });
    expect(tries()).toBe(before);
    lab.faults.clear();
    await lab.until('it is complete', async () => (await delivery.read()).complete);
    await expectSettled(delivery);
  }, 240_000);

  it('does not undo by itself what Temporal does not know: it may be Temporal that forgot', async () => {
    const scene = await lab.prepare();
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(scene));
    const carriers = temporalCarriers(lab.temporal);
    const orphans = await findOrphans(lab.clients, { ...carriers, ofDelivery: async () => 'missing' });
    const own = orphans.filter(({ deliveryId }) => deliveryId === delivery.id);
    expect(kindsOf(own)).toEqual(['authorization', 'delivery', 'packages', 'waiting_place']);
    expect(own.some(isSafeToRepair)).toBe(false);
    await delivery.cancel();
  }, 120_000);
});
