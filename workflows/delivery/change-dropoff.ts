/**
 * Another dropoff, step by step: the price anew, the difference authorized, then the flight changed. When one of them does not
 * work out, those before it are undone and the old dropoff stands. On the ground here; in the air in reroute.ts.
 */
import { CancellationScope, patched } from '@temporalio/workflow';
import { priceOf } from '../../services/account/contract/tariff.ts';
import { ARRIVED_WITHIN_M } from '../../services/drone/contract/flight.ts';
import { isoTime } from '../../shared/clock.ts';
import { distanceM } from '../../shared/geodesy.ts';
import type { Location, Money, Stop } from '../../shared/schemas.ts';
import { nameOf, type ChangeDropoffAnswer } from '../messages.ts';
import { cutShort } from './cut-short.ts';
import { type PendingDropoffChange, refusedChange } from './dropoff-changes.ts';
import { Ended } from './endings.ts';
import { forgetRaises, NOT_IN_TIME, raiseTo, spareRaises } from './money.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { plainStep, StepFailed } from './steps.ts';

export const CHANGED: ChangeDropoffAnswer = { outcome: 'changed', reason: null, detail: null };

const UNDO_REROUTE = 'undo_reroute';

/** What a delivery to this dropoff costs, by the list. */
export function priceTo({ input, payloadKg }: DeliveryRun, dropoff: Stop): Money {
  return priceOf({
    distanceM: distanceM(input.pickup.location, dropoff.location),
    weightKg: payloadKg,
    expedited: input.expedited,
  });
}

export const isSamePlace = (one: Location, other: Location): boolean =>
  distanceM(one, other) < ARRIVED_WITHIN_M;

/** What can be answered without a step: it goes there already, or no longer where the caller saw it. */
export async function answeredAtOnce(run: DeliveryRun, asked: PendingDropoffChange): Promise<boolean> {
  const { dropoff, from } = asked.command;
  const present = run.dropoff.location;
  if (from !== undefined && !isSamePlace(from, present)) {
    await refuse(
      run,
      asked,
      refusedChange('dropoff_changed', 'The dropoff has been changed since it was read.'),
    );
    return true;
  }
  if (!isSamePlace(dropoff.location, present)) return false;
  // Another door or contact at the same place: no flight and no price changes.
  if (JSON.stringify(dropoff) !== JSON.stringify(run.dropoff)) {
    await stand(run, asked, { price: run.price, dropoffAtMs: null });
  } else {
    asked.answer ??= CHANGED;
  }
  return true;
}

/**
 * The change stands: it is written down, and answered. What is authorized beyond what is needed now is given back.
 * @param outcome.dropoffAtMs the new arrival, Unix milliseconds by the delivery's clock; null: not known, or as before
 */
export async function stand(
  run: DeliveryRun,
  asked: PendingDropoffChange,
  { price, dropoffAtMs, pickupAtMs }: { price: Money; dropoffAtMs: number | null; pickupAtMs?: number },
): Promise<void> {
  const { record, compensations } = run;
  const { dropoff, why, actor } = asked.command;
  const data = { from: run.dropoff.location, to: dropoff.location, price, price_before: run.price };
  // What could not be written down does not stand.
  await record.note('dropoff_changed', {
    data: { ...data, by: nameOf(actor), why },
    changeDropoff: { dropoff, price },
    ...(dropoffAtMs !== null && {
      patch: {
        eta: {
          status: 'confirmed',
          pickup_at: pickupAtMs === undefined ? null : isoTime(pickupAtMs),
          dropoff_at: isoTime(dropoffAtMs),
        },
      },
    }),
  });
  run.orderLog.tell(asked.command);
  run.dropoff = dropoff;
  run.price = price;
  if (dropoffAtMs !== null) record.showPhase({ dropoffEta: new Date(dropoffAtMs) });
  asked.answer ??= CHANGED;
  compensations.undoAside(...spareRaises(run));
}

/** Applies every change that waits, while no drone is assigned. @throws {Ended} cancelled meanwhile */
export async function changeDropoffsAsAsked(run: DeliveryRun): Promise<void> {
  for (;;) {
    const asked = run.happenings.dropoffs.take();
    if (!asked) return;
    await changeUnassigned(run, asked);
  }
}

