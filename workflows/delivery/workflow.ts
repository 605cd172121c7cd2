/**
 * The delivery: one durable workflow, from the accept to the final event. Here are its beginning and its end (compensation,
 * charge); what it does in between is the saga.
 */
import { allHandlersFinished, ApplicationFailure, CancellationScope, condition } from '@temporalio/workflow';
import type { Money } from '../../shared/schemas.ts';
import type { DeliveryInput, DeliveryOutcome } from '../messages.ts';
import type { CarriedDelivery } from './carried.ts';
import { openDoors } from './doors.ts';
import { Ended, type Ending, failed } from './endings.ts';
import { DeliveryRun, nameOf } from './run.ts';
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
  run.nativeCancel.watch(run.happenings);
  // The delivery decides itself what a cancel means, so none reaches its steps from outside.
  return CancellationScope.nonCancellable(async () => {
    const { ending, bug } = await endingOf(run);
    await conclude(run, ending);
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
    return {
      status: run.record.status,
      reason: ending.status === 'failed' || ending.status === 'cancelled' ? ending.reason : null,
      compensation: run.record.state.compensation,
      attempts: run.record.state.attempt,
    };
  });
}

/**
 * Runs the saga. A step that failed for good is a failed delivery, not a failed workflow. What only a bug can cause fails the
 * workflow, but not before what was done is undone.
 */
async function endingOf(run: DeliveryRun): Promise<{ ending: Ending; bug?: ApplicationFailure }> {
  try {
    return { ending: await saga(run) };
  } catch (error) {
    if (error instanceof Ended) return { ending: error.ending };
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

/** The package has arrived: the price is captured, and the delivery is complete. */
async function settle(run: DeliveryRun, ending: Ending, charge: Money): Promise<void> {
  const { compensations, record } = run;
  // What was done stands, all but the authorizations: they become the charge, or are voided where it does not need them.
  compensations.keepOnly([VOID_AUTHORIZATION, ...run.raises.map((one) => one.compensation)]);
  await captureInsteadOfVoid(run, charge, ending.charged, 'short');
  await compensations.undoAll();
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
  record.state.compensation = 'complete';
  await record.note('compensation_complete', {
    data: { outcome: ending.charged, ...(credit && { credit }) },
    patch: { compensation: 'complete', charge, complete: true },
  });
}
