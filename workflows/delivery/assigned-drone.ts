/** What is done with a drone that is assigned: the delivery is confirmed, it is sent, called back, given back. */
import { patched } from '@temporalio/workflow';
import { isoTime } from '../../shared/clock.ts';
import { nameOf, type DroneMilestoneSignal, type ReassignDroneCommand } from '../messages.ts';
import type { Answer } from './orders.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { plainStep, type StepOutput } from './steps.ts';
import type { Eta } from '../../services/delivery/contract/index.ts';

export const REASSIGNED = 'an operator wants another drone';
export const REASSIGNING: Answer = {
  outcome: 'reassigning',
  reason: null,
  detail: 'The drone is recalled and released; another one is being reserved.',
};

/** Since when a wish for another drone is granted by whatever gives the drone back, and holds up no other step. */
export const REASSIGN_CROSSES = 'reassign-crosses-what-gives-back';

export async function confirm({ record, happenings }: DeliveryRun, drone: DroneAssignment): Promise<void> {
  happenings.follow(drone.reservationId, drone.reservationToken);
  record.state.attempt += 1;
  record.state.droneId = drone.droneId;
  await record.change('confirmed', {
    data: { fulfilment: 'drone', drone_id: drone.droneId, base_id: drone.baseId },
    patch: {
      fulfilment: 'drone',
      drone_id: drone.droneId,
      attempt: record.state.attempt,
      eta: {
        status: 'confirmed',
        pickup_at: isoTime(drone.pickupEtaMs),
        dropoff_at: isoTime(drone.dropoffEtaMs),
      },
    },
  });
  record.showPhase({
    fulfilment: 'drone',
    baseId: drone.baseId,
    pickupEta: new Date(drone.pickupEtaMs),
    dropoffEta: new Date(drone.dropoffEtaMs),
  });
}

export type NotDispatched = Extract<StepOutput<'dispatchDrone'>, { outcome: 'refused' }>;

/**
 * Uploads the mission. A cancel, or the wish for another drone, interrupts it; whether the drone had been sent is then for the
 * recall to say.
 * @returns why the drone service refused: this drone does not fly, another may; undefined when it has been sent
 */
export async function dispatch(run: DeliveryRun, drone: DroneAssignment): Promise<NotDispatched | undefined> {
  const { record, compensations, happenings, policy, input } = run;
  const dispatchDrone = compensations.prepare('dispatchDrone', {
    name: drone.recall,
    input: {
      key: record.key('dispatch'),
      reserve_key: drone.reserveKey,
      delivery_id: input.deliveryId,
      reservation_token: drone.reservationToken,
      pickup_wait_s: policy.loadingS,
      dropoff_hover_s: policy.dropoffHoverS,
      confirmation: input.confirmation ?? 'none',
    },
    summary: 'dispatch: upload the mission',
    undo: { kind: 'recall_drone', reserveKey: drone.reserveKey },
    leaves: `Drone ${drone.droneId} may still fly for it.`,
  });
  const answer = await happenings.interruptible(dispatchDrone);
  if (answer === 'interrupted') return undefined;
  if (answer.outcome === 'refused') return answer;
  run.unsentInARow = 0;
  drone.pickupEtaMs = Date.parse(answer.eta.pickup_at);
  drone.dropoffEtaMs = Date.parse(answer.eta.dropoff_at);
  return undefined;
}

/**
 * Whether a drone that was not sent is to blame for it. It is not where its reservation was over, for whatever reason, or where it has to
 * charge: it may be had for this delivery all the same. Before, each one was.
 */
export function isToBlame({ reason }: NotDispatched): boolean {
  return patched('a-refused-dispatch-tells-why') ? reason === 'drone_unfit' : true;
}

/** A drone that is not to blame could not be sent: it does not count as tried. */
export function countUnsent(run: DeliveryRun): void {
  run.record.state.attempt -= 1;
  run.unsentInARow += 1;
}

/** The drone was not sent: it is given back, and counts as tried only where it is to blame. */
export async function giveBackUndispatched(
  run: DeliveryRun,
  drone: DroneAssignment,
  refused: NotDispatched,
): Promise<'replace_drone'> {
  const why = 'the drone could not be dispatched';
  const { reason, detail } = refused;
  if (isToBlame(refused)) {
    run.failedDrones.push(drone.droneId);
    return letGo(
      run,
      drone,
      { detail: why, reason, why: detail, failed_drone_id: drone.droneId },
      'drone_failed',
    );
  }
  countUnsent(run);
  return letGo(
    run,
    drone,
    { detail: why, reason, why: detail, released_drone_id: drone.droneId },
    'no_drone',
  );
}

/** The pickup race, settled by the drone service. */
export async function recall({ record, input }: DeliveryRun, drone: DroneAssignment, reason: string) {
  const step = {
    key: record.key('recall'),
    reserve_key: drone.reserveKey,
    delivery_id: input.deliveryId,
    reason,
  };
  return (await plainStep('recallDrone', step, `recall the drone: ${reason}`)).outcome;
}

/**
 * The drone is given back for another reason than the wish of an operator that has just come: the wish is granted with that. It is
 * answered, and kept with who and why.
 */
