/** What services still hold for a delivery that has ended, whose workflow was reset and may not know of it. */
import type { DeliveryId } from '../../shared/ids.ts';
import { examineDelivery } from '../reconcile/look.ts';
import { Questions } from '../reconcile/questions.ts';
import { Reconciliation } from '../reconcile/reconciliation.ts';

/**
 * Undoes it as the reconciler would, until nothing is left. The delivery's status is final.
 * @param completes whether the delivery is to be completed with that
 * @returns whether nothing is left; no: it has taken as long as one history may, and is the reconciler's once this workflow has ended
 */
export async function undoLeftovers(
  deliveryId: DeliveryId,
  { completes }: { completes: boolean },
): Promise<boolean> {
  const seen = await examineDelivery({ deliveryId, byItself: true });
  const questions = new Questions(deliveryId, { areShown: false });
  const outcome = await new Reconciliation({ deliveryId, seen, questions, byItself: true, completes }).run();
  return outcome !== 'history_is_long';
}
