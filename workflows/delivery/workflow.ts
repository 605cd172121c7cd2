/**
 * The delivery: one durable workflow, from the accept to the final event. Here are its beginning and its end (compensation,
 * charge); what it does in between is the saga.
 */
import { allHandlersFinished, ApplicationFailure, CancellationScope, condition } from '@temporalio/workflow';
import type { Money } from '../../shared/schemas.ts';
import { nameOf, type DeliveryInput, type DeliveryOutcome } from '../messages.ts';
import type { CarriedDelivery } from './carried.ts';
import { WRITE_OFF_BOOKING } from './carrier-journey.ts';
import { openDoors } from './doors.ts';
import { Ended, EndedElsewhere, type Ending, failed } from './endings.ts';
import { undoLeftovers } from './leftovers.ts';
import { DeliveryRun } from './run.ts';
import { captureInsteadOfVoid, chargeOf, creditWhatWasLost, VOID_AUTHORIZATION } from './money.ts';
import { saga } from './saga.ts';
import { StepFailed } from './steps.ts';

/**
 * Completes with any business outcome; a workflow that is *Failed* has met a bug.
 * @param carried what the run before knew, when this one goes on for it
 */
export async function delivery(input: DeliveryInput, carried?: CarriedDelivery): Promise<DeliveryOutcome> {
  const run = new DeliveryRun(input, carried);
  openDoors(run);
  run.nativeCancel.watch(run.happenings, run.resets);
  // What notices a reset outlives a cancel.
  void CancellationScope.nonCancellable(() => run.resets.watch());
  // The delivery decides itself what a cancel means, so none reaches its steps from outside.
  return CancellationScope.nonCancellable(async () => {
    if (run.resets.mustLearn()) await run.resets.known();
    const { ending, bug } = await endingOf(run);
    if (run.resets.mustLearn()) await run.resets.known();
    if (ending === undefined || run.record.hasEndedElsewhere) await concludeElsewhere(run);
    else await conclude(run, ending);
    run.happenings.disarm();
    run.record.answers.refuseAll('the delivery has ended');
    await condition(allHandlersFinished);
    const telling = run.nativeCancel.close();
    if (telling) await telling;
    while (run.orderLog.isWriting) {
      await run.record.written();
      await condition(allHandlersFinished);
    }
    if (bug) throw bug;
    const { status, compensation, attempt, failureReason, cancellationReason } = run.record.state;
    const isOurs = ending?.status === 'failed' || ending?.status === 'cancelled';
    return {
      status,
      reason: isOurs ? ending.reason : (failureReason ?? cancellationReason),
      compensation,
      attempts: attempt,
    };
  });
}

/**
 * Runs the saga. A step that failed for good is a failed delivery, not a failed workflow. What only a bug can cause fails the
 * workflow, but not before what was done is undone. No ending: it was reset, and the delivery has ended without it.
 */
async function endingOf(run: DeliveryRun): Promise<{ ending: Ending | undefined; bug?: ApplicationFailure }> {
  try {
    return { ending: await saga(run) };
  } catch (error) {
    if (error instanceof Ended) return { ending: error.ending };
    if (error instanceof EndedElsewhere) return { ending: undefined };
    if (error instanceof StepFailed) return { ending: failed('step_failed', error.message).ending };
    if (error instanceof ApplicationFailure) {
      return { ending: failed('step_failed', `a bug: ${error.type ?? 'unknown'}`).ending, bug: error };
    }
    throw error;
  }
}

async function conclude(run: DeliveryRun, ending: Ending): Promise<void> {
  const charge = chargeOf(run, ending);
  run.record.conclude();
  await run.record.closeQuestions('the delivery has ended');
  if (ending.status === 'delivered' || ending.status === 'returned') {
    run.happenings.answerLate();
    run.happenings.reschedules.end(ending.status);
    run.record.showPhase();
    await settle(run, ending, charge);
  } else {
    await decide(run, ending);
    await compensate(run, ending, charge);
  }
  await run.record.written();
}

