/** One change of the workflow, made as it must be made and as it must not: a pause before a drone is looked for. */
import type { Edit } from './edited-bundle.ts';

/** Names the change in the histories of the deliveries that have it. */
export const PAUSE_PATCH = 'pause-before-a-drone';

const FIND = 'const found = await findDrone(run);';
const PAUSE = 'await sleep(1_000);';

const pause = (code: string): Edit[] => [
  {
    file: 'delivery/saga.ts',
    find: `import { findDrone } from './assignment.ts';`,
    replace: `import { patched, sleep } from '@temporalio/workflow';\nimport { findDrone } from './assignment.ts';`,
  },
  { file: 'delivery/saga.ts', find: FIND, replace: `${code} ${FIND}` },
];

export const UNPATCHED_PAUSE: readonly Edit[] = pause(PAUSE);
export const PATCHED_PAUSE: readonly Edit[] = pause(`if (patched('${PAUSE_PATCH}')) ${PAUSE}`);
