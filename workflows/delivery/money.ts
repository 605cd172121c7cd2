/** What a delivery has authorized, in one piece or several; how it is raised, given back and captured. What it credits when lost. */
import { CancellationScope, patched } from '@temporalio/workflow';
import { chargeFor, creditNoteFor, partsOf, priceOfReturn } from '../../services/account/contract/tariff.ts';
import { wallDurationMs } from '../../shared/clock.ts';
import { distanceM } from '../../shared/geodesy.ts';
import type { Location, Money } from '../../shared/schemas.ts';
import { cutShort } from './cut-short.ts';
import type { Ending } from './endings.ts';
import type { DeliveryRun } from './run.ts';
import { shortStep, StepFailed } from './steps.ts';

export const VOID_AUTHORIZATION = 'void_authorization';

type RaisedRun = Pick<DeliveryRun, 'record' | 'compensations' | 'ids' | 'raises' | 'givenUpRaises' | 'input'>;

/**
 * Sees to it that `amount` is authorized: the difference to what is, if that is less.
 * @param done the name of the compensation is added to it, before the step
 * @param limited how the step is run: what may interrupt it
 * @returns why it is not; undefined when it is
 * @throws {StepFailed} and whatever interrupts it; then its compensation stands
 */
export async function raiseTo(
  run: RaisedRun,
  { amount, currency }: Money,
  done: string[],
  limited: <T>(step: () => Promise<T>) => Promise<T>,
): Promise<{ reason: string; detail: string } | undefined> {
  const { record, compensations, ids, raises } = run;
  const lacking = amount - authorizedAmount(run);
  if (lacking <= 0) return undefined;
  const difference: Money = { amount: lacking, currency };
  const key = record.key('reauthorize');
  const compensation = `void_reauthorization/${key.slice(key.lastIndexOf('/') + 1)}`;
  const authorize = compensations.prepare('authorize', {
    input: { key, ...ids, amount: difference },
    summary: 'authorize the difference',
    undo: { kind: 'void_authorization', authorizeKey: key },
    name: compensation,
    leaves: `Another ${lacking} ${currency} may still be authorized.`,
  });
  done.push(compensation);
  const answer = await limited(authorize);
  // Whoever asked has gone on without it meanwhile, and what it took is being voided.
  if (run.givenUpRaises.has(compensation)) return NOT_IN_TIME;
  if (answer.outcome === 'refused') {
    compensations.discharge(compensation);
    return { reason: answer.reason, detail: answer.detail };
  }
  raises.push({ key, amount: difference, compensation, expiresAt: answer.expires_at });
  return undefined;
}

/** These are being voided: they do not count any more, nor once one of them that is still under way has its answer. */
export function forgetRaises(
  { raises, givenUpRaises }: Pick<DeliveryRun, 'raises' | 'givenUpRaises'>,
  compensations: readonly string[],
): void {
  for (const name of compensations) givenUpRaises.add(name);
  const kept = raises.filter((one) => !compensations.includes(one.compensation));
  raises.splice(0, raises.length, ...kept);
}

/** Everything that is authorized, minor units. */
function authorizedAmount({ input, raises }: Pick<DeliveryRun, 'input' | 'raises'>): number {
  return raises.reduce((sum, one) => sum + one.amount.amount, input.price.amount);
}

/** Forgets raises that are no longer needed for the price; answers the compensations that void them. */
export function spareRaises(run: DeliveryRun): string[] {
  const { raises, price, returnPrice } = run;
  const needed = price.amount + (returnPrice?.amount ?? 0);
  const spare: string[] = [];
  for (let last = raises.at(-1); last; last = raises.at(-1)) {
    if (authorizedAmount(run) - last.amount.amount < needed) break;
    raises.pop();
    spare.push(last.compensation);
  }
  return spare;
}

/**
 * The package is flown back from here: what that costs is authorized, if the account allows it. It is flown back in any case.
 * @param from where the drone turned round; null: it did not say, so it counts from the dropoff
 */
export async function authorizeReturn(run: DeliveryRun, from: Location | null): Promise<void> {
  const { record, input, price, compensations } = run;
  const back = priceOfReturn(distanceM(from ?? run.dropoff.location, input.pickup.location));
  if (back.amount === 0 || back.currency !== price.currency) return;
  const done: string[] = [];
  const total = { amount: price.amount + back.amount, currency: price.currency };
  const refused = await inTime(run, () => raiseTo(run, total, done, (step) => step()));
  if (refused === undefined) {
    run.returnPrice = back;
    await record.note('return_authorized', { data: { amount: back }, patch: { return_price: back } });
    return;
  }
  forgetRaises(run, done);
  compensations.undoAside(...done);
  await record.note('return_not_authorized', { data: { amount: back, reason: refused.reason } });
}