/** It was reset, and the delivery has ended without it: that stands, and only what is left is undone. */
async function concludeElsewhere({ record, happenings, input }: DeliveryRun): Promise<void> {
  record.conclude();
  await record.closeQuestions('the delivery has ended');
  happenings.answerLate();
  happenings.reschedules.end(record.status);
  record.showPhase();
  if (!(await undoLeftovers(input.deliveryId, { completes: true }))) return;
  record.state.compensation = record.state.compensation === 'none' ? 'none' : 'complete';
}

/** The package has arrived: the price is captured, and the delivery is complete. */
async function settle(run: DeliveryRun, ending: Ending, charge: Money): Promise<void> {
  const { compensations, record } = run;
  // What was done stands, all but the authorizations: they become the charge, or are voided where it does not need them. What a carrier
  // has not ended is closed.
  const raises = run.raises.map((one) => one.compensation);
  compensations.keepOnly([VOID_AUTHORIZATION, ...raises, WRITE_OFF_BOOKING]);
  await captureInsteadOfVoid(run, charge, ending.charged, 'short');
  await compensations.undoAll();
  if (record.repetition.isReset && !(await undoForgotten(run))) return;
  // Only a capture that a person had to settle leaves a trace here.
  const compensation = record.state.compensation === 'none' ? 'none' : 'complete';
  record.state.compensation = compensation;
  await record.note('settled', {
    data: { outcome: ending.charged },
    patch: { charge, compensation, complete: true },
  });
}

/** The outcome is written when it is decided: the caller sees it at once, and that compensation is pending. */
async function decide(
  { record, happenings, nativeCancel }: DeliveryRun,
  ending: Ending & { reason: string },
): Promise<void> {
  // What is stuck since the middle of the saga still waits for a person.
  const compensation = record.isAskedAboutCompensation ? 'needs_intervention' : 'pending';
  record.state.compensation = compensation;
  if (ending.status === 'cancelled') {
    const { command } = ending;
    // Who has pressed Cancel in the Temporal UI is known in a moment.
    if (command === nativeCancel.command && nativeCancel.reading) await nativeCancel.reading;
    record.state.cancellationReason = ending.reason;
    await record.change('cancelled', {
      data: {
        by: command ? nameOf(command.actor) : 'unknown',
        ...(command?.why !== undefined && { why: command.why }),
        ...(ending.abort && { abort: ending.abort }),
      },
      patch: { cancellation_reason: ending.reason, compensation },
    });
    happenings.answerCancel({ outcome: 'cancelled', reason: null, detail: null });
  } else if (ending.status === 'failed') {
    record.state.failureReason = ending.reason;
    await record.change('failed', {
      data: { detail: ending.detail },
      patch: { failure_reason: ending.reason, failure_detail: ending.detail, compensation },
    });
  }
  happenings.answerLate();
  happenings.reschedules.end(record.status);
  record.showPhase();
}

async function compensate(run: DeliveryRun, ending: Ending, charge: Money): Promise<void> {
  const { compensations, record } = run;
  if (charge.amount > 0) await captureInsteadOfVoid(run, charge, ending.charged, 'plain');
  const credit = creditWhatWasLost(run, ending);
  await compensations.undoAll();
  if (record.repetition.isReset && !(await undoForgotten(run))) return;
  record.state.compensation = 'complete';
  await record.note('compensation_complete', {
    data: { outcome: ending.charged, ...(credit && { credit }) },
    patch: { compensation: 'complete', charge, complete: true },
  });
}

/**
 * A run that was reset may have come by another way, and not know of all that was taken on the first. Answers whether nothing is left
 * of it: what is, is the reconciler's, which says so when it is done.
 */
function undoForgotten({ input }: DeliveryRun): Promise<boolean> {
  return undoLeftovers(input.deliveryId, { completes: false });
}
