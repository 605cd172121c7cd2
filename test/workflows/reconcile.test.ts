/**
 * What a person can do to a workflow behind its back: terminate it, reset it. On the real Temporal server. After a terminate
 * the audit names what is held, the reconciler gives it back and says so; after a reset the delivery goes on as if nothing was.
 */
import { ScheduleNotFoundError } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { execaNode } from 'execa';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Carriers, temporalCarriers } from '../../audit/carriers.ts';
import { findOrphans, type Orphan, orphansOf as orphansOfOne } from '../../audit/orphans.ts';
import { isSafeToRepair, repair } from '../../audit/repair.ts';
import { orphanTable } from '../../audit/table.ts';
import {
  deliveryOfIntervention,
  INTERVENTION_ID_PATTERN,
} from '../../services/delivery/contract/interventions.ts';
import { canTransition, type DeliveryStatus } from '../../services/delivery/contract/index.ts';
import { ensureReconcileSchedule } from '../../workers/reconcile-schedule.ts';
import {
  RECONCILE_SCHEDULE,
  RECONCILE_SWEEP_WORKFLOW,
  type ReconcileOutcome,
  reconcileWorkflowId,
} from '../../workflows/messages.ts';
import { openFrontDoor } from './front-door.ts';
import { Lab, type LabDelivery, type Scene } from './lab.ts';

const RATE = 30;
let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ realTimeAtRate: RATE });
}, 120_000);
afterEach(() => lab.rest());
afterAll(() => lab.close());

/** Of this delivery: the lab's others are in the audit too. */
async function orphansOf(delivery: LabDelivery): Promise<Orphan[]> {
  const orphans = await findOrphans(lab.clients, temporalCarriers(lab.temporal));
  return orphans.filter(({ deliveryId }) => deliveryId === delivery.id);
}
const kindsOf = (orphans: readonly Orphan[]) => orphans.map(({ kind }) => kind).sort();

async function terminate(delivery: LabDelivery): Promise<Orphan[]> {
  expect(await orphansOf(delivery)).toEqual([]);
  await delivery.handle.terminate('the customer called');
  return orphansOf(delivery);
}

/** Repairs what is orphaned, lets the drones fly until it is done; everything is as it must be then. */
async function repaired(delivery: LabDelivery, orphans: readonly Orphan[]): Promise<ReconcileOutcome> {
  expect(await repair(lab.temporal, lab.taskQueue, orphans)).toEqual([delivery.id]);
  const handle = lab.temporal.workflow.getHandle(reconcileWorkflowId(delivery.id));
  const done: { outcome?: ReconcileOutcome; error?: unknown } = {};
  const waiting = handle.result().then(
    (outcome) => (done.outcome = outcome as ReconcileOutcome),
    (error: unknown) => (done.error = error),
  );
  await lab.until('it is reconciled', () => done.outcome !== undefined || done.error !== undefined);
  await waiting;
  if (done.error !== undefined) throw done.error as Error;
  expect(await orphansOf(delivery)).toEqual([]);
  await delivery.untilNothingHeld();
  await expectLegalTimeline(delivery);
  await lab.until('its drones are free', () => dronesAreFree(delivery.scene));
  return done.outcome!;
}

async function dronesAreFree({ droneIds }: Scene): Promise<boolean> {
  const drones = await Promise.all(
    droneIds.map((drone_id) => lab.clients.drone.getDrone({ params: { drone_id } })),
  );
  return drones.every(({ state }) => ['idle', 'charging', 'maintenance'].includes(state));
}

async function expectLegalTimeline(delivery: LabDelivery): Promise<void> {
  const events = await delivery.events();
  expect(events.map((event) => event.sequence)).toEqual(events.map((_, index) => index + 1));
  let at: DeliveryStatus = 'created';
  for (const { status } of events) {
    expect(status === at || canTransition(at, status)).toBe(true);
    at = status;
  }
}

async function grounded(scene: Scene): Promise<Scene> {
  for (const drone_id of scene.droneIds) {
    await lab.clients.drone.setDroneState({
      params: { drone_id },
      body: { state: 'maintenance', reason: 'inspection', by: 'test' },
    });
  }
  return scene;
}

