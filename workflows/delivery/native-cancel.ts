/**
 * *Cancel* in the Temporal UI, or by its CLI. Before the pickup it is a cancel; with the package aboard it is too late for that, so a
 * person says what was meant. A workflow does not hear who has pressed the button, nor why: that is read from its history meanwhile.
 */
import { CancellationScope, condition, patched } from '@temporalio/workflow';
import { isFinal } from '../../services/delivery/contract/status.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { nameOf, type CancelAnswer, type CancelCommand } from '../messages.ts';
import { answerByStatus } from './cancels.ts';
import type { Happenings } from './happenings.ts';
import type { Answer } from './orders.ts';
import type { DeliveryRecord } from './record.ts';
import type { Resets } from './resets.ts';
import type { DeliveryRun } from './run.ts';
import { briefStep, StepFailed } from './steps.ts';

/** The answer that aborts the delivery: the package is flown back to the sender. */
export const TURN_ROUND = 'abort';

export const RETURNING: Answer = {
  outcome: 'returning',
  reason: null,
  detail: 'The drone brings the package back to the sender.',
};

const CANCEL_REQUESTED = 'cancel_requested';

/** Longer ones are cut: identities are names of people and machines, reasons what one writes beside a button. */
const LONGEST_IDENTITY = 100;
const LONGEST_REASON = 500;

export class NativeCancel {
  /** Of whoever has pressed it: of nobody in particular until that is known. */
  readonly command: CancelCommand = {
    reason: 'requested_by_operator',
    actor: { role: 'operator', id: 'temporal-ui' },
    why: 'Cancel in the Temporal UI',
  };
  /** Settles when it is known who has pressed it, or that nobody says; undefined: it need not be waited for. */
  reading: Promise<void> | undefined;
  /** An event tells of it, or will. */
  private isTold = false;
  private telling: Promise<void> | undefined;
  private readonly record: DeliveryRecord;
  private readonly deliveryId: DeliveryId;

  constructor(record: DeliveryRecord, deliveryId: DeliveryId) {
    this.record = record;
    this.deliveryId = deliveryId;
  }

  /** To be called in the workflow's own scope, which the button cancels. */
  watch(happenings: Happenings, resets: Resets): void {
    CancellationScope.current().cancelRequested.catch(() =>
      CancellationScope.nonCancellable(() => {
        if (patched('who-cancelled-natively')) this.reading = this.readWho();
        const asking = Promise.resolve(resets.inTurn(() => happenings.cancelNatively(this.command)));
        if (this.reading) this.telling = this.tellOfAnother(happenings, asking);
        return asking;
      }),
    );
  }

  /** `operator:jo`, and why, for those who read the timeline. */
  get who(): { by: string; why: string } {
    const { actor, why = '' } = this.command;
    return { by: nameOf(actor), why };
  }

  private async readWho(): Promise<void> {
    const { deliveryId, command } = this;
    const request = await briefStep(
      'readCancelRequest',
      { deliveryId },
      'read who has cancelled the workflow',
    );
    const identity = request?.identity.trim().slice(0, LONGEST_IDENTITY);
    const reason = request?.reason.trim().slice(0, LONGEST_REASON);
    // The command is kept where it was taken: what has not been written of it yet is written so.
    if (identity) Object.assign(command.actor, { id: identity });
    if (reason) Object.assign(command, { why: reason });
  }

  /** The question that it opens tells of it. */
  asks(): void {
    this.isTold = true;
  }

  /** What nothing has told of is told: it was pressed at the very end. To be called then; undefined: there is nothing to wait for. */
  close(): Promise<void> | undefined {
    return this.telling?.then(() => this.tell(answerByStatus(this.record.status)));
  }

  /** The cancellation tells of it, or the question that it opens with the package aboard; where it was too late for both, its own event. */
  private async tellOfAnother(happenings: Happenings, asking: Promise<CancelAnswer>): Promise<void> {
    let answer: CancelAnswer | undefined = await asking;
    if (answer.outcome === 'pending') {
      // The aircraft's word settles it, or an end that comes without.
      await condition(() => !happenings.cancelIsUnsettled || isFinal(this.record.status));
      answer = answerByStatus(this.record.status);
      // It has loaded, and its milestone is on the way.
      if (!answer) return;
    }
    const isCanceller = answer.outcome === 'cancelled' && happenings.cancelCommand === this.command;
    if (isCanceller) this.isTold = true;
    // With the package aboard it is asked what was meant.
    else if (answer.reason !== 'already_picked_up') await this.tell(answer);
  }

  private async tell(answer: CancelAnswer | undefined): Promise<void> {
    if (this.isTold) return;
    this.isTold = true;
    await this.reading;
    try {
      const answered = answer && { outcome: answer.outcome, reason: answer.reason };
      await this.record.note(CANCEL_REQUESTED, { data: { ...this.who, ...answered } });
    } catch (error) {
      // Nothing of the delivery depends on it.
      if (!(error instanceof StepFailed)) throw error;
    }
  }
}

/** Whether it is the question that the button opened: there is one of it. */
export const isCancelQuestion = (record: DeliveryRecord, interventionId: string): boolean =>
  interventionId === record.interventionId(CANCEL_REQUESTED);

/** Opens the question, unless the package is on its way back already. */
export async function cancelQuestion(
  { record, nativeCancel }: Pick<DeliveryRun, 'record' | 'nativeCancel'>,
  carriedBy: 'drone' | 'carrier',
): Promise<void> {
  nativeCancel.asks();
  if (nativeCancel.reading) await nativeCancel.reading;
  const { by, why } = nativeCancel.who;
  if (record.status === 'enroute_to_return' || record.status === 'arrived_at_return') {
    await record.note(CANCEL_REQUESTED, { data: { by, why: `${why}; it is being returned already` } });
    return;
  }
  const carryOn = { answer: 'carry_on', effect: 'lets the delivery go on as if nothing had been asked' };
  const pressed = `The workflow was cancelled by ${by} (${why})`;
  await record.openIntervention(
    {
      id: record.interventionId(CANCEL_REQUESTED),
      kind: CANCEL_REQUESTED,
      reason:
        carriedBy === 'drone'
          ? `${pressed} with the package aboard the drone. The delivery goes on meanwhile.`
          : `${pressed} with the package in the carrier’s hands, who takes no order to bring it back. The delivery goes on meanwhile.`,
      answers: [
        ...(carriedBy === 'drone'
          ? [{ answer: TURN_ROUND, effect: 'turns the drone round: the package is flown back to the sender' }]
          : []),
        carryOn,
      ],
    },
    {},
    { by, why },
  );
}
