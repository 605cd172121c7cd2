/**
 * What the saga waits for: milestones, a cancel, a free drone, an operator's answer, a deadline. Signals and updates only
 * put things here; the saga takes them one at a time, so that two of them never decide at once.
 */
import { CancellationScope, condition, isCancellation, sleep } from '@temporalio/workflow';
import { isBeforePickup, isFinal } from '../../services/delivery/contract/status.ts';
import type { BookingId, ReservationId } from '../../shared/ids.ts';
import type {
  AbortCommand,
  CancelAnswer,
  CancelCommand,
  CarrierMilestoneSignal,
  ConfirmCommand,
  ChangeDropoffAnswer,
  ChangeDropoffCommand,
  DroneMilestoneSignal,
  ReassignDroneCommand,
  RescheduleAnswer,
  RescheduleCommand,
  ResolveInterventionCommand,
} from '../messages.ts';
import type { PendingAnswer } from './answers.ts';
import { cutShort } from './cut-short.ts';
import { EndedElsewhere } from './endings.ts';
import { DropoffChanges, type PendingDropoffChange } from './dropoff-changes.ts';
import { OrderedInbox } from './inbox.ts';
import {
  type Answer,
  confirmRefusedByStatus,
  type OrderHappening,
  Orders,
  refused,
  refusedByStatus,
} from './orders.ts';
import type { DeliveryRecord } from './record.ts';
import { type PendingReschedule, Reschedules } from './reschedules.ts';
import type { Wait } from './registry.ts';
import { shortStep, StepFailed } from './steps.ts';

export type Happening =
  | { kind: 'drone'; milestone: DroneMilestoneSignal }
  | { kind: 'carrier'; milestone: CarrierMilestoneSignal }
  | { kind: 'cancel'; command: CancelCommand }
  | { kind: 'answered'; command: ResolveInterventionCommand }
  | { kind: 'reschedule'; asked: PendingReschedule }
  | { kind: 'dropoff'; asked: PendingDropoffChange }
  | OrderHappening
  | { kind: 'drone_available' }
  | { kind: 'deadline' };

/** A cancel that the saga has not settled. */
interface PendingCancel {
  command: CancelCommand;
  /** The saga has taken it up. */
  taken: boolean;
  answer: CancelAnswer | undefined;
}

/** What else than a cancel interrupts a step. */
interface Interrupts {
  byReschedule?: boolean;
  /** Yes unless told: then another drone is found for whatever the step was about. */
  byReassign?: boolean;
}

export interface Flight {
  reservationId: ReservationId;
  reservationToken: number;
  inbox: OrderedInbox<DroneMilestoneSignal>;
}

/** Signals that came for a flight or booking that is not known yet, or not any more. */
export interface CarriedHappenings {
  unsorted: DroneMilestoneSignal[];
  unsortedCarrier: CarrierMilestoneSignal[];
}

/** Between two looks for a milestone that is missing: twice as long each time. */
const GAP_RETRY_MS = 2_000;
const LONGEST_GAP_RETRY_MS = 5 * 60 * 1000;

export class Happenings {
  readonly reschedules = new Reschedules();
  readonly dropoffs = new DropoffChanges();
  /** What operators have ordered. */
  readonly orders: Orders;
  private readonly record: DeliveryRecord;
  /** Signals may come before the answer that tells whose they are: they are kept, and sorted when it is known. */
  private unsorted: DroneMilestoneSignal[] = [];
  private unsortedCarrier: CarrierMilestoneSignal[] = [];
  private flight: Flight | undefined;
  private booking: { bookingId: BookingId; inbox: OrderedInbox<CarrierMilestoneSignal> } | undefined;
  private cancelling: PendingCancel | undefined;
  private readonly answered: PendingAnswer[] = [];
  private droneIsAvailable = false;
  private step: CancellationScope | undefined;
  private stepYieldsToReschedule = false;
  private stepYieldsToReassign = false;
  private alarm: { atMs: number; scope: CancellationScope } | undefined;

  constructor(record: DeliveryRecord, carried?: CarriedHappenings) {
    this.record = record;
    this.orders = new Orders(record);
    record.onEndedElsewhere = () => this.step?.cancel();
    if (!carried) return;
    this.unsorted = carried.unsorted;
    this.unsortedCarrier = carried.unsortedCarrier;
  }

  /** What a run that goes on must know; undefined while something waits to be taken, or a flight, booking or cancel is open. */
  carried(): CarriedHappenings | undefined {
    if (this.hasSomething() || this.flight || this.booking || this.cancelling) return undefined;
    return { unsorted: this.unsorted, unsortedCarrier: this.unsortedCarrier };
  }

  // What signals and updates put in.

  droneMilestone(signal: DroneMilestoneSignal): void {
    this.unsorted.push(signal);
    this.sort();
  }

