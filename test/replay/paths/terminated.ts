/** What people do behind a workflow's back: they terminate it, and the reconciler takes over. Only the real server knows all of it. */
import type { DeliveryStatus } from '../../../services/delivery/contract/index.ts';
import { isAskedByReconciler } from '../../../services/delivery/contract/interventions.ts';
import type { Failure } from '../../../simulator/aircraft.ts';
import {
  RECONCILE_SWEEP_WORKFLOW,
  RECONCILE_WORKFLOW,
  reconcileWorkflowId,
  RESOLVE_INTERVENTION_UPDATE,
} from '../../../workflows/messages.ts';
import { reset } from '../../workflows/reset-workflow.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import type { Path, Scenes } from './scenes.ts';

export async function reconciled({ lab }: Scenes, delivery: LabDelivery): Promise<string> {
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

/** What is terminated as a person does it, and not yet repaired. */
async function terminated(delivery: LabDelivery): Promise<LabDelivery> {
  await delivery.handle.terminate('recorded');
  return delivery;
}

/** Waits until the reconciler asks, and answers. */
async function answered(scenes: Scenes, delivery: LabDelivery, answer: string): Promise<string> {
  const reconciling = reconciled(scenes, delivery);
  const asked = async () =>
    (await delivery.read()).interventions.find(
      ({ id, resolved_at }) => resolved_at === null && isAskedByReconciler(id),
    );
  await scenes.lab.until('the reconciler asks', async () => (await asked()) !== undefined);
  await scenes.lab.temporal.workflow
    .getHandle(reconcileWorkflowId(delivery.id))
    .executeUpdate(RESOLVE_INTERVENTION_UPDATE, {
      args: [
        {
          interventionId: (await asked())?.id,
          answer,
          why: 'recorded',
          actor: { role: 'operator', id: 'recorder' },
        },
      ],
    });
  return reconciling;
}

const down = (scenes: Scenes, failure: Failure) =>
  scenes.withFailure({ failure, stage: 'to_dropoff' }, { declaredCents: 2_500 });

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
  'package-settled-as-it-came-back': async (scenes) =>
    reconciled(scenes, await terminated(await scenes.at('enroute_to_dropoff'))),
  'package-settled-as-nobody-had-it': async (scenes) =>
    reconciled(scenes, await terminated(await scenes.awaitingDrone())),
  'package-settled-as-its-drone-was-called-back': async (scenes) =>
    reconciled(scenes, await terminated(await scenes.loading())),
  'package-settled-as-its-carrier-delivers-it': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('picked_up');
    return reconciled(scenes, await terminated(delivery));
  },
  'package-settled-by-hand-on-the-ground': async (scenes) => {
    const delivery = await down(scenes, 'motor_failure');
    await scenes.untilAsked(delivery, 2);
    return answered(scenes, await terminated(delivery), 'delivered');
  },
  'package-settled-by-hand-in-its-drone': async (scenes) => {
    const delivery = await down(scenes, 'crash');
    await scenes.untilAsked(delivery);
    return answered(scenes, await terminated(delivery), 'returned');
  },
  'package-settled-as-lost-by-its-carrier': async (scenes) => {
    await scenes.lab.clients.carrier.setSimulation({ body: { fail_next_after_pickup: 1 } });
    const delivery = await scenes.byCarrier({ declaredCents: 2_500 });
    await scenes.untilAsked(delivery);
    scenes.lab.faults.arm({ activity: 'issueCreditNote', how: 'refuse', times: 1 });
    return answered(scenes, await terminated(delivery), 'lost');
  },
  'package-settled-and-a-service-refuses': async (scenes) => {
    const delivery = await terminated(await scenes.awaitingDrone());
    scenes.lab.faults.arm({ activity: 'voidPackages', how: 'refuse', times: 1 });
    return reconciled(scenes, delivery);
  },
  'package-settled-and-a-service-is-down': async (scenes) => {
    const delivery = await terminated(await scenes.awaitingDrone());
    return scenes.withoutReading('package', async () => {
      const reconciling = reconciled(scenes, delivery);
      await Promise.race([reconciling, scenes.untilAsked(delivery)]);
      return reconciling;
    });
  },
  'package-settled-and-a-drone-is-down': async (scenes) => {
    // It may have loaded, and is not heard any more: a person has to fetch it.
    const delivery = await terminated(await scenes.loadingInSilence(3_600));
    const [drone_id] = delivery.scene.droneIds;
    if (drone_id === undefined) throw new Error('no drone');
    const reconciling = reconciled(scenes, delivery);
    await Promise.race([reconciling, scenes.untilAsked(delivery)]);
    await scenes.lab.clients.drone.setDroneState({
      params: { drone_id },
      body: { state: 'maintenance', reason: 'fetched', package_aboard: false, by: 'recorder' },
    });
    return reconciling;
  },
  'package-left-to-its-workflow-again': async (scenes) => {
    const delivery = await down(scenes, 'crash');
    await scenes.untilAsked(delivery);
    const reconciling = reconciled(scenes, await terminated(delivery));
    await scenes.untilAsked(delivery, 2);
    await reset(scenes.lab, delivery);
    return reconciling;
  },
  // On the real server a timer may be cancelled in the moment it fires.
  'cancelled-at-the-deadline': async (scenes) => {
    const delivery = await scenes.awaitingDrone({ policy: { awaitDroneS: 30 } });
    await delivery.cancel();
    return delivery;
  },
};
