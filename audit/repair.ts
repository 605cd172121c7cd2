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
import { RECONCILE_WORKFLOW, reconcileWorkflowId } from '../workflows/messages.ts';
import type { Orphan } from './orphans.ts';

/**
 * For each delivery that has orphans; a reconciler that is at it goes on.
 * @param ingestion starts deliveries again; without it, those are left
 * @returns the deliveries
 */
export async function repair(
  client: Client,
  taskQueue: string,
  orphans: readonly Orphan[],
  ingestion?: ServiceClient<typeof ingestionContract>,
): Promise<DeliveryId[]> {
  const started: DeliveryId[] = [];
  for (const { deliveryId, remedy } of orphans) {
    if (remedy !== 'start' || !ingestion) continue;
    await ingestion.startAgain({ params: { delivery_id: deliveryId } });
    started.push(deliveryId);
  }
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
  return [...started, ...deliveries.keys()];
}

/**
 * What may be repaired without a person's look at it. Where Temporal does not know a workflow that should be there, it may be
 * Temporal that lost its data, and every delivery under way would be undone.
 */
export function isSafeToRepair({ workflow, isBeingRepaired }: Orphan): boolean {
  return workflow !== 'missing' && !isBeingRepaired;
}
