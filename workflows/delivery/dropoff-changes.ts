/** Changes of the dropoff that were asked for, in the order they came, each until it is answered. */
import { condition } from '@temporalio/workflow';
import { isFinal, type DeliveryStatus } from '../../services/delivery/contract/status.ts';
import type { ChangeDropoffAnswer, ChangeDropoffCommand } from '../messages.ts';

export interface PendingDropoffChange {
  command: ChangeDropoffCommand;
  answer: ChangeDropoffAnswer | undefined;
}

/** Why it can no longer be changed whatever the status: from when a carrier is asked. */
type Closed = 'carrier_being_asked' | 'carrier_booked';

export class DropoffChanges {
  private waiting: PendingDropoffChange[] = [];
  /** Taken up, and not answered yet. */
  private current: PendingDropoffChange | undefined;
  private closed: Closed | undefined;

  /** Asks for another dropoff and waits for the answer. */
  async ask(command: ChangeDropoffCommand, status: DeliveryStatus): Promise<ChangeDropoffAnswer> {
    const early = refusedByStatus(status) ?? (this.closed && BY_CARRIER[this.closed]);
    if (early) return early;
    const pending: PendingDropoffChange = { command, answer: undefined };
    this.waiting.push(pending);
    await condition(() => pending.answer !== undefined);
    return pending.answer ?? refusedChange(`already_${status}`, 'The delivery has ended.');
  }

  /** One can be taken: one at a time. */
  get hasNext(): boolean {
    return this.waiting.length > 0 && !this.isBusy;
  }

  private get isBusy(): boolean {
    return this.current !== undefined && this.current.answer === undefined;
  }

  /** The next one, to be answered by whoever takes it; until then no other is given. */
  take(): PendingDropoffChange | undefined {
    if (!this.hasNext) return undefined;
    this.current = this.waiting.shift();
    return this.current;
  }

  /** The one that was taken waits again: what it was tried on is gone. */
  putBack(change: PendingDropoffChange): void {
    this.current = undefined;
    this.waiting.unshift(change);
  }

  /** No carrier has it, or is to have it (any more): the dropoff can be changed. */
  open(): void {
    this.closed = undefined;
  }

  /** Too late from now on, also for those that wait. */
  close(why: Closed): void {
    this.closed = why;
    this.answerAll(BY_CARRIER[why]);
  }

  /** Nobody is left waiting for what the status no longer allows. */
  answerLate(status: DeliveryStatus): void {
    const early = refusedByStatus(status);
    if (early) this.answerAll(early);
  }

  private answerAll(answer: ChangeDropoffAnswer): void {
    for (const pending of [...(this.current ? [this.current] : []), ...this.waiting])
      pending.answer ??= answer;
    this.waiting = [];
    this.current = undefined;
  }
}

export function refusedChange(reason: string, detail: string): ChangeDropoffAnswer {
  return { outcome: 'refused', reason, detail };
}

const BY_CARRIER: Readonly<Record<Closed, ChangeDropoffAnswer>> = {
  carrier_being_asked: refusedChange(
    'carrier_being_asked',
    'No drone could be had, and a carrier is being asked to take it to this dropoff. The delivery can be cancelled.',
  ),
  carrier_booked: refusedChange(
    'carrier_booked',
    'A carrier has been booked, and its contract knows no other dropoff. The delivery can be cancelled until it is picked up.',
  ),
};

/** What the status alone refuses; undefined when the saga must say. */
export function refusedByStatus(status: DeliveryStatus): ChangeDropoffAnswer | undefined {
  if (isFinal(status)) return refusedChange(`already_${status}`, `The delivery has ended: it is ${status}.`);
  if (status === 'arrived_at_dropoff') {
    return refusedChange('arrived_at_dropoff', 'The drone has arrived at the dropoff.');
  }
  if (status === 'enroute_to_return' || status === 'arrived_at_return') {
    return refusedChange('returning', 'The package is on its way back to the sender.');
  }
  return undefined;
}
