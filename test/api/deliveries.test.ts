import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../shared/ids.ts';
import type { Delivery, DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { aRequest, startWorld, type World } from './world.ts';

let world: World;
let key: string;
let operatorKey: string;

beforeAll(async () => {
  world = await startWorld({ ingestion: { startConcurrency: 1 } });
  ({ key } = await world.makeAccount('Sender'));
  operatorKey = await world.makeKey('operator');
});
afterAll(() => world.close());

const post = (body: unknown, headers: Record<string, string> = {}) =>
  world.call('POST', '/v1/deliveries', { key, body, headers });
const create = async (): Promise<Delivery> => (await post(aRequest())).json as unknown as Delivery;

describe('POST /v1/deliveries', () => {
  it('answers 201 with the delivery, where it is, and what it is as of now', async () => {
    const { status, headers, json } = await post(
      aRequest({ external_id: 'order-1', metadata: { shelf: '7' } }),
    );
    expect(status).toBe(201);
    expect(json).toMatchObject({
      object: 'delivery',
      status: 'created',
      external_id: 'order-1',
      metadata: { shelf: '7' },
      sequence: 1,
      complete: false,
    });
    expect(headers.get('location')).toBe(`/v1/deliveries/${String(json['id'])}`);
    expect(headers.get('etag')).toBe('W/"1"');
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('ratelimit-limit')).not.toBeNull();
    expect(headers.get('idempotent-replayed')).toBeNull();
  });

  it('can be read straight after the 201', async () => {
    for (let n = 0; n < 20; n += 1) {
      const { id } = await create();
      expect((await world.call('GET', `/v1/deliveries/${id}`, { key })).status).toBe(200);
    }
  });

  it('answers a repetition with the first result, marked as such', async () => {
    const headers = { 'idempotency-key': 'once-1' };
    const first = await post(aRequest(), headers);
    const again = await post(aRequest(), headers);
    expect(again.status).toBe(201);
    expect(again.json['id']).toBe(first.json['id']);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
  });

  it('takes the same fields in another order, and defaults spelled out, for the same request', async () => {
    const headers = { 'idempotency-key': 'once-2' };
    const request = aRequest();
    const first = await post(request, headers);
    const again = await post(
      { expedited: false, ...Object.fromEntries(Object.entries(request).reverse()) },
      headers,
    );
    expect(again.json['id']).toBe(first.json['id']);
  });

  it('makes one delivery of many repetitions at once', async () => {
    const headers = { 'idempotency-key': 'once-3' };
    const answers = await Promise.all(Array.from({ length: 12 }, () => post(aRequest(), headers)));
    const accepted = answers.filter(({ status }) => status === 201);
    expect(accepted.length).toBeGreaterThan(0);
    expect(new Set(accepted.map(({ json }) => json['id'])).size).toBe(1);
    for (const { status } of answers) expect([201, 409]).toContain(status);
  });

  it('refuses a key that was used for another request', async () => {
    const headers = { 'idempotency-key': 'once-4' };
    await post(aRequest(), headers);
    const other = await post(aRequest({ expedited: true }), headers);
    expect(other.status).toBe(422);
    expect(other.json['type']).toMatch(/idempotency-key-reused$/);
  });

  it('keeps the keys of two accounts apart', async () => {
    const other = await world.makeAccount('Another sender');
    const headers = { 'idempotency-key': 'shared' };
    const [mine, theirs] = [
      await post(aRequest(), headers),
      await world.call('POST', '/v1/deliveries', { key: other.key, body: aRequest(), headers }),
    ];
    expect(mine.json['id']).not.toBe(theirs.json['id']);
  });

  it('answers a repetition although the door would refuse it by now', async () => {
    const headers = { 'idempotency-key': 'once-5' };
    const request = aRequest({ deadline: new Date(Date.now() + 3_600_000).toISOString() });
    const first = await post(request, headers);
    // Another process of the api, an hour and a bit later.
    const later = await world.apiProcess({ wall: () => Date.now() + 3_700_000 });
    const options = { key, body: request, base: later.url };
    const again = await world.call('POST', '/v1/deliveries', { ...options, headers });
    expect(again.status).toBe(201);
    expect(again.json['id']).toBe(first.json['id']);
    const fresh = await world.call('POST', '/v1/deliveries', options);
    expect(fresh.status).toBe(422);
    const unknownKey = { 'idempotency-key': 'once-6' };
    expect((await world.call('POST', '/v1/deliveries', { ...options, headers: unknownKey })).status).toBe(
      422,
    );
  });

  it('refuses an external id that is taken, saying so', async () => {
    await post(aRequest({ external_id: 'taken' }));
    const again = await post(aRequest({ external_id: 'taken', expedited: true }));
    expect(again.status).toBe(409);
    expect(again.json['reason']).toBe('external_id_taken');
  });

  it('refuses at the door what the fleet can never do, with every reason', async () => {
    // The limits are fetched in the background.
    await expect
      .poll(async () => (await post(aRequest({ packages: [{ size: 'small', weight_kg: 500 }] }))).status)
      .toBe(422);
    const { json, headers } = await post(
      aRequest({
        packages: [{ size: 'small', weight_kg: 500 }],
        dropoff: { location: { latitude: 0, longitude: 0 } },
        contains_dangerous_goods: true,
      }),
    );
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(json['type']).toMatch(/unserviceable$/);
    expect(json.errors?.map(({ field }) => field)).toEqual([
      'contains_dangerous_goods',
      'packages',
      'dropoff.location',
    ]);
  });

  it('refuses a suspended account, which may go on reading', async () => {
    const { id, key: suspendedKey } = await world.makeAccount('To be suspended');
    const before = await world.call('POST', '/v1/deliveries', { key: suspendedKey, body: aRequest() });
    const suspended = await world.call('POST', `/v1/ops/accounts/${id}/suspend`, {
      key: operatorKey,
      body: { reason: 'Overdue' },
    });
    expect(suspended.json).toMatchObject({ state: 'suspended', state_reason: 'Overdue' });
    // A process that hears of it: this one trusts the key for a while longer.
    const { url } = await world.apiProcess();
    const options = { key: suspendedKey, base: url };
    const refused = await world.call('POST', '/v1/deliveries', { ...options, body: aRequest() });
    expect(refused.status).toBe(403);
    expect(refused.json['type']).toMatch(/account-suspended$/);
    const read = await world.call('GET', `/v1/deliveries/${String(before.json['id'])}`, options);
    expect(read.status).toBe(200);
    const reactivated = await world.call('POST', `/v1/ops/accounts/${id}/reactivate`, {
      key: operatorKey,
      body: { reason: 'Paid' },
    });
    expect(reactivated.json).toMatchObject({ state: 'active' });
    const fresh = await world.apiProcess();
    const accepted = await world.call('POST', '/v1/deliveries', {
      key: suspendedKey,
      base: fresh.url,
      body: aRequest(),
    });
    expect(accepted.status).toBe(201);
  });

  it('passes the caller’s name of the request on, and gives it one otherwise', async () => {
    const named = await post(aRequest(), { 'x-request-id': 'my-name' });
    expect(named.headers.get('x-request-id')).toBe('my-name');
    expect((await post(aRequest())).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('GET /v1/deliveries/{id}', () => {
  it('answers 304 to the tag of what has not changed, and the change once it has', async () => {
    const { id } = await create();
    await world.projected(id);
    const read = (etag: string) =>
      world.call('GET', `/v1/deliveries/${id}`, { key, headers: { 'if-none-match': etag } });
    expect((await read('W/"1"')).status).toBe(304);
    expect((await read('"7", W/"1"')).status).toBe(304);
    await world.append(id, 'confirmed');
    const changed = await read('W/"1"');
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).toBe('W/"2"');
    expect(changed.json).toMatchObject({ status: 'confirmed', sequence: 2 });
  });

  it('shows operators how an intervention can be settled, and senders only that there is one', async () => {
    const { id } = await create();
    await world.append(id, {
      type: 'delivery.intervention_opened',
      open_intervention: {
        id: 'int-1',
        kind: 'compensation:release',
        reason: 'The drone service refuses.',
        answers: [{ answer: 'retry', effect: 'Tries again.' }],
      },
    });
    const seenBy = async (viewer: string) =>
      (await world.call('GET', `/v1/deliveries/${id}`, { key: viewer })).json['interventions'];
    expect(await seenBy(key)).toMatchObject([{ kind: 'compensation:release', answers: [] }]);
    expect(await seenBy(operatorKey)).toMatchObject([{ answers: [{ answer: 'retry' }] }]);
  });
});

describe('GET /v1/deliveries', () => {
  it('pages through the caller’s own, newest first, and filters', async () => {
    const { key: pagerKey } = await world.makeAccount('Pager');
    const client = world.clientWith(pagerKey);
    const made: Delivery[] = [];
    for (let n = 0; n < 7; n += 1) {
      made.push(await client.createDelivery({ body: aRequest({ external_id: `page-${n}` }) }));
    }
    for (const { id } of made) await world.projected(id);
    await world.append(made[2]!.id, 'confirmed');
    await world.append(made[4]!.id, { status: 'failed', patch: { complete: true } });

    const seen: string[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await client.listDeliveries({ query: { limit: 3, ...(cursor && { cursor }) } });
      expect(page.data.length).toBeLessThanOrEqual(3);
      seen.push(...page.data.map((one) => one.id));
      cursor = page.next_cursor;
    } while (cursor);
    expect(seen).toEqual(made.map((one) => one.id).reverse());

    const found = async (query: Parameters<typeof client.listDeliveries>[0]['query']) =>
      (await client.listDeliveries({ query })).data.map((one) => one.external_id);
    expect(await found({ status: ['confirmed', 'failed'] })).toEqual(['page-4', 'page-2']);
    expect(await found({ external_id: 'page-3' })).toEqual(['page-3']);
    expect(await found({ complete: true })).toEqual(['page-4']);
    expect(await found({ created_after: made[5]!.created_at })).not.toContain('page-4');
    expect(await found({ created_before: made[0]!.created_at })).toEqual([]);
  });
});

describe('GET /v1/deliveries/{id}/events', () => {
  it('tells the timeline from the first event, and from any later one', async () => {
    const client = world.clientWith(key);
    const { id } = await create();
    await world.append(id, 'awaiting_drone', 'confirmed', 'enroute_to_pickup');
    const params = { delivery_id: id };
    const all = await client.listDeliveryEvents({ params, query: {} });
    expect(all.data.map((one) => [one.sequence, one.status])).toEqual([
      [1, 'created'],
      [2, 'awaiting_drone'],
      [3, 'confirmed'],
      [4, 'enroute_to_pickup'],
    ]);
    const later = await client.listDeliveryEvents({ params, query: { after_sequence: 3 } });
    expect(later.data.map((one) => one.sequence)).toEqual([4]);
    const first = await client.listDeliveryEvents({ params, query: { limit: 3 } });
    const second = await client.listDeliveryEvents({
      params,
      query: { limit: 3, cursor: first.next_cursor! },
    });
    expect([...first.data, ...second.data]).toEqual(all.data);
    const none = await client.listDeliveryEvents({ params, query: { after_sequence: 4 } });
    expect(none).toEqual({ data: [], next_cursor: null });
  });
});

describe('POST /v1/deliveries/{id}/cancel', () => {
  const cancel = (id: string, body?: unknown, viewer = key) =>
    world.call('POST', `/v1/deliveries/${id}/cancel`, { key: viewer, ...(body !== undefined && { body }) });

  it('cancels what has not been started, without a body, and says the same when asked again', async () => {
    const release = world.temporal.holdStarts();
    try {
      // One start at a time, so the second waits behind the first.
      await create();
      const { id } = await create();
      const done = await cancel(id);
      expect(done.status).toBe(200);
      expect(done.json).toMatchObject({
        id,
        status: 'cancelled',
        cancellation_reason: 'requested_by_sender',
        cancellation: { outcome: 'cancelled' },
      });
      expect((await cancel(id, {})).status).toBe(200);
      await expect
        .poll(async () => (await world.call('GET', `/v1/deliveries/${id}`, { key })).json['status'])
        .toBe('cancelled');
    } finally {
      release();
    }
  });

  it('with a reason that cannot be stored is malformed, and cancels nothing', async () => {
    const { id } = await create();
    for (const why of ['a\0b', 'a\ud800b']) {
      const answer = await cancel(id, { why });
      expect(answer.status).toBe(400);
      expect(answer.json.errors).toMatchObject([{ field: 'why' }]);
    }
    expect((await world.call('GET', `/v1/deliveries/${id}`, { key })).json['status']).toBe('created');
  });

  it('an operator’s needs a reason in words: it is kept, also before the start', async () => {
    const release = world.temporal.holdStarts();
    try {
      await create();
      const { id } = await create();
      for (const body of [undefined, {}, { reason: 'duplicate' }, { why: ' ' }]) {
        const refused = await cancel(id, body, operatorKey);
        expect(refused.status).toBe(400);
        expect(refused.json.errors?.map((one) => one.field)).toEqual(['why']);
      }
      expect((await cancel(id, { why: 'The sender called' }, operatorKey)).status).toBe(200);
      const events = async () =>
        (await world.call('GET', `/v1/deliveries/${id}/events`, { key })).json['data'] as DeliveryEvent[];
      await expect.poll(async () => (await events()).at(-1)?.type).toBe('delivery.cancelled');
      expect((await events()).at(-1)?.data).toMatchObject({ why: 'The sender called' });
    } finally {
      release();
    }
  });

  it('accepts an empty body that calls itself JSON', async () => {
    const { id } = await create();
    await world.append(id, 'confirmed');
    world.temporal.answerCancel(async () => ({
      outcome: 'pending',
      reason: null,
      detail: 'Asked the drone.',
    }));
    const options = { key, headers: { 'content-type': 'application/json' } };
    expect((await world.call('POST', `/v1/deliveries/${id}/cancel`, options)).status).toBe(202);
  });

  it('answers 200 with the cancelled delivery when its workflow cancels', async () => {
    const { id } = await create();
    await world.append(id, 'confirmed');
    world.temporal.answerCancel(async (_id, { reason, actor, why }) => {
      expect({ role: actor.role, why }).toEqual({ role: 'operator', why: 'The sender called' });
      await world.append(id, {
        status: 'cancelled',
        patch: { cancellation_reason: reason, compensation: 'pending' },
      });
      return { outcome: 'cancelled', reason: null, detail: null };
    });
    const done = await cancel(id, { reason: 'duplicate', why: 'The sender called' }, operatorKey);
    expect(done.status).toBe(200);
    expect(done.json).toMatchObject({
      status: 'cancelled',
      cancellation_reason: 'duplicate',
      compensation: 'pending',
    });
  });

  it('answers 202 with the delivery as it is while the drone has not answered', async () => {
    const { id } = await create();
    await world.append(id, 'confirmed', 'enroute_to_pickup');
    world.temporal.answerCancel(async () => ({
      outcome: 'pending',
      reason: null,
      detail: 'Asked the drone.',
    }));
    const pending = await cancel(id);
    expect(pending.status).toBe(202);
    expect(pending.json).toMatchObject({
      status: 'enroute_to_pickup',
      cancellation: { outcome: 'pending', detail: 'Asked the drone.' },
    });
  });

  it('answers 409 with the reason when it is too late', async () => {
    const { id } = await create();
    await world.append(id, 'confirmed', 'enroute_to_pickup', 'arrived_at_pickup', 'picked_up');
    world.temporal.answerCancel(async () => ({
      outcome: 'refused',
      reason: 'already_picked_up',
      detail: 'The package is aboard.',
    }));
    const refused = await cancel(id);
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ reason: 'already_picked_up', detail: 'The package is aboard.' });
  });

  it('answers 404 for a delivery that does not exist', async () => {
    expect((await cancel(newId('delivery'))).status).toBe(404);
  });
});

describe('POST /v1/accounts', () => {
  it('registers a business whose key works at once, and answers a repetition alike', async () => {
    const body = { name: 'Newcomer', credit_limit: { amount: 50_000, currency: 'USD' } };
    const headers = { 'idempotency-key': 'register-1' };
    const register = () => world.call('POST', '/v1/accounts', { key: operatorKey, body, headers });
    const made = await register();
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({ object: 'account', name: 'Newcomer', state: 'active' });
    expect(made.headers.get('location')).toBe(`/v1/accounts/${String(made.json['id'])}`);
    const again = await register();
    expect(again.json).toEqual(made.json);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(made.headers.get('idempotent-replayed')).toBeNull();
    const newKey = String(made.json['api_key']);
    const own = await world.call('GET', made.headers.get('location')!, { key: newKey });
    expect(own.status).toBe(200);
    expect(own.json).not.toHaveProperty('api_key');
    const first = await world.call('POST', '/v1/deliveries', { key: newKey, body: aRequest() });
    expect(first.status).toBe(201);
  });
});
