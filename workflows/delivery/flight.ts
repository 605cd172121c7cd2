/** Steps 5 to 7 with a drone: confirmed, dispatched, then its milestones, each with its own deadline. */
import { patched } from '@temporalio/workflow';
import type { DeliveryPatch } from '../../services/delivery/contract/index.ts';
import { canTransition, type DeliveryStatus } from '../../services/delivery/contract/status.ts';
import type { AbortCommand, DroneMilestoneSignal, ResolveInterventionCommand } from '../messages.ts';
import {
  backTimeMs,
  confirm,
  dispatch,
  etaBack,
  giveBack,
  giveBackUndispatched,
  REASSIGNED,
} from './assigned-drone.ts';
import { refusal } from './cancels.ts';
import { Handover, waitsWhileDown } from './confirmation.ts';
import { DroneTrouble } from './drone-trouble.ts';
import type { Ending } from './endings.ts';
import { FlightProgress, type Next } from './flight-progress.ts';
import { cancelQuestion, isCancelQuestion, RETURNING, TURN_ROUND } from './native-cancel.ts';
import { authorizeReturn } from './money.ts';
import type { Answer } from './orders.ts';
import { PickupRace } from './pickup-race.ts';
import { placeOf } from './questions.ts';
import type { EventDetails } from './record.ts';
import { Reroute } from './reroute.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { untilTakeOff } from './schedule.ts';
import { Turning } from './turning.ts';
import { isReturning, WayBack } from './way-back.ts';

/** @returns the ending; `another_drone` when it has set the package down, which lies where `run.packageOnGround` says; `replace_drone` when this drone failed before the pickup, `rescheduled` when that was moved before it was sent */
export async function flyWithDrone(
  run: DeliveryRun,
  drone: DroneAssignment,
): Promise<Ending | 'replace_drone' | 'another_drone' | 'rescheduled'> {
  await confirm(run, drone);
  const waited = await untilTakeOff(run, drone);
  if (waited === 'moved') return 'rescheduled';
  if (waited === 'lost') return giveBack(run, drone, 'the drone failed before it was sent');
  if (waited !== 'take_off') return giveBack(run, drone, REASSIGNED, waited);
  const refused = await dispatch(run, drone);
  if (refused) return giveBackUndispatched(run, drone, refused);
  return new Flight(run, drone).follow();
}

const finite = (ms: number): number | null => (Number.isFinite(ms) ? ms : null);

export class Flight {
  private readonly run: DeliveryRun;
  private readonly drone: DroneAssignment;
  /** It flies to where another drone has set the package down. */
  private readonly takesOver: boolean;
  private readonly progress: FlightProgress;
  private readonly race: PickupRace;
  private readonly trouble: DroneTrouble;
  private readonly wayBack: WayBack;
  private readonly handover: Handover;
  /** Another dropoff that it was offered. */
  private readonly reroute: Reroute;
  private readonly turning: Turning;

  constructor(run: DeliveryRun, drone: DroneAssignment, { takesOver = false } = {}) {
    this.run = run;
    this.drone = drone;
    this.takesOver = takesOver;
    this.progress = new FlightProgress(run, drone.pickupEtaMs);
    this.race = new PickupRace(run, drone, { progress: this.progress, takesOver });
    this.trouble = new DroneTrouble(run, drone, this.progress);
    this.wayBack = new WayBack(run, drone, { progress: this.progress, trouble: this.trouble });
    this.handover = new Handover(run, drone);
    this.reroute = new Reroute(run, drone);
    this.turning = new Turning(run);
  }

  /** @throws {Ended} cancelled; failed */
  async follow(): Promise<Exclude<Next, 'on'>> {
    try {
      return await this.untilOver();
    } finally {
      this.reroute.leave();
    }
  }

  private async untilOver(): Promise<Exclude<Next, 'on'>> {
    const { happenings } = this.run;
    for (;;) {
      const lateMs = this.progress.untilMs;
      const untilMs = Math.min(lateMs, this.reroute.answerByMs, this.turning.answerByMs);
      const happening = await happenings.next(this.progress.waitingFor, finite(untilMs), finite(lateMs));
      let next: Next = 'on';
      switch (happening.kind) {
        case 'drone':
          next = await this.onMilestone(happening.milestone);
          break;
        case 'cancel':
          next = await this.race.onCancel();
          break;
        case 'deadline':
          await this.reroute.onTime();
          this.turning.onTime();
          if (this.run.record.nowMs() >= this.progress.untilMs) next = await this.onDeadline();
          break;
        case 'answered':
          next = await (isCancelQuestion(this.run.record, happening.command.interventionId)
            ? this.onCancelAnswer(happening.command)
            : this.trouble.onAnswer(happening.command));
          break;
        case 'reassign':
          next = await this.race.onReassign(happening.command);
          break;
        case 'abort':
          await this.onAbort(happening.command);
          break;
        case 'confirm':
          happenings.orders.answerConfirm(await this.onConfirm());
          break;
        case 'native_cancel':
          await cancelQuestion(this.run, 'drone');
          break;
        case 'dropoff':
          await this.reroute.begin(happening.asked);
          break;
        case 'reroute_answered':
          await this.reroute.onAnswer();
          break;
        case 'drone_available':
        case 'reschedule':
        case 'carrier':
          break;
      }
      if (next === 'replace_drone' || next === 'another_drone') this.reroute.putBack();
      if (next !== 'on') return next;
    }
  }