/**
 * No drone is assigned: the change stands when one of the fleet could fly it.
 * @throws {Ended} cancelled meanwhile
 */
export async function changeUnassigned(run: DeliveryRun, asked: PendingDropoffChange): Promise<void> {
  if (await answeredAtOnce(run, asked)) return;
  await tryOnGround(run, asked, async ({ price, limited }) => {
    const refused = await unflyable(run, asked.command.dropoff, limited);
    if (refused) return refused;
    await stand(run, asked, { price, dropoffAtMs: null });
    return CHANGED;
  });
}

/**
 * A drone is assigned and waits on the ground: it flies there instead, or if it cannot another one does.
 * @returns `other_drone`: this drone is to be given back, as it cannot go to the dropoff that stands now, or may go to another
 * @throws {Ended} cancelled meanwhile
 */
export async function changeUnsent(
  run: DeliveryRun,
  drone: DroneAssignment,
  asked: PendingDropoffChange,
): Promise<'same_drone' | 'other_drone'> {
  if (await answeredAtOnce(run, asked)) return 'same_drone';
  const { dropoff } = asked.command;
  // `unknown`: whether it flies to the new dropoff.
  const flown: { by: 'same_drone' | 'other_drone' | 'unknown' } = { by: 'same_drone' };
  const { stuck, isGivenUp } = await tryOnGround(run, asked, async ({ price, done, limited }) => {
    const { step, undo } = rerouteStep(run, drone, dropoff, done);
    flown.by = 'unknown';
    const answer = await limited(step);
    flown.by = 'same_drone';
    if (answer.outcome === 'refused') {
      run.compensations.discharge(undo);
      // The one that was chosen for being there first: no other one would make it.
      if (answer.reason === 'after_deadline') return refusedChange(answer.reason, answer.detail);
      const refused = await unflyable(run, dropoff, limited);
      if (refused) return refused;
      flown.by = 'other_drone';
      await stand(run, asked, { price, dropoffAtMs: null });
      return CHANGED;
    }
    const waitMs = Math.max(0, drone.takeOffAtMs - run.record.nowMs());
    const dropoffAtMs = Date.parse(answer.eta.dropoff_at) + waitMs;
    try {
      await stand(run, asked, { price, dropoffAtMs, pickupAtMs: drone.pickupEtaMs });
    } catch (error) {
      // Before, its drone flew to the dropoff that could not be written down.
      if (!patched('undo-a-reroute-that-does-not-stand')) run.compensations.discharge(undo);
      throw error;
    }
    run.compensations.discharge(undo);
    drone.dropoffEtaMs = dropoffAtMs;
    return CHANGED;
  });
  // It may fly to a dropoff that does not stand, so it does not fly.
  if (stuck.some((name) => name.startsWith(UNDO_REROUTE))) return 'other_drone';
  if (flown.by === 'unknown') return isGivenUp ? 'other_drone' : 'same_drone';
  return flown.by;
}

/** The next reroute of a drone, with what undoes it registered: its name is `undo`, and is added to `done`. */
export function rerouteStep(run: DeliveryRun, drone: DroneAssignment, dropoff: Stop, done: string[]) {
  const key = run.record.key('reroute');
  const { reserveKey: reserve_key } = drone;
  const { deadline } = run.input;
  const undo = `${UNDO_REROUTE}/${key.slice(key.lastIndexOf('/') + 1)}`;
  done.push(undo);
  const step = run.compensations.prepare('rerouteDrone', {
    input: {
      key,
      reserve_key,
      delivery_id: run.ids.delivery_id,
      dropoff: dropoff.location,
      ...(deadline !== null && { deadline, take_off_at: isoTime(drone.takeOffAtMs) }),
    },
    summary: 'fly to another dropoff',
    undo: { kind: 'undo_reroute', reserveKey: drone.reserveKey, rerouteKey: key },
    name: undo,
    leaves: `Drone ${drone.droneId} may still fly to another dropoff.`,
  });
  return { step, undo };
}

