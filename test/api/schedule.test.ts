/** Pickup windows at the door, and moving one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import type { RescheduleCommand } from '../../workflows/messages.ts';
import { aRequest, startWorld, type World } from './world.ts';

let world: World;
let key: string;
let operatorKey: string;
let foreignKey: string;

beforeAll(async () => {
  world = await startWorld({ ingestion: { cancelWaitMs: 2_000 } });
  ({ key } = await world.makeAccount('Scheduler'));
  ({ key: foreignKey } = await world.makeAccount('Stranger'));
  operatorKey = await world.makeKey('operator');
});
afterAll(() => world.close());

const hours = (from: number, to = from + 1) => ({
  start: isoTime(Date.now() + from * 3_600_000),
  end: isoTime(Date.now() + to * 3_600_000),
});
const post = (body: unknown) => world.call('POST', '/v1/deliveries', { key, body });
const patch = (id: string, body: unknown, headers: Record<string, string> = {}, viewer = key) =>
  world.call('PATCH', `/v1/deliveries/${id}`, { key: viewer, body, headers });
const fieldsOf = ({ json }: Awaited<ReturnType<typeof post>>) => (json.errors ?? []).map((one) => one.field);

async function created(window = hours(24)): Promise<Delivery> {
  const { json } = await post(aRequest({ pickup_window: window }));
  const delivery = json as unknown as Delivery;
  await world.projected(delivery.id);
  return delivery;
}

/** The workflow does it: what it would write, and its answer. */
function workflowReschedules(seen: RescheduleCommand[] = []) {
  world.temporal.answerReschedule(async (id, command) => {
    seen.push(command);
    await world.append(id, { type: 'delivery.rescheduled', patch: { pickup_window: command.pickupWindow } });
    return { outcome: 'rescheduled', reason: null, detail: null };
  });
  return seen;
}

describe('POST /v1/deliveries with a pickup_window', () => {
  it('keeps it, from the 201 on', async () => {
    const window = hours(24);
    const { status, json } = await post(aRequest({ pickup_window: window }));
    expect(status).toBe(201);
    expect(json['pickup_window']).toEqual(window);
    const read = await world.call('GET', `/v1/deliveries/${String(json['id'])}`, { key });
    expect(read.json['pickup_window']).toEqual(window);
  });

  it('accepts one that has begun, and one 30 days ahead', async () => {
    expect((await post(aRequest({ pickup_window: hours(-1, 1) }))).status).toBe(201);
    expect((await post(aRequest({ pickup_window: hours(30 * 24 - 0.1, 30 * 24 + 5) }))).status).toBe(201);
  });

  it.each([
    ['over', hours(-3, -2), 'pickup_window.end', /future/],
    ['more than 30 days ahead', hours(30 * 24 + 1), 'pickup_window.start', /30 days ahead: no later than/],
    ['backwards', hours(5, 4), 'pickup_window.end', /after pickup_window.start/],
  ])('refuses a window that is %s, saying what would be right', async (_, pickup_window, field, message) => {
    const refused = await post(aRequest({ pickup_window }));
    expect(refused.status).toBe(422);
    expect(refused.json.errors).toMatchObject([{ field }]);
    expect(refused.json.errors?.[0]?.message).toMatch(message);
  });

  it('refuses one that begins after the deadline', async () => {
    const refused = await post(aRequest({ pickup_window: hours(5), deadline: hours(4).start }));
    expect(refused.status).toBe(422);
    expect(fieldsOf(refused)).toEqual(['pickup_window.start']);
  });

  it('refuses a deadline that no drone meets which has it at the beginning of the window', async () => {
    const window = hours(5);
    const deadline = isoTime(Date.parse(window.start) + 10_000);
    const refused = await post(aRequest({ pickup_window: window, deadline }));
    expect(refused.status).toBe(422);
    expect(fieldsOf(refused)).toEqual(['deadline']);
  });

  it.each([
    ['a time in words', { start: 'tomorrow', end: 'later' }, ['pickup_window.start', 'pickup_window.end']],
    ['no end', { start: hours(5).start }, ['pickup_window.end']],
    ['a list', [], ['pickup_window']],
    ['null', null, ['pickup_window']],
  ])('names %s as malformed', async (_, pickup_window, fields) => {
    const refused = await post({ ...aRequest(), pickup_window });
    expect(refused.status).toBe(400);
    expect(fieldsOf(refused)).toEqual(fields);
  });
});