export async function grantReassign(
  { record, happenings, failedDrones, orderLog }: DeliveryRun,
  drone: DroneAssignment,
) {
  const { orders } = happenings;
  const { reassignCommand: command } = orders;
  // Deliveries from before went round for ever: whatever was to interrupt a step did so, but nobody took it.
  if (!command || !patched(REASSIGN_CROSSES)) return;
  const excluded = orders.reassignExcludesPresent;
  if (excluded && !failedDrones.includes(drone.droneId)) failedDrones.push(drone.droneId);
  orderLog.tell(command);
  orders.answerReassign(REASSIGNING);
  await record.note('reassign_requested', {
    data: { by: nameOf(command.actor), why: command.why, drone_id: drone.droneId, excluded },
  });
}

/** This drone does not do it: it is recalled and released, and the delivery waits for another. */
export function giveBack(
  run: DeliveryRun,
  drone: DroneAssignment,
  why: string,
  order?: ReassignDroneCommand,
): Promise<'replace_drone'> {
  if (order) run.reassignments += 1;
  const excluded = run.happenings.orders.reassignExcludesPresent;
  if (!order || excluded) run.failedDrones.push(drone.droneId);
  run.orderLog.tell(order);
  if (!order) return letGo(run, drone, { detail: why, failed_drone_id: drone.droneId }, 'drone_failed');
  const by = { by: nameOf(order.actor), why: order.why };
  const data = { detail: why, released_drone_id: drone.droneId, excluded, ...by };
  return letGo(run, drone, data, 'no_drone', order);
}

/** @param data what the event says of it @param order the wish that it is let go for */
async function letGo(
  run: DeliveryRun,
  drone: DroneAssignment,
  data: Record<string, unknown>,
  delayReason: 'no_drone' | 'drone_failed',
  order?: ReassignDroneCommand,
): Promise<'replace_drone'> {
  const { record, happenings, compensations } = run;
  record.state.droneId = null;
  happenings.unfollow();
  if (!order) await grantReassign(run, drone);
  await record.closeQuestions('another drone takes over');
  await record.change('awaiting_drone', {
    data,
    patch: {
      drone_id: null,
      attempt: record.state.attempt,
      delayed: true,
      delay_reason: delayReason,
      eta: { status: 'pending', pickup_at: null, dropoff_at: null },
    },
  });
  record.showPhase({ baseId: null, pickupEta: null, dropoffEta: null });
  // Whoever asked for another drone meanwhile gets one.
  happenings.orders.answerReassign(REASSIGNING);
  // Either of them may be stuck. Another drone may be reserved all the same: this one was never sent, or its recall has been answered,
  // and the drone service lets no reservation load that was recalled.
  await compensations.undo(drone.recall);
  await compensations.undo(drone.release);
  return 'replace_drone';
}

/** When a drone that has turned round will be at the sender, as the drone service reckons. */
export function backTimeMs({ detail }: DroneMilestoneSignal): number | undefined {
  const at = detail['eta_return_at'];
  return typeof at === 'string' ? Date.parse(at) : undefined;
}

/** When the package is expected at the sender again. */
export function etaBack(backAtMs: number | undefined): Eta {
  return {
    status: backAtMs === undefined ? 'pending' : 'confirmed',
    pickup_at: null,
    dropoff_at: null,
    return_at: backAtMs === undefined ? null : isoTime(backAtMs),
  };
}

/** Another drone has been found for a package that lies where its first one set it down: it flies there. */
export async function announceTakeOver(
  { record, happenings, packageOnGround }: DeliveryRun,
  drone: DroneAssignment,
): Promise<void> {
  happenings.follow(drone.reservationId, drone.reservationToken);
  record.state.attempt += 1;
  record.state.droneId = drone.droneId;
  await record.note('redispatched', {
    data: { drone_id: drone.droneId, base_id: drone.baseId, package_at: packageOnGround?.location },
    patch: {
      drone_id: drone.droneId,
      attempt: record.state.attempt,
      delayed: true,
      delay_reason: 'drone_failed',
      eta: { status: 'confirmed', pickup_at: null, dropoff_at: isoTime(drone.dropoffEtaMs) },
    },
  });
  record.showPhase({ baseId: drone.baseId, dropoffEta: new Date(drone.dropoffEtaMs) });
}

/**
 * A drone that was to take the package over does not: it is recalled and released, and the package lies where it lay.
 * @param blamed whether it is not asked again
 * @param refused why it was not sent, when it was not
 */
export async function returnUnloaded(
  run: DeliveryRun,
  drone: DroneAssignment,
  why: string,
  { blamed = true, refused }: { blamed?: boolean; refused?: NotDispatched } = {},
): Promise<'replace_drone'> {
  const { record, happenings, compensations } = run;
  const isWilling = refused !== undefined && !blamed;
  if (blamed) run.failedDrones.push(drone.droneId);
  record.state.droneId = null;
  happenings.unfollow();
  await record.closeQuestions('another drone takes over');
  await record.note('redispatch_failed', {
    data: {
      detail: why,
      ...(refused && { reason: refused.reason, why: refused.detail }),
      [isWilling ? 'released_drone_id' : 'failed_drone_id']: drone.droneId,
    },
    patch: {
      drone_id: null,
      attempt: record.state.attempt,
      delayed: true,
      delay_reason: isWilling ? 'no_drone' : 'drone_failed',
      eta: { status: 'pending', pickup_at: null, dropoff_at: null },
    },
  });
  record.showPhase({ baseId: null, dropoffEta: null });
  await compensations.undo(drone.recall);
  await compensations.undo(drone.release);
  return 'replace_drone';
}
