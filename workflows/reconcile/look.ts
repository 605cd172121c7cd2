/** How the reconciler looks at a delivery, and how often. */
import { proxyActivities } from '@temporalio/workflow';
import type { ReconcileActivities } from '../../activities/reconcile.ts';

export const { examineDelivery } = proxyActivities<ReconcileActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '1s', maximumInterval: '1 minute' },
});

/** Between two looks, wall milliseconds: at first soon, then as long as a flight home or a person may take. */
export const FIRST_LOOK_MS = 1_000;
export const LONGEST_LOOK_MS = 60_000;
