/** The doors of a delivery: its signals, updates and query, and what is checked there. */
import {
  ApplicationFailure,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  patched,
  setHandler,
} from '@temporalio/workflow';
import { utcWindow, windowRefusals } from '../../services/delivery/contract/schedule.ts';
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
import { ACCEPTED } from './answers.ts';
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
import type { LoggedAnswer, LoggedCommand } from './order-log.ts';
import type { Answer } from './orders.ts';
import type { DeliveryRun } from './run.ts';

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

/** Opens them: what comes in is put where the saga takes it. */
export function openDoors(run: DeliveryRun): void {
  const { happenings, record, handled, orderLog, resets } = run;
  setHandler(droneMilestone, (signal) => happenings.droneMilestone(signal));
  setHandler(carrierMilestone, (signal) => happenings.carrierMilestone(signal));
  setHandler(droneAvailable, () => happenings.droneAvailable());
  setHandler(state, () => record.state);

  setHandler(cancel, (command) => inTurn(CANCEL_UPDATE, command, () => happenings.cancel(command)), {
    validator: unlessHandled(checkCancel),
  });
  setHandler(
    reschedule,
    (given) => {
      const command = { ...given, pickupWindow: utcWindow(given.pickupWindow) };
      return inTurn(RESCHEDULE_UPDATE, command, () => happenings.reschedule(command));
    },
    { validator: unlessHandled((command: RescheduleCommand) => checkReschedule(run, command)) },
  );
  setHandler(
    changeDropoff,
    (command) => inTurn(CHANGE_DROPOFF_UPDATE, command, () => happenings.changeDropoff(command)),
    {
      validator: unlessHandled((command: ChangeDropoffCommand) => checkChangeDropoff(run.input, command)),
    },
  );
  setHandler(
    reassignDrone,
    (command) =>
      inTurn(REASSIGN_DRONE_UPDATE, command, async () =>
        addressed(await happenings.reassignDrone(command), command),
      ),
    { validator: unlessHandled(checkReassignDrone) },
  );
  setHandler(
    abort,
    (command) =>
      inTurn(ABORT_UPDATE, command, async () => addressed(await happenings.abort(command), command)),
    { validator: unlessHandled(checkAbort) },
  );
  setHandler(
    confirm,
    (command) =>
      inTurn(CONFIRM_UPDATE, command, async () => addressed(await happenings.confirm(command), command), {
        // What the recipient gave has to reach the drone again, as long as that waits for it.
        anew: () => record.status === 'arrived_at_dropoff',
      }),
    { validator: unlessHandled(checkConfirm) },
  );
  setHandler(
    resolveIntervention,
    (command) =>
      inTurn(RESOLVE_INTERVENTION_UPDATE, command, () => answerOf(run, command), FOR_WHAT_IS_ASKED),
    { validator: unlessHandled((command) => checkResolveIntervention(record, command)) },
  );
  setHandler(
    retryCompensation,
    (given) => {
      const command = { ...given, answer: 'retry' };
      return inTurn(RETRY_COMPENSATION_UPDATE, command, () => answerOf(run, command), FOR_WHAT_IS_ASKED);
    },
    { validator: unlessHandled((command) => checkRetryCompensation(record, command)) },
  );

  /** Handles an update once, also after a reset, and sees to it that an operator's order is in the timeline, however it is answered. */
  function inTurn<A extends LoggedAnswer>(
    order: string,
    command: LoggedCommand,
    handle: () => A | Promise<A>,
    how: Parameters<typeof resets.inTurn>[1] = {},
  ): Promise<A> {
    return handled.once(
      // What was answered before the reset was told then.
      () => resets.inTurn(handle, { ...how, answeredBefore: () => orderLog.tell(command) }),
      (answer) => orderLog.answered(order, command, answer),
    );
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
  run: DeliveryRun,
  command: ResolveInterventionCommand,
): OperatorAnswer | Promise<OperatorAnswer> {
  const pending = run.takeAnswer(command);
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
