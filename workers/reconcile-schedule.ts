/**
 * The schedule of the reconciler's sweep. Temporal's, not a timer in a worker: it runs once however many workers there are,
 * goes on while any is there, and operators see in the UI when it ran, what it found, pause it or trigger it.
 */
import {
  type Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { RECONCILE_SCHEDULE, RECONCILE_SWEEP_WORKFLOW } from '../workflows/messages.ts';

/**
 * Makes the schedule, or gives it this interval. One that an operator paused stays paused.
 * @param everyS seconds; 0: there is to be none
 */
export async function ensureReconcileSchedule(
  { schedule }: Client,
  taskQueue: string,
  everyS: number,
): Promise<void> {
  const handle = schedule.getHandle(RECONCILE_SCHEDULE);
  if (everyS === 0) {
    await handle.delete().catch((error: unknown) => {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    });
    return;
  }
  const spec = { intervals: [{ every: everyS * 1000 }] };
  const action = {
    type: 'startWorkflow' as const,
    workflowType: RECONCILE_SWEEP_WORKFLOW,
    workflowId: RECONCILE_SCHEDULE,
    taskQueue,
    workflowExecutionTimeout: '15 minutes' as const,
  };
  try {
    await schedule.create({
      scheduleId: RECONCILE_SCHEDULE,
      spec,
      action,
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: everyS * 1000 },
      memo: { what: 'Finds what terminated deliveries left, and has it undone' },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await handle.update((now) => ({ ...now, spec, action: { ...now.action, ...action } }));
  }
}
