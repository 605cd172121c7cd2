/**
 * Another dropoff for a drone in the air. The difference is authorized, then the drone service offers it to the aircraft, which
 * has the last word: `rerouted`, and it stands; `reroute_refused`, or arrived at the old one, and what was done for it is
 * undone. An aircraft that says nothing for a while is answered as `pending`; an event tells how it went.
 */
import { patched } from '@temporalio/workflow';
import type { Money } from '../../shared/schemas.ts';
import { nameOf, type ChangeDropoffAnswer, type DroneMilestoneSignal } from '../messages.ts';
import { answeredAtOnce, priceTo, refuse, rerouteStep, stand } from './change-dropoff.ts';
import { type PendingDropoffChange, refusedByStatus, refusedChange } from './dropoff-changes.ts';
import { forgetRaises, inTime, raiseTo } from './money.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { callerWaitsUntilMs } from './turning.ts';

/** What the aircraft has been offered. */
interface Offer {
  asked: PendingDropoffChange;
  price: Money;
  /** The compensations of what was done for it, the first step first. */
  done: string[];
  /** The one of them that undoes the reroute. */
  undo: string;
  eta: { pickupMs: number; dropoffMs: number };
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
    const { step, undo } = rerouteStep(run, drone, dropoff, done);
    const answer = await inTime(run, step);
    if ('reason' in answer) {
      // What the drone service refused it has not done.
      if ('outcome' in answer) run.compensations.discharge(undo);
      return this.giveUp(asked, done, answer);
    }
    const eta = { pickupMs: Date.parse(answer.eta.pickup_at), dropoffMs: Date.parse(answer.eta.dropoff_at) };
    this.offer = { asked, price, done, undo, eta };
    const answerByMs = run.record.nowMs() + run.policy.rerouteAnswerS * 1000;
    // Before, the caller was gone by then.
    const isInTime = patched('a-change-is-answered-while-its-caller-waits');
    this.answerByMs = isInTime ? Math.min(answerByMs, callerWaitsMs) : answerByMs;
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
    offer.asked.answer ??= UNHEARD;
  }

  /** A milestone that answers the offer settles it, before it is acted upon. */
  async onMilestone({ kind, detail: { reason } }: DroneMilestoneSignal): Promise<void> {
    if (this.offer === undefined) return;
    switch (kind) {
      case 'rerouted':
        return this.taken(this.offer);
      case 'reroute_refused':
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
    this.forget();
    run.compensations.discharge(offer.undo);
    run.happenings.dropoffs.putBack(offer.asked);
  }

  private async taken(offer: Offer): Promise<void> {
    const { run, drone } = this;
    this.forget();
    run.compensations.discharge(offer.undo);
    const { pickupMs, dropoffMs } = offer.eta;
    if (run.record.status === 'confirmed' || run.record.status === 'enroute_to_pickup') {
      drone.pickupEtaMs = pickupMs;
    }
    drone.dropoffEtaMs = dropoffMs;
    await stand(run, offer.asked, {
      price: offer.price,
      dropoffAtMs: dropoffMs,
      pickupAtMs: drone.pickupEtaMs,
    });
  }

  private async refused(answer: ChangeDropoffAnswer): Promise<void> {
    const { offer } = this;
    if (offer === undefined) return;
    this.forget();
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

  private forget(): void {
    this.offer = undefined;
    this.answerByMs = Number.POSITIVE_INFINITY;
  }
}

const STILL_ASKING = refusedChange(
  'change_pending',
  'The drone has not said yet whether it flies to the dropoff that it was given before.',
);
const BY_AIRCRAFT =
  'The drone does not fly there: it is too far for what is left of its battery, or it is too late.';
const UNHEARD: ChangeDropoffAnswer = {
  outcome: 'pending',
  reason: 'aircraft_unreachable',
  detail: 'The drone has not said yet whether it flies there. An event will tell how it went.',
};
