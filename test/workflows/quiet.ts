/**
 * When a workflow has nothing left to do at this moment. The time-skipping server lets time pass while a workflow task or an
 * activity is under way, so a test that moves time must wait for this first, or tasks time out in virtual time.
 */
import type { WorkflowHandle } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { setTimeout as delay } from 'node:timers/promises';

const { EventType } = temporal.api.enums.v1;
const LOOK_AGAIN_MS = 2;

/** `retrying`: an activity waits for its next attempt. */
export type Quiet = 'open' | 'retrying' | 'closed';

/**
 * Waits until the workflow waits for something that only time, a signal or an update brings. An activity that waits for its
 * next attempt, or that `isHanging`, needs time to pass.
 */
export async function untilQuiet(handle: WorkflowHandle, isHanging: () => boolean): Promise<Quiet> {
  for (;;) {
    const quiet = await look(handle, isHanging);
    if (quiet !== undefined) return quiet;
    await delay(LOOK_AGAIN_MS);
  }
}

async function look(handle: WorkflowHandle, isHanging: () => boolean): Promise<Quiet | undefined> {
  const { events } = await handle.fetchHistory();
  let task = false;
  const activities = new Set<string>();
  for (const event of events ?? []) {
    switch (event.eventType) {
      case EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
      case EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
        task = true;
        break;
      case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
      case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
      case EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        task = false;
        break;
      case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        activities.add(String(event.eventId));
        break;
      case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        activities.delete(String(event.activityTaskCompletedEventAttributes?.scheduledEventId));
        break;
      case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
        activities.delete(String(event.activityTaskFailedEventAttributes?.scheduledEventId));
        break;
      case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        activities.delete(String(event.activityTaskTimedOutEventAttributes?.scheduledEventId));
        break;
      case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        activities.delete(String(event.activityTaskCanceledEventAttributes?.scheduledEventId));
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        // The next run has just begun: it has its own history.
        return undefined;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        return 'closed';
    }
  }
  if (task) return undefined;
  if (activities.size === 0) return 'open';
  const { raw } = await handle.describe();
  // The server calls an activity that waits for its next attempt "started" too; that it has failed before tells them apart.
  const busy = (raw.pendingActivities ?? []).some(({ lastFailure }) => !lastFailure && !isHanging());
  return busy ? undefined : 'retrying';
}

/** When each of its timers fires that is still running, Unix milliseconds. */
export async function openTimersMs(handle: WorkflowHandle): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  const timers = new Map<string, number>();
  for (const { eventTime, ...event } of events ?? []) {
    const started = event.timerStartedEventAttributes;
    if (started?.timerId) {
      timers.set(started.timerId, millis(eventTime) + millis(started.startToFireTimeout));
    }
    timers.delete(event.timerFiredEventAttributes?.timerId ?? '');
    timers.delete(event.timerCanceledEventAttributes?.timerId ?? '');
  }
  return [...timers.values()];
}

/** A protobuf timestamp or duration. */
function millis(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return Number(time?.seconds ?? 0) * 1000 + Math.ceil((time?.nanos ?? 0) / 1_000_000);
}