async function ordered(status: DeliveryStatus, scene: Scene): Promise<LabDelivery> {
  if (status === 'arrived_at_pickup') {
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
  }
  const delivery = await scene.order();
  await delivery.untilStatus(status);
  // It is confirmed a moment before its drone has its mission.
  if (status === 'confirmed') {
    await lab.until('its drone has its mission', async () => {
      const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      return data.some(({ state }) => state === 'committed');
    });
  }
  return delivery;
}

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
      const delivery = await ordered(status, await scene());
      const orphans = await terminate(delivery);
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
      const { outcome, undone } = await repaired(delivery, orphans);
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
    },
    120_000,
  );

  it('with its package aboard: the drone brings that back to the sender before it comes home', async () => {
    const delivery = await ordered('enroute_to_dropoff', await lab.prepare());
    const { undone } = await repaired(delivery, await terminate(delivery));
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
    const delivery = await ordered('enroute_to_pickup', scene);
    const orphans = await terminate(delivery);
    expect(kindsOf(orphans)).toEqual(['authorization', 'booking', 'delivery', 'packages']);
    await repaired(delivery, orphans);
    expect(await delivery.read()).toMatchObject({ status: 'failed', complete: true });
  }, 120_000);

  it('while two services refuse for good: each is a case of its own, which says what to do and closes by itself', async () => {
    const delivery = await ordered('awaiting_drone', await grounded(await lab.prepare()));
    const orphans = await terminate(delivery);
    lab.faults.arm(
      { activity: 'voidPackages', how: 'refuse', times: 1 },
      { activity: 'voidAuthorization', how: 'refuse' },
    );
    const repairing = repaired(delivery, orphans);
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
    const delivery = await ordered('enroute_to_pickup', await lab.prepare());
    lab.faults.arm({ activity: 'voidPackages', how: 'down' });
    await delivery.cancel();
    await lab.until('it is being undone', () =>
      lab.faults.callsOf(delivery.id).some((call) => call.activity === 'voidPackages'),
    );
    const orphans = await terminate(delivery);
    lab.faults.clear();
    expect(kindsOf(orphans)).toEqual(expect.arrayContaining(['delivery', 'packages']));
    await repaired(delivery, orphans);
    const ended = await delivery.read();
    expect(ended).toMatchObject({ status: 'cancelled', failure_reason: null, complete: true });
    const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } });
    expect(ended.charge?.amount).toBe(data.reduce((sum, one) => sum + (one.captured?.amount ?? 0), 0));
  }, 120_000);

  it('once it is delivered and not yet charged: it is charged, and stays delivered', async () => {
    lab.faults.arm({ activity: 'capture', how: 'down' });
    const delivery = await ordered('delivered', await lab.prepare());
    const orphans = await terminate(delivery);
    lab.faults.clear();
    expect(kindsOf(orphans)).toEqual(['authorization', 'delivery']);
    await repaired(delivery, orphans);
    expect(await delivery.read()).toMatchObject({
      status: 'delivered',
      compensation: 'none',
      charge: delivery.price,
      complete: true,
    });
  }, 120_000);

  it('once it is given up for lost and not yet credited: it is credited, and stays lost', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    lab.faults.arm({ activity: 'issueCreditNote', how: 'down' });
    const delivery = await scene.order({ declaredCents: 2_500 });
    const question = async () => (await delivery.read()).interventions.at(0)?.id;
    await lab.until('a person is asked', async () => (await question()) !== undefined);
    await delivery.handle.executeUpdate('resolveIntervention', {
      args: [
        {
          interventionId: await question(),
          answer: 'lost',
          why: 'burnt',
          actor: { role: 'operator', id: 'test' },
        },
      ],
    });
    await lab.until('all else is undone', async () =>
      (await delivery.held()).every((one) => /^res/.test(one)),
    );
    const orphans = await terminate(delivery);
    lab.faults.clear();
    for (const drone_id of scene.droneIds) {
      await lab.clients.drone.setDroneState({
        params: { drone_id },
        body: { state: 'maintenance', reason: 'fetched', by: 'test' },
      });
    }
    await repaired(delivery, orphans);
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
    const orphans = await terminate(delivery);
    lab.faults.clear();
    expect(kindsOf(orphans)).toEqual(['authorization', 'authorization', 'delivery']);
    await repaired(delivery, orphans);
    const ended = await delivery.read();
    expect(ended).toMatchObject({ status: 'delivered', charge: { amount: 739 }, complete: true });
    const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: delivery.id } });
    expect(data.map((one) => one.captured?.amount).sort()).toEqual([60, 679]);
  }, 120_000);

  it('is found and repaired by the sweep, whatever arrives late is repaired after it', async () => {
    const delivery = await ordered('awaiting_drone', await grounded(await lab.prepare()));
    const healthy = await ordered('awaiting_drone', await grounded(await lab.prepare()));
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
    expect(kindsOf(await orphansOf(delivery))).toEqual(['authorization']);
    expect((await sweep('2')).repairing).toEqual([delivery.id]);
    await lab.temporal.workflow.getHandle(reconcileWorkflowId(delivery.id)).result();
    expect(await orphansOf(delivery)).toEqual([]);
    const later = (await delivery.events()).slice(sequence);
    expect(later.map(({ type }) => type)).toEqual(['delivery.compensated']);
    expect((await delivery.read()).complete).toBe(true);
    expect(await healthy.read()).toMatchObject({ status: 'awaiting_drone', complete: false });
    expect((await sweep('3')).repairing).toEqual([]);
    await healthy.cancel();
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
    expect(await orphansOf(delivery)).toEqual([]);
  }, 120_000);
});

