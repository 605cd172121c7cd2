/** What the worker bundles: every workflow type of this system. */
export { delivery } from './delivery/workflow.ts';
export { reconcile } from './reconcile/workflow.ts';
export { reconcileSweep } from './reconcile/sweep.ts';
