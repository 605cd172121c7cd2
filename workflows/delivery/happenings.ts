/**
 * What the saga waits for: milestones, a cancel, a free drone, an operator's answer, a deadline. Signals and updates only
 * put things here; the saga takes them one at a time, so that two of them never decide at once.
 */
import { CancellationScope, condition, patched } from '@temporalio/workflow';
import { isBeforePickup } from '../../services/delivery/contract/status.ts';
import type { BookingId, ReservationId } from '../../shared/ids.ts';
import {
  type AbortCommand,
  CANCEL_UPDATE,
  type CancelAnswer,
  type CancelCommand,
  type CarrierMilestoneSignal,
  type ConfirmCommand,
  type ChangeDropoffAnswer,
  type ChangeDropoffCommand,
  type DroneMilestoneSignal,
  type ReassignDroneCommand,
  type RescheduleAnswer,
  type RescheduleCommand,
  type ResolveInterventionCommand,
} from '../messages.ts';
import { Alarm } from './alarm.ts';
import type { PendingAnswer } from './answers.ts';
import { answerByStatus, Cancels, type Holder, type PendingCancel, refusal } from './cancels.ts';
import { cutShort } from './cut-short.ts';
import { EndedElsewhere } from './endings.ts';
import { DropoffChanges, type PendingDropoffChange } from './dropoff-changes.ts';
import { type CarriedMilestones, type MilestoneHappening, Milestones } from './milestones.ts';
import {
  type Answer,
  BEING_CANCELLED,
  confirmRefusedByStatus,
  endedBy,
  type OrderHappening,
  Orders,
  refused,
  refusedByStatus,
} from './orders.ts';
import type { OrderLog } from './order-log.ts';
import type { DeliveryRecord } from './record.ts';
import { type PendingReschedule, Reschedules } from './reschedules.ts';
import type { Wait } from './registry.ts';
import { StepFailed } from './steps.ts';

export type Happening =
  | MilestoneHappening
  | { kind: 'cancel'; command: CancelCommand }
  | { kind: 'answered'; command: ResolveInterventionCommand }
  | { kind: 'reschedule'; asked: PendingReschedule }
  | { kind: 'dropoff'; asked: PendingDropoffChange }
  | OrderHappening
  | { kind: 'drone_available' }
  | { kind: 'reroute_answered' }
  | { kind: 'deadline' };

/** What else than a cancel interrupts a step. */
interface Interrupts {
  byReschedule?: boolean;
  /** Yes unless told: then another drone is found for whatever the step was about. */
  byReassign?: boolean;
}

/** What a run that goes on must know. */
export type CarriedHappenings = CarriedMilestones;

/** Between two looks for a milestone that is missing: twice as long each time. */
const GAP_RETRY_MS = 2_000;
const LONGEST_GAP_RETRY_MS = 5 * 60 * 1000;
/** Before, whoever waited for an answer waited for that look too: for ever, while the service was away. */
const TOLD_WITHOUT_A_LOOK = 'told-without-a-look';

export class Happenings {
  readonly reschedules = new Reschedules();
  readonly dropoffs = new DropoffChanges();
  /** What operators have ordered. */
  readonly orders: Orders;
  private readonly record: DeliveryRecord;
  private readonly orderLog: OrderLog;
  private readonly milestones: Milestones;
  private readonly cancels = new Cancels();
  private readonly answered: PendingAnswer[] = [];
  private droneIsAvailable = false;
  private rerouteIsAnswered = false;
  private step: CancellationScope | undefined;
  private stepYieldsToReschedule = false;
  private stepYieldsToReassign = false;
  private readonly alarm: Alarm;

  constructor(record: DeliveryRecord, orderLog: OrderLog, carried?: CarriedHappenings) {
    this.record = record;
    this.orderLog = orderLog;
    this.orders = new Orders(record, orderLog);
    this.milestones = new Milestones(carried);
    this.alarm = new Alarm(record);
    record.onEndedElsewhere = () => this.step?.cancel();
  }

  /** What a run that goes on must know; undefined while something waits to be taken, or a flight, booking or cancel is open. */
  carried(): CarriedHappenings | undefined {
    const { hasFlight, hasBooking } = this.milestones;
    if (this.hasSomething() || hasFlight || hasBooking || this.cancels.isAsked) return undefined;
    return this.milestones.carried();
  }

  // What signals and updates put in.

  droneMilestone(signal: DroneMilestoneSignal): void {
    this.milestones.droneMilestone(signal);
  }

  carrierMilestone(signal: CarrierMilestoneSignal): void {
    this.milestones.carrierMilestone(signal);
  }

  droneAvailable(): void {
    this.droneIsAvailable = true;
  }

  /** The drone service has answered whether a drone in the air gets another dropoff. */
  rerouteAnswered(): void {
    this.rerouteIsAnswered = true;
  }

  interventionAnswered(pending: PendingAnswer): void {
    this.answered.push(pending);
  }

  /** The first answer that is still held: its intervention may have closed meanwhile. */
  private get heldAnswer(): PendingAnswer | undefined {
    return this.answered.find((one) => one.settled === undefined);
  }

