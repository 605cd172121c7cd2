/**
 * Another dropoff for a drone in the air. The difference is authorized, then the drone service offers it to the aircraft, which
 * has the last word: `rerouted`, and it stands; `reroute_refused`, or arrived at the old one, and what was done for it is
 * undone. A drone service or an aircraft that says nothing for a while is answered as `pending`; an event tells how it went. What
 * the drone service does not answer is not undone in flight: it may have been done, and the aircraft be there before it hears of the undoing.
 */
import { CancellationScope, condition, patched } from '@temporalio/workflow';
import { wallDurationMs } from '../../shared/clock.ts';
import type { Money } from '../../shared/schemas.ts';
import { nameOf, type ChangeDropoffAnswer, type DroneMilestoneSignal } from '../messages.ts';
import { answeredAtOnce, isSamePlace, priceTo, refuse, rerouteStep, stand } from './change-dropoff.ts';
import { type PendingDropoffChange, refusedByStatus, refusedChange } from './dropoff-changes.ts';
import { forgetRaises, inTime, raiseTo } from './money.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { isPlace } from './shapes.ts';
import { StepFailed, type StepOutput } from './steps.ts';
import { callerWaitsUntilMs } from './turning.ts';

/** What the drone service has said of an offer: that it is on its way to the aircraft, or why it is not. */
type Said = StepOutput<'rerouteDrone'> | { reason: string; detail: string };

/** What the aircraft has been offered. */
interface Offer {
  asked: PendingDropoffChange;
  price: Money;
  /** The compensations of what was done for it, the first step first. */
  done: string[];
  /** The one of them that undoes the reroute. */
  undo: string;
  /** What the drone service has said of it; undefined while it has not answered. */
  said: Said | undefined;
  /** The arrivals that it said. */
  eta: { pickupMs: number; dropoffMs: number } | undefined;
  /** In which it is asked, until it answers or that does not matter any more. */
  asking: CancellationScope;
}

export class Reroute {
  /** Until when the caller waits for the aircraft, Unix milliseconds by the delivery's clock. */
  answerByMs = Number.POSITIVE_INFINITY;
  private readonly run: DeliveryRun;
  private readonly drone: DroneAssignment;
  private offer: Offer | undefined;

  constructor(run: DeliveryRun, drone: DroneAssignment) {
    this.run = run;
    this.drone = drone;
  }

  /** Offers the aircraft another dropoff. When that is refused on the way, what was done is undone and the old one stands. */
  async begin(asked: PendingDropoffChange): Promise<void> {
    const { run, drone } = this;
    const refused = refusedByStatus(run.record.status) ?? (this.offer && STILL_ASKING);
    if (refused) return refuse(this.run, asked, refused);
    if (await answeredAtOnce(run, asked)) return;
    const callerWaitsMs = callerWaitsUntilMs(run);
    const { dropoff } = asked.command;
    const price = priceTo(run, dropoff);
    const done: string[] = [];
    const unaffordable = await inTime(run, () => raiseTo(run, price, done, (step) => step()));
    if (unaffordable) return this.giveUp(asked, done, unaffordable);
    const isAskedBeside = patched('a-reroute-is-asked-for-beside-the-flight');
    const { step, undo } = rerouteStep(run, drone, dropoff, done);
    const asking = new CancellationScope({ cancellable: true });
    const offer: Offer = { asked, price, done, undo, said: undefined, eta: undefined, asking };
    if (isAskedBeside) {
      this.offer = offer;
      void this.ask(offer, step);
    } else {
      // Before, what was not answered in time was refused, and was undone while the aircraft perhaps flew there.
      const said = await inTime(run, step);
      if (!(await this.isUnderWay(offer, said))) return;
      this.offer = offer;
    }
    const answerByMs = run.record.nowMs() + run.policy.rerouteAnswerS * 1000;
    // Before, the caller was gone by then.
    const isInTime = patched('a-change-is-answered-while-its-caller-waits');
    this.answerByMs = isInTime ? Math.min(answerByMs, callerWaitsMs) : answerByMs;
  }

  /** Asks the drone service while the flight goes on, which takes up what it says. */
  private async ask(offer: Offer, step: () => Promise<StepOutput<'rerouteDrone'>>): Promise<void> {
    try {
      offer.said = await offer.asking.run(step);
    } catch (error) {
      // Else it was told to stop, as its answer does not matter any more.
      if (error instanceof StepFailed) offer.said = { reason: 'step_failed', detail: error.message };
    }
    if (this.offer === offer) this.run.happenings.rerouteAnswered();
  }

  /** The drone service has said something. */
  async onAnswer(): Promise<void> {
    const { offer } = this;
    if (offer?.said === undefined) return;
    if (!(await this.isUnderWay(offer, offer.said))) this.leave();
  }

  /** Takes up what the drone service says of an offer. When the aircraft does not get it, what was done for it is undone. */
  private async isUnderWay(offer: Offer, said: Said): Promise<boolean> {
    if (!('reason' in said)) {
      offer.eta = arrivalsOf(said.eta);
      return true;
    }
    // What the drone service refused it has not done.
    if ('outcome' in said) this.run.compensations.discharge(offer.undo);
    await this.giveUp(offer.asked, offer.done, said);
    return false;
  }

