/**
 * Another drone for a package that its drone has set down on the way, as a person decided. The delivery keeps its status: what it
 * has behind it stays behind it. Nothing that goes wrong here ends it, for the package lies somewhere: it waits, or people are asked.
 */
import { nameOf } from '../messages.ts';
import { ApplicationFailure } from '@temporalio/workflow';
import { needsRecipient } from '../../services/delivery/contract/confirmation.ts';
import {
  announceTakeOver,
  countUnsent,
  dispatch,
  isToBlame,
  type NotDispatched,
  returnUnloaded,
} from './assigned-drone.ts';
import { refusal } from './cancels.ts';
import { refuse } from './change-dropoff.ts';
import { KEPT } from './confirmation.ts';
import { refusedChange } from './dropoff-changes.ts';
import type { Ending } from './endings.ts';
import { Flight } from './flight.ts';
import type { Happening } from './happenings.ts';
import { cancelQuestion, isCancelQuestion } from './native-cancel.ts';
import { type Answer, refused } from './orders.ts';
import { continueWhenLong } from './patience.ts';
import { ANOTHER_DRONE, answersAbout, placeOf, settledByHand } from './questions.ts';
import type { DeliveryRun, DroneAssignment, PackageOnGround } from './run.ts';
import { StepFailed } from './steps.ts';

/** @throws {Ended} failed, when a person gives the package up for lost */
export async function redispatch(run: DeliveryRun): Promise<Ending> {
  // So it is already, unless an earlier run was sent off before.
  run.happenings.reschedules.close('drone_dispatched');
  run.happenings.dropoffs.open();
  for (;;) {
    const found = await findAnother(run);
    if (!('droneId' in found)) return found;
    const next = await flyFromGround(run, found);
    if (next !== 'replace_drone' && next !== 'another_drone') return next;
  }
}

/** So many drones are sent for it before people are asked again: somebody is there, waiting to put it in. */
const TRIES_BEFORE_ASKING = 5;

/** Where it lies. Only to be asked while no drone has it: otherwise there is a bug. */
function groundOf({ packageOnGround }: DeliveryRun): PackageOnGround {
  if (packageOnGround) return packageOnGround;
  throw ApplicationFailure.nonRetryable('No package lies anywhere.', 'nothing_on_ground');
}

/** The drone that takes the package over; or how a person, who was asked because there is none, ended the delivery. */
async function findAnother(run: DeliveryRun): Promise<DroneAssignment | Ending> {
  const ground = groundOf(run);
  for (;;) {
    await continueWhenLong(run);
    if (ground.tries >= (run.policy.maxAttempts ?? TRIES_BEFORE_ASKING)) {
      ground.ask ??= `${ground.tries} drones were sent for it, one after the other, and none has taken it up.`;
    }
    if (ground.ask !== null) {
      const ending = await askAPerson(run, ground.ask);
      if (ending) return ending;
      Object.assign(ground, { ask: null, tries: 0, giveUpAtMs: null });
      run.unsentInARow = 0;
      continue;
    }
    const found = await reserve(run, ground);
    if (typeof found === 'object') return found;
    if (found === 'none_free') await waitForOne(run, ground);
  }
}

