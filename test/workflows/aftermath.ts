/**
 * What the tests of *Terminate* and *Reset* share: how a person does it, what is orphaned then, how it is repaired, and that
 * everything is as it must be in the end.
 */
import { expect } from 'vitest';
import { temporalCarriers } from '../../audit/carriers.ts';
import { findOrphans, type Orphan } from '../../audit/orphans.ts';
import { repair } from '../../audit/repair.ts';
import {
  canTransition,
  type DeliveryEvent,
  type DeliveryStatus,
  type Intervention,
} from '../../services/delivery/contract/index.ts';
import { type ReconcileOutcome, reconcileWorkflowId } from '../../workflows/messages.ts';
import type { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions, Scene } from './scene.ts';

export const kindsOf = (orphans: readonly Orphan[]) => orphans.map(({ kind }) => kind).sort();

/** Drones are there, and cannot be had. */
export async function grounded(scene: Scene): Promise<Scene> {
  await scene.setDrones('maintenance');
  return scene;
}

/** A delivery that has come so far; before the pickup it stays there. */
export async function ordered(
  lab: Lab,
  status: DeliveryStatus,
  scene: Scene,
  options: DeliveryOptions = {},
): Promise<LabDelivery> {
  if (status === 'arrived_at_pickup') {
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
  }
  const delivery = await scene.order(options);
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

/** Of this delivery: the lab's others are in the audit too. */
export async function orphansOf(lab: Lab, delivery: LabDelivery): Promise<Orphan[]> {
  const orphans = await findOrphans(lab.clients, temporalCarriers(lab.temporal));
  return orphans.filter(({ deliveryId }) => deliveryId === delivery.id);
}

/** Terminates it as a person does, and answers what that leaves. */
export async function terminate(
  lab: Lab,
  delivery: LabDelivery,
  why = 'the customer called',
): Promise<Orphan[]> {
  expect(await orphansOf(lab, delivery)).toEqual([]);
  await delivery.handle.terminate(why);
  return orphansOf(lab, delivery);
}

/** Repairs what is orphaned, lets the drones fly until it is done; everything is as it must be then. */
export async function repaired(
  lab: Lab,
  delivery: LabDelivery,
  orphans: readonly Orphan[],
): Promise<ReconcileOutcome> {
  expect(await repair(lab.temporal, lab.taskQueue, orphans)).toEqual([delivery.id]);
  const outcome = await reconciled(lab, delivery);
  expect(await orphansOf(lab, delivery)).toEqual([]);
  await delivery.untilNothingHeld();
  await expectLegalTimeline(delivery);
  await lab.until('its drones are free', () => dronesAreFree(lab, delivery.scene));
  return outcome;
}

/** Lets time pass until the reconciler is done with it. What a service did not say it may look for a minute later. */
export async function reconciled(lab: Lab, delivery: LabDelivery): Promise<ReconcileOutcome> {
  const result = lab.temporal.workflow.getHandle(reconcileWorkflowId(delivery.id)).result();
  let isDone = false;
  const done = () => {
    isDone = true;
  };
  result.then(done, done);
  await lab.until('it is reconciled', () => isDone, { withinMs: 90_000 });
  return result as Promise<ReconcileOutcome>;
}

async function dronesAreFree(lab: Lab, { droneIds }: Scene): Promise<boolean> {
  const drones = await Promise.all(
    droneIds.map((drone_id) => lab.clients.drone.getDrone({ params: { drone_id } })),
  );
  return drones.every(({ state }) => ['idle', 'charging', 'maintenance'].includes(state));
}

export async function expectLegalTimeline(delivery: LabDelivery): Promise<DeliveryEvent[]> {
  const events = await delivery.events();
  expect(events.map((event) => event.sequence)).toEqual(events.map((_, index) => index + 1));
  let at: DeliveryStatus = 'created';
  for (const { status } of events) {
    expect(status === at || canTransition(at, status)).toBe(true);
    at = status;
  }
  return events;
}

/** What people are asked about it now. */
export async function openQuestions(delivery: LabDelivery): Promise<Intervention[]> {
  return (await delivery.read()).interventions.filter(({ resolved_at }) => resolved_at === null);
}

/** Lets time pass until a person is asked something that is not among these. */
export async function untilAsked(
  lab: Lab,
  delivery: LabDelivery,
  known: readonly string[] = [],
): Promise<Intervention> {
  const questions = async () =>
    (await openQuestions(delivery)).filter(({ id }) => !known.some((one) => one === id));
  await lab.until('a person is asked', async () => (await questions()).length > 0);
  const [question] = await questions();
  if (!question) throw new Error('nobody is asked');
  return question;
}