describe('PATCH /v1/deliveries/{id}', () => {
  it('moves the pickup and answers the delivery as it is now', async () => {
    const seen = workflowReschedules();
    const { id } = await created();
    const window = hours(48);
    const moved = await patch(id, { pickup_window: window, why: 'The shop opens later' });
    expect(moved.status).toBe(200);
    expect(moved.json).toMatchObject({ id, pickup_window: window });
    expect(moved.headers.get('etag')).toBe('W/"2"');
    expect(seen).toMatchObject([
      { pickupWindow: window, why: 'The shop opens later', actor: { role: 'business' } },
    ]);
    expect(seen[0]).not.toHaveProperty('from');
    const unsaid = await patch(id, { pickup_window: hours(50) }, {}, operatorKey);
    expect(unsaid.status).toBe(400);
    expect(fieldsOf(unsaid)).toEqual(['why']);
    const why = 'The pad is closed until then';
    expect((await patch(id, { pickup_window: hours(50), why }, {}, operatorKey)).status).toBe(200);
    expect(seen[1]).toMatchObject({ actor: { role: 'operator' }, why });
  });

  it('with the current ETag in If-Match goes on from the window that was read; with an old one it is 412', async () => {
    const seen = workflowReschedules();
    const delivery = await created();
    expect((await patch(delivery.id, { pickup_window: hours(30) }, { 'if-match': 'W/"1"' })).status).toBe(
      200,
    );
    expect(seen[0]?.from).toEqual(delivery.pickup_window);
    const late = await patch(delivery.id, { pickup_window: hours(40) }, { 'if-match': 'W/"1"' });
    expect(late.status).toBe(412);
    expect(late.json['type']).toMatch(/precondition-failed$/);
    expect(seen).toHaveLength(1);
  });

  it('that loses the race for the window is 412 too', async () => {
    world.temporal.answerReschedule(async () => ({
      outcome: 'refused',
      reason: 'window_changed',
      detail: 'changed',
    }));
    const { id } = await created();
    expect((await patch(id, { pickup_window: hours(30) }, { 'if-match': 'W/"1"' })).status).toBe(412);
  });

  it('repeated with its key and its If-Match is answered as it was; another window under that key is 422', async () => {
    const seen = workflowReschedules();
    const { id } = await created();
    const headers = { 'if-match': 'W/"1"', 'idempotency-key': 'move-once' };
    const window = hours(30);
    expect(
      (await patch(id, { pickup_window: window }, headers)).headers.get('idempotent-replayed'),
    ).toBeNull();
    const again = await patch(id, { pickup_window: window }, headers);
    expect(again.status).toBe(200);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.json['pickup_window']).toEqual(window);
    expect(seen).toHaveLength(1);
    const reused = await patch(id, { pickup_window: hours(31) }, headers);
    expect(reused.status).toBe(422);
    expect(reused.json['type']).toMatch(/idempotency-key-reused$/);
    const other = await patch(id, { pickup_window: hours(32) }, { ...headers, 'idempotency-key': 'other' });
    expect(other.status).toBe(412);
  });

  it('that comes too late is 409 with the reason', async () => {
    world.temporal.answerReschedule(async () => ({
      outcome: 'refused',
      reason: 'drone_dispatched',
      detail: 'The drone has been sent.',
    }));
    const { id } = await created();
    const refused = await patch(id, { pickup_window: hours(30) });
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ reason: 'drone_dispatched', detail: 'The drone has been sent.' });
  });

  it('to a window that cannot be served is 422 with the field', async () => {
    const errors = [{ field: 'pickup_window.end', message: 'must be in the future' }];
    world.temporal.answerReschedule(async () => ({ outcome: 'impossible', errors }));
    const { id } = await created();
    const refused = await patch(id, { pickup_window: hours(-2) });
    expect(refused.status).toBe(422);
    expect(refused.json.errors).toEqual(errors);
  });

  it('that nobody answers is 503, to be repeated', async () => {
    world.temporal.answerReschedule(async () => 'no_answer');
    const { id } = await created();
    const unanswered = await patch(id, { pickup_window: hours(30) });
    expect(unanswered.status).toBe(503);
    expect(unanswered.headers.get('retry-after')).toBe('2');
  });

  it.each([
    ['no change', {}, ['pickup_window', 'dropoff']],
    ['an unknown field', { pickup_window: hours(3), colour: 'red' }, ['colour']],
    ['half a window', { pickup_window: { start: hours(3).start } }, ['pickup_window.end']],
    ['an empty reason', { pickup_window: hours(3), why: '' }, ['why']],
  ])('names %s as malformed', async (_, body, fields) => {
    const { id } = await created();
    const refused = await patch(id, body);
    expect(refused.status).toBe(400);
    expect(fieldsOf(refused)).toEqual(fields);
  });

  it('of another tenant’s delivery is 404', async () => {
    const { id } = await created();
    expect((await patch(id, { pickup_window: hours(30) }, {}, foreignKey)).status).toBe(404);
  });
});
