import { expect, test } from 'vitest';
import type { ListedIntervention } from '../../services/delivery/contract/index.ts';
import { conflict, Problem } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import type { Order } from '../checker/index.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import { Careful } from './careful.ts';
import { Desk } from './desk.ts';
import type { PlannedRequest } from './plan.ts';

const DELIVERY = newId('delivery');
const ID = `int_${DELIVERY.slice(4)}_drone_down_1`;

interface Scene {
  kind: string;
  offered: string[];
  planned?: Partial<PlannedRequest>;
  isFetched?: boolean;
  /** What the API answers to the calls, one after the other; then: accepted. */
  refusals?: Problem[];
  isKnown?: boolean;
}

/** What was answered to one open intervention, with the keys of the calls. */
async function answered({
  kind,
  offered,
  planned = {},
  isFetched = false,
  refusals = [],
  isKnown = true,
}: Scene) {
  const calls: string[] = [];
  const orders: Order[] = [];
  const call = async (what: string, key: string | undefined) => {
    calls.push(`${what} ${key ?? 'without a key'}`);
    const refusal = refusals.shift();
    if (refusal) throw refusal;
    return { delivery_id: DELIVERY, outcome: 'accepted' as const, detail: null };
  };
  const open = {
    id: ID,
    kind,
    delivery_id: DELIVERY,
    answers: offered.map((answer) => ({ answer, effect: '' })),
  } as ListedIntervention;
  const operator: Pick<PublicApi, 'listInterventions' | 'resolveIntervention' | 'retryCompensation'> = {
    listInterventions: async () => ({ data: [open], next_cursor: null }),
    resolveIntervention: ({ body }, options) => call(body.answer, options?.idempotencyKey),
    retryCompensation: (_, options) => call('retry it', options?.idempotencyKey),
  };
  const desk = new Desk({
    operator,
    careful: new Careful(new AbortController().signal),
    known: () =>
      isKnown ? { planned: { isAnsweredTwice: false, ...planned } as PlannedRequest, orders } : undefined,
    hasFetched: () => isFetched,
    onSurprise: (what) => calls.push(what),
  });
  await desk.look();
  await desk.answered();
  return { calls, settled: desk.settled, orders: orders.map(({ answer, reason }) => reason ?? answer) };
}

const ENDS = ['lost', 'delivered', 'returned'];
const unavailable = () => new Problem('unavailable', { retryAfterS: 0 });

test('What its plan says is answered, when it is offered', async () => {
  const scene = { kind: 'drone_down', offered: [...ENDS, 'another_drone'] };
  expect(await answered({ ...scene, planned: { answer: 'another_drone' } })).toEqual({
    calls: [`another_drone ${ID}-0`],
    settled: 1,
    orders: ['done'],
  });
  expect((await answered(scene)).calls).toEqual([`lost ${ID}-0`]);
});

test('A drone that is down is not given up before it has set its package down, or somebody has fetched it', async () => {
  const scene = { kind: 'drone_down', offered: ENDS, planned: { answer: 'another_drone' } };
  expect((await answered(scene)).calls).toEqual([]);
  expect((await answered({ ...scene, isFetched: true })).calls).toEqual([`lost ${ID}-0`]);
});

test('One that is only late is waited for', async () => {
  const scene = { kind: 'overdue', offered: [...ENDS, 'wait'] };
  expect((await answered(scene)).calls).toEqual([]);
  expect((await answered({ ...scene, isFetched: true })).calls).toEqual([`lost ${ID}-0`]);
});

test.each([
  ['compensation:void_packages', ['retry', 'done'], 'retry it'],
  ['unrecorded', ['retry', 'done'], 'retry'],
  ['cancel_requested', ['abort', 'carry_on'], 'carry_on'],
  ['carrier_failed', ENDS, 'lost'],
])('To %s people answer at once', async (kind, offered, says) => {
  expect((await answered({ kind, offered })).calls).toEqual([`${says} ${ID}-0`]);
});

test('What has no answers, and what is about a delivery that nobody has heard of, is left alone', async () => {
  expect((await answered({ kind: 'drone_down', offered: [], isFetched: true })).calls).toEqual([]);
  expect((await answered({ kind: 'carrier_failed', offered: ENDS, isKnown: false })).calls).toEqual([]);
});

test('A 503 is repeated with the same key', async () => {
  const { calls, orders } = await answered({
    kind: 'carrier_failed',
    offered: ENDS,
    refusals: [unavailable(), unavailable()],
  });
  expect(calls).toEqual(Array.from({ length: 3 }, () => `lost ${ID}-0`));
  expect(orders).toEqual(['done']);
});

test('Two people who answer at once have a key each, and each keeps what he was told', async () => {
  const { calls, settled, orders } = await answered({
    kind: 'carrier_failed',
    offered: ENDS,
    planned: { answer: 'returned', isAnsweredTwice: true },
    refusals: [conflict('intervention_not_open', 'It was answered.')],
  });
  expect(calls).toEqual([`returned ${ID}-0`, `lost ${ID}-1`]);
  expect(settled).toBe(1);
  expect(orders).toEqual(['intervention_not_open', 'done']);
});
