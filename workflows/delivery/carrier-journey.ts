/**
 * A carrier on its way: its statuses are the delivery's, as far as they lead on; what a carrier cannot do for us (turn round, wait
 * for a confirmation, be replaced) is refused, and what only a person can settle is asked.
 */
import { patched } from '@temporalio/workflow';
import { needsRecipient } from '../../services/delivery/contract/confirmation.ts';
import type { DeliveryPatch } from '../../services/delivery/contract/index.ts';
import { isBeforePickup } from '../../services/delivery/contract/status.ts';
import { isoTime } from '../../shared/clock.ts';
import type { BookingId } from '../../shared/ids.ts';
import { nameOf, type CarrierMilestoneSignal, type ResolveInterventionCommand } from '../messages.ts';
import { refusal } from './cancels.ts';
import { type JourneyStatus, STATUS_OF, stepsOnTo } from './carrier-statuses.ts';
import { readGiven } from './confirmation.ts';
import { type Ending, failed } from './endings.ts';
import { cancelQuestion } from './native-cancel.ts';
import { type Answer, refused } from './orders.ts';
import { lookAgainInMs } from './overdue.ts';
import type { DeliveryRun } from './run.ts';
import { plainStep, StepFailed } from './steps.ts';

export const CANCEL_BOOKING = 'cancel_booking';
export const WRITE_OFF_BOOKING = 'write_off_booking';

export interface Booked {
  bookingId: BookingId;
  bookKey: string;
  dropoffEtaMs: number;
}

export class CarrierJourney {
  private readonly run: DeliveryRun;
  private readonly booked: Booked;
  private untilMs: number;
  private overdue = 0;
  /** A cancel found the booking at its end: what became of it is looked up at once. */
  private looksAtOnce = false;
  /** What a person was asked: about a carrier that is late for the second time, or has given up with the package. */
  private readonly questions: { overdue: string; gaveUp: string };

  constructor(run: DeliveryRun, booked: Booked) {
    this.run = run;
    this.booked = booked;
    this.untilMs = booked.dropoffEtaMs + run.policy.carrierSlackS * 1000;
    this.questions = {
      overdue: run.record.interventionId('overdue_carrier'),
      gaveUp: run.record.interventionId('carrier_failed'),
    };
  }

  /** @throws {Ended} cancelled, or failed when the carrier gives it up before the pickup or a person gives it up for lost */
  async follow(): Promise<Ending> {
    const { happenings } = this.run;
    for (;;) {
      const happening = await happenings.next('the carrier', this.untilMs);
      let ending: Ending | undefined;
      switch (happening.kind) {
        case 'carrier':
          ending = await this.onMilestone(happening.milestone);
          break;
        case 'cancel':
          await this.onCancel();
          break;
        case 'deadline':
          await this.onDeadline();
          break;
        case 'confirm':
          happenings.orders.answerConfirm(await this.onConfirm());
          break;
        case 'abort':
          // It is past the pickup: all that the carrier's contract knows is a cancel before it.
          happenings.orders.answerAbort(
            refused(
              'carrier_has_package',
              'The carrier has the package and takes no order to bring it back.',
            ),
          );
          break;
        case 'native_cancel':
          await cancelQuestion(this.run, 'carrier');
          break;
        case 'answered':
          ending = await this.onAnswer(happening.command);
          break;
        case 'reassign':
        case 'drone':
        case 'drone_available':
        case 'reschedule':
        case 'dropoff':
          break;
      }
      if (ending) return ending;
    }
  }

  private async onMilestone({ state, occurredAt }: CarrierMilestoneSignal): Promise<Ending | undefined> {
    const { record, happenings, compensations } = this.run;
    if (state === 'failed') return this.onFailed(occurredAt);
    for (const id of Object.values(this.questions))
      await record.resolveIntervention(id, 'goes_on', 'system', `the carrier goes on: ${state}`);
    const status = STATUS_OF[state];
    if (status === undefined) return undefined;
    for (const step of stepsOnTo(record.status, status)) {
      await record.change(step, {
        occurredAtMs: Date.parse(occurredAt),
        data: { carrier_state: state },
        patch: await this.proofAt(step),
      });
      if (step === 'picked_up') happenings.answerLate();
    }
    if (record.status !== 'delivered') return undefined;
    compensations.discharge(CANCEL_BOOKING);
    return { status: 'delivered', charged: 'delivered' };
  }

