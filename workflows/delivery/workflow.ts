/**
 * The delivery: one durable workflow, from the accept to the final event. Here are its doors (signals, updates, query) and its
 * end (compensation, charge); what it does in between is the saga.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  patched,
  setHandler,
} from '@temporalio/workflow';
import { utcWindow, windowRefusals } from '../../services/delivery/contract/schedule.ts';
import type { Money } from '../../shared/schemas.ts';
import {
  ABORT_UPDATE,
  type AbortCommand,
  CANCEL_UPDATE,
  type CancelAnswer,
  type CancelCommand,
  CARRIER_MILESTONE_SIGNAL,
  type CarrierMilestoneSignal,
  CONFIRM_UPDATE,
  type ConfirmCommand,
  CHANGE_DROPOFF_UPDATE,
  type ChangeDropoffAnswer,
  type ChangeDropoffCommand,
  type DeliveryInput,
  type DeliveryOutcome,
  type DeliveryState,
  DRONE_AVAILABLE_SIGNAL,
  DRONE_MILESTONE_SIGNAL,
  type DroneMilestoneSignal,
  IMPOSSIBLE_WINDOW,
  type OperatorAnswer,
  type OperatorCommand,
  REASSIGN_DRONE_UPDATE,
  type ReassignDroneCommand,
  RESCHEDULE_UPDATE,
  type RescheduleAnswer,
  type RescheduleCommand,
  RESOLVE_INTERVENTION_UPDATE,
  type ResolveInterventionCommand,
  RETRY_COMPENSATION_UPDATE,
  type RetryCompensationCommand,
  STATE_QUERY,
} from '../messages.ts';
import type { CarriedDelivery } from './carried.ts';
import { WRITE_OFF_BOOKING } from './carrier-journey.ts';
import {
  checkAbort,
  checkCancel,
  checkConfirm,
  checkChangeDropoff,
  checkReassignDrone,
  checkRescheduleForm,
  checkResolveIntervention,
  checkRetryCompensation,
} from './commands.ts';
import { Ended, EndedElsewhere, type Ending, failed } from './endings.ts';
import { undoLeftovers } from './leftovers.ts';
import { ACCEPTED } from './answers.ts';
import type { Answer } from './orders.ts';
import { DeliveryRun } from './run.ts';
import { captureInsteadOfVoid, chargeOf, creditWhatWasLost, VOID_AUTHORIZATION } from './money.ts';
import { saga } from './saga.ts';
import { StepFailed } from './steps.ts';

const droneMilestone = defineSignal<[DroneMilestoneSignal]>(DRONE_MILESTONE_SIGNAL);
const carrierMilestone = defineSignal<[CarrierMilestoneSignal]>(CARRIER_MILESTONE_SIGNAL);
const droneAvailable = defineSignal(DRONE_AVAILABLE_SIGNAL);
const cancel = defineUpdate<CancelAnswer, [CancelCommand]>(CANCEL_UPDATE);
const reschedule = defineUpdate<RescheduleAnswer, [RescheduleCommand]>(RESCHEDULE_UPDATE);
const changeDropoff = defineUpdate<ChangeDropoffAnswer, [ChangeDropoffCommand]>(CHANGE_DROPOFF_UPDATE);
const reassignDrone = defineUpdate<OperatorAnswer, [ReassignDroneCommand]>(REASSIGN_DRONE_UPDATE);
const confirm = defineUpdate<OperatorAnswer, [ConfirmCommand]>(CONFIRM_UPDATE);
const abort = defineUpdate<OperatorAnswer, [AbortCommand]>(ABORT_UPDATE);
const resolveIntervention = defineUpdate<OperatorAnswer, [ResolveInterventionCommand]>(
  RESOLVE_INTERVENTION_UPDATE,
);
const retryCompensation = defineUpdate<OperatorAnswer, [RetryCompensationCommand]>(RETRY_COMPENSATION_UPDATE);
const state = defineQuery<DeliveryState>(STATE_QUERY);

/**
 * Completes with any business outcome; a workflow that is *Failed* has met a bug.
 * @param carried what the run before knew, when this one goes on for it
 */
