/** What people do behind a workflow's back: terminated ones and the reconciler, resets. Only the real server knows all of it. */
import proto from '@temporalio/proto';
import type { DeliveryStatus } from '../../../services/delivery/contract/index.ts';
import {
  RECONCILE_SWEEP_WORKFLOW,
  RECONCILE_WORKFLOW,
  reconcileWorkflowId,
} from '../../../workflows/messages.ts';
import type { LabDelivery } from '../../workflows/lab.ts';
import type { Path, Scenes } from './scenes.ts';

async function reconciled({ lab }: Scenes, delivery: LabDelivery): Promise<string> {
  const handle = await lab.temporal.workflow.start(RECONCILE_WORKFLOW, {
    workflowId: reconcileWorkflowId(delivery.id),
    taskQueue: lab.taskQueue,
    args: [{ deliveryId: delivery.id }],
  });
  let isDone = false;
  const ending = handle.result().finally(() => {
    isDone = true;
  });
  await Promise.all([ending, lab.until('it is reconciled', () => isDone)]);
  return handle.workflowId;
}

const terminatedWhen =
  (status: DeliveryStatus): Path =>
  async (scenes) => {
    const delivery = await scenes.at(status);
    await delivery.handle.terminate('recorded');
    if (status === 'confirmed') await delivery.scene.boardAll();
    return reconciled(scenes, delivery);
  };

/** As the UI's *Reset* does: a new run from the first workflow task, to which signals and updates are applied again. */
async function reset({ lab }: Scenes, { handle, id }: LabDelivery): Promise<void> {
  const { events } = await handle.fetchHistory();
  const { EVENT_TYPE_WORKFLOW_TASK_COMPLETED } = proto.temporal.api.enums.v1.EventType;
  const first = events?.find(({ eventType }) => eventType === EVENT_TYPE_WORKFLOW_TASK_COMPLETED);
  if (!first?.eventId) throw new Error('nothing to reset to');
  const { runId } = await handle.describe();
  await lab.temporal.workflowService.resetWorkflowExecution({
    namespace: lab.server.namespace,
    workflowExecution: { workflowId: id, runId },
    reason: 'recorded',
    workflowTaskFinishEventId: first.eventId,
    requestId: `reset-${id}`,
  });
}

export const TERMINATED: Readonly<Record<string, Path>> = {
  'reconciled-when-confirmed': terminatedWhen('confirmed'),
  'reconciled-when-enroute-to-pickup': terminatedWhen('enroute_to_pickup'),
  'reconciled-with-the-package-aboard': terminatedWhen('enroute_to_dropoff'),
  'reconciled-with-its-drone-down': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'motor_failure', stage: 'to_dropoff' });
    await scenes.untilAsked(delivery);
    await delivery.handle.terminate('recorded');
    const reconciling = reconciled(scenes, delivery);
    const [drone_id] = delivery.scene.droneIds;
    if (drone_id === undefined) throw new Error('no drone');
    await Promise.race([reconciling, scenes.untilAsked(delivery, 2)]);
    await scenes.lab.clients.drone.setDroneState({
      params: { drone_id },
      body: { state: 'maintenance', reason: 'fetched', by: 'recorder' },
    });
    return reconciling;
  },
  'reconciled-while-loading': async (scenes) => {
    const delivery = await scenes.loading();
    await delivery.handle.terminate('recorded');
    return reconciled(scenes, delivery);
  },
  'reconciled-when-waiting-for-a-drone': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    await delivery.handle.terminate('recorded');
    return reconciled(scenes, delivery);
  },
  'reconciled-with-a-carrier': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_pickup');
    await delivery.handle.terminate('recorded');
    return reconciled(scenes, delivery);
  },
  'reconciled-when-delivered-and-not-charged': async (scenes) => {
    const delivery = await scenes.stuckAt('capture');
    await delivery.handle.terminate('recorded');
    scenes.lab.faults.clear();
    return reconciled(scenes, delivery);
  },
  'reconciled-after-a-person-was-asked': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    await delivery.handle.terminate('recorded');
    scenes.lab.faults.arm({ activity: 'voidPackages', how: 'refuse', times: 1 });
    return reconciled(scenes, delivery);
  },
  'reconciled-nothing-as-it-lives': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    const id = await reconciled(scenes, delivery);
    await delivery.cancel();
    return id;
  },
  'reconciled-nothing-as-nothing-is-left': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    await delivery.cancel();
    await delivery.untilComplete();
    await delivery.untilNothingHeld();
    return reconciled(scenes, delivery);
  },
  sweep: async ({ lab }) => {
    const handle = await lab.temporal.workflow.start(RECONCILE_SWEEP_WORKFLOW, {
      workflowId: `sweep-${Date.now()}`,
      taskQueue: lab.taskQueue,
      args: [],
    });
    await handle.result();
    return handle.workflowId;
  },
  'reset-to-its-beginning': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    await reset(scenes, delivery);
    return delivery;
  },
  // On the real server a timer may be cancelled in the moment it fires.
  'cancelled-at-the-deadline': async (scenes) => {
    const delivery = await scenes.awaitingDrone({ policy: { awaitDroneS: 30 } });
    await delivery.cancel();
    return delivery;
  },
};
