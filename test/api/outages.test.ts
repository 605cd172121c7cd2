// A service behind the door is away. What does not need it goes on; what does says when to come back.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DRONES } from '../../local/seed/index.ts';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import { aRequest, type ServiceKey, startWorld, type World } from './world.ts';

let world: World;
let key: string;
let operatorKey: string;

beforeAll(async () => {
  // Keys are trusted for no time at all, so every request would ask the account service.
  world = await startWorld({ keys: { trustMs: 0, foresightMs: 50 }, ingestion: { cancelWaitMs: 500 } });
  ({ key } = await world.makeAccount('Patient'));
  operatorKey = await world.makeKey('operator');
});
afterAll(() => world.close());
afterEach(async () => {
  for (const name of cut) await world.relays[name].mend();
  cut.clear();
});

const cut = new Set<ServiceKey>();
async function cutOff(...names: ServiceKey[]): Promise<void> {
  for (const name of names) {
    await world.relays[name].cut();
    cut.add(name);
  }
}
const post = (options: { base?: string; key?: string; headers?: Record<string, string> } = {}) =>
  world.call('POST', '/v1/deliveries', { key, body: aRequest(), ...options });
const create = async () => (await post()).json as unknown as Delivery;

function expectComeBack(response: Awaited<ReturnType<typeof post>>): void {
  expect(response.status, response.text).toBe(503);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(response.json['type']).toMatch(/unavailable$/);
  // Nothing of how it looks inside.
  expect(response.text).not.toMatch(/127\.0\.0\.1|ECONN|\/requests|\/keys/);
}

describe('With every service but ingestion away', () => {
  it('POST /v1/deliveries still answers 201, and the delivery can be read', async () => {
    await post();
    await cutOff('account', 'drone', 'delivery');
    const made = await post({ headers: { 'idempotency-key': 'in the dark' } });
    expect(made.status, made.text).toBe(201);
    const again = await post({ headers: { 'idempotency-key': 'in the dark' } });
    expect(again.json['id']).toBe(made.json['id']);
    const path = `/v1/deliveries/${String(made.json['id'])}`;
    const read = await world.call('GET', path, { key });
    expect(read.status).toBe(200);
    expect(read.json).toMatchObject({ id: made.json['id'], status: 'created' });
    const tracking = await world.call('GET', `${path}/tracking`, { key });
    expect(tracking.json).toMatchObject({ status: 'created', position_status: 'none' });
  });

  it('so it does with a key that was never used before, if it was made before', async () => {
    const { key: fresh } = await world.makeAccount('Never seen');
    // The one after the next has certainly begun since.
    const learned = () => world.answered('account', '/keys/recent');
    const before = await learned();
    await expect.poll(learned).toBeGreaterThanOrEqual(before + 2);
    await cutOff('account', 'drone', 'delivery');
    expect((await post({ key: fresh })).status).toBe(201);
  });

  it('but a key that nobody has been told of cannot be judged', async () => {
    const { url } = await world.apiProcess({ keys: { foresightMs: 3_600_000 } });
    await world.call('GET', '/v1/deliveries', { key, base: url });
    await cutOff('account');
    expectComeBack(await post({ key: 'dd_live_a_key_from_nowhere', base: url }));
  });
});

describe('With ingestion away', () => {
  it('nothing is accepted, and the caller hears when to come back', async () => {
    await cutOff('ingestion');
    expectComeBack(await post());
  });

  it('the api says that it is not ready, and again that it is', async () => {
    const ready = () => world.call('GET', '/health/ready');
    expect((await ready()).status).toBe(200);
    await cutOff('ingestion');
    const { status, json } = await ready();
    expect(status).toBe(503);
    expect(json).toMatchObject({ status: 'not_ready' });
    await world.relays.ingestion.mend();
    cut.clear();
    await expect.poll(async () => (await ready()).status).toBe(200);
    expect((await world.call('GET', '/health/live')).status).toBe(200);
  });

  it('what the read model has can be read', async () => {
    const { id } = await create();
    await world.projected(id);
    await cutOff('ingestion');
    expect((await world.call('GET', `/v1/deliveries/${id}`, { key })).status).toBe(200);
    expect((await world.call('GET', '/v1/deliveries', { key })).status).toBe(200);
    expectComeBack(await world.call('POST', `/v1/deliveries/${id}/cancel`, { key }));
  });
});

describe('With the delivery service away', () => {
  it('a delivery that it had is not shown as it began, but said to be unavailable', async () => {
    const { id } = await create();
    await world.append(id, 'confirmed');
    await cutOff('delivery');
    expectComeBack(await world.call('GET', `/v1/deliveries/${id}`, { key }));
    expectComeBack(await world.call('GET', `/v1/deliveries/${id}/events`, { key }));
    expectComeBack(await world.call('GET', `/v1/deliveries/${id}/tracking/stream`, { key }));
    expectComeBack(await world.call('GET', '/v1/deliveries', { key }));
  });
});

describe('With the drone service away', () => {
  it('a delivery is tracked without its position', async () => {
    const { id } = await create();
    await world.append(id, { status: 'confirmed', patch: { drone_id: DRONES[0]!.id } });
    await cutOff('drone');
    const { status, json } = await world.call('GET', `/v1/deliveries/${id}/tracking`, { key });
    expect(status).toBe(200);
    expect(json).toMatchObject({ status: 'confirmed', position: null, position_status: 'unavailable' });
    expectComeBack(await world.call('GET', '/v1/drones', { key: operatorKey }));
  });
});

describe('With a workflow that does not answer', () => {
  it('a cancel is answered 503, and its repetition hears the answer', async () => {
    const { id } = await create();
    await world.append(id, 'confirmed');
    world.temporal.answerCancel(async () => 'no_answer');
    expectComeBack(await world.call('POST', `/v1/deliveries/${id}/cancel`, { key }));
    world.temporal.answerCancel(async () => {
      await world.append(id, { status: 'cancelled', patch: { cancellation_reason: 'requested_by_sender' } });
      return { outcome: 'cancelled', reason: null, detail: null };
    });
    const settled = await world.call('POST', `/v1/deliveries/${id}/cancel`, { key });
    expect(settled.status, settled.text).toBe(200);
    expect(settled.json).toMatchObject({ status: 'cancelled' });
  });
});
