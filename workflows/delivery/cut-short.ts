/** Steps that are cut short: by a cancel, an order, the end of their time. */
import { type CancellationScope, condition, patched } from '@temporalio/workflow';

/**
 * Runs a step in a scope. When that is cancelled, the step is left at once, and not only when Temporal has told that it is
 * cancelled. That comes in a turn of its own when it is first run, but on replay in one turn with the answer of a short step that ran
 * at the same time, and what follows from both would come in another order: no worker could take the workflow up again.
 * (The SDK's core puts the short step's answer last in that turn, https://github.com/temporalio/sdk-rust/pull/808; what follows from
 * it may still be fewer promises away.)
 * @param failed what is to be answered to a failure or a cancel, or thrown
 * @param over called once, before it is answered
 */
export function cutShort<T, R>(
  scope: CancellationScope,
  step: () => Promise<T>,
  { failed, over }: { failed: (error: unknown) => R; over?: () => void },
): Promise<T | R> {
  // By hand, so that it takes as many turns of the promise queue as it did before it could be left: those under way replay it.
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (answer: () => void) => {
      if (isOver) return;
      isOver = true;
      over?.();
      answer();
    };
    const fail = (error: unknown) =>
      end(() => {
        try {
          resolve(failed(error));
        } catch (thrown) {
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
        }
      });
    scope.run(step).then((answer) => end(() => resolve(answer)), fail);
    const leave = () => {
      if (!isOver && leftAtOnce()) void scope.cancelRequested.catch(fail);
    };
    // A condition is looked at last: an answer that came together with the cancel is taken. It fails when the scope around is cancelled,
    // and this one with it.
    void condition(() => isOver || scope.consideredCancelled).then(leave, leave);
  });
}

/** Whether what is cut short is left before Temporal has told that it is cancelled; false in deliveries from before that. */
export const leftAtOnce = () => patched('cut-short-at-once');
