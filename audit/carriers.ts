/** Who carries a delivery: whether its workflow, or the reconciler's, lives, as Temporal says; before that, ingestion. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { ingestionContract } from '../services/ingestion/contract/index.ts';
import { isoTime } from '../shared/clock.ts';
import { Problem } from '../shared/errors.ts';
import type { Client as ServiceClient } from '../shared/http/client.ts';
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
  /** Whether ingestion still has to start it, or has no need to: its request waits, or was cancelled before. */
  isUnstarted(deliveryId: DeliveryId): Promise<boolean>;
  /** How the delivery's workflow was terminated; null when it was not. */
  terminationOf(deliveryId: DeliveryId): Promise<Termination | null>;
}

/** Who terminated a workflow and why, as Temporal has it. */
export interface Termination {
  by: string;
  why: string;
  runId: string;
  /** Wall time, RFC 3339. */
  at: string;
}

/**
 * @param client connected, or connecting lazily; what it throws when Temporal is down passes through
 * @param ingestion without it, whatever Temporal does not know is taken to wait there
 */
export function temporalCarriers(
  client: Client,
  ingestion?: ServiceClient<typeof ingestionContract>,
): Carriers {
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
    async isUnstarted(delivery_id) {
      if (!ingestion) return true;
      try {
        const { state } = await ingestion.getRequested({ params: { delivery_id } });
        return state !== 'started';
      } catch (error) {
        if (error instanceof Problem && error.status === 404) return false;
        throw error;
      }
    },
    async terminationOf(deliveryId) {
      const workflowId = deliveryWorkflowId(deliveryId);
      const { runId, closeTime } = await client.workflow.getHandle(workflowId).describe();
      const { history } = await client.workflowService.getWorkflowExecutionHistory({
        namespace: client.options.namespace,
        execution: { workflowId, runId },
        historyEventFilterType: HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
      });
      const close = history?.events?.at(-1)?.workflowExecutionTerminatedEventAttributes;
      // Reset in this moment, it lives again.
      if (!close || !closeTime) return null;
      return {
        by: close.identity ?? '',
        why: close.reason ?? '',
        runId,
        at: isoTime(closeTime.getTime()),
      };
    },
  };
}