/** Why no drone of the fleet could fly there; undefined when one could. */
async function unflyable(
  run: DeliveryRun,
  dropoff: Stop,
  limited: Limited,
): Promise<ChangeDropoffAnswer | undefined> {
  const { input, payloadKg } = run;
  const job = {
    pickup: input.pickup.location,
    dropoff: dropoff.location,
    payload_kg: payloadKg,
    package_sizes: input.packages.map((one) => one.size),
  };
  const answer = await limited(() => plainStep('assessJob', job, 'can another dropoff be flown?'));
  return answer.outcome === 'infeasible' ? refusedChange(answer.reason, answer.detail) : undefined;
}

/** How a step of a change on the ground is run: what may interrupt it. */
type Limited = <T>(step: () => Promise<T>) => Promise<T>;

/** What the steps of a change on the ground share. */
interface Change {
  price: Money;
  /** The compensations of what was done for it, the first step first. */
  done: string[];
  limited: Limited;
}

/**
 * Authorizes the difference, then does the rest; when that is refused or fails for good, what was done is undone. Its services have as
 * long for it as for a drone in the air: then it is given up, whoever asked hears that, and what may have been done is undone beside
 * the saga, which goes on.
 * @returns the compensations that are stuck: a person has been asked about them; and whether it was given up
 */
async function tryOnGround(
  run: DeliveryRun,
  asked: PendingDropoffChange,
  rest: (change: Change) => Promise<ChangeDropoffAnswer>,
): Promise<{ stuck: string[]; isGivenUp: boolean }> {
  const change: Change = {
    price: priceTo(run, asked.command.dropoff),
    done: [],
    limited: limitedOnGround(run),
  };
  const { price, done, limited } = change;
  run.record.waiting('another dropoff', null);
  let answer: ChangeDropoffAnswer;
  let isGivenUp = false;
  try {
    const refused = await raiseTo(run, price, done, limited);
    answer = refused ? refusedChange(refused.reason, refused.detail) : await rest(change);
  } catch (error) {
    isGivenUp = error instanceof OutOfTime;
    if (isGivenUp) answer = refusedChange(NOT_IN_TIME.reason, NOT_IN_TIME.detail);
    else if (error instanceof StepFailed) answer = refusedChange('step_failed', error.message);
    else throw error;
  }
  if (answer.outcome !== 'refused') return { stuck: [], isGivenUp };
  forgetRaises(run, done);
  const stuck: string[] = [];
  if (isGivenUp) run.compensations.undoAside(...done.reverse());
  else {
    for (const name of done.reverse()) {
      if ((await run.compensations.undo(name)) === 'asked') stuck.push(name);
    }
  }
  await refuse(run, asked, answer);
  return { stuck, isGivenUp };
}

/** The time is over in which a change on the ground must be done. */
class OutOfTime extends Error {
  override readonly name = 'OutOfTime';
}

/** A cancel interrupts the steps of a change, and the end of the time that all of them have together. */
function limitedOnGround(run: DeliveryRun): Limited {
  const beforeDispatch: Limited = (step) => run.beforeDispatch(step);
  // Before, they waited as long as their services were away.
  if (!patched('ground-change-within-its-time')) return beforeDispatch;
  const untilMs = run.record.nowMs() + run.policy.rerouteAnswerS * 1000;
  return (step) => {
    const timeout = Math.ceil(run.record.wallUntilMs(untilMs));
    if (timeout <= 0) throw new OutOfTime();
    const scope = new CancellationScope({ cancellable: true, timeout });
    return cutShort(scope, () => beforeDispatch(step), {
      failed: (error) => {
        const isDecided = error instanceof StepFailed || error instanceof Ended;
        // Its last attempt may also have failed, or timed out, when it was told to stop.
        throw !isDecided && scope.consideredCancelled ? new OutOfTime() : error;
      },
    });
  };
}

/** The old dropoff stands. Whoever was told `pending` hears it by event. */
export async function refuse(
  run: DeliveryRun,
  asked: PendingDropoffChange,
  answer: ChangeDropoffAnswer,
): Promise<void> {
  if (asked.answer === undefined) {
    asked.answer = answer;
    return;
  }
  const { reason, detail } = answer;
  const { dropoff, actor } = asked.command;
  await run.record.note('dropoff_change_refused', {
    data: { dropoff: dropoff.location, reason, detail, by: nameOf(actor) },
  });
}
