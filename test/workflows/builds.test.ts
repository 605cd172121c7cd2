/**
 * Two builds of the worker side by side on the real server: the code as it is, and the same with a change of the workflow. As
 * docs/deploying-workflows.md has it: started beside, promoted, the old one drained and stopped; and back again.
 */
import { type ReplayResult, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import proto from '@temporalio/proto';
import { execaNode } from 'execa';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Builds } from '../../deploy/builds/builds.ts';
import { buildTable } from '../../deploy/builds/table.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { PATCHED_PAUSE, PAUSE_PATCH } from '../replay/changes.ts';
import { commandsOf } from '../replay/commands.ts';
import { editedBundle } from '../replay/edited-bundle.ts';
import { REPLAY_KEYS, replayDataConverter } from '../replay/histories.ts';
import { Lab, type LabWorker } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

const RATE = 30;
const DEPLOYMENT = 'deliveries';
const OLD = '1.0.0';
const NEW = '1.1.0';
const SETUP_MS = 180_000;

let lab: Lab;
let builds: Builds;
let newBundle: Awaited<ReturnType<typeof editedBundle>>;
let oldWorker: LabWorker;
let newWorker: LabWorker;
const employOld = () => lab.employ({ version: { deploymentName: DEPLOYMENT, buildId: OLD } });
const employNew = () =>
  lab.employ({ bundle: newBundle, version: { deploymentName: DEPLOYMENT, buildId: NEW } });
beforeAll(async () => {
  const opening = Lab.open({
    realTimeAtRate: RATE,
    payloadKeys: REPLAY_KEYS,
    build: null,
  });
  [lab, newBundle] = await Promise.all([opening, editedBundle(PATCHED_PAUSE)]);
  builds = new Builds(lab.temporal, DEPLOYMENT);
  oldWorker = await employOld();
  // Temporal hears of a build with the first poll of its workers.
  await eventually(() => builds.promote(OLD));
}, SETUP_MS);
afterAll(() => lab.close());

/** Until it does not throw any more. */
async function eventually(act: () => Promise<void>): Promise<void> {
  for (const giveUpAtMs = Date.now() + 30_000; ;) {
    try {
      await act();
      return;
    } catch (error) {
      if (Date.now() > giveUpAtMs) throw error;
      await delay(100);
    }
  }
}

/** The build that carried out the last task of its workflow. */
async function buildOf({ handle }: LabDelivery): Promise<string | undefined> {
  const { raw } = await handle.describe();
  return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId ?? undefined;
}
const statusOf = async (buildId: string) =>
  (await builds.list()).find((one) => one.buildId === buildId)?.status;
const hasPatch = async ({ handle }: LabDelivery) =>
  commandsOf(await handle.fetchHistory()).some((one) => one.endsWith(PAUSE_PATCH));

/** Next door: what is shown here needs no long flight. */
const NEAR = { toPickupM: 300, toDropoffM: 300 };

async function waitingForADrone(): Promise<LabDelivery> {
  const scene = await lab.prepare();
  await setDrones(scene, 'maintenance');
  const delivery = await scene.order(NEAR);
  await delivery.untilStatus('awaiting_drone');
  return delivery;
}

async function setDrones({ droneIds }: LabDelivery['scene'], state: 'maintenance' | 'idle'): Promise<void> {
  for (const drone_id of droneIds) {
    await lab.clients.drone.setDroneState({
      params: { drone_id },
      body: { state, reason: 'inspection', by: 'test' },
    });
  }
}

/** Whatever was under way has ended well, once. */
async function expectDelivered(...deliveries: LabDelivery[]): Promise<void> {
  for (const delivery of deliveries) {
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    const events = await delivery.events();
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, index) => index + 1));
    expect(events.filter((event) => event.type === 'delivery.picked_up')).toHaveLength(1);
  }
}

it('a new build that is started beside the present one takes nothing until it is promoted', async () => {
  newWorker = await employNew();
  await eventually(async () => expect(await statusOf(NEW)).toBe('inactive'));
  expect(await statusOf(OLD)).toBe('current');
  const delivery = await waitingForADrone();
  expect(await buildOf(delivery)).toBe(OLD);
  expect(await hasPatch(delivery)).toBe(false);
  await expectCancelled(delivery);
  expect(await buildOf(delivery)).toBe(OLD);
}, 120_000);

it('promoted, it takes new deliveries and goes on with those under way; the old one drains and may be stopped', async () => {
  const [flying, waiting] = await Promise.all([lab.start(NEAR), waitingForADrone()]);
  await flying.untilStatus('enroute_to_pickup');
  expect([await buildOf(flying), await buildOf(waiting)]).toEqual([OLD, OLD]);

  await builds.promote(NEW);
  await eventually(async () => expect(await statusOf(OLD)).toBe('draining'));
  expect(await statusOf(NEW)).toBe('current');
  expect(await builds.neededFor(OLD)).toEqual([]);
  await oldWorker.stop();

  await setDrones(waiting.scene, 'idle');
  const late = await lab.start(NEAR);
  await expectDelivered(flying, waiting, late);
  expect([await buildOf(flying), await buildOf(waiting), await buildOf(late)]).toEqual([NEW, NEW, NEW]);
  // Those go on as they have begun.
  expect([await hasPatch(flying), await hasPatch(waiting), await hasPatch(late)]).toEqual([
    false,
    false,
    true,
  ]);
}, 120_000);

