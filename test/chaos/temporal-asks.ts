/**
 * What somebody can do to a delivery's workflow behind its back, in the Temporal UI or by its API: cancel, reset, terminate it. Each is
 * repeated until Temporal has taken it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { deliveryWorkflowId } from '../../workflows/messages.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Order } from '../checker/index.ts';
import { type Answer, type Asking, WHY } from './asks.ts';

const { EVENT_TYPE_WORKFLOW_TASK_COMPLETED } = proto.temporal.api.enums.v1.EventType;
/** gRPC codes of what is not there (any more). */
const GONE: ReadonlySet<number> = new Set([5]);
const AGAIN_AFTER_MS = 500;
const ANSWERED_WITHIN_MS = 5_000;

export interface ToTemporal {
  temporal: Client;
  /** When nothing is repeated any more. */
  giveUp: AbortSignal;
}

/** Ends it without letting it undo anything: the reconciler does. */
export const terminate = (options: ToTemporal): Asking =>
  asking('terminate', options, (id) => {
    const handle = options.temporal.workflow.getHandle(deliveryWorkflowId(id));
    return async () => {
      await handle.terminate(WHY);
    };
  });

/** The *Cancel* button. Always the same request: what was taken and not answered is not taken again. */
export const cancelNatively = (options: ToTemporal): Asking =>
  asking('native_cancel', options, (id) => async () => {
    const { workflowService, options: client } = options.temporal;
    await workflowService.requestCancelWorkflowExecution({
      namespace: client.namespace,
      workflowExecution: { workflowId: deliveryWorkflowId(id) },
      identity: client.identity,
      requestId: `cancel-${id}`,
      reason: WHY,
    });
  });

/** A new run from the first workflow task, to which signals and updates are applied again; the one that there was ends. */
export const reset = (options: ToTemporal): Asking =>
  asking('reset', options, (id) => {
    let from: Awaited<ReturnType<typeof beginningOf>> | undefined;
    return async () => {
      // Always the same point of the same run, so that a repetition is no second reset.
      from ??= await beginningOf(options.temporal, id);
      await options.temporal.workflowService.resetWorkflowExecution({
        namespace: options.temporal.options.namespace,
        workflowExecution: { workflowId: deliveryWorkflowId(id), runId: from.runId },
        workflowTaskFinishEventId: from.eventId,
        requestId: `reset-${id}`,
        reason: WHY,
      });
    };
  });

/** @throws WorkflowNotFoundError when it does not run any more */
async function beginningOf(temporal: Client, id: DeliveryId) {
  const workflowId = deliveryWorkflowId(id);
  const handle = temporal.workflow.getHandle(workflowId);
  const [{ runId, status }, { events }] = await Promise.all([handle.describe(), handle.fetchHistory()]);
  if (status.name !== 'RUNNING') throw new WorkflowNotFoundError('It has ended', workflowId, runId);
  const first = events?.find(({ eventType }) => eventType === EVENT_TYPE_WORKFLOW_TASK_COMPLETED);
  if (!first?.eventId) throw new Error(`${workflowId} has not done anything yet`);
  return { runId, eventId: first.eventId };
}

function asking(
  kind: Extract<Order['kind'], 'terminate' | 'native_cancel' | 'reset'>,
  options: ToTemporal,
  callFor: (id: DeliveryId) => () => Promise<void>,
): Asking {
  return ({ id }, askedIn) => ({
    order: { kind, answer: 'unknown', askedIn },
    give: () => untilTaken(callFor(id), options),
  });
}

async function untilTaken(call: () => Promise<void>, { temporal, giveUp }: ToTemporal): Promise<Answer> {
  for (let isFirst = true; !giveUp.aborted; isFirst = false) {
    try {
      await temporal.withDeadline(Date.now() + ANSWERED_WITHIN_MS, call);
      return { answer: 'done' };
    } catch (error) {
      // It had ended by itself; or by one of these calls whose answer was lost.
      if (isNotFound(error)) return { answer: isFirst ? 'refused' : 'unknown' };
      await delay(AGAIN_AFTER_MS);
    }
  }
  return { answer: 'unknown' };
}

const isNotFound = (error: unknown): boolean =>
  error instanceof WorkflowNotFoundError || (isGrpcServiceError(error) && GONE.has(error.code));
