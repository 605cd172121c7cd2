/** What a delivery asks of Temporal about its own workflow, which does not hear everything itself. */
import { activityInfo, cancellationSignal } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import type { DeliveryId } from '../shared/ids.ts';
import { callService } from './call.ts';

export function temporalActivities(temporal: Client) {
  return {
    /**
     * Who has asked for the run that calls it to be cancelled, and why, each as Temporal was told and empty when it was not; null when
     * nobody has. Changes nothing, so it has no key.
     */
    readCancelRequest: (_of: {
      deliveryId: DeliveryId;
    }): Promise<{ identity: string; reason: string } | null> =>
      callService(undefined, async () => {
        const { workflowExecution } = activityInfo();
        if (!workflowExecution) throw ApplicationFailure.nonRetryable('No workflow has asked', 'no_workflow');
        const { workflowId, runId } = workflowExecution;
        const handle = temporal.workflow.getHandle(workflowId, runId);
        const { events } = await temporal.withAbortSignal(cancellationSignal(), () => handle.fetchHistory());
        const requests = (events ?? []).flatMap(
          (event) => event.workflowExecutionCancelRequestedEventAttributes ?? [],
        );
        const last = requests.at(-1);
        return last ? { identity: last.identity ?? '', reason: last.cause ?? '' } : null;
      }),
  };
}