describe('npm run audit', () => {
  async function audit(args: string[] = [], env: Record<string, string> = {}) {
    const { exitCode, stdout, stderr } = await execaNode('audit/main.ts', ['-d', tmpdir(), ...args], {
      nodeOptions: ['--import', 'tsx'],
      env: { ...lab.environment, ...env },
      reject: false,
    });
    return { exitCode, stdout, stderr };
  }

  it('prints what is orphaned and ends with 1, repairs it when told to and ends with 0', async () => {
    expect(await audit()).toMatchObject({ exitCode: 0, stdout: 'Nothing is orphaned.' });
    const delivery = await ordered('awaiting_drone', await grounded(await lab.prepare()));
    await delivery.handle.terminate('by mistake');
    const found = await audit();
    expect(found.exitCode).toBe(1);
    for (const word of [delivery.id, delivery.scene.accountId, 'waiting place', 'terminated', '4 orphaned'])
      expect(found.stdout).toContain(word);
    const json = await audit(['--json']);
    expect(json.exitCode).toBe(1);
    expect(kindsOf(JSON.parse(json.stdout) as Orphan[])).toEqual(kindsOf(await orphansOf(delivery)));
    expect(await audit(['--repair', '--within', '60'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/Nothing is orphaned\.$/) as string,
    });
    expect(await delivery.read()).toMatchObject({ status: 'failed', complete: true });
  }, 120_000);

  it('prints what was lost before its first step, though nothing is held for it, and has it started again', async () => {
    const door = await openFrontDoor(lab, {});
    // Temporal has taken it, and lost its data.
    const starting = vi.spyOn(lab.workflows, 'start').mockResolvedValue('started');
    const env = { INGESTION_URL: door.ingestionUrl };
    try {
      const scene = await lab.prepare();
      const delivery = await door.order(await door.callerOf(scene), scene);
      await lab.until('it is printed', async () => (await audit([], env)).stdout.includes(delivery.id));
      const { exitCode, stdout } = await audit([], env);
      expect(exitCode).toBe(1);
      for (const word of ['missing', 'accepted and started', '1 orphaned']) expect(stdout).toContain(word);
      // One that is started while it is looked at is no orphan, nor is one that ingestion has not started.
      const ofDelivery = vi.fn<Carriers['ofDelivery']>().mockResolvedValue('running');
      ofDelivery.mockResolvedValueOnce('missing');
      const isUnstarted = async () => false;
      const carriers = { ...temporalCarriers(lab.temporal), ofDelivery, isUnstarted };
      expect(await orphansOfOne(lab.clients, carriers, delivery.id)).toEqual([]);
      starting.mockRejectedValue(new Error('Temporal is down, says the test'));
      const waiting = await door.order(await door.callerOf(scene), scene);
      expect((await audit([], env)).stdout).not.toContain(waiting.id);
      starting.mockRestore();
      expect(await audit(['--repair', '--within', '60'], env)).toMatchObject({ exitCode: 0 });
      for (const one of [delivery, waiting]) {
        await one.untilComplete();
        expect(await one.read()).toMatchObject({ status: 'delivered', complete: true });
      }
    } finally {
      starting.mockRestore();
      await door.close();
    }
  }, 240_000);

  it('ends with 2 when it cannot tell', async () => {
    const { exitCode, stderr } = await audit([], { DRONE_URL: 'http://127.0.0.1:1' });
    expect(exitCode).toBe(2);
    expect(stderr).not.toBe('');
  }, 60_000);
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
    const delivery = await ordered('awaiting_drone', await grounded(await lab.prepare()));
    await delivery.handle.terminate();
    await handle.trigger();
    await lab.until('the sweep has repaired it', async () => (await delivery.read()).complete);
    expect(await delivery.read()).toMatchObject({ failure_reason: 'workflow_terminated' });
    await ensure(0);
    await expect(handle.describe()).rejects.toThrow(ScheduleNotFoundError);
  }, 120_000);

  it('is not held up by a sweep whose worker has died', async () => {
    const delivery = await ordered('awaiting_drone', await grounded(await lab.prepare()));
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
    const living = await ordered('awaiting_drone', await grounded(await lab.prepare()));
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

  it('does not undo by itself what Temporal does not know: it may be Temporal that forgot', async () => {
    const scene = await lab.prepare();
    const delivery = await ordered('awaiting_drone', await grounded(scene));
    const carriers = temporalCarriers(lab.temporal);
    const orphans = await findOrphans(lab.clients, { ...carriers, ofDelivery: async () => 'missing' });
    const own = orphans.filter(({ deliveryId }) => deliveryId === delivery.id);
    expect(kindsOf(own)).toEqual(['authorization', 'delivery', 'packages', 'waiting_place']);
    expect(own.some(isSafeToRepair)).toBe(false);
    await delivery.cancel();
  }, 120_000);
});

