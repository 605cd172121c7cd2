/** *Reset* as the Temporal UI does it. */
import { temporal } from '@temporalio/proto';
import type { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

/** The first completed workflow task, or the last one before something: where a Reset may go to. */
export type ResetPoint = 'its beginning' | ((events: History) => number);
export type History = readonly temporal.api.history.v1.IHistoryEvent[];
const { EventType } = temporal.api.enums.v1;

/** A new run from a completed workflow task, to which signals and updates are applied again. */
export async function reset(
  lab: Lab,
  { handle, id }: LabDelivery,
  { why = 'jo tries again', to = 'its beginning' }: { why?: string; to?: ResetPoint } = {},
): Promise<string> {
  const events = (await handle.fetchHistory()).events ?? [];
  const tasks = events.filter(({ eventType }) => eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED);
  const point =
    to === 'its beginning' ? tasks[0] : tasks.findLast(({ eventId }) => Number(eventId) < to(events));
  if (!point?.eventId) throw new Error('nothing to reset to');
  const { runId } = await handle.describe();
  const answer = await lab.temporal.workflowService.resetWorkflowExecution({
    namespace: lab.server.namespace,
    workflowExecution: { workflowId: id, runId },
    reason: why,
    workflowTaskFinishEventId: point.eventId,
    requestId: `reset-${id}-${runId}`,
  });
  return answer.runId;
}
