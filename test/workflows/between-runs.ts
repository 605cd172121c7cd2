/** For a moment the time-skipping server has no run of a workflow that continues as new: an update that comes then is sent again. */
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { setTimeout as delay } from 'node:timers/promises';

const NEXT_RUN_WITHIN_MS = 20;
/** The server says the same of a workflow that has ended. */
const MOST_TRIES = 5;

const isRefused = (error: unknown): boolean =>
  error instanceof WorkflowNotFoundError && /^update .* not found$/.test(error.message);

export const betweenRuns: WorkflowClientInterceptor = {
  async startUpdate(input, next) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await next(input);
      } catch (error) {
        if (!isRefused(error) || tries === MOST_TRIES) throw error;
        await delay(NEXT_RUN_WITHIN_MS);
      }
    }
  },
};