export async function delivery(input: DeliveryInput, carried?: CarriedDelivery): Promise<DeliveryOutcome> {
  const run = new DeliveryRun(input, carried);
  openDoors(run);
  watchNativeCancel(run);
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

function openDoors(run: DeliveryRun): void {
  const { happenings, record, handled, resets } = run;
  setHandler(droneMilestone, (signal) => happenings.droneMilestone(signal));
  setHandler(carrierMilestone, (signal) => happenings.carrierMilestone(signal));
  setHandler(droneAvailable, () => happenings.droneAvailable());
  setHandler(state, () => record.state);

  setHandler(cancel, (command) => inTurn(() => happenings.cancel(command)), {
    validator: unlessHandled(checkCancel),
  });
  setHandler(
    reschedule,
    (command) =>
      inTurn(() => happenings.reschedule({ ...command, pickupWindow: utcWindow(command.pickupWindow) })),
    { validator: unlessHandled((command: RescheduleCommand) => checkReschedule(run, command)) },
  );
  setHandler(changeDropoff, (command) => inTurn(() => happenings.changeDropoff(command)), {
    validator: unlessHandled((command: ChangeDropoffCommand) => checkChangeDropoff(run.input, command)),
  });
  setHandler(
    reassignDrone,
    (command) => inTurn(async () => addressed(await happenings.reassignDrone(command), command)),
    { validator: unlessHandled(checkReassignDrone) },
  );
  setHandler(abort, (command) => inTurn(async () => addressed(await happenings.abort(command), command)), {
    validator: unlessHandled(checkAbort),
  });
  setHandler(
    confirm,
    (command) =>
      inTurn(async () => addressed(await happenings.confirm(command), command), {
        // What the recipient gave has to reach the drone again, as long as that waits for it.
        anew: () => record.status === 'arrived_at_dropoff',
      }),
    { validator: unlessHandled(checkConfirm) },
  );
  setHandler(resolveIntervention, (command) => inTurn(() => answerOf(run, command), FOR_WHAT_IS_ASKED), {
    validator: unlessHandled((command) => checkResolveIntervention(record, command)),
  });
  setHandler(
    retryCompensation,
    (command) => inTurn(() => answerOf(run, { ...command, answer: 'retry' }), FOR_WHAT_IS_ASKED),
    { validator: unlessHandled((command) => checkRetryCompensation(record, command)) },
  );

  function inTurn<A>(handle: () => A | Promise<A>, how?: Parameters<typeof resets.inTurn>[1]): Promise<A> {
    return handled.once(() => resets.inTurn(handle, how));
  }

  /** An update that an earlier run handled gets that answer, whatever the delivery has come to since. */
  function unlessHandled<C>(check: (command: C) => void): (command: C) => void {
    return (command) => {
      if (!handled.knows()) check(command);
    };
  }
}

/** Whoever is asked may answer, wherever the delivery is. */
const FOR_WHAT_IS_ASKED = { waits: false };

/** Hands an answer to the one who asked, and says whether it was this one that closed the intervention. */
function answerOf(
  { record, happenings }: DeliveryRun,
  command: ResolveInterventionCommand,
): OperatorAnswer | Promise<OperatorAnswer> {
  const pending = record.holdAnswer(command);
  if (record.isAboutJourney(command.interventionId)) happenings.interventionAnswered(pending);
  // Deliveries that began before answers were held are told so at once, in the same moment as ever.
  if (!patched('answers-are-held')) return addressed(ACCEPTED, command);
  return condition(() => pending.settled !== undefined).then(() =>
    addressed(pending.settled ?? ACCEPTED, command),
  );
}

/** @throws {ApplicationFailure} for a window that is none, or that cannot be served: then its detail are the field errors */
function checkReschedule({ record, policy, input }: DeliveryRun, command: RescheduleCommand): void {
  checkRescheduleForm(command);
  const { pickupWindow } = command;
  const { deadline } = input;
  const errors = windowRefusals(pickupWindow, {
    nowMs: record.nowMs(),
    aheadS: policy.scheduleAheadS,
    deadline,
  });
  if (errors.length === 0) return;
  throw ApplicationFailure.create({
    message: errors.map(({ field, message }) => `${field} ${message}`).join('; '),
    type: IMPOSSIBLE_WINDOW,
    nonRetryable: true,
    details: [errors],
  });
}

const addressed = (answer: Answer, { request }: Pick<OperatorCommand, 'request'>): OperatorAnswer => ({
  ...answer,
  request: request ?? null,
});

/** The *Cancel* button of the Temporal UI acts as the cancel update; with the package aboard it asks a person what was meant. */
function watchNativeCancel({ happenings, resets }: DeliveryRun): void {
  CancellationScope.current().cancelRequested.catch(() =>
    CancellationScope.nonCancellable(async () =>
      resets.inTurn(() =>
        happenings.cancelNatively({
          reason: 'requested_by_operator',
          actor: { role: 'operator', id: 'temporal-ui' },
          why: 'Cancel in the Temporal UI',
        }),
      ),
    ),
  );
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
  await undoLeftovers(input.deliveryId, { completes: true });
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
  if (record.repetition.isReset) await undoForgotten(run);
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
  { record, happenings }: DeliveryRun,
  ending: Ending & { reason: string },
): Promise<void> {
  // What is stuck since the middle of the saga still waits for a person.
  const compensation = record.isAskedAboutCompensation ? 'needs_intervention' : 'pending';
  record.state.compensation = compensation;
  if (ending.status === 'cancelled') {
    record.state.cancellationReason = ending.reason;
    await record.change('cancelled', {
      data: {
        by: ending.by,
        ...(ending.why !== undefined && { why: ending.why }),
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
  if (record.repetition.isReset) await undoForgotten(run);
  record.state.compensation = 'complete';
  await record.note('compensation_complete', {
    data: { outcome: ending.charged, ...(credit && { credit }) },
    patch: { compensation: 'complete', charge, complete: true },
  });
}

/** A run that was reset may have come by another way, and not know of all that was taken on the first. */
function undoForgotten({ input }: DeliveryRun): Promise<void> {
  return undoLeftovers(input.deliveryId, { completes: false });
}
