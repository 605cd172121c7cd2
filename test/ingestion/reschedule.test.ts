import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Problem } from '../../shared/errors.ts';
import { isoTime } from '../../shared/clock.ts';
import { type AccountId, type DeliveryId, newId } from '../../shared/ids.ts';
import { ScriptedWorkflows } from './scripted-workflows.ts';
import { anAccept, type Ingestion, startWorld, type World } from './world.ts';

let world: World;
let still: Ingestion;
let live: Ingestion;

beforeAll(async () => {
  world = await startWorld();
  still = await world.ingestion({ pumps: false, tuning: { cancelWaitMs: 300 } });
  live = await world.ingestion({ tuning: { cancelWaitMs: 15_000 } });
});
afterAll(() => world.close());
afterEach(() => {
  world.workflows.down = false;
  world.workflows.answerReschedule = new ScriptedWorkflows().answerReschedule;
});

const hours = (from: number) => ({
  start: isoTime(Date.now() + from * 3_600_000),
  end: isoTime(Date.now() + (from + 1) * 3_600_000),
});
const RESCHEDULED = { outcome: 'rescheduled', reason: null, detail: null };
const WITHIN = { timeout: 20_000, interval: 50 };

async function started(): Promise<{ id: DeliveryId; accountId: AccountId }> {
  const body = anAccept();
  const { delivery } = await live.client.accept({ body });
  await expect
    .poll(async () => live.client.getRequested({ params: { delivery_id: delivery.id } }), WITHIN)
    .toMatchObject({ state: 'started', projected: true });
  return { id: delivery.id, accountId: body.account_id };
}

function reschedule(
  service: Ingestion,
  id: DeliveryId,
  pickup_window = hours(5),
  over: { key?: string; accountId?: AccountId; replayOnly?: boolean; from?: ReturnType<typeof hours> } = {},
) {
  return service.client.reschedule({
    params: { delivery_id: id },
    body: {
      account_id: over.accountId ?? null,
      pickup_window,
      ...(over.from && { from: over.from }),
      ...(over.replayOnly !== undefined && { replay_only: over.replayOnly }),
      why: 'late',
      actor: { role: 'business', id: 'key_1' },
      idempotency_key: over.key ?? null,
    },
  });
}
const problemOf = (work: Promise<unknown>): Promise<Problem> =>
  work.then(
    () => expect.unreachable('it was not refused'),
    (error: unknown) => error as Problem,
  );
const updatesOf = (id: DeliveryId) => world.workflows.reschedules.filter((one) => one.deliveryId === id);

describe('an accept with a pickup window', () => {
  it('keeps it, in UTC, from the row to the read model to the workflow', async () => {
    const request = { pickup_window: { start: '2026-12-01T10:00:00+01:00', end: '2026-12-01T10:00:00.5Z' } };
    const utc = { start: '2026-12-01T09:00:00.000Z', end: '2026-12-01T10:00:00.500Z' };
    const { delivery } = await live.client.accept({ body: anAccept({ request }) });
    expect(delivery.pickup_window).toEqual(utc);
    const params = { delivery_id: delivery.id };
    await expect.poll(async () => (await live.client.getRequested({ params })).state, WITHIN).toBe('started');
    expect((await world.delivery.getDelivery({ params })).pickup_window).toEqual(utc);
    expect(world.workflows.started.find((input) => input.deliveryId === delivery.id)?.pickupWindow).toEqual(
      utc,
    );
  });
});

