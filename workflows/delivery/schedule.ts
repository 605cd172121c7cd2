/**
 * The pickup window: the delivery sleeps until shortly before it, its drone takes off in time for its start, and until then the
 * window can be moved, also earlier.
 */
import { sameWindow } from '../../services/delivery/contract/schedule.ts';
import { isoTime } from '../../shared/clock.ts';
import { nameOf, type ReassignDroneCommand, type RescheduleAnswer } from '../messages.ts';
import { grantReassign } from './assigned-drone.ts';
import { changeDropoffsAsAsked, changeUnassigned, changeUnsent } from './change-dropoff.ts';
import { waitPatiently } from './patience.ts';
import { type PendingReschedule, refusedReschedule } from './reschedules.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';

/** A lease outlives the take-off it waits for by this, seconds of the delivery's clock. */
const LEASE_SLACK_S = 10 * 60;

/**
 * Step 3: sleeps until the pickup window less the lead time. At once when there is no window, or it is near. Reschedules that
 * came before are applied first.
 * @throws {Ended} cancelled, which is free; failed, when the account no longer authorizes the price
 */
export async function untilPickupIsNear(run: DeliveryRun): Promise<void> {
  const { record, happenings } = run;
  happenings.reschedules.open();
  happenings.dropoffs.open();
  for (;;) {
    await moveAsAsked(run);
    await changeDropoffsAsAsked(run);
    const planAtMs = planningTimeMs(run);
    if (planAtMs === null || record.nowMs() >= planAtMs) return;
    if (record.status !== 'scheduled') {
      await record.change('scheduled', { data: { planned_at: isoTime(planAtMs) } });
      record.showPhase();
      continue;
    }
    const happening = await waitPatiently(run, 'the pickup window', planAtMs);
    if (happening.kind === 'cancel') throw run.cancelled('cancelled_before_dispatch');
    if (happening.kind === 'reschedule') await move(run, happening.asked);
    if (happening.kind === 'dropoff') await changeUnassigned(run, happening.asked);
  }
}

/**
 * The drone is reserved: waits on the ground until it has to take off to be there when the window begins.
 * @returns an operator's order to take another drone; `moved` when the pickup was moved meanwhile, or the dropoff to where this drone cannot go: it has been given back; `lost` when the drone says it cannot fly
 * @throws {Ended} cancelled
 */
export async function untilTakeOff(
  run: DeliveryRun,
  drone: DroneAssignment,
): Promise<'take_off' | 'moved' | 'lost' | ReassignDroneCommand> {
  const { record, happenings } = run;
  const giveBack = () => giveBackUnsent(run, drone);
  for (;;) {
    const asked = happenings.reschedules.take();
    if (asked) {
      if (await move(run, asked, giveBack)) return 'moved';
      continue;
    }
    const change = happenings.dropoffs.take();
    if (change) {
      if ((await changeUnsent(run, drone, change)) === 'other_drone') {
        await seekAnother(run, giveBack);
        return 'moved';
      }
      continue;
    }
    if (record.nowMs() >= drone.takeOffAtMs) break;
    const happening = await happenings.next('the time to take off', drone.takeOffAtMs);
    switch (happening.kind) {
      case 'cancel':
        throw run.cancelled('cancelled_before_dispatch');
      case 'reschedule':
        if (await move(run, happening.asked, giveBack)) return 'moved';
        break;
      case 'drone':
        if (happening.milestone.kind === 'failed') return 'lost';
        break;
      case 'dropoff':
        if ((await changeUnsent(run, drone, happening.asked)) === 'other_drone') {
          await seekAnother(run, giveBack);
          return 'moved';
        }
        break;
      case 'reassign':
        return happening.command;
      case 'deadline':
      case 'carrier':
      case 'answered':
      case 'abort':
      case 'native_cancel':
      case 'drone_available':
        break;
    }
  }
  happenings.reschedules.close('drone_dispatched');
  return 'take_off';
}

