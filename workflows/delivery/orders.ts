/**
 * Orders that are under way: operators' to take another drone and to abort, the *Cancel* button of the Temporal UI, and the
 * recipient's word that it is confirmed. Handlers
 * put them here and wait; the saga takes them one at a time and answers. A second order shares the first one's answer.
 */
import { isBeforePickup, isFinal } from '../../services/delivery/contract/status.ts';
import {
  ABORT_UPDATE,
  type AbortCommand,
  type CancelAnswer,
  type ConfirmCommand,
  type OperatorAnswer,
  REASSIGN_DRONE_UPDATE,
  type ReassignDroneCommand,
} from '../messages.ts';
import type { OrderLog } from './order-log.ts';
import type { DeliveryRecord } from './record.ts';

/** An answer before it is addressed to one of those who asked. */
export type Answer = Omit<OperatorAnswer, 'request'>;

export type OrderHappening =
  | { kind: 'reassign'; command: ReassignDroneCommand }
  | { kind: 'abort'; command: AbortCommand }
  | { kind: 'confirm' }
  /** Native cancel, with the package aboard: a person has to say what it meant. */
  | { kind: 'native_cancel' };

export interface Order<C> {
  command: C;
  /** The saga has taken it up. */
  taken: boolean;
  answer: Answer | undefined;
}

export class Orders {
  private readonly record: DeliveryRecord;
  private readonly orderLog: OrderLog;
  private reassigning: Order<ReassignDroneCommand> | undefined;
  private excludesPresent = false;
  private aborting: Order<AbortCommand> | undefined;
  private confirming: Order<ConfirmCommand> | undefined;
  private nativeCancel: 'asked' | 'taken' | undefined;

  constructor(record: DeliveryRecord, orderLog: OrderLog) {
    this.record = record;
    this.orderLog = orderLog;
  }

  reassign(command: ReassignDroneCommand): Order<ReassignDroneCommand> {
    if (!this.reassigning) this.excludesPresent = false;
    this.excludesPresent ||= command.excludePresent !== false;
    this.reassigning ??= { command, taken: false, answer: undefined };
    return this.reassigning;
  }

  abort(command: AbortCommand): Order<AbortCommand> {
    this.aborting ??= { command, taken: false, answer: undefined };
    return this.aborting;
  }

  confirm(command: ConfirmCommand): Order<ConfirmCommand> {
    this.confirming ??= { command, taken: false, answer: undefined };
    return this.confirming;
  }

  cancelledNatively(): void {
    this.nativeCancel ??= 'asked';
  }

  /** Its drone is to be replaced, and nobody has said yet whether it can be: a step that a cancel interrupts is interrupted. */
  get reassignIsPending(): boolean {
    return this.reassigning !== undefined && this.reassigning.answer === undefined;
  }

  /** Whether any of those who want another drone wants the present one out of the question from now on. */
  get reassignExcludesPresent(): boolean {
    return this.excludesPresent;
  }

  /** The wish for another drone that nobody has answered yet. */
  get reassignCommand(): ReassignDroneCommand | undefined {
    return this.reassignIsPending ? this.reassigning?.command : undefined;
  }

  /** What aborts it, for the record of the cancel that it became. */
  get abortCommand(): AbortCommand | undefined {
    return this.aborting?.command;
  }

  get hasSomething(): boolean {
    return this.next() !== undefined;
  }

  /** The next order to carry out; each is given once. */
  take(): OrderHappening | undefined {
    const next = this.next();
    if (next?.kind === 'native_cancel') this.nativeCancel = 'taken';
    else if (next?.kind === 'abort' && this.aborting) this.aborting.taken = true;
    else if (next?.kind === 'confirm' && this.confirming) this.confirming.taken = true;
    else if (this.reassigning && next) this.reassigning.taken = true;
    return next;
  }

  private next(): OrderHappening | undefined {
    const { aborting, confirming, reassigning, nativeCancel } = this;
    const { status } = this.record;
    // Before the pickup an abort and a native cancel are cancels; with the package aboard it takes more.
    const isAboard = !isBeforePickup(status) && !isFinal(status);
    if (aborting && !aborting.taken && isAboard) return { kind: 'abort', command: aborting.command };
    if (nativeCancel === 'asked' && isAboard) return { kind: 'native_cancel' };
    if (confirming && !confirming.taken) return { kind: 'confirm' };
    if (reassigning && !reassigning.taken) return { kind: 'reassign', command: reassigning.command };
    return undefined;
  }

  /** `pending` keeps the order in mind: an event will tell how it went. */
  answerReassign(answer: Answer): void {
    if (this.reassigning) this.reassigning.answer = answer;
    if (answer.outcome !== 'pending') this.reassigning = undefined;
    this.orderLog.settled(REASSIGN_DRONE_UPDATE, answer);
  }

  /** `pending` keeps the order in mind: an event will tell how it went. */
  answerAbort(answer: Answer): void {
    if (this.aborting) this.aborting.answer = answer;
    if (answer.outcome !== 'pending') this.aborting = undefined;
    this.orderLog.settled(ABORT_UPDATE, answer);
  }

  answerConfirm(answer: Answer): void {
    if (this.confirming) this.confirming.answer = answer;
    this.confirming = undefined;
  }

  /** What the cancel that an abort is before the pickup came to. One that was loaded first is turned round instead. */
  cancelAnswered({ outcome, reason, detail }: CancelAnswer): void {
    if (!this.aborting || (outcome === 'refused' && reason === 'already_picked_up')) return;
    this.aborting.answer = { outcome, reason, detail };
    if (outcome === 'refused') this.aborting = undefined;
    this.orderLog.settled(ABORT_UPDATE, { outcome, reason });
  }

  /** Nobody is left waiting for what can no longer be done. */
  answerLate(): void {
    const { status } = this.record;
    const early = refusedByStatus(status);
    if (early && this.reassigning) this.answerReassign(early);
    const notAwaited = confirmRefusedByStatus(status);
    if (notAwaited && this.confirming) this.answerConfirm(notAwaited);
    if (early && isFinal(status) && this.aborting) {
      this.answerAbort(status === 'cancelled' ? { outcome: 'cancelled', reason: null, detail: null } : early);
    }
  }
}

/** What the delivery's end refuses; undefined before it. */
export function endedBy(status: DeliveryRecord['status']): Answer | undefined {
  if (!isFinal(status)) return undefined;
  return refused(`already_${status}`, `The delivery has ended: it is ${status}.`);
}

/** What the status alone refuses about a drone's replacement; undefined when the saga must say. */
export function refusedByStatus(status: DeliveryRecord['status']): Answer | undefined {
  const ended = endedBy(status);
  if (ended) return ended;
  if (!isBeforePickup(status)) {
    return refused('already_picked_up', 'The package is aboard: the drone can no longer be replaced.');
  }
  return undefined;
}

/** What the status alone refuses about a confirmation; undefined while the package is at the dropoff. */
export function confirmRefusedByStatus(status: DeliveryRecord['status']): Answer | undefined {
  if (status === 'arrived_at_dropoff') return undefined;
  const ended = endedBy(status);
  if (ended) return ended;
  return refused(
    'not_awaited',
    `Nobody waits for a confirmation: the delivery is ${status.replaceAll('_', ' ')}.`,
  );
}

export function refused(reason: string, detail: string): Answer {
  return { outcome: 'refused', reason, detail };
}

export const BEING_CANCELLED = refused('being_cancelled', 'The delivery is being cancelled.');