describe('a reschedule', () => {
  it('goes to the workflow with the window in UTC, who and why', async () => {
    const { id, accountId } = await started();
    const window = hours(7);
    expect(await reschedule(live, id, window, { accountId, from: hours(1) })).toEqual({
      ...RESCHEDULED,
      replayed: false,
    });
    expect(updatesOf(id)).toMatchObject([
      { command: { pickupWindow: window, why: 'late', actor: { role: 'business', id: 'key_1' } } },
    ]);
  });

  it('with a key is sent once and answered the same when repeated', async () => {
    const { id } = await started();
    const window = hours(7);
    await reschedule(live, id, window, { key: 'again' });
    expect(await reschedule(live, id, window, { key: 'again' })).toEqual({ ...RESCHEDULED, replayed: true });
    expect(updatesOf(id)).toHaveLength(1);
    const reused = await problemOf(reschedule(live, id, hours(9), { key: 'again' }));
    expect(reused.slug).toBe('idempotency-key-reused');
    await reschedule(live, id, hours(9), { key: 'another' });
    expect(updatesOf(id)).toHaveLength(2);
  });

  it('that got no answer is sent again under the same update id', async () => {
    const { id } = await started();
    world.workflows.down = true;
    const window = hours(7);
    const problem = await problemOf(reschedule(live, id, window, { key: 'k'.repeat(255) }));
    expect(problem).toMatchObject({ slug: 'unavailable', retryAfterS: 2 });
    world.workflows.down = false;
    world.workflows.answerReschedule = async () => 'no_answer';
    await problemOf(reschedule(live, id, window, { key: 'k'.repeat(255) }));
    world.workflows.answerReschedule = new ScriptedWorkflows().answerReschedule;
    expect(await reschedule(live, id, window, { key: 'k'.repeat(255) })).toMatchObject(RESCHEDULED);
    const ids = updatesOf(id).map((one) => one.updateId);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it('of a window that cannot be served names the fields, and leaves its key free', async () => {
    const { id } = await started();
    const errors = [{ field: 'pickup_window.end', message: 'must be in the future' }];
    world.workflows.answerReschedule = async () => ({ outcome: 'impossible', errors });
    const problem = await problemOf(reschedule(live, id, hours(-2), { key: 'free' }));
    expect(problem).toMatchObject({ slug: 'unserviceable', errors });
    world.workflows.answerReschedule = new ScriptedWorkflows().answerReschedule;
    expect(await reschedule(live, id, hours(3), { key: 'free' })).toMatchObject(RESCHEDULED);
  });

  it('before the start waits for it, for a bounded time', async () => {
    const { delivery } = await still.client.accept({ body: anAccept() });
    world.workflows.beforeStart = () => new Promise<void>((resolve) => setTimeout(resolve, 1_000));
    const problem = await problemOf(reschedule(still, delivery.id));
    expect(problem.slug).toBe('unavailable');
    world.workflows.beforeStart = new ScriptedWorkflows().beforeStart;
  });

  it('of a delivery that was cancelled before the start is refused', async () => {
    const quiet = await startWorld();
    const alone = await quiet.ingestion({ pumps: false });
    const { delivery } = await alone.client.accept({ body: anAccept() });
    const params = { delivery_id: delivery.id };
    const actor = { role: 'business', id: 'key_1' } as const;
    await alone.client.cancel({ params, body: { account_id: null, reason: 'other', actor } });
    expect(await reschedule(alone, delivery.id)).toMatchObject({
      outcome: 'refused',
      reason: 'already_cancelled',
    });
    await quiet.close();
  });

  it('of a delivery that has ended is refused, though its workflow is gone', async () => {
    const { id } = await started();
    await world.delivery.appendEvents(
      {
        params: { delivery_id: id },
        body: {
          events: [{ type: 'delivery.failed', status: 'failed', occurred_at: isoTime(Date.now()) }],
        },
      },
      { idempotencyKey: `${id}/failed/1` },
    );
    world.workflows.forget(id);
    expect(await reschedule(live, id)).toMatchObject({ outcome: 'refused', reason: 'already_failed' });
  });

  it('asked only for a replay sends nothing', async () => {
    const { id } = await started();
    const window = hours(7);
    expect(await reschedule(live, id, window, { key: 'new', replayOnly: true })).toMatchObject({
      outcome: 'unknown',
    });
    expect(updatesOf(id)).toEqual([]);
    await reschedule(live, id, window, { key: 'new' });
    expect(await reschedule(live, id, window, { key: 'new', replayOnly: true })).toMatchObject(RESCHEDULED);
  });

  it('of another account’s delivery, or of none, finds nothing', async () => {
    const { id } = await started();
    const foreign = await problemOf(reschedule(live, id, hours(5), { accountId: newId('account') }));
    expect(foreign.slug).toBe('not-found');
    expect((await problemOf(reschedule(live, newId('delivery')))).slug).toBe('not-found');
  });
});
