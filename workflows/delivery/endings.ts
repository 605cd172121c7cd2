/** How a delivery can end, and the error that carries an ending out of the saga's depths. Pure. */
import type { ChargedOutcome } from '../../services/account/contract/tariff.ts';
import type { CancelCommand } from '../messages.ts';
import type { CancellationReason, FailureReason } from '../../services/delivery/contract/status.ts';

export type Ending =
  | { status: 'delivered'; charged: ChargedOutcome }
  | { status: 'returned'; charged: ChargedOutcome }
  | {
      status: 'cancelled';
      charged: ChargedOutcome;
      reason: CancellationReason;
      /** Who has cancelled it, and why. */
      command: CancelCommand | undefined;
      /** An operator's abort that shares it. */
      abort?: { by: string; why: string };
    }
  | { status: 'failed'; charged: ChargedOutcome; reason: FailureReason; detail: string };

/** Thrown where the outcome is decided; caught once, in the workflow. */
export class Ended extends Error {
  override readonly name = 'Ended';
  readonly ending: Ending;

  constructor(ending: Ending) {
    super(ending.status);
    this.ending = ending;
  }
}

export function failed(
  reason: FailureReason,
  detail: string,
  charged: ChargedOutcome = 'our_failure',
): Ended {
  return new Ended({ status: 'failed', charged, reason, detail });
}

/** Thrown where a run that was reset finds that its delivery has ended without it; caught once, in the workflow. */
export class EndedElsewhere extends Error {
  override readonly name = 'EndedElsewhere';

  constructor() {
    super('the delivery has ended');
  }
}
