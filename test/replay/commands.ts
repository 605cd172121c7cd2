/** What a workflow has told the server to do, in order: what a replay must tell it again. */
import type { History } from './histories.ts';

type Event = NonNullable<History['events']>[number];

/** For example `["marker core_local_activity authorize", "activity reserveDrone", "timer", …]`. */
export function commandsOf({ events }: History): string[] {
  return (events ?? []).flatMap((event) => commandOf(event) ?? []);
}

/**
 * A history in short, for who reads why it does not replay: what came to the workflow, and after `→` what its task commanded. `¶` begins
 * a workflow task.
 */
export function toldInShort({ events }: History): string {
  const activities = new Map<string, string>();
  const words = (events ?? []).flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) activities.set(String(event.eventId), scheduled.activityType?.name ?? '');
    return arrivalOf(event, (id) => activities.get(String(id)) ?? '') ?? commandOf(event) ?? [];
  });
  return words.join(', ').replaceAll(', →,', ' →').replaceAll(', ¶', ' ¶');
}

function arrivalOf(event: Event, activity: (scheduledEventId: unknown) => string): string | undefined {
  if (event.workflowTaskStartedEventAttributes) return '¶';
  if (event.workflowTaskCompletedEventAttributes) return '→';
  if (event.workflowTaskFailedEventAttributes) return 'task failed';
  if (event.workflowTaskTimedOutEventAttributes) return 'task timed out';
  if (event.timerFiredEventAttributes) return 'timer fired';
  if (event.workflowExecutionSignaledEventAttributes) {
    return `signal ${event.workflowExecutionSignaledEventAttributes.signalName ?? ''}`;
  }
  if (event.workflowExecutionCancelRequestedEventAttributes) return 'cancel';
  const done = event.activityTaskCompletedEventAttributes;
  if (done) return `${activity(done.scheduledEventId)} done`;
  const failed = event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
  if (failed) return `${activity(failed.scheduledEventId)} failed`;
  const cancelled = event.activityTaskCanceledEventAttributes;
  if (cancelled) return `${activity(cancelled.scheduledEventId)} cancelled`;
  return undefined;
}

function commandOf(event: Event): string | undefined {
  if (event.activityTaskScheduledEventAttributes) {
    return `activity ${event.activityTaskScheduledEventAttributes.activityType?.name ?? ''}`;
  }
  if (event.timerStartedEventAttributes) return 'timer';
  if (event.timerCanceledEventAttributes) return 'cancel timer';
  if (event.activityTaskCancelRequestedEventAttributes) return 'cancel activity';
  if (event.upsertWorkflowSearchAttributesEventAttributes) return 'search attributes';
  if (event.workflowExecutionUpdateAcceptedEventAttributes) {
    return `accept ${event.workflowExecutionUpdateAcceptedEventAttributes.acceptedRequest?.input?.name ?? ''}`;
  }
  if (event.workflowExecutionUpdateCompletedEventAttributes) return 'answer';
  if (event.markerRecordedEventAttributes) {
    const { markerName, details } = event.markerRecordedEventAttributes;
    return `marker ${markerName ?? ''} ${whatIsMarked(details)}`.trimEnd();
  }
  if (event.workflowExecutionContinuedAsNewEventAttributes) return 'continue as new';
  if (event.workflowExecutionCompletedEventAttributes) return 'complete';
  if (event.workflowExecutionFailedEventAttributes) return 'fail';
  return undefined;
}

/** The short step, or the patch, that a marker is of. The SDK's own data in it is not encrypted. */
export function whatIsMarked(
  details: Record<string, { payloads?: { data?: Uint8Array | null }[] | null }> | null | undefined,
): string {
  for (const name of ['data', 'patch-data']) {
    const data = details?.[name]?.payloads?.[0]?.data;
    if (!data) continue;
    const marked = JSON.parse(Buffer.from(data).toString()) as { activity_type?: string; id?: string };
    return marked.activity_type ?? marked.id ?? '';
  }
  return '';
}
