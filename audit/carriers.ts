/** Who carries a delivery: whether its workflow, or the reconciler's, lives, as Temporal says. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { DeliveryId } from '../shared/ids.ts';
import { deliveryWorkflowId, reconcileWorkflowId } from '../workflows/messages.ts';

/** `missing`: Temporal knows none; it never started, or it is past the namespace's retention. */
export type WorkflowState =
  'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed_out' | 'missing';

// A CommonJS module without static exports: only its default can be imported.
const { HistoryEventFilterType } = proto.temporal.api.enums.v1;

const STATE_OF: Readonly<Record<string, WorkflowState>> = {
  RUNNING: 'running',
  PAUSED: 'running',
  // Its successor is the one that is described a moment later.
  CONTINUED_AS_NEW: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed_out',
};

/** Looks up workflows. A port, so that what is orphaned can be decided without Temporal. */
export interface Carriers {
  /** The delivery's own workflow. */
  ofDelivery(deliveryId: DeliveryId): Promise<WorkflowState>;
  /** The reconciler's for this delivery. */
  reconcilerOf(deliveryId: DeliveryId): Promise<WorkflowState>;
  /** Who terminated the delivery's workflow and why; null when it was not terminated. */
  terminationOf(deliveryId: DeliveryId): Promise<{ by: string; why: string } | null>;
}

/** @param client connected, or connecting lazily; what it throws when Temporal is down passes through */
export function temporalCarriers(client: Client): Carriers {
  const stateOf = async (workflowId: string): Promise<WorkflowState> => {
    try {
      const { status } = await client.workflow.getHandle(workflowId).describe();
      const state = STATE_OF[status.name];
      // Never guessed: an orphan is something to be undone.
      if (state === undefined) throw new Error(`${workflowId} has the unknown state ${status.name}`);
      return state;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'missing';
      throw error;
    }
  };
  return {
    ofDelivery: (id) => stateOf(deliveryWorkflowId(id)),
    reconcilerOf: (id) => stateOf(reconcileWorkflowId(id)),
    async terminationOf(deliveryId) {
      const { history } = await client.workflowService.getWorkflowExecutionHistory({
        namespace: client.options.namespace,
        execution: { workflowId: deliveryWorkflowId(deliveryId) },
        historyEventFilterType: HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
      });
      const close = history?.events?.at(-1)?.workflowExecutionTerminatedEventAttributes;
      return close ? { by: close.identity ?? '', why: close.reason ?? '' } : null;
    },
  };
}
