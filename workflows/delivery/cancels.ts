/** A cancel that was asked for, until the saga has settled it. */
import { type DeliveryStatus, isBeforePickup, isFinal } from '../../services/delivery/contract/status.ts';
import type { CancelAnswer, CancelCommand } from '../messages.ts';

export interface PendingCancel {
  command: CancelCommand;
  /** The saga has taken it up. */
  taken: boolean;
  answer: CancelAnswer | undefined;
}

export class Cancels {
  private asked: PendingCancel | undefined;

  /** A second request shares the first one's answer. */
  ask(command: CancelCommand): PendingCancel {
    this.asked ??= { command, taken: false, answer: undefined };
    return this.asked;
  }

  /** Somebody wants it cancelled, and that has not been refused. */
  get isAsked(): boolean {
    return this.asked !== undefined;
  }

  /** Nobody has said yet what becomes of it. */
  get isPending(): boolean {
    return this.asked !== undefined && this.asked.answer === undefined;
  }

  /** It was answered `pending` and waits for the aircraft to say what it did. */
  get isUnsettled(): boolean {
    return this.asked?.answer?.outcome === 'pending';
  }

  get command(): CancelCommand | undefined {
    return this.asked?.command;
  }

  get hasNext(): boolean {
    return this.isPending && this.asked?.taken === false;
  }

  /** Given once. */
  take(): CancelCommand | undefined {
    if (!this.asked || !this.hasNext) return undefined;
    this.asked.taken = true;
    return this.asked.command;
  }

  /** `pending` keeps it in mind; a refusal forgets it, so that it can be asked again. */
  answer(answer: CancelAnswer): void {
    if (!this.asked) return;
    this.asked.answer = answer;
    if (answer.outcome === 'refused') this.asked = undefined;
  }
}

/** Who has a package that has been picked up. `nobody`: it lies where its drone has set it down. */
export type Holder = 'drone' | 'carrier' | 'nobody';

const PICKED_UP: Readonly<Record<Holder, string>> = {
  drone: 'The package is aboard the drone.',
  carrier: 'The carrier has the package.',
  nobody: 'The package has been picked up, and waits for another drone.',
};

/** What the status alone decides about a cancel; undefined when the saga must. */
export function answerByStatus(status: DeliveryStatus, holder: Holder = 'drone'): CancelAnswer | undefined {
  if (status === 'cancelled') return { outcome: 'cancelled', reason: null, detail: null };
  if (isFinal(status)) return refusal(`already_${status}`);
  if (!isBeforePickup(status)) return refusal('already_picked_up', holder);
  return undefined;
}

/** @param holder who has the package, where that is the reason */
export function refusal(reason: string, holder: Holder = 'drone'): CancelAnswer {
  const detail =
    reason === 'already_picked_up'
      ? `${PICKED_UP[holder]} It can no longer be cancelled.`
      : `The delivery has ended: ${reason.replaceAll('_', ' ')}.`;
  return { outcome: 'refused', reason, detail };
}
