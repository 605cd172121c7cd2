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

/**
 * How far ingestion is with starting it. `waiting`: its request waits for its start, or was cancelled before. `unknown`: there is no
 * request, so that nobody will ever start it.
 */
export type StartState = 'waiting' | 'started' | 'unknown';

/** Looks up workflows. A port, so that what is orphaned can be decided without Temporal. */
export interface Carriers {
  /** The delivery's own workflow. */
  ofDelivery(deliveryId: DeliveryId): Promise<WorkflowState>;
  /** The reconciler's for this delivery. */
  reconcilerOf(deliveryId: DeliveryId): Promise<WorkflowState>;
  /** As ingestion has it; what that throws when it is down passes through. */
  startOf(deliveryId: DeliveryId): Promise<StartState>;
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
    async startOf(delivery_id) {
      if (!ingestion) return 'waiting';
      try {
        const { state } = await ingestion.getRequested({ params: { delivery_id } });
        return state === 'started' ? 'started' : 'waiting';
      } catch (error) {
        if (error instanceof Problem && error.status === 404) return 'unknown';
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

/** For whoever repairs only what ingestion has nothing to do with: while it does not answer, it is taken to start what it has accepted. */
export function orWaiting(carriers: Carriers): Carriers {
  return {
    ...carriers,
    async startOf(deliveryId) {
      try {
        return await carriers.startOf(deliveryId);
      } catch (error) {
        if (error instanceof Problem && error.retryable) return 'waiting';
        throw error;
      }
    },
  };
}
