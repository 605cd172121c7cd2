/** Step 4: the best drone, or the wait for one, or nobody: then the carrier takes over if it may. */
import { patched } from '@temporalio/workflow';
import type { FailureReason } from '../../services/delivery/contract/status.ts';
import { REASSIGN_CROSSES, REASSIGNING } from './assigned-drone.ts';
import { changeUnassigned } from './change-dropoff.ts';
import { failed } from './endings.ts';
import { continueWhenLong, waitPatiently } from './patience.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { leaseS, move, takeOffTimeMs } from './schedule.ts';

/** No drone does it: why, for the carrier or, where none is allowed, for the failure. */
export interface Instead {
  reason: FailureReason;
  detail: string;
}

/** `rescheduled`: the pickup was moved meanwhile, and no drone is held. */
type Found = DroneAssignment | { by: 'carrier'; instead: Instead } | { by: 'rescheduled' };

/**
 * Reserves a drone. None free: the delivery waits for one, until its deadline.
 * @throws {Ended} cancelled; failed, when no drone can do it and the account allows no carrier
 */
export async function findDrone(run: DeliveryRun): Promise<Found> {
  const found = await lookForDrone(run);
  run.awaiting = undefined;
  return found;
}

async function lookForDrone(run: DeliveryRun): Promise<Found> {
  const { record, happenings, compensations, input } = run;
  // One drone after the other may fail, without a wait between them.
  await continueWhenLong(run);
  // An earlier run may have begun to wait.
  if (run.awaiting === undefined) {
    if (!isOver(run) && (await pauseAfterFailures(run)) === 'rescheduled') return { by: 'rescheduled' };
    // The pause may have been all the time there was.
    if (isOver(run)) {
      return instead(run, {
        reason: 'drone_lost',
        detail: `${failuresOf(run)} drones failed one after the other.`,
      });
    }
  }
  if (record.repetition.isByCarrier) {
    return {
      by: 'carrier',
      instead: { reason: 'no_drone_available', detail: 'A carrier was booked before.' },
    };
  }
  const untilMs = run.awaiting?.giveUpAtMs ?? searchUntil(run);
  run.awaiting ??= { giveUpAtMs: undefined, place: undefined };
  const { awaiting } = run;
  for (;;) {
    const reserveKey = record.key('reserve');
    const ordinal = reserveKey.slice(reserveKey.lastIndexOf('/') + 1);
    const release = `release_drone/${ordinal}`;
    const lease_s = leaseS(run);
    const reserve = compensations.prepare('reserveDrone', {
      name: release,
      input: {
        key: reserveKey,
        ...run.ids,
        pickup: input.pickup.location,
        dropoff: run.dropoff.location,
        payload_kg: run.payloadKg,
        package_sizes: input.packages.map((one) => one.size),
        clock: input.clock,
        expedited: input.expedited,
        wait: true,
        exclude_drone_ids: run.failedDrones,
        ...(run.pickupWindow && { pickup_from: run.pickupWindow.start, pickup_by: run.pickupWindow.end }),
        ...(input.deadline !== null && { deliver_by: input.deadline }),
        ...(lease_s !== undefined && { lease_s }),
      },
      summary: `reserve the best drone (try ${ordinal})`,
      undo: { kind: 'release_drone', reserveKey },
      leaves: 'A drone may still be reserved for it.',
    });
    happenings.expectDrone();
    record.waiting('the drone service', null);
    const { orders } = happenings;
    // No drone is assigned that could be replaced; only in deliveries from before may one still be asked for here.
    if (orders.reassignIsPending && patched(REASSIGN_CROSSES)) orders.answerReassign(REASSIGNING);
    const interrupts = { byReschedule: true, byReassign: orders.reassignIsPending };
    const answer = await happenings.interruptible(reserve, interrupts);
    if (answer === 'interrupted') {
      if (happenings.cancelIsPending()) throw run.cancelled('cancelled_before_dispatch');
      await compensations.undo(release);
      if (awaiting.place !== undefined) await compensations.undo(awaiting.place);
      return { by: 'rescheduled' };
    }
    // An earlier refusal left nothing but a place on the waiting list, which this answer has replaced.
    if (awaiting.place !== undefined) compensations.discharge(awaiting.place);
    awaiting.place = undefined;

    switch (answer.outcome) {
      case 'reserved': {
        const reservedAtMs = record.repetition.reservedAtMs(reserveKey) ?? record.nowMs();
        const takeOffAtMs = takeOffTimeMs(run, Date.parse(answer.eta.pickup_at), reservedAtMs);
        const waitMs = takeOffAtMs - reservedAtMs;
        return {
          by: 'drone',
          reserveKey,
          release,
          recall: `recall_drone/${ordinal}`,
          reservationId: answer.reservation_id,
          reservationToken: answer.reservation_token,
          droneId: answer.drone_id,
          baseId: answer.base_id,
          takeOffAtMs,
          pickupEtaMs: Date.parse(answer.eta.pickup_at) + waitMs,
          dropoffEtaMs: Date.parse(answer.eta.dropoff_at) + waitMs,
        };
      }
      case 'infeasible':
        return instead(run, answer);
      case 'released':
        // Of a run that was reset: it had a drone and gave it back.
        if (run.resets.mustLearn()) await run.resets.known();
        if (!record.repetition.isReset) {
          throw failed('step_failed', 'The reservation had been released before it was made.');
        }
        compensations.discharge(release);
        continue;
      case 'unavailable':
        // An old answer: since then a newer step has taken the place in the line.
        if (answer.left_line === true) {
          compensations.discharge(release);
          continue;
        }
        awaiting.place = release;
        record.repetition.standsInLine();
        if (record.status !== 'awaiting_drone') {
          await record.change('awaiting_drone', {
            patch: { delayed: true, delay_reason: 'no_drone' },
            data: { detail: answer.detail },
          });
          record.showPhase();
        }
    }

    // Before, it counted from when it had begun to ask: the more of the wait was gone, the longer the answer took.
    awaiting.giveUpAtMs ??= patched('waits-from-the-refusal') ? searchUntil(run) : untilMs;
    const happening = await waitPatiently(run, 'a free drone', awaiting.giveUpAtMs);
    if (happening.kind === 'cancel') throw run.cancelled('cancelled_before_dispatch');
    if (happening.kind === 'reschedule') {
      const giveUpPlace = () => compensations.undo(release);
      if (await move(run, happening.asked, giveUpPlace)) return { by: 'rescheduled' };
    }
    // It asks anew, for a drone that can go there.
    if (happening.kind === 'dropoff') await changeUnassigned(run, happening.asked);
    if (happening.kind === 'deadline') {
      await compensations.undo(release);
      return instead(run, { reason: 'no_drone_available', detail: answer.detail });
    }
  }
}

