/**
 * Undoes one thing that is held, by the key of the step that took it. It trusts no memory: what was undone before, by whomever,
 * changes nothing.
 */
import type { Examination } from '../../activities/examination.ts';
import { chargeFor, partsOf } from '../../services/account/contract/tariff.ts';
import type { Money } from '../../shared/schemas.ts';
import { plainStep } from '../delivery/steps.ts';

export type Holding = Examination['held'][number];
export type ExaminedDelivery = NonNullable<Examination['delivery']>;

/** Idempotency keys of the steps that undo. */
export type Keys = (step: string) => string;

const REASON = 'its workflow was terminated';

export class Undoing {
  private readonly key: Keys;
  private readonly isClosedByHand: (delivery: ExaminedDelivery) => boolean;
  /** Drones that were told to bring their package back. */
  private readonly returning = new Set<string>();
  /** Drones that have not said whether they have loaded. */
  private readonly unanswered = new Set<string>();

  /** @param isClosedByHand the carrier's word on the package is not waited for any more: its booking is closed */
  constructor(key: Keys, isClosedByHand: (delivery: ExaminedDelivery) => boolean) {
    this.key = key;
    this.isClosedByHand = isClosedByHand;
  }

  /**
   * @returns what came of it; undefined when nothing has changed: it needs a flight, or a person, and is looked at again later
   * @throws {StepFailed} when its service refuses for good
   */
  async undo(held: Holding, seen: Examination): Promise<string | undefined> {
    const { deliveryId: delivery_id, stepKey, accountId: account_id } = held;
    switch (held.kind) {
      case 'reservation':
      case 'mission':
        return this.giveBackDrone(held);
      case 'waiting_place': {
        const undo = { key: this.key('release'), reserve_key: stepKey, delivery_id, reason: REASON };
        return (await plainStep('releaseDrone', undo, 'leave the line for a drone')).outcome;
      }
      case 'authorization':
        return this.settleMoney(held, seen);
      case 'packages': {
        const undo = { key: this.key('void_packages'), register_key: stepKey, account_id, delivery_id };
        return (await plainStep('voidPackages', undo, 'void the packages')).outcome;
      }
      case 'booking': {
        if (seen.delivery && this.isClosedByHand(seen.delivery)) {
          const close = { key: this.key('write_off_booking'), book_key: stepKey, account_id, delivery_id };
          return (await plainStep('writeOffBooking', close, 'close the carrier’s booking as lost')).outcome;
        }
        const undo = { key: this.key('cancel_booking'), book_key: stepKey, account_id, delivery_id };
        const { outcome } = await plainStep('cancelBooking', undo, 'cancel the carrier’s booking');
        // Too late to stop it: the carrier ends it by delivering.
        return outcome === 'already_picked_up' ? undefined : outcome;
      }
    }
  }

  /** Nobody flies or carries for it: its drone was asked last, and has not answered. */
  isUnanswered({ stepKey }: Holding): boolean {
    return this.unanswered.has(stepKey);
  }

  /** Empty, it is called home. With the package aboard, it brings that back to the sender first. */
  private async giveBackDrone({ stepKey, deliveryId: delivery_id }: Holding): Promise<string | undefined> {
    const undo = { reserve_key: stepKey, delivery_id, reason: REASON };
    if (this.returning.has(stepKey)) return undefined;
    const { outcome } = await plainStep(
      'recallDrone',
      { key: this.key('recall'), ...undo },
      'recall the drone',
    );
    if (outcome === 'pending') this.unanswered.add(stepKey);
    else this.unanswered.delete(stepKey);
    switch (outcome) {
      case 'recalled':
      case 'never_dispatched': {
        const released = { key: this.key('release'), ...undo };
        return (await plainStep('releaseDrone', released, 'release the drone')).outcome;
      }
      case 'loaded': {
        this.returning.add(stepKey);
        const back = { key: this.key('return'), ...undo };
        return (await plainStep('returnToSender', back, 'bring the package back')).outcome;
      }
      // The aircraft may be loading and has not answered.
      case 'pending':
        return undefined;
    }
  }

  /** What was carried out is charged; all else was our failure. */
  private async settleMoney(held: Holding, seen: Examination): Promise<string> {
    const { stepKey, deliveryId: delivery_id, accountId: account_id } = held;
    const amount = dueOf(stepKey, seen);
    if (amount.amount > 0) {
      const capture = {
        key: this.key('capture'),
        authorize_key: stepKey,
        delivery_id,
        amount,
        charge: costOf(seen),
        reason: seen.delivery?.status ?? 'delivered',
      };
      return (await plainStep('capture', capture, 'capture the charge')).outcome;
    }
    const undo = { key: this.key('void_authorization'), authorize_key: stepKey, account_id, delivery_id };
    return (await plainStep('voidAuthorization', undo, 'void the authorization')).outcome;
  }
}

/** What was carried out costs, in all. */
function costOf({ delivery }: Examination): Money {
  if (delivery?.status !== 'delivered' && delivery?.status !== 'returned')
    return { amount: 0, currency: delivery?.price.currency ?? 'USD' };
  return chargeFor(delivery.status, delivery.price, delivery.return_price);
}

/** The part of the charge that is captured of one of the authorizations that are still open: the first ones first. */
function dueOf(stepKey: string, seen: Examination): Money {
  const { captured, held } = seen;
  const due = costOf(seen);
  // Histories from before a delivery could be charged in pieces do not say of what size they are.
  if (due.amount === 0) return due;
  const left = { ...due, amount: Math.max(0, due.amount - (captured?.amount ?? 0)) };
  const open = held
    .flatMap((one) => (one.kind === 'authorization' ? [one] : []))
    .sort((a, b) => (a.stepKey < b.stepKey ? -1 : 1));
  const parts = partsOf(
    left,
    open.map((one) => one.amount),
  );
  return parts[open.findIndex((one) => one.stepKey === stepKey)] ?? { ...due, amount: 0 };
}
