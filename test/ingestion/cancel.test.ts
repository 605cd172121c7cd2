import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NewDeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { Problem } from '../../shared/errors.ts';
import { type AccountId, type DeliveryId, newId } from '../../shared/ids.ts';
import { ScriptedWorkflows } from './scripted-workflows.ts';
import { anAccept, type Ingestion, startWorld, type World } from './world.ts';

let world: World;
/** Starts nothing by itself. */
let still: Ingestion;
/** Starts and projects at once. */
let live: Ingestion;
const tuning = { cancelWaitMs: 15_000 };

beforeAll(async () => {
  world = await startWorld();
  still = await world.ingestion({ pumps: false, tuning });
  live = await world.ingestion({ tuning });
});
afterAll(() => world.close());
afterEach(() => {
  const fresh = new ScriptedWorkflows();
  world.workflows.down = false;
  world.workflows.answer = fresh.answer;
  world.workflows.beforeStart = fresh.beforeStart;
});

async function accept(service: Ingestion): Promise<{ id: DeliveryId; accountId: AccountId }> {
  const body = anAccept();
  const { delivery } = await service.client.accept({ body });
  return { id: delivery.id, accountId: body.account_id };
}
async function started(): Promise<{ id: DeliveryId; accountId: AccountId }> {
  const accepted = await accept(live);
  await expect
    .poll(async () => live.client.getRequested({ params: { delivery_id: accepted.id } }), WITHIN)
    .toMatchObject({ state: 'started', projected: true });
  return accepted;
}
const cancel = (service: Ingestion, id: DeliveryId, accountId: AccountId | null = null) =>
  service.client.cancel({
    params: { delivery_id: id },
    body: {
      account_id: accountId,
      reason: 'requested_by_sender',
      actor: { role: 'business', id: 'key_1' },
    },
  });
const problemOf = (work: Promise<unknown>): Promise<Problem> =>
  work.then(
    () => expect.unreachable('it was not refused'),
    (error: unknown) => error as Problem,
  );
async function tell(id: DeliveryId, status: NonNullable<NewDeliveryEvent['status']>): Promise<void> {
  await world.delivery.appendEvents(
    {
      params: { delivery_id: id },
      body: { events: [{ type: `delivery.${status}`, status, occurred_at: new Date().toISOString() }] },
    },
    { idempotencyKey: `${id}/${status}/1` },
  );
}
const WITHIN = { timeout: 20_000, interval: 50 };
const CANCELLED = { outcome: 'cancelled', reason: null, detail: null };

describe('a cancel before the start', () => {
  let quiet: World;
  /** The only process there: starts when told to. */
  let manual: Ingestion;
  beforeAll(async () => {
    quiet = await startWorld();
    manual = await quiet.ingestion({ pumps: false, tuning });
  });
  afterAll(() => quiet.close());

  it('settles the matter, is projected without Temporal, and nothing is started', async () => {
    const { id, accountId } = await accept(manual);
    expect(await cancel(manual, id, accountId)).toEqual(CANCELLED);
    await expect
      .poll(() => quiet.delivery.getDelivery({ params: { delivery_id: id } }), WITHIN)
      .toMatchObject({
        status: 'cancelled',
        cancellation_reason: 'requested_by_sender',
        compensation: 'none',
        complete: true,
        charge: { amount: 0, currency: 'USD' },
      });
    await manual.app.ingestionPumps.runDue();
    expect(quiet.workflows.startCalls.get(id)).toBeUndefined();
    expect(await cancel(manual, id, accountId)).toEqual(CANCELLED);
    expect(quiet.workflows.cancels).toEqual([]);
  });

  it('racing the start: either it is cancelled and never starts, or the workflow gets the cancel', async () => {
    const ends = { before: 0, after: 0 };
    const rounds = 80;
    let headStartMs = 0;
    for (let round = 0; round < rounds; round += 1) {
      const { id } = await accept(manual);
      const begin = async (): Promise<void> => {
        await delay(Math.max(0, headStartMs));
        await manual.app.ingestionPumps.runDue();
      };
      const beginning = begin();
      await delay(Math.max(0, -headStartMs));
      const [answer] = await Promise.all([cancel(manual, id), beginning]);
      expect(answer).toEqual(CANCELLED);
      const { state } = await manual.client.getRequested({ params: { delivery_id: id } });
      const starts = quiet.workflows.startCalls.get(id) ?? 0;
      const sent = quiet.workflows.cancels.filter((one) => one.deliveryId === id).length;
      // Whoever won gives the other a better chance: so the two meet ever more closely.
      if (state === 'cancelled') ends.before += 1;
      else ends.after += 1;
      headStartMs += state === 'cancelled' ? -3 : 3;
      expect([state, starts, sent]).toEqual(state === 'cancelled' ? ['cancelled', 0, 0] : ['started', 1, 1]);
    }
    expect(ends.before).toBeGreaterThan(0);
    expect(ends.after).toBeGreaterThan(0);
  });

  it('is refused for another account and for what never was', async () => {
    const { id } = await started();
    expect(await problemOf(cancel(live, id, newId('account')))).toMatchObject({ slug: 'not-found' });
    expect(await problemOf(cancel(live, newId('delivery')))).toMatchObject({ slug: 'not-found' });
    expect(world.workflows.cancels.filter((one) => one.deliveryId === id)).toEqual([]);
  });

  it('that comes while the start is under way waits for it', async () => {
    let letStart: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letStart = resolve));
    world.workflows.beforeStart = () => gate;
    const { id } = await accept(live);
    await expect.poll(() => world.workflows.startCalls.get(id), WITHIN).toBe(1);
    const answer = cancel(live, id);
    await expect.poll(async () => (await live.client.backlog({})).unanswered_cancels, WITHIN).toBe(1);
    letStart();
    expect(await answer).toEqual(CANCELLED);
  });
});

