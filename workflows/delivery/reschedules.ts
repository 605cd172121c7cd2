/** Reschedules that were asked for, in the order they came, each until it is answered; and whether there is still something to move. */
import { condition } from '@temporalio/workflow';
import { isFinal, type DeliveryStatus } from '../../services/delivery/contract/status.ts';
import type { RescheduleAnswer, RescheduleCommand } from '../messages.ts';

export interface PendingReschedule {
  command: RescheduleCommand;
  answer: RescheduleAnswer | undefined;
}

/** Why the pickup can no longer be moved: from when the drone is sent, or a carrier is asked. */
export type Closed = 'drone_dispatched' | 'carrier_being_asked' | 'carrier_booked';

export class Reschedules {
  private readonly waiting: PendingReschedule[] = [];
  /** Taken up by the saga, and perhaps not answered yet. */
  private current: PendingReschedule | undefined;
  private closed: Closed | undefined;

  /** Asks for another window and waits for the answer. */
  async ask(command: RescheduleCommand, status: DeliveryStatus): Promise<RescheduleAnswer> {
    if (isFinal(status)) return ended(status);
    if (this.closed) return tooLate(this.closed);
    const pending: PendingReschedule = { command, answer: undefined };
    this.waiting.push(pending);
    await condition(() => pending.answer !== undefined);
    return pending.answer ?? ended(status);
  }

  get isPending(): boolean {
    return this.waiting.length > 0;
  }

  /** The next one, to be answered by whoever takes it. */
  take(): PendingReschedule | undefined {
    const next = this.waiting.shift();
    if (next) this.current = next;
    return next;
  }

  /** No drone and no carrier is on its way (any more): the pickup can be moved. */
  open(): void {
    this.closed = undefined;
  }

  /** Too late from now on, also for those that wait. */
  close(why: Closed): void {
    this.closed = why;
    for (const pending of this.waiting.splice(0)) pending.answer = tooLate(why);
  }

  /** The delivery has ended: nobody is left waiting, not even for what it has failed at. */
  end(status: DeliveryStatus): void {
    for (const pending of [...(this.current ? [this.current] : []), ...this.waiting.splice(0)])
      pending.answer ??= ended(status);
    this.current = undefined;
  }
}

export function refusedReschedule(reason: string, detail: string): RescheduleAnswer {
  return { outcome: 'refused', reason, detail };
}

const TOO_LATE: Readonly<Record<Closed, string>> = {
  drone_dispatched:
    'The drone has been sent. The pickup can no longer be moved, but the delivery can be cancelled until it has loaded.',
  carrier_being_asked:
    'No drone could be had, and a carrier is being asked to come. The pickup cannot be moved, but the delivery can be cancelled.',
  carrier_booked:
    'A carrier has been booked. The pickup can no longer be moved, but the delivery can be cancelled until it is picked up.',
};

const tooLate = (why: Closed): RescheduleAnswer => refusedReschedule(why, TOO_LATE[why]);

const ended = (status: DeliveryStatus): RescheduleAnswer =>
  refusedReschedule(`already_${status}`, `The delivery has ended: it is ${status}.`);