  /** Asks for another pickup window and waits for the answer. */
  reschedule(command: RescheduleCommand): Promise<RescheduleAnswer> {
    const answer = this.reschedules.ask(command, this.record.status);
    if (this.stepYieldsToReschedule && this.reschedules.isPending) this.step?.cancel();
    return answer;
  }

  /** Asks for another dropoff and waits for the answer. */
  changeDropoff(command: ChangeDropoffCommand): Promise<ChangeDropoffAnswer> {
    return this.dropoffs.ask(command, this.record.status);
  }

  /** Asks for the delivery to be cancelled and waits for the answer. A second request shares the first one's. */
  async cancel(command: CancelCommand): Promise<CancelAnswer> {
    const early = answerByStatus(this.record.status, this.holder);
    if (early) return early;
    const pending = this.askToCancel(command);
    await condition(() => pending.answer !== undefined);
    return pending.answer ?? refusal('already_ended');
  }

  private askToCancel(command: CancelCommand): PendingCancel {
    const pending = this.cancels.ask(command);
    this.step?.cancel();
    return pending;
  }

  /** Asks for another drone and waits for the answer. */
  async reassignDrone(command: ReassignDroneCommand): Promise<Answer> {
    const early = refusedByStatus(this.record.status) ?? this.noDroneToReplace();
    if (early) return early;
    const order = this.orders.reassign(command);
    if (this.stepYieldsToReassign) this.step?.cancel();
    await condition(() => order.answer !== undefined);
    return order.answer ?? refused('already_ended', 'The delivery has ended.');
  }

  private noDroneToReplace(): Answer | undefined {
    if (this.cancels.isAsked) return BEING_CANCELLED;
    if (this.milestones.hasBooking)
      return refused('by_carrier', 'A carrier has the job: there is no drone to replace.');
    if (!this.milestones.hasFlight)
      return refused('no_drone', 'No drone is assigned: there is none to replace.');
    return undefined;
  }

  /** Asks for it to be aborted and waits for the answer: before the pickup it is a cancel. */
  async abort(command: AbortCommand): Promise<Answer> {
    const { status } = this.record;
    const ended = endedBy(status);
    if (ended) return ended;
    const order = this.orders.abort(command);
    if (isBeforePickup(status)) {
      const { actor, why } = command;
      const { answer } = this.askToCancel({ reason: 'requested_by_operator', actor, why });
      if (answer) this.orders.cancelAnswered(answer);
    }
    await condition(() => order.answer !== undefined);
    return order.answer ?? refused('already_ended', 'The delivery has ended.');
  }

  /** Says that the recipient has given something, and waits for what comes of it. */
  async confirm(command: ConfirmCommand): Promise<Answer> {
    const early = confirmRefusedByStatus(this.record.status);
    if (early) return early;
    const order = this.orders.confirm(command);
    await condition(() => order.answer !== undefined);
    return order.answer ?? refused('already_ended', 'The delivery has ended.');
  }

  /** The *Cancel* button of the Temporal UI: a cancel; with the package aboard, a question to a person. */
  cancelNatively(command: CancelCommand): Promise<CancelAnswer> {
    this.orders.cancelledNatively();
    return this.cancel(command);
  }

  private get holder(): Holder {
    if (this.milestones.hasBooking) return 'carrier';
    return this.milestones.hasFlight ? 'drone' : 'nobody';
  }

  // What the saga takes out.

  /** From now on only this flight's milestones count. */
  follow(reservationId: ReservationId, reservationToken: number): void {
    this.record.repetition.hasDrone();
    this.milestones.follow(reservationId, reservationToken);
  }

  followBooking(bookingId: BookingId): void {
    this.milestones.followBooking(bookingId);
  }

  /** No flight is followed any more: what it still says is ignored. */
  unfollow(): void {
    this.milestones.unfollow();
  }

  cancelIsPending(): boolean {
    return this.cancels.isPending;
  }

  /** A cancel was answered `pending` and waits for the aircraft to say what it did. */
  get cancelIsUnsettled(): boolean {
    return this.cancels.isUnsettled;
  }

  get cancelCommand(): CancelCommand | undefined {
    return this.cancels.command;
  }

  /** Answers the pending cancel. `pending` keeps it in mind; a refusal forgets it, so that it can be asked again. */
  answerCancel(answer: CancelAnswer): void {
    if (!this.cancels.isAsked) return;
    this.cancels.answer(answer);
    this.orders.cancelAnswered(answer);
    this.orderLog.settled(CANCEL_UPDATE, answer);
  }

  /** Nobody is left waiting for what can no longer be done: whoever came too late hears how far the delivery is. */
  answerLate(): void {
    if (this.cancelIsPending())
      this.answerCancel(answerByStatus(this.record.status, this.holder) ?? refusal('already_ended'));
    this.orders.answerLate();
    this.dropoffs.answerLate(this.record.status);
    const ended = endedBy(this.record.status);
    if (ended) this.orderLog.close(ended);
  }

  /** Forgets an old wake-up. To be called before asking for a drone: one that comes after is a new one. */
  expectDrone(): void {
    this.droneIsAvailable = false;
  }

