/**
 * The answers of short steps, in the order in which they first came. A short step that outlives its workflow task answers in a later
 * one, where something else may have come before it: an update, a timer, another step's answer. At first that is dealt with in a turn
 * of its own, and the short step's answer in another; on replay both come in one turn, in which nothing is finished before the next
 * thing begins. What follows from them would then come in another order, and no worker could take the workflow up again.
 */
import { CancellationScope, condition, patched, sleep, workflowInfo } from '@temporalio/workflow';

/** False in deliveries from before that. */
const isHeardLast = () => patched('short-answers-heard-last');

/**
 * What else has come in the same turn is dealt with when the workflow has looked so often at all that it waits for. What follows from
 * one thing takes a few looks: who is waked wakes the next one.
 */
const LOOKS = 8;
/** Longer than any short step takes: it never fires. */
const MARKS_FOR = '1 hour';

// Of one workflow: each has this module for itself.
let begun = 0;
let underWay = 0;
let previous: Promise<void> = Promise.resolve();

/** Calls a short step, whose answer or failure is heard when all that came with it, or before it, is dealt with. */
export function heardLast<T>(call: () => Promise<T>): Promise<T> {
  return isHeardLast() ? inTurn(call) : call();
}

async function inTurn<T>(call: () => Promise<T>): Promise<T> {
  const task = currentTask();
  const marking = markTask();
  const number = (begun += 1);
  const begunAlone = (underWay += 1) === 1;
  try {
    return await call();
  } finally {
    // Within its task nothing comes with it but other short steps' answers, and the end of what was left at once (cut-short.ts).
    const isAlone = begunAlone && begun === number && task === currentTask();
    if (!isAlone) {
      // Two that answer in one turn may have answered in two.
      previous = previous.then(untilAllIsDealtWith);
      await previous;
    }
    underWay -= 1;
    marking.cancel();
  }
}

/** The same number as long as the workflow task is the same, also on replay. */
const currentTask = () => workflowInfo().historyLength;

function untilAllIsDealtWith(): Promise<void> {
  return CancellationScope.nonCancellable(async () => {
    for (let looks = 0; looks < LOOKS; looks += 1) await untilNextLook();
  });
}

/** Settles when the workflow next looks at all that it waits for, which it does when nothing else goes on. */
function untilNextLook(): Promise<void> {
  let isNext = false;
  // It is asked at once, and then at each look.
  return condition(() => {
    const was = isNext;
    isNext = true;
    return was;
  });
}

/**
 * A timer, which only a step that outlives its workflow task writes into the history: one that is cancelled in the task that set it is never
 * told to the server. A task that ends without having commanded anything counts as one with the next one, but not in the same way
 * when that is lost and done anew as on replay.
 */
function markTask(): CancellationScope {
  const shield = new CancellationScope({ cancellable: false });
  const marking = new CancellationScope({ cancellable: true, parent: shield });
  marking
    .run(() => sleep(MARKS_FOR, { summary: 'a short step goes on in another workflow task' }))
    .catch(() => undefined);
  return marking;
}
