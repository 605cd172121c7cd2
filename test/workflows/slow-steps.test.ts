/**
 * Short steps that are slower than their workflow tasks, and everything that may be asked meanwhile. On the real Temporal server: what has
 * come of it must be replayed to the same, whatever came in which turn.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { destination } from '../../shared/geodesy.ts';
import { newId } from '../../shared/ids.ts';
import { STEPS } from '../../workflows/delivery/registry.ts';
import { Dice } from '../chaos/dice.ts';
import { toldInShort } from '../replay/commands.ts';
import type { ActivityName, Fault } from './faults.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

const RATE = 30;
const DELIVERIES = 16;
/** A task goes on in another one after 80 % of it, as it does in the field, where it may take 10 s, and a short step 4 s. */
const TASK_MS = 1_500;
const SLOWEST_MS = 2_500;
/** Within so long it is asked for all that it is asked for. */
const ASKED_WITHIN_MS = 12_000;
const ANSWERED_WITHIN_MS = 30_000;

const SHORT = (Object.keys(STEPS) as (keyof typeof STEPS)[]).filter((one) => STEPS[one].how === 'short');
const FAILING: readonly ActivityName[] = ['reserveDrone', 'releaseDrone', 'voidPackages', 'recallDrone'];
const HOWS = ['down', 'lose_answer', 'act_then_refuse'] as const;
const BY = { actor: { role: 'operator', id: 'test' }, why: 'the test wants it' } as const;

type Ask = (delivery: LabDelivery, options: { updateId: string; timeoutMs: number }) => Promise<unknown>;

const ASKS: Readonly<Record<string, Ask>> = {
  cancel: ({ id, scene: { lab } }, options) =>
    lab.workflows.cancel(id, { reason: 'requested_by_operator', ...BY }, options),
  cancelNatively: ({ handle }) => handle.cancel(),
  changeDropoff: ({ id, pickup, scene: { lab } }, options) =>
    lab.workflows.changeDropoff(id, { ...BY, dropoff: { location: destination(pickup, 0, 3_500) } }, options),
  reassignDrone: ({ id, scene: { lab } }, options) => lab.workflows.order(id, 'reassignDrone', BY, options),
  abort: ({ id, scene: { lab } }, options) => lab.workflows.order(id, 'abort', BY, options),
  answerAll: async (delivery, { updateId, timeoutMs }) => {
    for (const { id, answers } of await delivery.openInterventions()) {
      const command = { ...BY, interventionId: id, answer: answers[0]?.answer ?? '' };
      const options = { updateId: `${updateId}-${id}`, timeoutMs };
      await delivery.scene.lab.workflows.order(delivery.id, 'resolveIntervention', command, options);
    }
  },
};

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ realTimeAtRate: RATE });
}, 120_000);
afterAll(() => lab.close());

/** What hits the steps of one delivery. */
function faultsOf(dice: Dice): Fault[] {
  const slow = SHORT.flatMap((activity) =>
    Array.from({ length: dice.between(1, 4) }, (): Fault => {
      const forMs = dice.between(0, SLOWEST_MS);
      return { activity, how: 'slow', forMs, times: 1 };
    }),
  );
  const failing = FAILING.filter(() => dice.fraction() < 0.25).map((activity): Fault => {
    const how = HOWS[dice.between(0, HOWS.length - 1)] ?? 'down';
    return { activity, how, times: dice.between(1, 3) };
  });
  return [...slow, ...failing];
}

async function lead(dice: Dice): Promise<LabDelivery> {
  const id = newId('delivery');
  const scene = await lab.prepare({ drones: 2 });
  lab.faults.arm(...faultsOf(dice).map((fault) => ({ ...fault, of: id })));
  const delivery = await scene.order({
    id,
    taskTimeoutMs: TASK_MS,
    policy: { rerouteAnswerS: dice.between(20, 90), compensationStuckS: dice.between(30, 300) },
  });
  const next = dice.dealer(Object.keys(ASKS));
  const asked = Array.from({ length: dice.between(1, 5) }, async (_, index) => {
    const what = next();
    await delay(dice.between(0, ASKED_WITHIN_MS));
    // It may be refused, or too late: that is not what is tested.
    const options = { updateId: `${what}-${index}`, timeoutMs: ANSWERED_WITHIN_MS };
    await ASKS[what]?.(delivery, options).catch(() => undefined);
  });
  await Promise.all(asked);
  return delivery;
}

it('leave histories that every worker can take up again, whatever is asked meanwhile', async () => {
  const dice = new Dice('slow-steps');
  const leading = Array.from({ length: DELIVERIES }, (_, index) => lead(dice.for(`delivery ${index}`)));
  const deliveries = await lab.untilSettled('all is asked', Promise.all(leading), { withinMs: 120_000 });
  let goneOn = 0;
  for (const delivery of deliveries) {
    const history = await delivery.handle.fetchHistory();
    // A task that ended with a short step under way, and the one after it.
    if (/timer ¶ → .*marker core_local_activity/.test(toldInShort(history))) goneOn += 1;
    const [error] = (await lab.replay(delivery)).values();
    expect(error, toldInShort(history)).toBeUndefined();
  }
  // Or nothing was tested.
  expect(goneOn).toBeGreaterThan(DELIVERIES / 4);
}, 240_000);