/** Why a step came to nothing for which nobody waits long: it was not done in time. */
export const NOT_IN_TIME = {
  reason: 'service_unavailable',
  detail: 'A service that it needs did not answer in time.',
};

/**
 * Runs a step that a drone in the air does not wait for long: after `rerouteAnswerS` it is given up. It may have been done then.
 * @returns what it answers, or why there is no answer
 */
export function inTime<T>(
  { input, policy }: DeliveryRun,
  step: () => Promise<T>,
): Promise<T | { reason: string; detail: string }> {
  const timeout = wallDurationMs(input.clock, policy.rerouteAnswerS * 1000);
  const scope = new CancellationScope({ cancellable: true, timeout });
  return cutShort(scope, step, {
    failed: (error) => {
      if (error instanceof StepFailed) return { reason: 'step_failed', detail: error.message };
      // Its last attempt may also have failed, or timed out, when it was told to stop.
      if (scope.consideredCancelled) return NOT_IN_TIME;
      throw error;
    },
  });
}

/** What an ending costs. */
export function chargeOf({ price, returnPrice }: DeliveryRun, ending: Ending): Money {
  return chargeFor(ending.charged, price, returnPrice);
}

/**
 * Sees to the credit note that an ending owes: it is issued with what is undone, and like that it is retried without a limit and
 * becomes a person's to settle when it fails for good.
 * @returns what is credited; undefined when nothing is
 */
export function creditWhatWasLost(run: DeliveryRun, ending: Ending): Money | undefined {
  const { compensations, record, ids, price, input } = run;
  // Deliveries from before there were credit notes go on without.
  if (ending.charged !== 'lost' || !patched('credit-note')) return undefined;
  const amount = creditNoteFor(price, input.packages);
  if (amount.amount === 0) return undefined;
  const step = { key: record.key('credit_note'), ...ids, amount, reason: 'package_lost' as const };
  compensations.register({
    name: 'issue_credit_note',
    leaves: `${amount.amount} ${amount.currency} are not credited to the account.`,
    undo: { kind: 'issue_credit_note', step },
  });
  return amount;
}

/**
 * Captures the charge; the rest of each authorization that it takes is released with it, and what voids the others stays
 * registered. Should a capture fail for good, that is a person's to settle like a compensation that fails: the money is not
 * forgotten.
 */
export async function captureInsteadOfVoid(
  run: DeliveryRun,
  charge: Money,
  reason: string,
  how: 'short' | 'plain',
): Promise<void> {
  const { authorized, compensations, raises, input } = run;
  if (!authorized) return;
  const pieces = [{ key: authorized.key, amount: input.price, compensation: VOID_AUTHORIZATION }, ...raises];
  const parts = partsOf(
    charge,
    pieces.map((one) => one.amount),
  );
  for (const [index, { key, compensation }] of pieces.entries()) {
    const amount = parts[index];
    // The first one is ended by a capture even of nothing: what is delivered is charged, not voided.
    if (amount === undefined || (amount.amount === 0 && index > 0)) continue;
    compensations.discharge(compensation);
    await captureOne(run, { authorizeKey: key, amount, charge, reason, how, index });
  }
}

async function captureOne(
  { compensations, record, input }: DeliveryRun,
  one: {
    authorizeKey: string;
    amount: Money;
    /** What the delivery costs in all. */
    charge: Money;
    reason: string;
    how: 'short' | 'plain';
    index: number;
  },
): Promise<void> {
  const { authorizeKey, amount, charge, reason, how, index } = one;
  const step = {
    key: record.key('capture'),
    authorize_key: authorizeKey,
    delivery_id: input.deliveryId,
    amount,
    charge,
    reason,
  };
  const summary = `capture ${amount.amount} ${amount.currency} (${reason})`;
  const name = index === 0 ? 'capture_charge' : `capture_charge/${index + 1}`;
  const leaves = `${amount.amount} ${amount.currency} of the authorization ${authorizeKey} is not captured.`;
  if (how === 'short') {
    try {
      await shortStep('capture', step, summary);
      return;
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
    }
  }
  compensations.register({ name, leaves, undo: { kind: 'capture_charge', step, summary } });
  await compensations.undo(name);
}