  private async onMilestone(milestone: DroneMilestoneSignal): Promise<Next> {
    const { record, happenings } = this.run;
    const { progress } = this;
    const occurredAtMs = Date.parse(milestone.occurredAt);
    const details = { occurredAtMs, data: { drone_id: milestone.droneId, milestone: milestone.kind } };
    this.trouble.lastSeen(milestone);
    if (milestone.kind !== 'failed' && milestone.kind !== 'set_down') {
      await this.trouble.heardAgain(milestone.kind);
    }
    await this.reroute.onMilestone(milestone);
    this.turning.onMilestone(milestone);
    switch (milestone.kind) {
      case 'took_off':
        await this.advance('enroute_to_pickup', milestone, details);
        return 'on';

      case 'arrived_at_pickup':
        await this.advance('arrived_at_pickup', milestone, details);
        progress.stage = 'at_pickup';
        this.race.arrivedAtPickup(occurredAtMs);
        return this.takesOver
          ? progress.expect('the package to be loaded')
          : progress.expect('the sender to load', this.loadingBeginsMs());

      case 'loaded': {
        this.race.won();
        progress.stage = 'loaded';
        this.run.packageOnGround = null;
        await this.advance('picked_up', milestone, details);
        if (happenings.cancelIsUnsettled) happenings.answerCancel(refusal('already_picked_up'));
        happenings.answerLate();
        const lateMs = Math.max(0, record.nowMs() - this.drone.pickupEtaMs);
        progress.expect('the drone at the dropoff', this.drone.dropoffEtaMs + lateMs);
        if (isReturning(record.status)) await this.wayBack.bringBack();
        return 'on';
      }

      case 'departed_pickup':
        // Flying again, it is late no longer: the new ETA is what counts.
        await this.advance('enroute_to_dropoff', milestone, {
          ...details,
          ...(this.takesOver && { patch: { delayed: false, delay_reason: null } }),
        });
        return 'on';

      case 'arrived_at_dropoff':
        await this.advance('arrived_at_dropoff', milestone, {
          ...details,
          ...this.handover.begin(occurredAtMs),
        });
        if (!this.handover.isAwaited) return progress.expect('the release at the dropoff');
        progress.expect('the recipient’s confirmation', occurredAtMs);
        // It may have been given while the drone before waited there.
        if (this.takesOver) await this.onConfirm();
        return 'on';

      case 'dropoff_blocked':
        return this.onBlocked(milestone);

      case 'released':
        return this.onReleased(details, milestone);

      case 'turned_back': {
        const backAtMs = backTimeMs(milestone) ?? this.wayBack.expectedAtMs;
        const { patch, ...ended } = this.handover.end(milestone);
        await this.advance('enroute_to_return', milestone, {
          ...details,
          ...ended,
          patch: { ...patch, eta: etaBack(backAtMs) },
        });
        this.wayBack.isLeaving = false;
        this.wayBack.hasTurnedBack = true;
        if (this.run.returnPrice === null) await authorizeReturn(this.run, milestone.position);
        return this.wayBack.expectBack(backAtMs ?? record.nowMs());
      }

      case 'arrived_at_return':
        await this.advance('arrived_at_return', milestone, details);
        return progress.expect('the release at the sender');

      case 'recalled_empty':
        return this.race.onRecalledEmpty();

      case 'failed':
        return this.onFailed(milestone);

      case 'set_down':
        return this.trouble.onSetDown(milestone, this.suspended());

      case 'rerouted':
        // From where it was when it took the other dropoff: as late as it was promised then.
        if (progress.stage === 'loaded') this.expectAtDropoff();
        return 'on';

      case 'reroute_refused':
      case 'landed':
        return 'on';
    }
  }

  /** The status as the milestone has it. A drone that takes over walks again where the delivery was before: an event says so. */
  private advance(to: DeliveryStatus, { kind }: DroneMilestoneSignal, details: EventDetails): Promise<void> {
    const { record } = this.run;
    const isAgain = this.takesOver && !canTransition(record.status, to);
    return isAgain ? record.note(`drone_${kind}`, details) : record.change(to, details);
  }

  private expectAtDropoff(): 'on' {
    const lateMs = Math.max(0, this.run.record.nowMs() - this.drone.dropoffEtaMs);
    return this.progress.expect('the drone at the dropoff', this.drone.dropoffEtaMs + lateMs);
  }

