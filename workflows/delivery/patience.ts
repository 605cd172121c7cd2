/** Waits that may take a month: the authorization is renewed meanwhile, and the history stays bounded. */
import {
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import { REASSIGN_CROSSES, REASSIGNING } from './assigned-drone.ts';
import type { delivery } from './workflow.ts';
import { failed } from './endings.ts';
import type { Happening } from './happenings.ts';
import type { Wait } from './registry.ts';
import type { DeliveryRun } from './run.ts';
import { shortStep } from './steps.ts';

/** A shorter history is never given up, whatever the policy says: a run must get somewhere. */
const SHORTEST_HISTORY = 50;

/**
 * The next happening, or `deadline` when the clock shows `untilMs`. Only to be called while nothing is in flight: the workflow may
 * go on as a new run, which comes back here by the saga's own way.
 * @throws {Ended} failed, when the account no longer authorizes the price
 */
export async function waitPatiently(run: DeliveryRun, waitingFor: Wait, untilMs: number): Promise<Happening> {
  const { happenings, record } = run;
  for (;;) {
    await continueWhenLong(run);
    const happening = await happenings.next(waitingFor, Math.min(untilMs, renewalAtMs(run)));
    if (happening.kind === 'reassign' && patched(REASSIGN_CROSSES)) {
      // There is no drone to replace, and another one is being looked for.
      happenings.orders.answerReassign(REASSIGNING);
      continue;
    }
    if (happening.kind !== 'deadline' || record.nowMs() >= untilMs) return happening;
    await renewAuthorizations(run);
  }
}

/** When an authorization is to be renewed, Unix milliseconds; never when none runs out. */
function renewalAtMs({ authorized, raises, policy }: DeliveryRun): number {
  const ends = [authorized, ...raises].flatMap((one) => one?.expiresAt ?? []);
  return Math.min(...ends.map((end) => Date.parse(end) - policy.renewAheadS * 1000));
}

/** @throws {Ended} cancelled; failed, when the account was suspended or closed meanwhile or its credit is used up */
async function renewAuthorizations(run: DeliveryRun): Promise<void> {
  const { authorized, raises, record, policy } = run;
  for (const one of [authorized, ...raises]) {
    const endMs = Date.parse(one?.expiresAt ?? '');
    if (one && endMs - policy.renewAheadS * 1000 <= record.nowMs()) await renew(run, one);
  }
}

async function renew(run: DeliveryRun, authorized: { key: string; expiresAt: string | null }): Promise<void> {
  const { record, input } = run;
  const key = record.key('renew');
  const answer = await run.beforeDispatch(() =>
    shortStep(
      'renewAuthorization',
      { key, authorize_key: authorized.key, delivery_id: input.deliveryId },
      'renew the authorization',
    ),
  );
  if (answer.outcome === 'refused') {
    if (answer.reason === 'not_authorized') throw failed('step_failed', answer.detail);
    throw failed(answer.reason, answer.detail);
  }
  authorized.expiresAt = answer.expires_at;
}

/**
 * Goes on with a new history when this one has become long, unless there is something to do first. Only to be called while
 * nothing is in flight.
 */
export async function continueWhenLong(run: DeliveryRun): Promise<void> {
  const { happenings, record, policy, input } = run;
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  // What it has learnt when it was reset is not carried, but what came of it.
  if (run.resets.mustLearn() || record.repetition.isUnderWay) return;
  if (!continueAsNewSuggested && historyLength < Math.max(policy.historyEvents, SHORTEST_HISTORY)) return;
  await record.written();
  // An update that waits for the saga is something to do; one that was answered only has to say so.
  await condition(() => allHandlersFinished() || happenings.hasSomething());
  await allOrdersWritten(run);
  const { compensations } = run;
  if (compensations.isUndoingAside) {
    await condition(
      () => !compensations.isUndoingAside || happenings.hasSomething() || compensations.isStuck,
    );
  }
  // What is stuck waits for a person, and this delivery does not: it goes on with the history that it has.
  if (compensations.isUndoingAside && patched('no-new-run-while-undoing')) return;
  await compensations.asideDone();
  // What is being written is not carried: another order may have been answered meanwhile.
  await allOrdersWritten(run);
  const carried = run.carried();
  if (!carried) return;
  const { typedSearchAttributes } = workflowInfo();
  await makeContinueAsNewFunc<typeof delivery>({ typedSearchAttributes })(input, carried);
}

/** One that is being written may be followed by another. */
async function allOrdersWritten({ orderLog, record }: DeliveryRun): Promise<void> {
  while (orderLog.isWriting) await record.written();
}
