/** How an operator's order reaches a delivery's workflow, and all that can become of it on the way. */
import {
  type Client,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { FieldError } from '../errors.ts';
import type { DeliveryId } from '../ids.ts';
import { isAskedByReconciler } from '../../services/delivery/contract/interventions.ts';
import {
  deliveryWorkflowId,
  type OperatorAnswer,
  type OrderCommands,
  reconcileWorkflowId,
  REJECTED,
} from '../../workflows/messages.ts';

/** The workflow's validator would not have it; nothing was written down. */
export interface RejectedOrder {
  outcome: 'rejected';
  /** `invalid`: wrong fields. `notOpen`: the intervention it names is not open. */
  why: keyof typeof REJECTED;
  detail: string;
  errors: FieldError[];
}

/** `gone`: the workflow has ended or never was. `no_answer`: not answered in time (no worker, for example). */
export type OrderResult = OperatorAnswer | RejectedOrder | 'gone' | 'no_answer';

/**
 * Sends the update and waits for its answer. The same `updateId` never runs twice: a repetition gets the first answer, also
 * when the workflow has ended since, for as long as Temporal keeps its history. Throws when Temporal is down.
 */
export async function sendOrder<K extends keyof OrderCommands>(
  { workflow, connection }: Client,
  deliveryId: DeliveryId,
  update: K,
  command: OrderCommands[K],
  { updateId, timeoutMs }: { updateId: string; timeoutMs: number },
): Promise<OrderResult> {
  const handle = workflow.getHandle(workflowFor(deliveryId, command));
  const deadline = Date.now() + timeoutMs;
  const within = (work: () => Promise<OperatorAnswer>) => resultOf(connection.withDeadline(deadline, work));
  const result = await within(() =>
    handle.executeUpdate<OperatorAnswer, [OrderCommands[K]]>(update, { args: [command], updateId }),
  );
  if (result !== 'gone') return result;
  return within(() => handle.getUpdateHandle<OperatorAnswer>(updateId).result());
}

/** What the reconciler asks is answered to it: the delivery's own workflow is gone. */
function workflowFor(deliveryId: DeliveryId, command: object): string {
  const isReconcilers =
    'interventionId' in command &&
    typeof command.interventionId === 'string' &&
    isAskedByReconciler(command.interventionId);
  return isReconcilers ? reconcileWorkflowId(deliveryId) : deliveryWorkflowId(deliveryId);
}

async function resultOf(answer: Promise<OperatorAnswer>): Promise<OrderResult> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'gone';
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return 'no_answer';
    // Neither rejected nor answered: the workflow ended while the update waited in it.
    if (error instanceof WorkflowUpdateFailedError) return rejectionOf(error.cause) ?? 'gone';
    throw error;
  }
}

function rejectionOf(cause: Error | undefined): RejectedOrder | undefined {
  if (!(cause instanceof ApplicationFailure)) return undefined;
  const why =
    cause.type === REJECTED.invalid ? 'invalid' : cause.type === REJECTED.notOpen ? 'notOpen' : null;
  if (why === null) return undefined;
  const [errors = []] = (cause.details ?? []) as [FieldError[]?];
  return { outcome: 'rejected', why, detail: cause.message, errors };
}