/** Reserves a drone for the flight from where the package lies. `none_at_all`: `ground.ask` says why. */
async function reserve(
  run: DeliveryRun,
  ground: PackageOnGround,
): Promise<DroneAssignment | 'none_free' | 'none_at_all'> {
  const { record, compensations, happenings, input, policy } = run;
  const reserveKey = record.key('reserve');
  const ordinal = reserveKey.slice(reserveKey.lastIndexOf('/') + 1);
  const release = `release_drone/${ordinal}`;
  const reserveDrone = compensations.prepare('reserveDrone', {
    name: release,
    input: {
      key: reserveKey,
      ...run.ids,
      pickup: ground.location,
      dropoff: run.dropoff.location,
      return_to: input.pickup.location,
      payload_kg: run.payloadKg,
      package_sizes: input.packages.map((one) => one.size),
      clock: input.clock,
      // It lies in the open.
      expedited: true,
      wait: true,
      exclude_drone_ids: run.failedDrones,
    },
    summary: `reserve another drone for the package (try ${ordinal})`,
    undo: { kind: 'release_drone', reserveKey },
    leaves: 'A drone may still be reserved for it.',
  });
  happenings.expectDrone();
  record.waiting('the drone service', null);
  const answer = await orFailure(reserveDrone);
  if (ground.place !== null) compensations.discharge(ground.place);
  ground.place = null;
  if (!(answer instanceof StepFailed) && answer.outcome === 'released' && run.resets.mustLearn()) {
    await run.resets.known();
  }
  // Of a run that was reset: an old answer, after which there was another one.
  const isOld =
    !(answer instanceof StepFailed) &&
    ((answer.outcome === 'released' && record.repetition.isReset) ||
      (answer.outcome === 'unavailable' && answer.left_line === true));
  if (isOld) {
    compensations.discharge(release);
    return reserve(run, ground);
  }
  if (answer instanceof StepFailed || answer.outcome === 'infeasible' || answer.outcome === 'released') {
    await compensations.undo(release);
    const why =
      answer instanceof StepFailed ? answer.message : 'detail' in answer ? answer.detail : 'released';
    ground.ask = `No other drone can be had for it: ${why}`;
    return 'none_at_all';
  }
  if (answer.outcome === 'unavailable') {
    ground.place = release;
    record.repetition.standsInLine();
    if (ground.giveUpAtMs === null) {
      ground.giveUpAtMs = record.nowMs() + policy.awaitDroneS * 1000;
      await record.note('redispatch_waiting', {
        data: { detail: answer.detail },
        patch: { drone_id: null, delayed: true, delay_reason: 'no_drone' },
      });
    }
    return 'none_free';
  }
  ground.tries += 1;
  ground.giveUpAtMs = null;
  return {
    by: 'drone',
    reserveKey,
    release,
    recall: `recall_drone/${ordinal}`,
    reservationId: answer.reservation_id,
    reservationToken: answer.reservation_token,
    droneId: answer.drone_id,
    baseId: answer.base_id,
    takeOffAtMs: record.nowMs(),
    pickupEtaMs: Date.parse(answer.eta.pickup_at),
    dropoffEtaMs: Date.parse(answer.eta.dropoff_at),
  };
}

/** None is free: until one may be, or it has been waited for so long that people are asked. */
async function waitForOne(run: DeliveryRun, ground: PackageOnGround): Promise<void> {
  for (;;) {
    await continueWhenLong(run);
    const happening = await run.happenings.next('another drone', ground.giveUpAtMs);
    if (happening.kind === 'drone_available') return;
    if (happening.kind === 'deadline') {
      if (ground.place !== null) await run.compensations.undo(ground.place);
      ground.place = null;
      ground.ask = `For ${run.policy.awaitDroneS} s no drone was free for it.`;
      return;
    }
    await onGround(run, happening);
  }
}

/** Asks how it goes on. Undefined: another drone is to be tried. @throws {Ended} failed, when it is given up for lost */
async function askAPerson(run: DeliveryRun, reason: string): Promise<Ending | undefined> {
  const { record, happenings } = run;
  const ground = groundOf(run);
  if (ground.question === null) {
    const key = record.key('ask');
    ground.question = record.interventionId(`package_on_ground_${key.slice(key.lastIndexOf('/') + 1)}`);
    await record.openIntervention(
      {
        id: ground.question,
        kind: 'drone_down',
        reason: `The package lies at ${placeOf(ground.location)}. ${reason}`,
        answers: answersAbout(record.status, { anotherDrone: true, wait: false }),
      },
      { delayed: true, delay_reason: 'drone_failed' },
    );
  }
  for (;;) {
    await continueWhenLong(run);
    const happening = await happenings.next('a person’s word on the package', null);
    if (happening.kind !== 'answered' || happening.command.interventionId !== ground.question) {
      await onGround(run, happening);
      continue;
    }
    const { answer, actor, why } = happening.command;
    ground.question = null;
    await record.answered(happening.command);
    return answer === ANOTHER_DRONE ? undefined : settledByHand(record, answer, nameOf(actor), why);
  }
}