/** Drones that failed on it. One that an operator took from it did not. */
const failuresOf = ({ record, reassignments }: DeliveryRun): number => record.state.attempt - reassignments;

/** Deliveries from before were given up after so many drones. */
const ATTEMPTS_BEFORE = 5;
/** So many drones are replaced at once; then it takes longer and longer, seconds of the delivery's clock. */
const REPLACED_AT_ONCE = 2;
const FIRST_PAUSE_S = 5;
const LONGEST_PAUSE_S = 60;

const ENDLESS = 'replaced-until-the-deadline';

/** Drones have failed, and another one would not be in time any more, or is one more than its policy allows. */
function isOver(run: DeliveryRun): boolean {
  const { policy, record } = run;
  const failures = failuresOf(run);
  if (policy.maxAttempts !== undefined && failures >= policy.maxAttempts) return true;
  if (failures > 0 && record.nowMs() >= giveUpAt(run)) return patched(ENDLESS);
  return policy.maxAttempts === undefined && failures >= ATTEMPTS_BEFORE && !patched(ENDLESS);
}

/**
 * A fleet that all fails is not used up in a moment: what is wrong with it, the weather perhaps, may pass or be seen by somebody.
 * @throws {Ended} cancelled
 */
async function pauseAfterFailures(run: DeliveryRun): Promise<'over' | 'rescheduled'> {
  const { record } = run;
  const more = failuresOf(run) + run.unsentInARow - REPLACED_AT_ONCE;
  if (more <= 0 || record.repetition.isUnderWay || record.status !== 'awaiting_drone' || !patched(ENDLESS))
    return 'over';
  const pauseS = Math.min(FIRST_PAUSE_S * 2 ** (more - 1), LONGEST_PAUSE_S);
  const untilMs = Math.min(record.nowMs() + pauseS * 1000, giveUpAt(run));
  for (;;) {
    const happening = await waitPatiently(run, 'a free drone', untilMs);
    if (happening.kind === 'cancel') throw run.cancelled('cancelled_before_dispatch');
    if (happening.kind === 'reschedule' && (await move(run, happening.asked))) return 'rescheduled';
    if (happening.kind === 'dropoff') await changeUnassigned(run, happening.asked);
    if (happening.kind === 'deadline') return 'over';
  }
}

/** Until when a drone is of any use: until the sender's window is over, or the deadline can no longer be met. */
function giveUpAt({ input, policy, authorized, record, pickupWindow }: DeliveryRun): number {
  const windowEndMs = pickupWindow === null ? Number.POSITIVE_INFINITY : Date.parse(pickupWindow.end);
  if (input.deadline === null) {
    return pickupWindow === null ? record.nowMs() + policy.awaitDroneS * 1000 : windowEndMs;
  }
  const carrierLeadMs = authorized?.preferences.carrier_fallback === true ? policy.carrierLeadS * 1000 : 0;
  return Math.min(windowEndMs, Date.parse(input.deadline) - carrierLeadMs);
}

/**
 * Until when a free drone is waited for, from now on. With a carrier to fall back on, early enough for it to be there while the
 * sender is; but a drone is asked for first.
 */
function searchUntil(run: DeliveryRun): number {
  const { pickupWindow, policy, authorized, record } = run;
  const untilMs = giveUpAt(run);
  const hasCarrier = authorized?.preferences.carrier_fallback === true;
  if (pickupWindow === null || !hasCarrier || !patched('give-up-in-time-for-a-carrier')) return untilMs;
  const forCarrierMs = Date.parse(pickupWindow.end) - policy.carrierPickupLeadS * 1000;
  return Math.min(untilMs, Math.max(forCarrierMs, record.nowMs()));
}

/** The carrier takes over if the account allows one. @throws {Ended} failed, if not */
function instead(run: DeliveryRun, why: Instead): Found {
  if (run.authorized?.preferences.carrier_fallback !== true) throw failed(why.reason, why.detail);
  return { by: 'carrier', instead: { reason: why.reason, detail: why.detail } };
}