it('a build without the change can not replay what one with it has begun', async () => {
  const begun = await waitingForADrone();
  await expectCancelled(begun);
  const history = await begun.handle.fetchHistory();
  const { failureConverterPath } = replayDataConverter;
  const errorWith = async (bundle: typeof newBundle): Promise<ReplayResult['error']> => {
    const options = { workflowBundle: bundle, dataConverter: replayDataConverter };
    for await (const { error } of Worker.runReplayHistories(options, [{ workflowId: begun.id, history }])) {
      return error;
    }
    throw new Error('nothing was replayed');
  };
  expect(await errorWith(newBundle)).toBeUndefined();
  expect(await errorWith(await workflowBundle(failureConverterPath))).toBeInstanceOf(
    DeterminismViolationError,
  );
}, 120_000);

it('gone back to the old build, what the new one began waits unharmed, or goes on with it where it is pinned', async () => {
  const [begun, pinned] = await Promise.all([waitingForADrone(), waitingForADrone()]);
  await pin(pinned, NEW);
  oldWorker = await employOld();
  await eventually(() => builds.promote(OLD));
  await lab.until('the old build has tried', async () => {
    // The first task after the promotion may still go the old way.
    const { raw } = await begun.handle.describe();
    if (!raw.pendingWorkflowTask) await begun.handle.signal('droneAvailable');
    const { events } = await begun.handle.fetchHistory();
    return (events ?? []).some((event) => event.workflowTaskFailedEventAttributes);
  });
  expect((await begun.handle.describe()).status.name).toBe('RUNNING');

  // Its build is needed as long as it is open.
  await eventually(async () => {
    expect(await builds.neededFor(NEW)).toEqual(['open deliveries are pinned to it: 1']);
  });
  await expectCancelled(pinned);
  expect(await buildOf(pinned)).toBe(NEW);
  await eventually(async () => expect(await builds.neededFor(NEW)).toEqual([]));

  await builds.promote(NEW);
  await expectCancelled(begun);
  expect(await buildOf(begun)).toBe(NEW);
}, 120_000);

it('a build that ramps takes its share; one without workers is not promoted', async () => {
  await builds.ramp(OLD, 100);
  expect((await builds.list()).find((one) => one.buildId === OLD)).toMatchObject({
    status: 'ramping',
    rampPercent: 100,
  });
  const delivery = await waitingForADrone();
  expect(await buildOf(delivery)).toBe(OLD);
  await builds.ramp(OLD, 0);
  await expectCancelled(delivery);
  expect(await buildOf(delivery)).toBe(NEW);
  await expect(builds.promote('9.9.9')).rejects.toThrow();
}, 120_000);

it('the dispatcher sees what waits for the workers of the current build', async () => {
  await newWorker.stop();
  const scene = await lab.prepare({ drones: 0 });
  const waiting = await Promise.all([scene.order(NEAR), scene.order(NEAR), scene.order(NEAR)]);
  await eventually(async () => expect(await lab.workflows.tasksWaiting()).toBeGreaterThanOrEqual(3));
  newWorker = await employNew();
  await Promise.all(waiting.map((one) => one.untilComplete()));
}, 120_000);

describe('npm run builds', () => {
  const command = (...args: string[]) =>
    execaNode('deploy/builds/main.ts', args, {
      nodeOptions: ['--import', 'tsx'],
      env: { ...lab.environment, TEMPORAL_DEPLOYMENT_NAME: DEPLOYMENT },
      reject: false,
    });

  it('lists them, refuses to let the current one be stopped, and says when Temporal cannot be asked', async () => {
    const [json, refused, wrong] = await Promise.all([
      command('list', '--json'),
      command('may-stop', NEW),
      command('promote', '9.9.9'),
    ]);
    const listed = await builds.list();
    expect(JSON.parse(json.stdout)).toEqual(listed);
    expect(buildTable(listed, { colour: false })).toMatch(/│1\.1\.0 *│current/);
    expect(refused).toMatchObject({
      exitCode: 1,
      stderr: `The workers of ${NEW} must go on: it is the current build, promote another one first.`,
    });
    expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('9.9.9') as string });
  }, 120_000);
});

async function expectCancelled(delivery: LabDelivery): Promise<void> {
  await delivery.cancel();
  const { outcome } = await delivery.untilComplete();
  expect(outcome).toMatchObject({ status: 'cancelled', compensation: 'complete' });
  expect(await delivery.held()).toEqual([]);
}

/** As `temporal workflow update-options --versioning-override-behavior pinned` does. */
async function pin({ id }: LabDelivery, buildId: string): Promise<void> {
  const { PINNED_OVERRIDE_BEHAVIOR_PINNED } =
    proto.temporal.api.workflow.v1.VersioningOverride.PinnedOverrideBehavior;
  await lab.temporal.workflowService.updateWorkflowExecutionOptions({
    namespace: lab.server.namespace,
    workflowExecution: { workflowId: id },
    workflowExecutionOptions: {
      versioningOverride: {
        pinned: {
          behavior: PINNED_OVERRIDE_BEHAVIOR_PINNED,
          version: { deploymentName: DEPLOYMENT, buildId },
        },
      },
    },
    updateMask: { paths: ['versioning_override'] },
  });
}