/** What is asked for while no drone has the package: it can neither be brought back nor taken elsewhere. */
async function onGround(run: DeliveryRun, happening: Happening): Promise<void> {
  const { happenings, record, input } = run;
  switch (happening.kind) {
    case 'abort':
      happenings.orders.answerAbort(ON_GROUND);
      return;
    case 'confirm':
      happenings.orders.answerConfirm(
        needsRecipient(input.confirmation ?? 'none')
          ? KEPT
          : refused('not_awaited', 'No drone is at the dropoff: the package waits for another one.'),
      );
      return;
    case 'reassign':
      happenings.orders.answerReassign(refused('no_drone', 'No drone is assigned.'));
      return;
    case 'cancel':
      happenings.answerCancel(refusal('already_picked_up', 'nobody'));
      return;
    case 'dropoff':
      return refuse(
        run,
        happening.asked,
        refusedChange('drone_down', 'The package waits for another drone.'),
      );
    case 'native_cancel':
      await cancelQuestion(run, 'drone');
      return;
    case 'answered': {
      const { command } = happening;
      if (isCancelQuestion(record, command.interventionId)) await record.answered(command);
      // Asked before the package lay there.
      else record.answers.close(command.interventionId, 'the package waits for another drone');
      return;
    }
    case 'drone':
    case 'carrier':
    case 'reschedule':
    case 'drone_available':
    case 'deadline':
      return;
  }
}

const ON_GROUND: Answer = refused(
  'not_aboard',
  'The package has been set down and waits for another drone. Once that has it aboard it can be brought back.',
);

/**
 * Sends the drone, and follows it. A step of it that fails for good before it has the package ends nothing: people are asked.
 * @returns `replace_drone`: the package lies where it lay; `another_drone`: this one has set it down elsewhere
 */
async function flyFromGround(
  run: DeliveryRun,
  drone: DroneAssignment,
): Promise<Exclude<Awaited<ReturnType<Flight['follow']>>, 'on'>> {
  await announceTakeOver(run, drone);
  const flown = await orFailure(async () => {
    const refused = await dispatch(run, drone);
    return refused
      ? returnUndispatched(run, drone, refused)
      : new Flight(run, drone, { takesOver: true }).follow();
  });
  if (!(flown instanceof StepFailed)) return flown;
  const { packageOnGround } = run;
  if (!packageOnGround) throw flown;
  packageOnGround.ask = `A drone was sent for it in vain: ${flown.message}.`;
  return returnUnloaded(run, drone, flown.message, { blamed: false });
}

/** It was not sent, which counts as a try only where the drone is to blame; but when it has become a habit, people are asked. */
function returnUndispatched(
  run: DeliveryRun,
  drone: DroneAssignment,
  refused: NotDispatched,
): Promise<'replace_drone'> {
  const blamed = isToBlame(refused);
  if (!blamed) {
    countUnsent(run);
    const ground = groundOf(run);
    ground.tries -= 1;
    if (run.unsentInARow >= TRIES_BEFORE_ASKING) {
      ground.ask = `${run.unsentInARow} drones could not be sent for it, one after the other. The last one: ${refused.detail}`;
    }
  }
  return returnUnloaded(run, drone, 'the drone could not be dispatched', { blamed, refused });
}

async function orFailure<T>(step: () => Promise<T>): Promise<T | StepFailed> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof StepFailed) return error;
    throw error;
  }
}