  /** Before the pickup that is the delivery's end; with the package in its hands only a person can find out where that is. */
  private async onFailed(occurredAt: string): Promise<undefined> {
    const { record } = this.run;
    if (isBeforePickup(record.status)) throw failed('carrier_failed', 'The carrier could not carry it out.');
    if (record.intervention(this.questions.gaveUp) !== undefined) return undefined;
    await record.note('carrier_failed', {
      occurredAtMs: Date.parse(occurredAt),
      patch: { delayed: true, delay_reason: 'carrier_failed' },
    });
    await record.resolveIntervention(
      this.questions.overdue,
      'goes_on',
      'system',
      'the carrier has given it up',
    );
    await record.openIntervention({
      id: this.questions.gaveUp,
      kind: 'carrier_failed',
      reason: `The carrier has given up the booking ${this.booked.bookingId} with the package in its hands.`,
      answers: [
        {
          answer: 'lost',
          effect: 'fails the delivery as lost; nothing is charged, and what is lost is credited',
        },
        { answer: 'delivered', effect: 'ends it as delivered by hand; the price is charged' },
        { answer: 'returned', effect: 'ends it as returned to the sender by hand; the price is charged' },
      ],
    });
    return undefined;
  }

  /** What the event of a status says of the proof of delivery. The carrier hands over by itself: what is given is kept. */
  private async proofAt(status: JourneyStatus): Promise<DeliveryPatch> {
    const { deliveryId, confirmation = 'none' } = this.run.input;
    if (status === 'arrived_at_dropoff' && needsRecipient(confirmation))
      return { confirmation_status: 'awaited' };
    if (status !== 'delivered' || confirmation === 'none') return {};
    // At a staffed dropoff it is the carrier who scans.
    const isProven = confirmation === 'barcode' || (await readGiven(deliveryId)) === 'confirmed';
    return isProven ? { confirmation_status: 'confirmed' } : {};
  }

  private async onConfirm(): Promise<Answer> {
    const { record, input } = this.run;
    switch (await readGiven(input.deliveryId)) {
      case 'confirmed':
        await record.note('recipient_confirmed', {
          data: { confirmation: input.confirmation },
          patch: { confirmation_status: 'confirmed' },
        });
        return {
          outcome: 'accepted',
          reason: null,
          detail: 'It is confirmed: the carrier hands it over.',
        };
      case 'too_often_wrong':
        return refused('attempts_exhausted', 'It was tried wrongly too often.');
      case 'nothing':
        return refused('not_given', 'Nothing was given that would confirm it.');
    }
  }

  /** Settled by the carrier: it knows whether it has picked up. */
  private async cancelBooking() {
    const { record, ids } = this.run;
    const { account_id, delivery_id } = ids;
    const step = {
      key: record.key('cancel_booking'),
      book_key: this.booked.bookKey,
      account_id,
      delivery_id,
    };
    return (await plainStep('cancelBooking', step, 'cancel the carrier’s booking')).outcome;
  }

  /** It ended without our hearing: what became of it is looked up at once. */
  private lookAtOnce(): void {
    this.looksAtOnce = true;
    this.untilMs = this.run.record.nowMs();
  }

  private async onCancel(): Promise<void> {
    const { happenings, compensations } = this.run;
    switch (await this.cancelBooking()) {
      case 'already_picked_up':
        // Its milestone that says so is on the way.
        happenings.answerCancel(refusal('already_picked_up', 'carrier'));
        return;
      case 'already_ended':
        // Delivered or given up: whoever cancels hears which, as soon as it is known here.
        this.lookAtOnce();
        return;
      case 'cancelled':
      case 'already_cancelled':
      case 'never_booked':
        compensations.discharge(CANCEL_BOOKING);
        throw this.run.cancelled('cancelled_after_dispatch');
    }
  }

