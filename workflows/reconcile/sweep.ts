/** One sweep: audits all services and starts the reconciler for what a terminated delivery left. Run by a schedule. */
import { proxyActivities } from '@temporalio/workflow';
import type { ReconcileActivities } from '../../activities/reconcile.ts';

const { sweepOrphans } = proxyActivities<ReconcileActivities>({
  startToCloseTimeout: '5 minutes',
  // While a sweep is open the schedule starts no other: a worker that died must not hold up what was terminated.
  heartbeatTimeout: '10s',
  // The next sweep comes by itself.
  retry: { maximumAttempts: 3 },
});

/** Answers how much was orphaned, what is being repaired, and which deliveries Temporal does not know: those are a person's. */
export function reconcileSweep(): ReturnType<ReconcileActivities['sweepOrphans']> {
  return sweepOrphans();
}
