/**
 * The delivery saga, top to bottom: what is done for a delivery, and what undoes it. Every step registers its compensation
 * before it runs; a business refusal or a decided failure leaves through `Ended`.
 */
import { failed, type Ending } from './endings.ts';
import { flyWithDrone } from './flight.ts';
import { VOID_AUTHORIZATION } from './money.ts';
import { goByCarrier } from './carriage.ts';
import { findDrone } from './assignment.ts';
import { redispatch } from './redispatch.ts';
import type { DeliveryRun } from './run.ts';
import { untilPickupIsNear } from './schedule.ts';

export async function saga(run: DeliveryRun): Promise<Ending> {
  // What an earlier run did is carried over with what undoes it.
  if (!run.resumed) {
    await authorizePrice(run); //      undone by: void_authorization
    await registerPackages(run); //    undone by: void_packages
  }
  // The package of an earlier run lies where its drone has set it down.
  if (run.packageOnGround) return redispatch(run);
  for (;;) {
    await untilPickupIsNear(run); //                         scheduled: sleeps until the pickup window less the lead time
    const found = await findDrone(run); //                   undone by: release_drone/n
    // The pickup was moved while a drone was looked for.
    if (found.by === 'rescheduled') continue;
    const ending =
      found.by === 'drone'
        ? await flyWithDrone(run, found) //                  undone by: recall_drone/n
        : await goByCarrier(run, found.instead); //          undone by: cancel_booking
    // A drone that came down safely has set its package down: another one takes it over, undone by the same as the first.
    if (ending === 'another_drone') return redispatch(run);
    // A drone that failed before the pickup is replaced, as often as it takes; one whose pickup was moved is reserved anew.
    if (ending !== 'replace_drone' && ending !== 'rescheduled') return ending;
  }
}

async function authorizePrice(run: DeliveryRun): Promise<void> {
  const { record, compensations, ids, input } = run;
  const key = record.key('authorize');
  const authorize = compensations.prepare('authorize', {
    input: { key, ...ids, amount: input.price },
    summary: 'verify the account and authorize the price',
    undo: { kind: VOID_AUTHORIZATION, authorizeKey: key },
    leaves: `The price of ${input.price.amount} ${input.price.currency} may still be authorized.`,
  });
  record.waiting('the account service', null);
  const answer = await run.beforeDispatch(authorize);
  if (answer.outcome === 'refused') {
    if (answer.reason === 'voided')
      throw failed('step_failed', 'The authorization had been voided before it was made.');
    throw failed(answer.reason, answer.detail);
  }
  run.authorized = {
    key,
    authorizationId: answer.authorization_id,
    preferences: answer.preferences,
    expiresAt: answer.expires_at,
  };
}

async function registerPackages(run: DeliveryRun): Promise<void> {
  const { record, compensations, ids, input } = run;
  const key = record.key('register');
  const register = compensations.prepare('registerPackages', {
    input: { key, ...ids, packages: input.packages },
    summary: 'register the packages',
    undo: { kind: 'void_packages', registerKey: key },
    leaves: 'Its packages are still registered.',
  });
  record.waiting('the package service', null);
  await run.beforeDispatch(register);
}
