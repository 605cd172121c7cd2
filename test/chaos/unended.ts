/** What the workflows wait for that have not ended when all should have: the first thing that somebody asks who looks for the cause. */
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { messageOf } from '../../shared/errors.ts';

/** So much of the end of a history shows what happened last. */
const LAST_EVENTS = 25;
/** More workflows than this help nobody. */
const MOST = 5;

type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

const { EventType, PendingActivityState } = proto.temporal.api.enums.v1;

/** One text for each: its pending activities, its pending workflow task and the end of its history. */
export async function whatTheyWaitFor(client: Client): Promise<string[]> {
  const texts: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query: `ExecutionStatus = 'Running'` })) {
    if (texts.length === MOST) break;
    texts.push(await whatItWaitsFor(client, workflowId).catch((error: unknown) => messageOf(error)));
  }
  return texts;
}

async function whatItWaitsFor(client: Client, workflowId: string): Promise<string> {
  const handle = client.workflow.getHandle(workflowId);
  const [{ raw }, { events }] = await Promise.all([handle.describe(), handle.fetchHistory()]);
  const task = raw.pendingWorkflowTask;
  return [
    `${workflowId} has not ended; it is ${new Date().toISOString()}`,
    ...(raw.pendingActivities ?? []).map(
      (one) =>
        `  pending activity ${one.activityType?.name}, ${nameOf(PendingActivityState, one.state)}, attempt ${one.attempt}, next ${at(one.scheduledTime)}: ${one.lastFailure?.message ?? 'no failure'}`,
    ),
    ...(task
      ? [`  pending workflow task, attempt ${task.attempt}, since ${at(task.originalScheduledTime)}`]
      : []),
    ...(events ?? [])
      .slice(-LAST_EVENTS)
      .map(
        (event) =>
          `  ${at(event.eventTime)}  ${String(event.eventId)} ${nameOf(EventType, event.eventType)}${aboutOf(event)}`,
      ),
    '',
  ].join('\n');
}

function aboutOf(event: HistoryEvent): string {
  const about =
    event.activityTaskScheduledEventAttributes?.activityType?.name ??
    event.workflowExecutionSignaledEventAttributes?.signalName ??
    event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.name ??
    event.workflowTaskFailedEventAttributes?.failure?.message ??
    event.activityTaskFailedEventAttributes?.failure?.message;
  return about ? ` ${about}` : '';
}

const nameOf = (names: Record<number, string>, value: number | null | undefined) => names[value ?? 0] ?? '';

function at(time: { seconds?: unknown; nanos?: number | null } | null | undefined): string {
  if (!time) return 'unknown';
  return new Date(Number(time.seconds) * 1_000 + (time.nanos ?? 0) / 1e6).toISOString();
}