  private async onDeadline(): Promise<void> {
    const { record, policy } = this.run;
    const expectedBy = isoTime(this.untilMs);
    if (this.looksAtOnce) {
      // Nothing new yet: its news come by themselves, or are found at the next look.
      this.looksAtOnce = false;
      this.untilMs = record.nowMs() + lookAgainInMs(policy.carrierSlackS, 0);
      return;
    }
    this.overdue += 1;
    this.untilMs = record.nowMs() + lookAgainInMs(policy.carrierSlackS, this.overdue);
    const { overdue, gaveUp } = this.questions;
    if (this.overdue === 1) {
      await record.note('overdue', { patch: { delayed: true }, data: { expected_by: expectedBy } });
    } else if (record.intervention(overdue) === undefined && record.intervention(gaveUp) === undefined) {
      await record.openIntervention(overdueQuestion(overdue, expectedBy), { delayed: true });
    }
  }

  private async onAnswer(command: ResolveInterventionCommand): Promise<Ending | undefined> {
    const { record, compensations } = this.run;
    const { interventionId, answer, actor, why } = command;
    const by = nameOf(actor);
    await record.answered(command);
    const isOurs = interventionId === this.questions.overdue || interventionId === this.questions.gaveUp;
    if (!isOurs || answer === 'wait') return undefined;
    if (answer === 'lost') {
      const detail = `Given up by ${by}: ${why}`;
      if (interventionId === this.questions.gaveUp) throw failed('package_lost', detail, 'lost');
      if (!patched('lost-with-the-carrier')) throw failed('carrier_failed', detail);
      return this.giveUp(detail);
    }
    compensations.discharge(CANCEL_BOOKING);
    // The carrier has not ended it, and its word is not waited for. Deliveries from before left the booking to it.
    if (interventionId === this.questions.overdue && patched('closed-with-a-person-s-word')) this.writeOff();
    const status = answer === 'returned' ? 'returned' : 'delivered';
    await record.walkTo(status, { data: { by, why } });
    return { status, charged: status };
  }

  /**
   * A person has given up a carrier that is late. Whether it has the package, it knows best: if not, its booking is cancelled; if
   * so, the package is lost, and the booking is closed with it. One that has ended meanwhile tells how: that counts.
   * @throws {Ended} unless it has ended
   */
  private async giveUp(detail: string): Promise<undefined> {
    const { compensations } = this.run;
    switch (await this.cancelGivenUp()) {
      case 'already_ended':
        this.lookAtOnce();
        return undefined;
      case 'already_picked_up':
        compensations.discharge(CANCEL_BOOKING);
        this.writeOff();
        throw failed('package_lost', detail, 'lost');
      case 'cancelled':
      case 'already_cancelled':
      case 'never_booked':
        compensations.discharge(CANCEL_BOOKING);
        throw failed('carrier_failed', detail);
    }
  }

  /** Nobody follows the booking any more: it is closed with the delivery. */
  private writeOff(): void {
    this.run.compensations.register({
      name: WRITE_OFF_BOOKING,
      leaves: `The booking ${this.booked.bookingId} is still open.`,
      undo: { kind: WRITE_OFF_BOOKING, bookKey: this.booked.bookKey },
    });
  }

  /** A carrier service that says no for good does not make a package that was picked up our failure: it is lost all the same. */
  private async cancelGivenUp() {
    try {
      return await this.cancelBooking();
    } catch (error) {
      if (error instanceof StepFailed && !isBeforePickup(this.run.record.status)) return 'already_picked_up';
      throw error;
    }
  }
}

const overdueQuestion = (id: string, expectedBy: string) => ({
  id,
  kind: 'overdue',
  reason: `The carrier is overdue since ${expectedBy}.`,
  answers: [
    {
      answer: 'lost',
      effect:
        'fails the delivery; nothing is charged. The booking is cancelled; if the carrier has the package, that is lost, and credited',
    },
    { answer: 'delivered', effect: 'ends it as delivered by hand; the price is charged' },
    { answer: 'wait', effect: 'goes on waiting for the carrier' },
  ],
});
