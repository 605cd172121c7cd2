/** What the worker bundles: every workflow type of this system. */
export { delivery } from './delivery/workflow.ts';
