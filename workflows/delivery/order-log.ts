/**
 * Every operator's order is in the delivery's timeline, with who, why, and how it was answered: in the event of what it caused, or
 * where it caused none of its own (it was refused, or shares what another one caused) as `order_answered`. One event for each.
 */
import { CancellationScope, patched } from '@temporalio/workflow';
import {
  nameOf,
  ABORT_UPDATE,
  CANCEL_UPDATE,
  REASSIGN_DRONE_UPDATE,
  RESOLVE_INTERVENTION_UPDATE,
  RETRY_COMPENSATION_UPDATE,
} from '../messages.ts';
import type { Answer } from './orders.ts';
import type { DeliveryRecord } from './record.ts';
import { StepFailed } from './steps.ts';

/** What the updates take that may be orders. */
export interface LoggedCommand {
  actor: { role: string; id: string };
  why?: string;
}

export type LoggedAnswer = Pick<Answer, 'reason'> & { outcome: string };

/** Those whose `pending` comes to something else later on. */
const SETTLED_LATER: readonly string[] = [CANCEL_UPDATE, ABORT_UPDATE, REASSIGN_DRONE_UPDATE];
/** An answer that was taken closes its intervention, and the event of that names it. */
const CLOSES: readonly string[] = [RESOLVE_INTERVENTION_UPDATE, RETRY_COMPENSATION_UPDATE];

interface Unsettled {
  order: string;
  command: LoggedCommand;
}

/** Somebody who hammers the button does not blow up the history: that they did, the last one says. */
const MOST_TOLD = 50;

export class OrderLog {
  private readonly record: DeliveryRecord;
  /** An event names them. */
  private readonly told = new Set<LoggedCommand>();
  /** Answered `pending`, and no event names them yet. */
  private unsettled: Unsettled[] = [];
  private unwritten = 0;

  constructor(record: DeliveryRecord) {
    this.record = record;
  }

  /** Something of it is being written. */
  get isWriting(): boolean {
    return this.unwritten > 0;
  }

  /** The event that is being written names it. */
  tell(command: LoggedCommand | undefined): void {
    if (!command) return;
    const before = this.unsettled.length;
    this.unsettled = this.unsettled.filter((one) => one.command !== command);
    if (this.unsettled.length === before) this.told.add(command);
  }

  /** An order was answered, which may be the business's own. `pending`: it is told when it is settled. */
  answered(order: string, command: LoggedCommand, reply: LoggedAnswer): void {
    if (this.told.delete(command) || command.actor.role !== 'operator') return;
    if (CLOSES.includes(order) && reply.outcome === 'accepted') return;
    if (reply.outcome === 'pending' && SETTLED_LATER.includes(order)) this.unsettled.push({ order, command });
    else this.note({ order, command }, reply);
  }

  /** What was answered `pending` has come to this, for all who have ordered it. */
  settled(order: string, reply: LoggedAnswer): void {
    if (reply.outcome === 'pending') return;
    for (const one of this.unsettled.filter((it) => it.order === order)) this.note(one, reply);
    this.unsettled = this.unsettled.filter((one) => one.order !== order);
  }

  /** The delivery has ended: so has what was never settled. */
  close(reply: LoggedAnswer): void {
    for (const one of this.unsettled.splice(0)) this.note(one, reply);
  }

  /** Written beside what goes on: whoever has ordered it hears the answer at once, and nothing of the delivery waits for it. */
  private note({ order, command: { actor, why } }: Unsettled, { outcome, reason }: LoggedAnswer): void {
    // By the ordinal of its event, which outlives a continue-as-new.
    const told = this.record.ordinals['event_order_answered'] ?? 0;
    if (told >= MOST_TOLD || !patched('orders-are-told')) return;
    const data = {
      order,
      by: nameOf(actor),
      ...(why !== undefined && { why }),
      outcome,
      reason,
      ...(told === MOST_TOLD - 1 && { further: 'not recorded' }),
    };
    this.unwritten += 1;
    CancellationScope.nonCancellable(() => this.record.note('order_answered', { data }))
      .catch((error: unknown) => {
        // A delivery that has been picked up asks a person; before, nothing of it depends on this.
        if (!(error instanceof StepFailed)) throw error;
      })
      .finally(() => {
        this.unwritten -= 1;
      });
  }
}