  carrierMilestone(signal: CarrierMilestoneSignal): void {
    this.unsortedCarrier.push(signal);
    this.sort();
  }

  droneAvailable(): void {
    this.droneIsAvailable = true;
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
    const early = this.answerByStatus();
    if (early) return early;
    const pending = this.askToCancel(command);
    await condition(() => pending.answer !== undefined);
    return pending.answer ?? refusal('already_ended');
  }

  private askToCancel(command: CancelCommand): PendingCancel {
    this.cancelling ??= { command, taken: false, answer: undefined };
    this.step?.cancel();
    return this.cancelling;
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
    if (this.cancelling) return refused('being_cancelled', 'The delivery is being cancelled.');
    if (this.booking) return refused('by_carrier', 'A carrier has the job: there is no drone to replace.');
    if (!this.flight) return refused('no_drone', 'No drone is assigned: there is none to replace.');
    return undefined;
  }

  /** Asks for it to be aborted and waits for the answer: before the pickup it is a cancel. */
  async abort(command: AbortCommand): Promise<Answer> {
    const { status } = this.record;
    if (isFinal(status)) return refused(`already_${status}`, `The delivery has ended: it is ${status}.`);
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
  async cancelNatively(command: CancelCommand): Promise<void> {
    this.orders.cancelledNatively();
    await this.cancel(command);
  }

  /** What the status alone decides about a cancel; undefined when the saga must. */
  private answerByStatus(): CancelAnswer | undefined {
    const { status } = this.record;
    if (status === 'cancelled') return { outcome: 'cancelled', reason: null, detail: null };
    if (isFinal(status)) return refusal(`already_${status}`);
    if (!isBeforePickup(status)) return refusal('already_picked_up');
    return undefined;
  }

  // What the saga takes out.

  /** From now on only this flight's milestones count. */
  follow(reservationId: ReservationId, reservationToken: number): void {
    this.record.repetition.hasDrone();
    this.flight = { reservationId, reservationToken, inbox: new OrderedInbox() };
    this.sort();
  }

  followBooking(bookingId: BookingId): void {
    this.booking = { bookingId, inbox: new OrderedInbox() };
    this.sort();
  }

  /** No flight is followed any more: what it still says is ignored. */
  unfollow(): void {
    this.flight = undefined;
  }

  cancelIsPending(): boolean {
    return this.cancelling !== undefined && this.cancelling.answer === undefined;
  }

  /** A cancel was answered `pending` and waits for the aircraft to say what it did. */
  get cancelIsUnsettled(): boolean {
    return this.cancelling?.answer?.outcome === 'pending';
  }

  get cancelCommand(): CancelCommand | undefined {
    return this.cancelling?.command;
  }

  /** Answers the pending cancel. `pending` keeps it in mind; a refusal forgets it, so that it can be asked again. */
  answerCancel(answer: CancelAnswer): void {
    if (!this.cancelling) return;
    this.cancelling.answer = answer;
    this.orders.cancelAnswered(answer);
    if (answer.outcome === 'refused') this.cancelling = undefined;
  }

  /** Nobody is left waiting for what can no longer be done: whoever came too late hears how far the delivery is. */
  answerLate(): void {
    if (this.cancelIsPending()) this.answerCancel(this.answerByStatus() ?? refusal('already_ended'));
    this.orders.answerLate();
    this.dropoffs.answerLate(this.record.status);
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
   */
  async next(waitingFor: Wait, untilMs: number | null): Promise<Happening> {
    this.record.waiting(waitingFor, untilMs);
    for (let looks = 0; ; looks += 1) {
      if (this.record.hasEndedElsewhere) throw new EndedElsewhere();
      const happening = this.take();
      if (happening) return happening;
      // A signal may be late where its fact is not: look before acting on silence.
      const isOver = untilMs !== null && this.record.nowMs() >= untilMs;
      // In a run that was reset, what had come before its flight was followed was given away.
      const isKnownThere = this.record.repetition.isUnderWay;
      if ((this.hasGap || isOver || isKnownThere) && (await this.fetchMissed())) continue;
      if (isOver) return { kind: 'deadline' };
      this.record.repetition.hasToWait(waitingFor);
      if (this.hasGap) {
        // Numbers are given without a gap, so the missing one is being committed: it will be there in a moment.
        const summary = 'a milestone is missing: ask again';
        const leftMs = untilMs === null ? LONGEST_GAP_RETRY_MS : Math.ceil(this.record.wallUntilMs(untilMs));
        const retryMs = Math.min(GAP_RETRY_MS * 2 ** looks, LONGEST_GAP_RETRY_MS, Math.max(1, leftMs));
        await condition(() => this.canTake, retryMs, { summary });
        continue;
      }
      this.arm(untilMs);
      const { alarm } = this;
      await condition(
        () =>
          this.hasSomething() ||
          (alarm !== undefined && this.alarm !== alarm) ||
          this.record.hasEndedElsewhere,
      );
    }
  }

  private take(): Happening | undefined {
    const milestone = this.flight?.inbox.take();
    if (milestone) return { kind: 'drone', milestone };
    const carried = this.booking?.inbox.take();
    if (carried) return { kind: 'carrier', milestone: carried };
    const answer = this.heldAnswer;
    this.answered.splice(0, answer ? this.answered.indexOf(answer) + 1 : this.answered.length);
    if (answer) return { kind: 'answered', command: answer.command };
    if (this.cancelling && !this.cancelling.taken && this.cancelIsPending()) {
      this.cancelling.taken = true;
      return { kind: 'cancel', command: this.cancelling.command };
    }
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
    return this.canTake || this.hasGap;
  }

  private get canTake(): boolean {
    return (
      this.flight?.inbox.hasNext === true ||
      this.booking?.inbox.hasNext === true ||
      this.heldAnswer !== undefined ||
      (this.cancelIsPending() && this.cancelling?.taken === false) ||
      this.reschedules.isPending ||
      this.dropoffs.hasNext ||
      this.orders.hasSomething ||
      this.droneIsAvailable
    );
  }

  private get hasGap(): boolean {
    return this.flight?.inbox.hasGap === true || this.booking?.inbox.hasGap === true;
  }

  /**
   * Makes sure that a timer fires no later than at `untilMs`. One that is armed for an earlier time is left alone, and
   * armed anew when it fires: each timer is billed, and in a normal delivery the deadlines move later and later.
   */
  private arm(untilMs: number | null): void {
    if (untilMs === null) return;
    if (this.alarm && this.alarm.atMs <= untilMs) return;
    this.alarm?.scope.cancel();
    const scope = new CancellationScope({ cancellable: true });
    const alarm = { atMs: untilMs, scope };
    this.alarm = alarm;
    const summary = `deadline: ${this.record.state.waitingFor ?? 'next step'}`;
    scope
      .run(() => sleep(Math.ceil(this.record.wallUntilMs(untilMs)), { summary }))
      .then(() => {
        if (this.alarm === alarm) this.alarm = undefined;
      })
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
  }

  /** No deadline is left: an armed timer must not keep a finished workflow from its end. */
  disarm(): void {
    this.alarm?.scope.cancel();
    this.alarm = undefined;
  }

  /** Asks the services for milestones whose signals have not come. True when there was one that is next. */
  private async fetchMissed(): Promise<boolean> {
    try {
      return await this.fetchFromServices();
    } catch (error) {
      // Refused for good: nothing is learnt, and the wait's own deadline says what becomes of it.
      if (error instanceof StepFailed) return false;
      throw error;
    }
  }

  private async fetchFromServices(): Promise<boolean> {
    if (this.flight) {
      const { reservationId, reservationToken, inbox } = this.flight;
      const missed = await shortStep(
        'readDroneMilestones',
        { reservationId, afterSequence: inbox.lastSequence },
        'read milestones whose signals have not come',
      );
      for (const one of missed) {
        inbox.add({
          reservationId,
          reservationToken,
          sequence: one.sequence,
          kind: one.kind,
          droneId: one.drone_id,
          occurredAt: one.occurred_at,
          recordedAt: one.recorded_at,
          position: one.position,
          detail: one.detail,
        });
      }
      return inbox.hasNext;
    }
    if (this.booking) {
      const { bookingId, inbox } = this.booking;
      const missed = await shortStep(
        'readCarrierMilestones',
        { bookingId, afterSequence: inbox.lastSequence },
        'read carrier milestones whose signals have not come',
      );
      for (const one of missed) {
        const { sequence, state, occurred_at: occurredAt, recorded_at: recordedAt } = one;
        inbox.add({ bookingId, sequence, state, occurredAt, recordedAt });
      }
      return inbox.hasNext;
    }
    return false;
  }

  private sort(): void {
    const { flight, booking } = this;
    if (flight) {
      for (const signal of this.unsorted) {
        const ours =
          signal.reservationId === flight.reservationId &&
          signal.reservationToken === flight.reservationToken;
        if (ours) flight.inbox.add(signal);
      }
      this.unsorted = [];
    }
    if (booking) {
      for (const signal of this.unsortedCarrier) {
        if (signal.bookingId === booking.bookingId) booking.inbox.add(signal);
      }
      this.unsortedCarrier = [];
    }
  }
}

export function refusal(reason: string): CancelAnswer {
  const detail =
    reason === 'already_picked_up'
      ? 'The package is aboard the drone. It can no longer be cancelled.'
      : `The delivery has ended: ${reason.replaceAll('_', ' ')}.`;
  return { outcome: 'refused', reason, detail };
}
