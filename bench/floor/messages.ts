/** What the floor's driver and its worker agree on. */
export const FLOOR_WORKFLOW = 'floor';
export const FLOOR_SIGNAL = 'signal';
export const FLOOR_TASK_QUEUE = 'bench-floor';