  /** Nothing is offered any more: the drone service is not asked, nor heard. */
  leave(): void {
    const { offer } = this;
    this.offer = undefined;
    this.answerByMs = Number.POSITIVE_INFINITY;
    if (offer && offer.said === undefined) offer.asking.cancel();
  }

  /** The caller has waited long enough for the aircraft. */
  async onTime(): Promise<void> {
    const { offer, run } = this;
    if (offer === undefined || run.record.nowMs() < this.answerByMs) return;
    this.answerByMs = Number.POSITIVE_INFINITY;
    const { dropoff, actor, why } = offer.asked.command;
    run.orderLog.tell(offer.asked.command);
    await run.record.note('dropoff_change_requested', {
      data: { dropoff: dropoff.location, by: nameOf(actor), why },
    });
    offer.asked.answer ??= offer.eta === undefined ? UNANSWERED : UNHEARD;
  }

  /** A milestone that answers the offer settles it, before it is acted upon. */
  async onMilestone({ kind, detail: { dropoff, reason } }: DroneMilestoneSignal): Promise<void> {
    if (this.offer === undefined) return;
    switch (kind) {
      case 'rerouted':
        return isAbout(this.offer, dropoff) ? this.taken(this.offer) : undefined;
      case 'reroute_refused':
        if (!isAbout(this.offer, dropoff)) return undefined;
        return this.refused(
          refusedChange(typeof reason === 'string' ? reason : 'drone_refused', BY_AIRCRAFT),
        );
      case 'arrived_at_dropoff':
        return this.refused(
          refusedChange('arrived_at_dropoff', 'The drone has arrived at the dropoff that it knew.'),
        );
      case 'turned_back':
        return this.refused(refusedChange('returning', 'The drone brings the package back to the sender.'));
      default:
        return undefined;
    }
  }

  /** This drone does not do it any more: another one will be asked. */
  putBack(): void {
    const { offer, run } = this;
    if (offer === undefined) return;
    this.leave();
    run.compensations.discharge(offer.undo);
    run.happenings.dropoffs.putBack(offer.asked);
  }

  private async taken(offer: Offer): Promise<void> {
    const { run, drone } = this;
    if (offer.eta === undefined) await this.untilAnswered(offer);
    this.leave();
    run.compensations.discharge(offer.undo);
    const { asked, price, eta } = offer;
    if (eta === undefined) return stand(run, asked, { price, dropoffAtMs: null });
    const { pickupMs, dropoffMs } = eta;
    if (run.record.status === 'confirmed' || run.record.status === 'enroute_to_pickup') {
      drone.pickupEtaMs = pickupMs;
    }
    drone.dropoffEtaMs = dropoffMs;
    await stand(run, asked, { price, dropoffAtMs: dropoffMs, pickupAtMs: drone.pickupEtaMs });
  }

  /** The aircraft flies there, and when it arrives is for the drone service to say: it is waited for a while. */
  private async untilAnswered(offer: Offer): Promise<void> {
    const { input, policy } = this.run;
    await condition(
      () => offer.said !== undefined,
      wallDurationMs(input.clock, policy.rerouteAnswerS * 1000),
    );
    if (offer.said && !('reason' in offer.said)) offer.eta = arrivalsOf(offer.said.eta);
  }

  private async refused(answer: ChangeDropoffAnswer): Promise<void> {
    const { offer } = this;
    if (offer === undefined) return;
    this.leave();
    // The flight leads where it did: there is nothing to undo about it.
    this.run.compensations.discharge(offer.undo);
    await this.giveUp(offer.asked, offer.done, { reason: answer.reason ?? '', detail: answer.detail ?? '' });
  }

  private async giveUp(
    asked: PendingDropoffChange,
    done: readonly string[],
    { reason, detail }: { reason: string; detail: string },
  ): Promise<void> {
    const { run } = this;
    forgetRaises(run, done);
    run.compensations.undoAside(...[...done].reverse());
    await refuse(run, asked, refusedChange(reason, detail));
  }
}

/** Of this offer, and not of one before it that was undone: what the aircraft says of that may come when this one has been made. */
const isAbout = ({ asked }: Offer, dropoff: unknown): boolean =>
  isPlace(dropoff) && isSamePlace(asked.command.dropoff.location, dropoff);

const arrivalsOf = (eta: { pickup_at: string; dropoff_at: string }): Offer['eta'] => ({
  pickupMs: Date.parse(eta.pickup_at),
  dropoffMs: Date.parse(eta.dropoff_at),
});

const STILL_ASKING = refusedChange(
  'change_pending',
  'The drone has not said yet whether it flies to the dropoff that it was given before.',
);
const BY_AIRCRAFT =
  'The drone does not fly there: it is too far for what is left of its battery, or it is too late.';
const UNANSWERED: ChangeDropoffAnswer = {
  outcome: 'pending',
  reason: 'service_unavailable',
  detail: 'The drone service has not answered yet. An event will tell how it went.',
};
const UNHEARD: ChangeDropoffAnswer = {
  outcome: 'pending',
  reason: 'aircraft_unreachable',
  detail: 'The drone has not said yet whether it flies there. An event will tell how it went.',
};
