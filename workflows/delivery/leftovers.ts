/** What services still hold for a delivery that has ended, whose workflow was reset and may not know of it. */
import type { DeliveryId } from '../../shared/ids.ts';
import { examineDelivery } from '../reconcile/look.ts';
import { Questions } from '../reconcile/questions.ts';
import { Reconciliation } from '../reconcile/reconciliation.ts';

/**
 * Undoes it as the reconciler would, until nothing is left. The delivery's status is final.
 * @param completes whether the delivery is to be completed with that
 */
export async function undoLeftovers(
  deliveryId: DeliveryId,
  { completes }: { completes: boolean },
): Promise<void> {
  const seen = await examineDelivery({ deliveryId, byItself: true });
  const questions = new Questions(deliveryId, { areShown: false });
  await new Reconciliation({ deliveryId, seen, questions, byItself: true, completes }).run();
}