describe('a delivery that is reset', () => {
  it.each(['awaiting_drone', 'enroute_to_pickup', 'enroute_to_dropoff'] as const)(
    'when %s, to its beginning: goes on, and every step has happened once',
    async (status) => {
      const scene = await lab.prepare();
      if (status === 'awaiting_drone') await grounded(scene);
      const delivery = await ordered(status, scene);
      await reset(delivery);
      expect(await orphansOf(delivery)).toEqual([]);
      if (status === 'awaiting_drone') {
        for (const drone_id of scene.droneIds) {
          await lab.clients.drone.setDroneState({
            params: { drone_id },
            body: { state: 'idle', reason: 'inspected', by: 'test' },
          });
        }
      }
      const { delivery: ended, outcome } = await delivery.untilComplete();
      expect(outcome.status).toBe('delivered');
      expect(ended).toMatchObject({ status: 'delivered', charge: delivery.price, complete: true });
      await delivery.untilNothingHeld();
      await expectLegalTimeline(delivery);
      const events = (await delivery.events()).map(({ type }) => type);
      expect(new Set(events).size).toBe(events.length);
      const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      expect(data).toHaveLength(1);
      expect(await orphansOf(delivery)).toEqual([]);
    },
    120_000,
  );

  it('after its drone was replaced: comes by another way to where it was, and goes on', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'motor_failure' });
    const delivery = await ordered('enroute_to_pickup', scene);
    await scene.addDrone();
    await lab.until('another drone is on its way', async () => {
      const { attempt, status } = await delivery.read();
      return attempt > 1 && status === 'enroute_to_pickup';
    });
    const before = await delivery.read();
    await reset(delivery);
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    expect(ended).toMatchObject({ status: 'delivered', drone_id: before.drone_id, charge: delivery.price });
    await expectLegalTimeline(delivery);
    expect(await orphansOf(delivery)).toEqual([]);
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
    expect((await delivery.events()).map(({ type }) => type)).toContain('delivery.overdue');
    await reset(delivery);
    lab.faults.clear();
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    expect(ended).toMatchObject({ status: 'delivered', charge: delivery.price });
    await expectLegalTimeline(delivery);
  }, 120_000);

  it('after it was terminated and reconciled: finds everything undone, and ends', async () => {
    const delivery = await ordered('enroute_to_pickup', await lab.prepare());
    await repaired(delivery, await terminate(delivery));
    const before = await delivery.read();
    await reset(delivery);
    await lab.until('it has ended', async () => (await delivery.handle.describe()).status.name !== 'RUNNING');
    expect((await delivery.handle.describe()).status.name).toBe('COMPLETED');
    expect(await delivery.read()).toMatchObject({ status: 'failed', charge: before.charge, complete: true });
    expect(await orphansOf(delivery)).toEqual([]);
  }, 120_000);
});

/** As the UI's *Reset* does: a new run from the first workflow task, to which signals and updates are applied again. */
async function reset({ handle, id }: LabDelivery): Promise<void> {
  const { events } = await handle.fetchHistory();
  const first = events?.find(
    ({ eventType }) => eventType === temporal.api.enums.v1.EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
  );
  const { runId } = await handle.describe();
  await lab.temporal.workflowService.resetWorkflowExecution({
    namespace: lab.server.namespace,
    workflowExecution: { workflowId: id, runId },
    reason: 'an operator tries again',
    workflowTaskFinishEventId: first!.eventId!,
    requestId: `reset-${id}`,
  });
}
