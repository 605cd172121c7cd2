/** Starts the reconciler for what is orphaned: one durable workflow per delivery, which undoes it and says so. */
import type { Client } from '@temporalio/client';
import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import type { AccountId, DeliveryId } from '../shared/ids.ts';
import { DELIVERY_SEARCH_ATTRIBUTES } from '../shared/temporal/search-attributes.ts';
import { RECONCILE_WORKFLOW, reconcileWorkflowId } from '../workflows/messages.ts';
import type { Orphan } from './orphans.ts';

/** Starts it for each delivery that has orphans; one that is at it goes on. Answers the deliveries. */
export async function repair(
  client: Client,
  taskQueue: string,
  orphans: readonly Orphan[],
): Promise<DeliveryId[]> {
  const deliveries = new Map<DeliveryId, AccountId>(orphans.map((one) => [one.deliveryId, one.accountId]));
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
 * What may be repaired without a person's look at it. Where Temporal does not know a workflow that should be there, it may be
 * Temporal that lost its data, and every delivery under way would be undone.
 */
export function isSafeToRepair({ workflow, isBeingRepaired }: Orphan): boolean {
  return workflow !== 'missing' && !isBeingRepaired;
}
