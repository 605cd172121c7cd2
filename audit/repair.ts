/**
 * Has done for what is orphaned what is left to do: the reconciler, one durable workflow per delivery, undoes it and says so; what
 * was lost before its first step is started again.
 */
import type { Client } from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { ingestionContract } from '../services/ingestion/contract/index.ts';
import type { Client as ServiceClient } from '../shared/http/client.ts';
import type { AccountId, DeliveryId } from '../shared/ids.ts';
import { DELIVERY_SEARCH_ATTRIBUTES } from '../shared/temporal/search-attributes.ts';
import { Problem } from '../shared/errors.ts';
import { RECONCILE_WORKFLOW, reconcileWorkflowId } from '../workflows/messages.ts';
import type { Orphan } from './orphans.ts';

/**
 * Starts the reconciler for each delivery that has something to undo; one that is at it goes on.
 * @returns the deliveries
 */
export async function repair(
  client: Client,
  taskQueue: string,
  orphans: readonly Orphan[],
): Promise<DeliveryId[]> {
  const deliveries = new Map<DeliveryId, AccountId>(
    orphans.filter(({ remedy }) => remedy !== 'start').map((one) => [one.deliveryId, one.accountId]),
  );
  for (const [deliveryId, accountId] of deliveries) {
    await client.workflow.start(RECONCILE_WORKFLOW, {
      workflowId: reconcileWorkflowId(deliveryId),
      taskQueue,
      args: [{ deliveryId }],
      // A step that was under way when its workflow was terminated may arrive after the first repair.
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      typedSearchAttributes: [{ key: DELIVERY_SEARCH_ATTRIBUTES.accountId, value: accountId }],
      staticSummary: `undoes what ${deliveryId} left`,
    });
  }
  return [...deliveries.keys()];
}

/**
 * Has ingestion start again what was lost before its first step. One that it refuses holds up none of the others.
 * @returns the deliveries that are started, and those that are not, with the reason in words
 * @throws {Problem} when ingestion does not answer
 */
export async function startAgain(
  ingestion: ServiceClient<typeof ingestionContract>,
  orphans: readonly Orphan[],
): Promise<{ started: DeliveryId[]; refused: { deliveryId: DeliveryId; why: string }[] }> {
  const started: DeliveryId[] = [];
  const refused: { deliveryId: DeliveryId; why: string }[] = [];
  for (const { deliveryId, remedy } of orphans) {
    if (remedy !== 'start') continue;
    try {
      await ingestion.startAgain({ params: { delivery_id: deliveryId } });
      started.push(deliveryId);
    } catch (error) {
      if (!(error instanceof Problem) || error.retryable) throw error;
      refused.push({ deliveryId, why: error.detail ?? error.message });
    }
  }
  return { started, refused };
}

/**
 * What may be repaired without a person's look at it. Where Temporal does not know a workflow that should be there, it may be
 * Temporal that lost its data, and every delivery under way would be undone.
 */
export function isSafeToRepair({ workflow, isBeingRepaired }: Orphan): boolean {
  return workflow !== 'missing' && !isBeingRepaired;
}
