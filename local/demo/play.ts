/** One scenario as it is played: requested, sabotaged, cancelled, and in the end held against what was expected of it. */
import { chargeFor } from '../../services/account/contract/index.ts';
import type { Problem } from '../../shared/errors.ts';
import type { Followed } from './watch.ts';
import type { Scenario } from './scenarios.ts';

export interface Play {
  index: number;
  scenario: Scenario;
  /** Once it was accepted. */
  followed: Followed | undefined;
  /** Once it was not. */
  refusal: Problem | undefined;
  /** The sender has asked to cancel it. */
  cancelAsked: boolean;
  /** The arrival that was promised when it was first confirmed. */
  firstPromise: string | null;
  droneName: () => string;
}

/** Nothing more will come of it. */
export function isOver({ followed, refusal }: Play): boolean {
  return refusal !== undefined || followed?.delivery.complete === true;
}

/** How it ended otherwise than expected; empty when it went as it should. */
export function deviations({ scenario: { expected }, followed, refusal }: Play): string[] {
  if (expected.outcome === 'refused') {
    if (!refusal) return ['it was accepted'];
    return refusal.slug === expected.problem ? [] : [`refused as ${refusal.slug}, not ${expected.problem}`];
  }
  if (refusal) return [`refused: ${refusal.message}`];
  if (!followed) return ['it was never requested'];
  const { delivery, events } = followed;
  const reason = delivery.failure_reason ?? delivery.cancellation_reason;
  const charge = chargeFor(expected.charged, delivery.price, delivery.return_price).amount;
  const undone = events
    .filter(({ type }) => type === 'delivery.compensated')
    .map(({ data }) => String(data['step']));
  const differs = (what: string, is: unknown, should: unknown) =>
    is === should ? [] : [`${what} is ${String(is)}, not ${String(should)}`];
  return [
    ...differs('status', delivery.status, expected.outcome),
    ...differs('reason', reason, expected.reason),
    ...differs('fulfilment', delivery.fulfilment, expected.fulfilment),
    ...differs('attempts', delivery.attempt, expected.attempts),
    ...differs('charge', delivery.charge?.amount ?? 0, charge),
    ...differs('left unattended', delivery.left_unattended, expected.leftUnattended ?? false),
    ...differs('confirmation', delivery.confirmation_status, expected.confirmation ?? 'not_required'),
    ...(isInOrder(expected.undone, undone)
      ? []
      : [`undone was ${undone.join(', ') || 'nothing'}, not ${expected.undone.join(', ') || 'nothing'}`]),
    ...(delivery.complete ? [] : ['it is not complete']),
    ...(expected.undone.length > 0 && expected.outcome !== 'delivered' && delivery.compensation !== 'complete'
      ? [`compensation is ${delivery.compensation}`]
      : []),
  ];
}

/** All of `wanted` are in `all`, in this order; other things may be between them, unless nothing is wanted. */
function isInOrder(wanted: readonly string[], all: readonly string[]): boolean {
  if (wanted.length === 0) return all.length === 0;
  let from = 0;
  for (const one of wanted) {
    const at = all.indexOf(one, from);
    if (at < 0) return false;
    from = at + 1;
  }
  return true;
}
