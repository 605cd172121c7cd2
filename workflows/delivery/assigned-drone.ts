/** What is done with a drone that is assigned: the delivery is confirmed, it is sent, called back, given back. */
import { patched } from '@temporalio/workflow';
import { isoTime } from '../../shared/clock.ts';
import type { DroneMilestoneSignal, ReassignDroneCommand } from '../messages.ts';
import type { Answer } from './orders.ts';
import { type DeliveryRun, type DroneAssignment, nameOf } from './run.ts';
import { plainStep } from './steps.ts';
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

/**
 * Uploads the mission. False when the drone service refused: this drone will not fly, another may. A cancel, or the wish for
 * another drone, interrupts it; whether the drone had been sent is then for the recall to say.
 */
export async function dispatch(run: DeliveryRun, drone: DroneAssignment): Promise<boolean> {
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
  if (answer === 'interrupted') return true;
  if (answer.outcome === 'refused') return false;
  drone.pickupEtaMs = Date.parse(answer.eta.pickup_at);
  drone.dropoffEtaMs = Date.parse(answer.eta.dropoff_at);
  return true;
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
  if (orders.reassignExcludesPresent && !failedDrones.includes(drone.droneId)) {
    failedDrones.push(drone.droneId);
  }
  orderLog.tell(command);
  orders.answerReassign(REASSIGNING);
  await record.note('reassign_requested', {
    data: { by: nameOf(command.actor), why: command.why, drone_id: drone.droneId },
  });
}

/** This drone does not do it: it is recalled and released, and the delivery waits for another. */
export async function giveBack(
  run: DeliveryRun,
  drone: DroneAssignment,
  why: string,
  order?: ReassignDroneCommand,
): Promise<'replace_drone'> {
  const { record, happenings, compensations } = run;
  if (order) run.reassignments += 1;
  if (!order || happenings.orders.reassignExcludesPresent) run.failedDrones.push(drone.droneId);
  run.orderLog.tell(order);
  record.state.droneId = null;
  happenings.unfollow();
  if (!order) await grantReassign(run, drone);
  await record.closeQuestions('another drone takes over');
  await record.change('awaiting_drone', {
    data: order
      ? {
          detail: why,
          released_drone_id: drone.droneId,
          by: nameOf(order.actor),
          why: order.why,
        }
      : { detail: why, failed_drone_id: drone.droneId },
    patch: {
      drone_id: null,
      delayed: true,
      delay_reason: order ? 'no_drone' : 'drone_failed',
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
 * @param isToBlame whether it is not asked again
 */
export async function returnUnloaded(
  run: DeliveryRun,
  drone: DroneAssignment,
  why: string,
  { isToBlame = true } = {},
): Promise<'replace_drone'> {
  const { record, happenings, compensations } = run;
  if (isToBlame) run.failedDrones.push(drone.droneId);
  record.state.droneId = null;
  happenings.unfollow();
  await record.closeQuestions('another drone takes over');
  await record.note('redispatch_failed', {
    data: { detail: why, failed_drone_id: drone.droneId },
    patch: {
      drone_id: null,
      delayed: true,
      delay_reason: 'drone_failed',
      eta: { status: 'pending', pickup_at: null, dropoff_at: null },
    },
  });
  record.showPhase({ baseId: null, dropoffEta: null });
  await compensations.undo(drone.recall);
  await compensations.undo(drone.release);
  return 'replace_drone';
}
