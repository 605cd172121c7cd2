/**
 * What a service may do to a delivery's workflow: start it, signal it, ask it to cancel or to change. A port, so that a service's own tests
 * need no Temporal; the one real implementation is below.
 */
import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { FieldError } from '../errors.ts';
import type { DeliveryId } from '../ids.ts';
import {
  CANCEL_UPDATE,
  type CancelAnswer,
  type CancelCommand,
  CHANGE_DROPOFF_UPDATE,
  type ChangeDropoffAnswer,
  type ChangeDropoffCommand,
  DELIVERY_TASK_QUEUE,
  DELIVERY_WORKFLOW,
  type DeliveryInput,
  deliveryWorkflowId,
  IMPOSSIBLE_DROPOFF,
  IMPOSSIBLE_WINDOW,
  RESCHEDULE_UPDATE,
  type RescheduleAnswer,
  type RescheduleCommand,
  type OrderCommands,
} from '../../workflows/messages.ts';
import { type OrderResult, sendOrder } from './operator-orders.ts';
import { startSearchAttributes } from './search-attributes.ts';

// A CommonJS module without static exports: only its default can be imported.
const { TaskQueueType } = proto.temporal.api.enums.v1;

export interface DeliveryWorkflows {
  /** Starts the delivery's workflow; a workflow that was started before counts as success. Throws when Temporal is down. */
  start(input: DeliveryInput): Promise<'started' | 'already_started'>;
  /** How many workflow tasks wait for a worker, about: the server's estimate. Throws when Temporal is down. */
  tasksWaiting(): Promise<number>;
  /** Signals it. `gone`: it has ended or never was, so nobody needs the signal any more. Throws when Temporal is down. */
  signal(deliveryId: DeliveryId, name: string, payload: unknown): Promise<'signalled' | 'gone'>;
  /**
   * Sends the `cancel` update and waits for its answer. The same `updateId` never runs twice in one run.
   * `gone`: the workflow has ended or never was. `no_answer`: not answered within `timeoutMs` (no worker, for example).
   */
  cancel(
    deliveryId: DeliveryId,
    command: CancelCommand,
    options: { updateId: string; timeoutMs: number },
  ): Promise<CancelAnswer | 'gone' | 'no_answer'>;
  /** Sends the `reschedule` update, as `cancel` does. `impossible`: the window cannot be served, by field. */
  reschedule(
    deliveryId: DeliveryId,
    command: RescheduleCommand,
    options: { updateId: string; timeoutMs: number },
  ): Promise<RescheduleAnswer | { outcome: 'impossible'; errors: FieldError[] } | 'gone' | 'no_answer'>;
  /** Sends the `changeDropoff` update, as `cancel` does. `impossible`: it cannot be this delivery's dropoff, by field. */
  changeDropoff(
    deliveryId: DeliveryId,
    command: ChangeDropoffCommand,
    options: { updateId: string; timeoutMs: number },
  ): Promise<ChangeDropoffAnswer | { outcome: 'impossible'; errors: FieldError[] } | 'gone' | 'no_answer'>;
  /** Sends an operator's update and waits for its answer, as `sendOrder` says. */
  order<K extends keyof OrderCommands>(
    deliveryId: DeliveryId,
    update: K,
    command: OrderCommands[K],
    options: { updateId: string; timeoutMs: number },
  ): Promise<OrderResult>;
}

/** The port over a Temporal client. `client` may be connected lazily. */
export function temporalDeliveryWorkflows(
  client: () => Promise<Client>,
  taskQueue: string = DELIVERY_TASK_QUEUE,
): DeliveryWorkflows {
  return {
    async start(input) {
      const { workflow } = await client();
      try {
        await workflow.start(DELIVERY_WORKFLOW, {
          workflowId: deliveryWorkflowId(input.deliveryId),
          taskQueue,
          args: [input],
          workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
          workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
          typedSearchAttributes: startSearchAttributes(input),
          // Shown beside the workflow in the Temporal UI, after the codec has decoded it. No personal data all the same.
          staticSummary: summaryOf(input),
          priority: { priorityKey: input.expedited ? 1 : 3 },
        });
        return 'started';
      } catch (error) {
        if (error instanceof WorkflowExecutionAlreadyStartedError) return 'already_started';
        throw error;
      }
    },

    async tasksWaiting() {
      const { workflowService, options } = await client();
      const { stats } = await workflowService.describeTaskQueue({
        namespace: options.namespace,
        taskQueue: { name: taskQueue },
        taskQueueType: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        reportStats: true,
      });
      return Number(stats?.approximateBacklogCount ?? 0);
    },

    async signal(deliveryId, name, payload) {
      const { workflow } = await client();
      try {
        await workflow.getHandle(deliveryWorkflowId(deliveryId)).signal(name, payload);
        return 'signalled';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'gone';
        throw error;
      }
    },

    async order(deliveryId, update, command, options) {
      return sendOrder(await client(), deliveryId, update, command, options);
    },

    async cancel(deliveryId, command, options) {
      const answer = await ask<CancelAnswer>(deliveryId, CANCEL_UPDATE, command, options);
      // The workflow ended while the update waited in it: its final status is in the read model.
      return answer instanceof WorkflowUpdateFailedError ? 'gone' : answer;
    },

    async reschedule(deliveryId, command, options) {
      const answer = await ask<RescheduleAnswer>(deliveryId, RESCHEDULE_UPDATE, command, options);
      return answer instanceof WorkflowUpdateFailedError ? impossible(answer, IMPOSSIBLE_WINDOW) : answer;
    },

    async changeDropoff(deliveryId, command, options) {
      const answer = await ask<ChangeDropoffAnswer>(deliveryId, CHANGE_DROPOFF_UPDATE, command, options);
      return answer instanceof WorkflowUpdateFailedError ? impossible(answer, IMPOSSIBLE_DROPOFF) : answer;
    },
  };

  /** Sends an update and waits for its answer; answers, instead of throwing, the failure of one that was rejected or cut off. */
  async function ask<A>(
    deliveryId: DeliveryId,
    name: string,
    command: CancelCommand | RescheduleCommand | ChangeDropoffCommand,
    { updateId, timeoutMs }: { updateId: string; timeoutMs: number },
  ): Promise<A | WorkflowUpdateFailedError | 'gone' | 'no_answer'> {
    const { workflow, connection } = await client();
    const handle = workflow.getHandle(deliveryWorkflowId(deliveryId));
    try {
      return await connection.withDeadline(Date.now() + timeoutMs, () =>
        handle.executeUpdate<A, [typeof command]>(name, { args: [command], updateId }),
      );
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'gone';
      if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return 'no_answer';
      if (error instanceof WorkflowUpdateFailedError) return error;
      throw error;
    }
  }
}

/** What the validator rejected as impossible, by field; `gone` when the update was cut off by the workflow's end. */
function impossible(
  { cause }: WorkflowUpdateFailedError,
  type: string,
): { outcome: 'impossible'; errors: FieldError[] } | 'gone' {
  if (!(cause instanceof ApplicationFailure) || cause.type !== type) return 'gone';
  const [errors] = (cause.details ?? []) as [FieldError[]?];
  return { outcome: 'impossible', errors: errors ?? [] };
}

function summaryOf({ packages, expedited, externalId }: DeliveryInput): string {
  const weightKg = packages.reduce((sum, one) => sum + one.weight_kg, 0);
  const what = `${packages.length} package${packages.length === 1 ? '' : 's'}, ${weightKg.toFixed(1)} kg`;
  return [
    what,
    expedited ? 'expedited' : 'standard',
    ...(externalId === null ? [] : ['has external id']),
  ].join(' · ');
}