describe('a cancel after the start', () => {
  it('is the workflow’s to answer; a repetition is answered the same, under the same update id', async () => {
    const { id, accountId } = await started();
    world.workflows.answer = async () => ({
      outcome: 'refused',
      reason: 'already_picked_up',
      detail: 'It is aboard.',
    });
    const refused = { outcome: 'refused', reason: 'already_picked_up', detail: 'It is aboard.' };
    expect(await cancel(live, id, accountId)).toEqual(refused);
    world.workflows.answer = async () => ({ outcome: 'cancelled', reason: null, detail: null });
    expect(await cancel(still, id)).toEqual(refused);
    expect(world.workflows.cancels.filter((one) => one.deliveryId === id)).toEqual([
      {
        deliveryId: id,
        updateId: `${id}/cancel/1`,
        command: { reason: 'requested_by_sender', actor: { role: 'business', id: 'key_1' } },
      },
    ]);
  });

  it('ten at once are one', async () => {
    const { id } = await started();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => cancel(index % 2 ? live : still, id)),
    );
    for (const answer of answers) expect(answer).toEqual(CANCELLED);
    const ids = world.workflows.cancels.filter((one) => one.deliveryId === id).map((one) => one.updateId);
    expect(new Set(ids).size).toBe(1);
  });

  it('that the aircraft has not answered is pending until the delivery tells', async () => {
    const { id } = await started();
    world.workflows.answer = async () => ({ outcome: 'pending', reason: null, detail: 'recall sent' });
    const pending = { outcome: 'pending', reason: null, detail: 'recall sent' };
    expect(await cancel(live, id)).toEqual(pending);
    expect(await cancel(live, id)).toEqual(pending);
    await tell(id, 'confirmed');
    expect(await cancel(live, id)).toEqual(pending);
    await tell(id, 'cancelled');
    expect(await cancel(live, id)).toEqual(CANCELLED);
  });

  it('pending and then loaded is refused', async () => {
    const { id } = await started();
    world.workflows.answer = async () => ({ outcome: 'pending', reason: null, detail: null });
    await cancel(live, id);
    for (const status of ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup', 'picked_up'] as const)
      await tell(id, status);
    expect(await cancel(live, id)).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });
  });

  it.each([
    ['cancelled', CANCELLED],
    ['failed', { outcome: 'refused', reason: 'already_failed' }],
  ] as const)('of a workflow that ended %s is answered by the read model', async (status, expected) => {
    const { id } = await started();
    await tell(id, status);
    world.workflows.forget(id);
    expect(await cancel(live, id)).toMatchObject(expected);
  });

  it('without an answer is 503, is kept, and is sent until it is answered', async () => {
    const { id } = await started();
    world.workflows.answer = async () => 'no_answer';
    expect(await problemOf(cancel(live, id))).toMatchObject({
      status: 503,
      slug: 'unavailable',
      retryAfterS: 2,
    });
    world.workflows.answer = async () => ({ outcome: 'cancelled', reason: null, detail: null });
    const before = world.workflows.cancels.length;
    await expect.poll(() => world.workflows.cancels.length, WITHIN).toBeGreaterThan(before);
    await expect.poll(async () => (await live.client.backlog({})).unanswered_cancels, WITHIN).toBe(0);
    world.workflows.down = true;
    // Answered meanwhile: nobody needs to be asked.
    expect(await cancel(live, id)).toEqual(CANCELLED);
  });

  it('while Temporal is down is 503 at once, and done when it is back', async () => {
    const { id } = await started();
    world.workflows.down = true;
    expect(await problemOf(cancel(live, id))).toMatchObject({ status: 503 });
    world.workflows.down = false;
    await expect.poll(() => world.workflows.cancels.some((one) => one.deliveryId === id), WITHIN).toBe(true);
  });

  it('without the read model is 503, not a guess', async () => {
    const { id } = await started();
    world.workflows.forget(id);
    await world.cutDelivery();
    expect((await problemOf(cancel(live, id))).status).toBe(503);
    await world.mendDelivery();
  });
});

describe('An operator’s order to a delivery that nobody has begun to start', () => {
  const order = (id: DeliveryId, update: 'abort' | 'reassignDrone') =>
    still.client.order(
      {
        params: { delivery_id: id },
        body: { update, why: 'the test says so', actor: { role: 'operator', id: 'key_2' } },
      },
      { idempotencyKey: `${id}/${update}` },
    );

  it('to abort it is a cancel: nothing is started, and a repetition hears the same', async () => {
    const { id } = await accept(still);
    expect(await order(id, 'abort')).toMatchObject({ outcome: 'cancelled' });
    expect(await order(id, 'abort')).toMatchObject({ outcome: 'cancelled' });
    const { state, delivery } = await still.client.getRequested({ params: { delivery_id: id } });
    expect({ state, reason: delivery.cancellation_reason }).toEqual({
      state: 'cancelled',
      reason: 'requested_by_operator',
    });
    expect(await problemOf(order(id, 'reassignDrone'))).toMatchObject({ reason: 'already_cancelled' });
  });

  it('to take another drone is refused, and changes nothing', async () => {
    const { id } = await accept(still);
    expect(await problemOf(order(id, 'reassignDrone'))).toMatchObject({ status: 409, reason: 'not_started' });
  });
});