  private interrupts({ byReschedule = false, byReassign = true }: Interrupts): boolean {
    return (
      this.cancelIsPending() ||
      (byReassign && this.orders.reassignIsPending) ||
      (byReschedule && this.reschedules.isPending)
    );
  }

  /**
   * Runs a step that a cancel interrupts, the wish for another drone unless it says otherwise, and a reschedule where it says
   * so. `interrupted` when one did: the step may or may not have happened.
   */
  interruptible<T>(step: () => Promise<T>, by: Interrupts = {}): Promise<T | 'interrupted'> {
    if (this.record.hasEndedElsewhere) return Promise.reject(new EndedElsewhere());
    if (this.interrupts(by)) return Promise.resolve('interrupted');
    this.stepYieldsToReschedule = by.byReschedule ?? false;
    this.stepYieldsToReassign = by.byReassign ?? true;
    this.step = new CancellationScope({ cancellable: true });
    return cutShort(this.step, step, {
      failed: (error) => {
        if (this.record.hasEndedElsewhere) throw new EndedElsewhere();
        // Its last attempt may also have failed, or timed out, when it was told to stop.
        const isFinal = error instanceof StepFailed;
        if (!isFinal && this.interrupts(by)) return 'interrupted';
        throw error;
      },
      over: () => {
        this.stepYieldsToReschedule = false;
        this.stepYieldsToReassign = false;
        this.step = undefined;
      },
    });
  }

  /**
   * The next happening, or `deadline` when the delivery's clock shows `untilMs` before there is one. `waitingFor` is what an
   * operator reads meanwhile.
   * @param silentFromMs when the silence itself means something, by the same clock; until then nothing is decided by the end of the
   * time but that somebody is told that there is no answer yet
   */
  async next(waitingFor: Wait, untilMs: number | null, silentFromMs = untilMs): Promise<Happening> {
    this.record.waiting(waitingFor, untilMs);
    for (let looks = 0; ; looks += 1) {
      if (this.record.hasEndedElsewhere) throw new EndedElsewhere();
      const happening = this.take();
      if (happening) return happening;
      // A signal may be late where its fact is not: look before acting on silence.
      const isOver = this.isReached(untilMs);
      const isSilence = isOver && (this.isReached(silentFromMs) || !patched(TOLD_WITHOUT_A_LOOK));
      // In a run that was reset, what had come before its flight was followed was given away.
      const isKnownThere = this.record.repetition.isUnderWay;
      if ((this.milestones.hasGap || isSilence || isKnownThere) && (await this.milestones.fetchMissed()))
        continue;
      if (isOver) return { kind: 'deadline' };
      this.record.repetition.hasToWait(waitingFor);
      if (this.milestones.hasGap) {
        // Numbers are given without a gap, so the missing one is being committed: it will be there in a moment.
        const summary = 'a milestone is missing: ask again';
        const leftMs = untilMs === null ? LONGEST_GAP_RETRY_MS : Math.ceil(this.record.wallUntilMs(untilMs));
        const retryMs = Math.min(GAP_RETRY_MS * 2 ** looks, LONGEST_GAP_RETRY_MS, Math.max(1, leftMs));
        await condition(() => this.canTake, retryMs, { summary });
        continue;
      }
      const hasFired = this.alarm.arm(untilMs);
      await condition(() => this.hasSomething() || hasFired() || this.record.hasEndedElsewhere);
    }
  }

  private isReached(atMs: number | null): boolean {
    return atMs !== null && this.record.nowMs() >= atMs;
  }

  private take(): Happening | undefined {
    // Before what the aircraft says of it.
    if (this.rerouteIsAnswered) {
      this.rerouteIsAnswered = false;
      return { kind: 'reroute_answered' };
    }
    const milestone = this.milestones.take();
    if (milestone) return milestone;
    const answer = this.heldAnswer;
    this.answered.splice(0, answer ? this.answered.indexOf(answer) + 1 : this.answered.length);
    if (answer) return { kind: 'answered', command: answer.command };
    const cancel = this.cancels.take();
    if (cancel) return { kind: 'cancel', command: cancel };
    const asked = this.reschedules.take();
    if (asked) return { kind: 'reschedule', asked };
    const change = this.dropoffs.take();
    if (change) return { kind: 'dropoff', asked: change };
    const order = this.orders.take();
    if (order) return order;
    if (this.droneIsAvailable) {
      this.droneIsAvailable = false;
      return { kind: 'drone_available' };
    }
    return undefined;
  }

  /** Something waits to be taken out, or is missing and to be fetched. */
  hasSomething(): boolean {
    return this.canTake || this.milestones.hasGap;
  }

  private get canTake(): boolean {
    return (
      this.milestones.hasNext ||
      this.heldAnswer !== undefined ||
      this.cancels.hasNext ||
      this.reschedules.isPending ||
      this.dropoffs.hasNext ||
      this.orders.hasSomething ||
      this.droneIsAvailable ||
      this.rerouteIsAnswered
    );
  }

  /** No deadline is left. */
  disarm(): void {
    this.alarm.disarm();
  }
}
