/**
 * The reconciler: undoes what a delivery left whose own workflow was terminated, and says so in its timeline. It trusts no
 * memory of that workflow: it looks at what the services hold, undoes it by the keys of the steps that took it, and looks
 * again until nothing is left. So it may be started at any time, repeated, or run for a delivery that turns out to be well.
 */
import { continueAsNew, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { Examination, ReconcileActivities } from '../../activities/reconcile.ts';
import { chargeFor, partsOf } from '../../services/account/contract/tariff.ts';
import type { NewDeliveryEvent } from '../../services/delivery/contract/index.ts';
import { interventionIdOf } from '../../services/delivery/contract/interventions.ts';
import { isFinal } from '../../services/delivery/contract/status.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { plainStep, StepFailed } from '../delivery/steps.ts';
import type { Money } from '../../shared/schemas.ts';
import type { ReconcileInput, ReconcileOutcome } from '../messages.ts';

type Holding = Examination['held'][number];
type Delivery = NonNullable<Examination['delivery']>;

const { examineDelivery } = proxyActivities<ReconcileActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '1s', maximumInterval: '1 minute' },
});

/** Between two looks, wall milliseconds: at first soon, then as long as a flight home or a person may take. */
const FIRST_LOOK_MS = 1_000;
const LONGEST_LOOK_MS = 60_000;

export async function reconcile(input: ReconcileInput): Promise<ReconcileOutcome> {
  const seen = await examineDelivery(input);
  if (seen.isCarried) return { outcome: 'carried', undone: [] };
  if (seen.delivery?.complete !== false && seen.held.length === 0) {
    return { outcome: 'nothing_left', undone: [] };
  }
  return new Reconciliation(input, seen).run();
}

class Reconciliation {
  private readonly deliveryId: DeliveryId;
  private readonly begunAt: number;
  private readonly undone: string[] = [];
  /** Drones that were told to bring their package back. */
  private readonly returning = new Set<string>();
  private ordinal = 0;
  private credited: Money | undefined;
  private seen: Examination;

  constructor({ deliveryId }: ReconcileInput, seen: Examination) {
    this.deliveryId = deliveryId;
    this.seen = seen;
    // The delivery's own workflow numbers its steps from 1, and an earlier reconciliation began at another event.
    this.begunAt = seen.delivery?.sequence ?? 0;
  }