/** How long the reserved drone may have to wait on the ground, seconds; undefined: it is sent at once. */
export function leaseS({ pickupWindow, record }: DeliveryRun): number | undefined {
  if (pickupWindow === null) return undefined;
  const waitS = (Date.parse(pickupWindow.start) - record.nowMs()) / 1000;
  return waitS > 0 ? waitS + LEASE_SLACK_S : undefined;
}

/**
 * When a drone that would arrive at `pickupEtaMs`, had it been sent when it was reserved, has to be sent: then, or so much later that it
 * arrives with the window's start. All Unix milliseconds by the delivery's clock.
 */
export function takeOffTimeMs(
  { pickupWindow }: DeliveryRun,
  pickupEtaMs: number,
  reservedAtMs: number,
): number {
  if (pickupWindow === null) return reservedAtMs;
  return reservedAtMs + Math.max(0, Date.parse(pickupWindow.start) - pickupEtaMs);
}

/** When a drone is planned and reserved; null: without a window, at once. */
function planningTimeMs({ pickupWindow, policy }: DeliveryRun): number | null {
  return pickupWindow === null ? null : Date.parse(pickupWindow.start) - policy.pickupLeadS * 1000;
}

/** Applies every reschedule that waits. */
async function moveAsAsked(run: DeliveryRun): Promise<void> {
  for (;;) {
    const asked = run.happenings.reschedules.take();
    if (!asked) return;
    await move(run, asked);
  }
}

/**
 * Moves the pickup and answers. The same window again changes nothing, so it is no event.
 * @param before gives back what was taken for the old window, once it is clear that it moves
 * @returns whether it was moved
 */
export async function move(
  run: DeliveryRun,
  asked: PendingReschedule,
  before: () => Promise<unknown> = async () => undefined,
): Promise<boolean> {
  const { record } = run;
  const { pickupWindow: to, from, why, actor } = asked.command;
  const old = run.pickupWindow;
  if (from !== undefined && !sameWindow(from, old)) {
    asked.answer = refusedReschedule(
      'window_changed',
      'The pickup window has been changed since it was read.',
    );
    return false;
  }
  if (sameWindow(to, old)) {
    asked.answer = RESCHEDULED;
    return false;
  }
  await before();
  const by = nameOf(actor);
  await record.note('rescheduled', { data: { from: old, to, by, why }, patch: { pickup_window: to } });
  run.orderLog.tell(asked.command);
  run.pickupWindow = to;
  // A new window is a new wait for a drone.
  run.awaiting = undefined;
  // Whatever it waited for, or had promised, was for the old window.
  if (record.status === 'awaiting_drone' || record.status === 'confirmed') {
    await record.change('scheduled', {
      patch: {
        drone_id: null,
        attempt: record.state.attempt,
        delayed: false,
        delay_reason: null,
        eta: { status: 'pending', pickup_at: null, dropoff_at: null },
      },
    });
    record.showPhase({ baseId: null, pickupEta: null, dropoffEta: null });
  }
  asked.answer = RESCHEDULED;
  return true;
}

const RESCHEDULED: RescheduleAnswer = { outcome: 'rescheduled', reason: null, detail: null };

/** The delivery goes where its drone cannot: that is given back, and the delivery waits for one that can. */
async function seekAnother({ record }: DeliveryRun, giveBack: () => Promise<void>): Promise<void> {
  await giveBack();
  await record.change('awaiting_drone', {
    data: { detail: 'another drone is needed for the dropoff' },
    patch: {
      drone_id: null,
      attempt: record.state.attempt,
      eta: { status: 'pending', pickup_at: null, dropoff_at: null },
    },
  });
  record.showPhase({ baseId: null, pickupEta: null, dropoffEta: null });
}

/** A drone that was not sent yet does not count as tried. */
async function giveBackUnsent(run: DeliveryRun, drone: DroneAssignment): Promise<void> {
  const { record, happenings, compensations } = run;
  happenings.unfollow();
  record.state.droneId = null;
  record.state.attempt -= 1;
  await grantReassign(run, drone);
  await compensations.undo(drone.release);
}
