/**
 * When a workflow has nothing left to do at this moment. The time-skipping server lets time pass while a workflow task or an
 * activity is under way, so a test that moves time must wait for this first, or tasks time out in virtual time.
 */
import type { WorkflowHandle } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Attempt } from './faults.ts';

const { EventType } = temporal.api.enums.v1;
/** After the first look that found it at work; twice as long after each further one, as a look costs more than waiting does. */
const LOOK_AGAIN_MS = 2;
const LOOK_AGAIN_MOST_MS = 32;
/** What has just been told to a workflow is on its way to the worker so long: a look meanwhile would only find that out. */
const IDLE_FOR_MS = 4;
/** A worker that is busy for longer than this may wait for something that only a workflow which is quiet brings. */
const BUSY_FOR_LONG_MS = 300;
/** An activity of its own that takes longer than this may be one that the server has given up. */
const ACTING_FOR_LONG_MS = 2_000;
/**
 * Of virtual time, while a step is being repeated: its next attempt may have begun unseen, and a longer step than this would let it
 * time out while it runs (`startToCloseTimeout` is 20 s).
 */
const LONGEST_RETRY_STEP_MS = 8_000;
/** When it is not known when the next attempt comes. */
const SHORT_RETRY_STEP_MS = 500;
/** An attempt fails so long after it began, in virtual time: what a retry's interval is counted from. */
const ATTEMPT_TAKES_MS = 50;

/** What only time, a signal or an update changes. Times are Unix milliseconds of the server's clock. */
export interface Quiet {
  /** `retrying`: an activity waits for its next attempt, or hangs. */
  state: 'open' | 'retrying' | 'closed';
  /** In its history. */
  events: number;
  /** When the next of its timers fires; infinite when it has none. */
  timerAtMs: number;
  /** How far time may pass before the activity that is being repeated must be looked at again; infinite when none is. */
  retryAtMs: number;
  /** An activity hangs, and goes on when somebody lets it. */
  isHanging: boolean;
}

/** Until when nothing happens to it by itself. */
export const quietUntilMs = ({ timerAtMs, retryAtMs }: Quiet): number => Math.min(timerAtMs, retryAtMs);

/** What is known beside its history. */
interface Looked {
  /** A worker does something: it is asked often, as that is cheap beside a look into the history. */
  isBusy: () => boolean;
  /** An activity of this workflow is under way, and does not hang: it need not be looked at. */
  isActing: () => boolean;
  isHanging: () => boolean;
  /** It has succeeded: the server, where it is pending, hears of it any moment. */
  isDone: (attempt: Attempt) => boolean;
  /** Something that was sent to it may not have arrived yet; by the ids of the updates that it has accepted. */
  isOnTheWay: (accepted: ReadonlySet<string>) => boolean;
  nowMs: number;
}

/**
 * Waits until the workflow waits for something that only time, a signal or an update brings. An activity that waits for its
 * next attempt, or that `isHanging`, needs time to pass.
 */
export async function untilQuiet(handle: WorkflowHandle, how: Looked): Promise<Quiet> {
  for (let waitMs = LOOK_AGAIN_MS; ; waitMs = Math.min(2 * waitMs, LOOK_AGAIN_MOST_MS)) {
    await untilIdle(how);
    const quiet = await look(handle, how);
    if (quiet !== undefined) return quiet;
    await delay(waitMs);
  }
}

async function untilIdle({ isBusy, isActing }: Looked): Promise<void> {
  const sinceMs = performance.now();
  let idleSinceMs = sinceMs;
  for (;;) {
    const nowMs = performance.now();
    const acting = isActing();
    if (nowMs - sinceMs >= (acting ? ACTING_FOR_LONG_MS : BUSY_FOR_LONG_MS)) return;
    if (acting || isBusy()) idleSinceMs = nowMs;
    else if (nowMs - idleSinceMs >= IDLE_FOR_MS) return;
    await delay(1);
  }
}

async function look(
  handle: WorkflowHandle,
  { isHanging, isDone, isOnTheWay, nowMs }: Looked,
): Promise<Quiet | undefined> {
  const events = (await handle.fetchHistory()).events ?? [];
  const quiet = {
    events: events.length,
    timerAtMs: Number.POSITIVE_INFINITY,
    retryAtMs: Number.POSITIVE_INFINITY,
    isHanging: isHanging(),
  };
  let task = false;
  const activities = new Map<string, Retrying>();
  for (const event of events) {
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
      case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: {
        const { activityId, retryPolicy } = event.activityTaskScheduledEventAttributes ?? {};
        activities.set(String(event.eventId), {
          activityId: activityId ?? '',
          firstMs: millis(retryPolicy?.initialInterval),
          coefficient: retryPolicy?.backoffCoefficient ?? 2,
          mostMs: millis(retryPolicy?.maximumInterval) || Number.POSITIVE_INFINITY,
        });
        break;
      }
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
        return { ...quiet, state: 'closed' };
    }
  }
  const accepted = events.flatMap(
    (event) => event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.meta?.updateId ?? [],
  );
  if (task || isOnTheWay(new Set(accepted))) return undefined;
  const timerAtMs = Math.min(...openTimers(events));
  if (activities.size === 0) return { ...quiet, state: 'open', timerAtMs };
  const { raw } = await handle.describe();
  const pending = raw.pendingActivities ?? [];
  // One that was over between the two answers has led to a workflow task, which is under way.
  if (
    [...activities.values()].some((one) => !pending.some(({ activityId }) => activityId === one.activityId))
  )
    return undefined;
  // The server calls an activity that waits for its next attempt "started" too; that it has failed before tells them apart.
  if (pending.some(({ lastFailure }) => !lastFailure && !isHanging())) return undefined;
  const runId = raw.workflowExecutionInfo?.execution?.runId ?? '';
  if (
    pending.some(({ activityId, attempt }) =>
      isDone({ runId, activityId: activityId ?? '', attempt: attempt ?? 0 }),
    )
  )
    return undefined;
  const attempts = pending.map(({ activityId, attempt, lastStartedTime }) => {
    const retrying = [...activities.values()].find((one) => one.activityId === activityId);
    if (!retrying) return nowMs + SHORT_RETRY_STEP_MS;
    return millis(lastStartedTime) + ATTEMPT_TAKES_MS + intervalMs(retrying, attempt ?? 1);
  });
  const nextMs = Math.min(nowMs + LONGEST_RETRY_STEP_MS, ...attempts);
  // One that should have begun begins any moment.
  const retryAtMs = nextMs > nowMs ? nextMs : nowMs + SHORT_RETRY_STEP_MS;
  return { ...quiet, state: 'retrying', timerAtMs, retryAtMs };
}

/** An activity that is not done, and how it is repeated; milliseconds. */
interface Retrying {
  activityId: string;
  firstMs: number;
  coefficient: number;
  mostMs: number;
}

/** What it waits before its `attempt`th attempt, the first one being 1. */
function intervalMs({ firstMs, coefficient, mostMs }: Retrying, attempt: number): number {
  return Math.min(mostMs, firstMs * coefficient ** Math.max(0, attempt - 2));
}

/** When each timer fires that is still running, Unix milliseconds. */
function openTimers(events: readonly temporal.api.history.v1.IHistoryEvent[]): number[] {
  const timers = new Map<string, number>();
  for (const { eventTime, ...event } of events) {
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