  async run(): Promise<ReconcileOutcome> {
    if (this.seen.delivery && !isFinal(this.seen.delivery.status)) await this.fail(this.seen.delivery);
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_LOOK_MS)) {
      // Each on its own: one that fails holds up none of the others.
      const moved = await Promise.all(this.seen.held.map((one) => this.undo(one)));
      if (await this.credit()) moved.push(true);
      await this.tellOfDroneDown();
      this.seen = await examineDelivery({ deliveryId: this.deliveryId });
      // A person has reset the delivery's workflow meanwhile: the delivery is its again.
      if (this.seen.isCarried) return { outcome: 'carried', undone: this.undone };
      if (this.seen.held.length === 0 && !this.seen.owed) break;
      await this.closeSettled();
      if (moved.includes(true)) waitMs = FIRST_LOOK_MS;
      if (workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof reconcile>({ deliveryId: this.deliveryId });
      }
      await sleep(waitMs);
    }
    await this.complete();
    return { outcome: 'reconciled', undone: this.undone };
  }

  /** The outcome is written before anything is undone, as a delivery's own workflow does it. */
  private async fail({ status }: Delivery): Promise<void> {
    const { workflow, termination } = this.seen;
    await this.record({
      type: 'delivery.failed',
      status: 'failed',
      data: { workflow, ...(termination && { by: termination.by, why: termination.why }) },
      patch: {
        failure_reason: 'workflow_terminated',
        failure_detail: `Its workflow was ${workflow} while the delivery was ${status}.`,
        compensation: 'pending',
      },
    });
  }

  private async complete(): Promise<void> {
    const { delivery, captured, interventions } = this.seen;
    if (!delivery || delivery.complete) return;
    const isCarriedOut = delivery.status === 'delivered' || delivery.status === 'returned';
    const charge = captured ?? { amount: 0, currency: delivery.price.currency };
    for (const id of interventions) await this.resolve(id);
    await this.record({
      type: isCarriedOut ? 'delivery.settled' : 'delivery.compensation_complete',
      data: { by: 'reconciler', ...(this.credited && { credit: this.credited }) },
      patch: {
        compensation: isCarriedOut && delivery.compensation === 'none' ? 'none' : 'complete',
        charge,
        complete: true,
      },
    });
  }

  /** Answers whether it changed anything; what needs a flight, or a person, is looked at again later. */
  private async undo(held: Holding): Promise<boolean> {
    try {
      const outcome = await this.undoing(held);
      if (outcome === undefined) return false;
      const step = `${held.kind} ${held.stepKey.slice(held.stepKey.indexOf('/') + 1)}`;
      this.undone.push(`${step}: ${outcome}`);
      await this.record({ type: 'delivery.compensated', data: { step, outcome, by: 'reconciler' } });
      return true;
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      await this.askAPerson(
        this.questionOf(held),
        `compensation:${held.kind}`,
        `Undoing it failed for good (${error.message}): ${held.what}. Find out what that service refuses and settle it there; it is tried again at least once a minute, and this closes by itself as soon as nothing is held any more. There is nothing to answer.`,
      );
      return false;
    }
  }

  private async undoing(held: Holding): Promise<string | undefined> {
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
        return this.settleMoney(held);
      case 'packages': {
        const undo = { key: this.key('void_packages'), register_key: stepKey, account_id, delivery_id };
        return (await plainStep('voidPackages', undo, 'void the packages')).outcome;
      }
      case 'booking': {
        if (this.seen.delivery?.failure_reason === 'package_lost') {
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

  /** Empty, it is called home. With the package aboard, it brings that back to the sender first. */
  private async giveBackDrone({ stepKey, deliveryId: delivery_id }: Holding): Promise<string | undefined> {
    const undo = { reserve_key: stepKey, delivery_id, reason: REASON };
    if (this.returning.has(stepKey)) return undefined;
    const { outcome } = await plainStep(
      'recallDrone',
      { key: this.key('recall'), ...undo },
      'recall the drone',
    );
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
  private async settleMoney({ stepKey, deliveryId: delivery_id, accountId: account_id }: Holding) {
    const amount = this.dueOf(stepKey);
    if (amount.amount > 0) {
      const capture = {
        key: this.key('capture'),
        authorize_key: stepKey,
        delivery_id,
        amount,
        reason: this.seen.delivery?.status ?? 'delivered',
      };
      return (await plainStep('capture', capture, 'capture the charge')).outcome;
    }
    const undo = { key: this.key('void_authorization'), authorize_key: stepKey, account_id, delivery_id };
    return (await plainStep('voidAuthorization', undo, 'void the authorization')).outcome;
  }

  /** The part of the charge that is captured of one of the authorizations that are still open: the first ones first. */
  private dueOf(stepKey: string): Money {
    const { delivery, captured, held } = this.seen;
    const none: Money = { amount: 0, currency: delivery?.price.currency ?? 'USD' };
    if (delivery?.status !== 'delivered' && delivery?.status !== 'returned') return none;
    const due = chargeFor(delivery.status, delivery.price, delivery.return_price);
    const left = { ...due, amount: Math.max(0, due.amount - (captured?.amount ?? 0)) };
    const open = held
      .flatMap((one) => (one.kind === 'authorization' ? [one] : []))
      .sort((a, b) => (a.stepKey < b.stepKey ? -1 : 1));
    const parts = partsOf(
      left,
      open.map((one) => one.amount),
    );
    return parts[open.findIndex((one) => one.stepKey === stepKey)] ?? none;
  }

  /** Issues the credit note that its workflow did not get to. Answers whether it did. */
  private async credit(): Promise<boolean> {
    const { owed } = this.seen;
    if (!owed) return false;
    try {
      const step = { key: this.key('credit_note'), ...owed, reason: 'package_lost' as const };
      const { outcome } = await plainStep('issueCreditNote', step, 'credit the account for what was lost');
      this.credited = owed.amount;
      this.undone.push(`credit_note: ${outcome}`);
      return true;
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      const { amount, currency } = owed.amount;
      await this.askAPerson(
        interventionIdOf(this.deliveryId, CREDIT_QUESTION),
        'compensation:credit_note',
        `Crediting ${amount} ${currency} for what was lost failed for good (${error.message}). Find out what the account service refuses and settle it there; it is tried again at least once a minute, and this closes by itself as soon as it is credited. There is nothing to answer.`,
      );
      return false;
    }
  }

  private async tellOfDroneDown(): Promise<void> {
    for (const held of this.seen.held) {
      if (!('droneId' in held) || !this.seen.downDroneIds.includes(held.droneId)) continue;
      await this.askAPerson(
        this.questionOf(held, 'drone_down_'),
        'drone_down',
        `Drone ${held.droneId} is down, and its delivery has no workflow any more. Recover it and its package, then set the drone to maintenance: this closes by itself then. There is nothing to answer.`,
      );
    }
  }

  /** What a person was asked about and is no longer so needs nobody, though other things are still held. */
  private async closeSettled(): Promise<void> {
    const { held, downDroneIds, interventions } = this.seen;
    const own = interventions.filter((id) => id.startsWith(interventionIdOf(this.deliveryId, OWN_QUESTION)));
    const credit = this.seen.owed ? [interventionIdOf(this.deliveryId, CREDIT_QUESTION)] : [];
    const things = held.flatMap((one) => [
      this.questionOf(one),
      ...('droneId' in one && downDroneIds.includes(one.droneId)
        ? [this.questionOf(one, 'drone_down_')]
        : []),
    ]);
    const needed = [...things, ...credit];
    for (const id of own.filter((one) => !needed.includes(one))) await this.resolve(id);
  }

  private async resolve(id: string): Promise<void> {
    const resolution = { answer: 'reconciled', by: 'reconciler', why: NOTHING_LEFT };
    await this.record({
      type: 'delivery.intervention_resolved',
      data: resolution,
      resolve_intervention: { id, ...resolution },
    });
  }

  /** The id of the question about what one step took: `int_…_reconcile_register_1`. */
  private questionOf({ stepKey }: Holding, about = ''): string {
    const step = stepKey.slice(stepKey.indexOf('/') + 1).replaceAll('/', '_');
    return interventionIdOf(this.deliveryId, OWN_QUESTION + about + step);
  }

  private async askAPerson(id: string, kind: string, reason: string): Promise<void> {
    // As it was called before it told whose it is: a reconciliation under way does not ask again.
    const before = `int_reconcile_${kind.replace(':', '_')}`;
    const isAsked = this.seen.interventions.some((one) => one === id || one === before);
    if (isAsked || this.seen.delivery?.complete !== false) return;
    this.seen.interventions.push(id);
    await this.record({
      type: 'delivery.intervention_opened',
      data: { kind },
      patch: { compensation: 'needs_intervention' },
      open_intervention: { id, kind, reason, answers: [] },
    });
  }

  private async record(event: Omit<NewDeliveryEvent, 'occurred_at'>): Promise<void> {
    if (!this.seen.delivery) return;
    await plainStep(
      'appendEvents',
      {
        key: this.key('event'),
        deliveryId: this.deliveryId,
        events: [{ ...event, occurred_at: this.seen.now }],
      },
      `record: ${event.type}`,
    );
  }

  private key(step: string): string {
    this.ordinal += 1;
    return `${this.deliveryId}/reconcile_${step}/${this.begunAt}.${this.ordinal}`;
  }
}

/** What the ids of its own questions begin with, after the delivery's part. */
const OWN_QUESTION = 'reconcile_';
const CREDIT_QUESTION = `${OWN_QUESTION}credit_note`;
const REASON = 'its workflow was terminated';
const NOTHING_LEFT = 'nothing is left of what it was about';
