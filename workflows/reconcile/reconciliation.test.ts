import type * as temporal from '@temporalio/workflow';
import { beforeEach, expect, it, vi } from 'vitest';
import type { Examination } from '../../activities/examination.ts';
import { newId } from '../../shared/ids.ts';
import { examined } from '../../test/support/examination.ts';
import type * as delivery from '../delivery/steps.ts';
import type * as look from './look.ts';
import { Questions } from './questions.ts';

vi.mock('@temporalio/workflow', async (original) => ({
  ...(await original<typeof temporal>()),
  patched: () => true,
  // What is under way is over by then.
  condition: async () => {
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
    return true;
  },
  allHandlersFinished: () => true,
  workflowInfo: () => ({ continueAsNewSuggested: false }),
  CancellationScope: class {
    run = (work: () => Promise<unknown>) => work();
  },
}));
const examineDelivery = vi.hoisted(() => vi.fn<() => Promise<Examination>>());
vi.mock('./look.ts', async (original) => ({
  ...(await original<typeof look>()),
  examineDelivery,
}));
const steps = vi.hoisted(() => ({ taken: [] as { name: string; step: unknown }[] }));
vi.mock('../delivery/steps.ts', async (original) => ({
  ...(await original<typeof delivery>()),
  plainStep: async (name: string, step: unknown) => {
    steps.taken.push({ name, step });
    return { outcome: name === 'recallDrone' ? 'pending' : 'done' };
  },
}));
const { Reconciliation } = await import('./reconciliation.ts');

const deliveryId = newId('delivery');
const accountId = newId('account');
const BEGAN_AT_MS = Date.parse('2026-03-01T12:00:00Z');

const seenAfter = (minutes: number, held: Examination['held']) =>
  examined({ account_id: accountId }, { held, now: new Date(BEGAN_AT_MS + minutes * 60_000).toISOString() });

const mission: Examination['held'][number] = {
  kind: 'mission',
  id: 'msn_1',
  stepKey: `${deliveryId}/reserve/1`,
  what: 'its drone flies',
  since: new Date(BEGAN_AT_MS).toISOString(),
  deliveryId,
  accountId,
  droneId: newId('drone'),
  mayBeAboard: true,
};

beforeEach(() => {
  examineDelivery.mockReset();
  steps.taken = [];
});

/** One look a minute; after that many, nothing is held any more. Answers the kinds of what people are asked. */
async function askedWithin(minutes: number): Promise<string[]> {
  for (let minute = 0; minute < minutes; minute += 1) {
    examineDelivery.mockResolvedValueOnce(seenAfter(minute, [mission]));
  }
  examineDelivery.mockResolvedValue(seenAfter(minutes, []));
  const questions = new Questions(deliveryId, { areShown: false });
  await new Reconciliation({ deliveryId, seen: seenAfter(0, [mission]), questions }).run();
  const written = steps.taken.filter(({ name }) => name === 'appendEvents').map(({ step }) => step);
  return [...JSON.stringify(written).matchAll(/"open_intervention":\{[^}]*"kind":"([^"]+)"/g)].map(
    ([, kind]) => kind ?? '',
  );
}

it('a drone that never says whether it has loaded becomes a case after 10 min, though each recall is answered', async () => {
  expect(await askedWithin(8)).toEqual([]);
  expect(steps.taken.filter(({ name }) => name === 'recallDrone').length).toBeGreaterThan(2);
  expect(await askedWithin(30)).toEqual(['compensation:mission']);
});