  /** A sender who named a window need not be there before it. */
  private loadingBeginsMs(): number {
    const { pickupWindow, record } = this.run;
    return Math.max(record.nowMs(), pickupWindow === null ? 0 : Date.parse(pickupWindow.start));
  }

  private async onReleased(
    details: { occurredAtMs: number; data: Record<string, unknown> },
    { detail }: DroneMilestoneSignal,
  ): Promise<Next> {
    const { record } = this.run;
    if (record.status === 'arrived_at_return') {
      await record.change('returned', details);
      return { status: 'returned', charged: 'returned' };
    }
    if (isReturning(record.status) && !this.wayBack.hasTurnedBack) {
      await this.trouble.ask(
        'drone_refused',
        `Drone ${this.drone.droneId} was to bring the package back, and has let go of it at the dropoff.`,
      );
      return 'on';
    }
    await record.change('delivered', {
      ...details,
      // A drone that did not wait for the recipient, although it was told to.
      ...(detail['unconfirmed'] === true && { data: { ...details.data, unconfirmed: true } }),
      patch: {
        // Handed over after all, whatever stood in the way before.
        ...(this.wayBack.isLeaving ? { left_unattended: true } : { undeliverable_reason: null }),
        ...(await this.handover.proven()),
      },
    });
    return { status: 'delivered', charged: 'delivered' };
  }

  private onBlocked({ occurredAt, detail }: DroneMilestoneSignal): Promise<Next> {
    return this.wayBack.undeliverable('dropoff_blocked', {
      occurredAtMs: Date.parse(occurredAt),
      data: detail,
    });
  }

  /** The recipient has given something, or the time for it is over. */
  private async onConfirm(isOver = false): Promise<Answer> {
    const { settled, answer } = await this.handover.settle(isOver);
    if (settled === 'lowering') this.progress.expect('the release at the dropoff');
    else if (settled === 'left') this.progress.expect('the drone to turn back');
    else if (settled === 'down') this.progress.expect('the release at the dropoff');
    else if (settled !== 'waiting') await this.wayBack.undeliverable(settled, {});
    return answer;
  }

  private async onDeadline(): Promise<Next> {
    switch (this.progress.stage) {
      case 'to_pickup':
        return this.race.onLateForPickup();
      case 'at_pickup':
        return this.race.isUndecided ? this.trouble.onStillOverdue() : this.race.onNothingLoaded();
      case 'loaded':
        // Of one that is down, or silent, it cannot be said that nobody was there for it.
        if (!this.handover.isAwaited || (this.trouble.isDown && waitsWhileDown())) {
          return this.trouble.onStillOverdue();
        }
        this.run.happenings.orders.answerConfirm(await this.onConfirm(true));
        return 'on';
    }
  }

  private async onFailed({ detail, position, droneId, occurredAt }: DroneMilestoneSignal): Promise<Next> {
    const { record } = this.run;
    const cause = typeof detail['cause'] === 'string' ? detail['cause'] : 'unknown';
    await record.note('drone_failed', {
      occurredAtMs: Date.parse(occurredAt),
      data: { drone_id: droneId, cause, position },
      // One that only fell silent may yet be told to let go.
      patch: { delayed: true, delay_reason: 'drone_failed', ...(cause !== 'link_lost' && this.suspended()) },
    });
    // Found with the package by whoever fetched it: no word of its own will say that it had loaded.
    const isAboard = detail['aboard'] === true && detail['aboard_certain'] !== false;
    if (this.progress.stage !== 'loaded' && !isAboard) return this.race.onFailed(cause);
    await this.trouble.ask(
      'drone_down',
      `Drone ${droneId} is down (${cause}) with the package aboard, last known at ${placeOf(position)}. ` +
        'Another drone can take it over when this one says that it has landed safely and set it down, or whoever fetches it does.',
    );
    return 'on';
  }

  /** It lies there: what was to be handed over waits for the drone that takes over. What the event of it says of that. */
  private suspended(): DeliveryPatch {
    if (!this.handover.suspend()) return {};
    this.progress.expectAPerson();
    return { confirmation_due_at: null };
  }

  private async onAbort(command: AbortCommand): Promise<void> {
    const wasReturning = isReturning(this.run.record.status);
    const answer = await this.wayBack.turnRound(command);
    if (answer === RETURNING && !wasReturning && patched('an-abort-hears-the-aircraft')) this.turning.begin();
    else this.run.happenings.orders.answerAbort(answer);
  }

  /** A person has said what *Cancel* in the Temporal UI meant. */
  private async onCancelAnswer(command: ResolveInterventionCommand): Promise<Next> {
    await this.run.record.answered(command);
    if (command.answer === TURN_ROUND) await this.wayBack.turnRound(command);
    return 'on';
  }
}
