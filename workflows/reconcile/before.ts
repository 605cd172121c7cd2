/**
 * The reconciler as it was: only for reconciliations that began with it, which go on as they began. What is new is in
 * reconciliation.ts.
 */
import { continueAsNew, sleep, workflowInfo } from '@temporalio/workflow';
import type { Examination } from '../../activities/examination.ts';
import type { NewDeliveryEvent } from '../../services/delivery/contract/index.ts';
import { interventionIdOf } from '../../services/delivery/contract/interventions.ts';
import { isFinal } from '../../services/delivery/contract/status.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Money } from '../../shared/schemas.ts';
import { plainStep, StepFailed } from '../delivery/steps.ts';
import type { ReconcileInput, ReconcileOutcome } from '../messages.ts';
import { examineDelivery, FIRST_LOOK_MS, LONGEST_LOOK_MS } from './look.ts';
import { type ExaminedDelivery, type Holding, Undoing } from './undoing.ts';
import type { reconcile } from './workflow.ts';

export class ReconciliationBefore {
  private readonly deliveryId: DeliveryId;
  private readonly begunAt: number;
  private readonly undone: string[] = [];
  private readonly undoing = new Undoing(
    (step) => this.key(step),
    ({ failure_reason }) => failure_reason === 'package_lost',
  );
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
      // A service that does not answer may hold something: a newer build looks without it.
      const isKnown = (this.seen.unread ?? []).length === 0;
      if (this.seen.held.length === 0 && !this.seen.owed && isKnown) break;
      await this.closeSettled();
      if (moved.includes(true)) waitMs = FIRST_LOOK_MS;
      if (workflowInfo().continueAsNewSuggested) {
        // As the workflow is, which goes on with what it finds.
        await continueAsNew<typeof reconcile>({ deliveryId: this.deliveryId });
      }
      await sleep(waitMs);
    }
    await this.complete();
    return { outcome: 'reconciled', undone: this.undone };
  }

  /** The outcome is written before anything is undone, as a delivery's own workflow does it. */
  private async fail({ status }: ExaminedDelivery): Promise<void> {
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
      const outcome = await this.undoing.undo(held, this.seen);
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
const NOTHING_LEFT = 'nothing is left of what it was about';
