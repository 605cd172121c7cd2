// What is malformed is a 400 that names every wrong field; never a 500, never an accept.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../shared/ids.ts';
import { aRequest, startWorld, type World } from './world.ts';

let world: World;
let key: string;
let operatorKey: string;
let fleetKey: string;

beforeAll(async () => {
  world = await startWorld();
  ({ key } = await world.makeAccount('Clumsy'));
  operatorKey = await world.makeKey('operator');
  fleetKey = await world.makeKey('drone');
});
afterAll(() => world.close());

const good = aRequest();
const at = (latitude: unknown, longitude: unknown) => ({ location: { latitude, longitude } });
const box = (changes: object) => [{ size: 'small', weight_kg: 1, ...changes }];

async function wrongFields(body: unknown, headers: Record<string, string> = {}): Promise<string[]> {
  const response = await world.call('POST', '/v1/deliveries', { key, body, headers });
  expect(response.status, response.text).toBe(400);
  expect(response.json['type']).toMatch(/invalid-request$/);
  for (const { message } of response.json.errors ?? []) expect(message).not.toBe('');
  return (response.json.errors ?? []).map(({ field }) => field);
}

describe('POST /v1/deliveries names', () => {
  it.each([
    ['a latitude beyond the pole', { ...good, pickup: at(90.0001, 0) }, ['pickup.location.latitude']],
    ['a longitude beyond the date line', { ...good, dropoff: at(0, -181) }, ['dropoff.location.longitude']],
    ['coordinates as text', { ...good, pickup: at('47', 0) }, ['pickup.location.latitude']],
    [
      'a missing coordinate',
      { ...good, pickup: { location: { latitude: 1 } } },
      ['pickup.location.longitude'],
    ],
    ['a missing place', { ...good, dropoff: {} }, ['dropoff.location']],
    ['a missing dropoff', { ...good, dropoff: undefined }, ['dropoff']],
    ['a pickup that is null', { ...good, pickup: null }, ['pickup']],
    ['an unknown size', { ...good, packages: box({ size: 'huge' }) }, ['packages[0].size']],
    ['a negative weight', { ...good, packages: box({ weight_kg: -1 }) }, ['packages[0].weight_kg']],
    ['a weight of nothing', { ...good, packages: box({ weight_kg: 0 }) }, ['packages[0].weight_kg']],
    ['a weight as text', { ...good, packages: box({ weight_kg: '1.2' }) }, ['packages[0].weight_kg']],
    ['no packages', { ...good, packages: [] }, ['packages']],
    ['too many packages', { ...good, packages: Array.from({ length: 21 }, () => box({})[0]) }, ['packages']],
    ['packages that are no list', { ...good, packages: box({})[0] }, ['packages']],
    ['an unknown field', { ...good, colour: 'red' }, ['colour']],
    ['an unknown field inside', { ...good, packages: box({ colour: 'red' }) }, ['packages[0].colour']],
    ['a deadline in words', { ...good, deadline: 'tomorrow' }, ['deadline']],
    ['a date that does not exist', { ...good, deadline: '2026-02-30T12:00:00Z' }, ['deadline']],
    ['a time without its zone', { ...good, deadline: '2026-02-03T12:00:00' }, ['deadline']],
    ['an unknown confirmation', { ...good, confirmation: 'handshake' }, ['confirmation']],
    ['an unknown action', { ...good, undeliverable_action: 'eat' }, ['undeliverable_action']],
    ['a flag as text', { ...good, expedited: 'yes' }, ['expedited']],
    [
      'a currency that is no code',
      { ...good, packages: box({ declared_value: { amount: 1, currency: 'usd' } }) },
      ['packages[0].declared_value.currency'],
    ],
    [
      'half a cent',
      { ...good, packages: box({ declared_value: { amount: 1.5, currency: 'USD' } }) },
      ['packages[0].declared_value.amount'],
    ],
    [
      'a phone number of a country unknown',
      { ...good, pickup: { ...good.pickup, contact: { phone: '0555' } } },
      ['pickup.contact.phone'],
    ],
    [
      'an address that is no email',
      { ...good, dropoff: { ...good.dropoff, contact: { email: 'nobody' } } },
      ['dropoff.contact.email'],
    ],
    ['an empty external id', { ...good, external_id: '' }, ['external_id']],
    ['metadata that is not text', { ...good, metadata: { a: 1 } }, ['metadata.a']],
    [
      'metadata with an endless name',
      { ...good, metadata: { ['n'.repeat(41)]: 'x' } },
      [`metadata.${'n'.repeat(41)}`],
    ],
    [
      'metadata without end',
      { ...good, metadata: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`k${n}`, ''])) },
      ['metadata'],
    ],
    ['an object without anything', {}, ['pickup', 'dropoff', 'packages']],
    ['a list', [], ['body']],
    ['a number', 7, ['body']],
    ['null', 'null', ['body']],
  ] as [string, unknown, string[]][])('%s', async (_what, body, fields) => {
    expect((await wrongFields(body)).sort()).toEqual([...fields].sort());
  });

  it('every wrong field at once, in the body and in a header', async () => {
    const fields = await wrongFields(
      {
        pickup: at(91, 181),
        dropoff: { location: { latitude: 0 }, floor: 3 },
        packages: [{ size: 'huge', weight_kg: -1 }, {}],
        confirmation: 'handshake',
        colour: 'red',
      },
      { 'idempotency-key': 'x'.repeat(300) },
    );
    expect(fields.sort()).toEqual(
      [
        'idempotency-key',
        'pickup.location.latitude',
        'pickup.location.longitude',
        'dropoff.location.longitude',
        'dropoff.floor',
        'packages[0].size',
        'packages[0].weight_kg',
        'packages[1].size',
        'packages[1].weight_kg',
        'confirmation',
        'colour',
      ].sort(),
    );
  });

  it.each([
    ['what is not JSON', '{"pickup": ', {}],
    ['JSON with something after it', '{} {}', {}],
    ['a body that plays with prototypes', '{"__proto__": {"x": 1}}', {}],
    ['a body of the wrong type', 'pickup=here', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['plain text', 'hello', { 'content-type': 'text/plain' }],
    ['XML', '<delivery/>', { 'content-type': 'application/xml' }],
    ['an empty body', '', {}],
    ['a huge body', JSON.stringify({ ...good, metadata: { a: 'x'.repeat(1024 * 1024) } }), {}],
    ['a NUL in a text', JSON.stringify({ ...good, external_id: 'a\u0000b' }), {}],
  ])('%s', async (_what, body, headers) => {
    expect((await wrongFields(body, headers)).length).toBe(1);
  });

  it('no body at all', async () => {
    const { status, json } = await world.call('POST', '/v1/deliveries', { key });
    expect(status).toBe(400);
    expect(json.errors).toEqual([{ field: 'body', message: expect.any(String) as string }]);
  });

  it('nothing of what is fine at its very limits', async () => {
    const request = {
      ...good,
      external_id: 'x'.repeat(200),
      metadata: Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`k${n}`, 'v'.repeat(500)])),
      packages: box({ weight_kg: 0.001, tag: 't'.repeat(100) }),
      deadline: '2099-12-31T23:59:60Z',
    };
    const { status, text } = await world.call('POST', '/v1/deliveries', { key, body: request });
    expect(status, text).toBe(201);
  });
});

describe('Elsewhere, too, what is malformed is named', () => {
  const someDelivery = newId('delivery');
  const someDrone = newId('drone');
  it.each([
    ['GET', '/v1/deliveries/17', 'business', ['delivery_id']],
    ['GET', `/v1/deliveries/${newId('account')}`, 'business', ['delivery_id']],
    ['GET', '/v1/deliveries?limit=0', 'business', ['limit']],
    ['GET', '/v1/deliveries?limit=many&complete=perhaps', 'business', ['limit', 'complete']],
    ['GET', '/v1/deliveries?status=lost', 'business', ['status[0]']],
    ['GET', '/v1/deliveries?created_after=yesterday', 'business', ['created_after']],
    ['GET', '/v1/deliveries?colour=red', 'business', ['colour']],
    ['GET', '/v1/deliveries?cursor=nonsense', 'business', ['cursor']],
    ['GET', `/v1/deliveries/${someDelivery}/events?after_sequence=-1`, 'business', ['after_sequence']],
    ['POST', `/v1/deliveries/${someDelivery}/cancel`, 'business', ['reason'], { reason: 'whim' }],
    [
      'POST',
      '/v1/deliveries/x/cancel',
      'business',
      ['delivery_id', 'reason', 'colour'],
      { reason: 7, colour: 'red' },
    ],
    [
      'POST',
      '/v1/accounts',
      'operator',
      ['name', 'credit_limit.amount'],
      { credit_limit: { amount: -1, currency: 'USD' } },
    ],
    ['POST', `/v1/ops/accounts/${newId('account')}/suspend`, 'operator', ['reason'], {}],
    ['GET', '/v1/ops/deliveries?account_id=me', 'operator', ['account_id']],
    ['POST', '/v1/telemetry', 'drone', ['drones'], { drones: [] }],
    [
      'POST',
      '/v1/telemetry',
      'drone',
      ['drones[0].samples[0].battery'],
      {
        drones: [
          {
            drone_id: someDrone,
            samples: [
              {
                recorded_at: '2026-01-01T00:00:00Z',
                position: { latitude: 0, longitude: 0 },
                altitude_m: 1,
                speed_mps: 1,
                battery: 2,
                flight_mode: 'cruise',
              },
            ],
          },
        ],
      },
    ],
    ['GET', `/v1/drones/${someDrone}/mission?wait_ms=60000`, 'drone', ['wait_ms']],
    [
      'POST',
      `/v1/drones/${someDrone}/milestones`,
      'drone',
      ['reservation_id', 'reservation_token', 'aircraft_sequence', 'kind', 'occurred_at', 'position'],
      {},
    ],
  ] as [string, string, 'business' | 'operator' | 'drone', string[], unknown?][])(
    '%s %s (%s)',
    async (method, path, role, fields, body) => {
      const keys = { business: key, operator: operatorKey, drone: fleetKey };
      const response = await world.call(method, path, {
        key: keys[role],
        ...(body !== undefined && { body }),
      });
      expect(response.status, response.text).toBe(400);
      expect(response.json.errors?.map(({ field }) => field).sort()).toEqual([...fields].sort());
    },
  );

  it('a stream that goes on after nonsense', async () => {
    const { status, json } = await world.call('GET', `/v1/deliveries/${someDelivery}/tracking/stream`, {
      key,
      headers: { 'last-event-id': 'seven' },
    });
    expect(status).toBe(400);
    expect(json.errors?.map(({ field }) => field)).toEqual(['last-event-id']);
  });

  it('a path that is no route is a 404 like any other', async () => {
    const { status, headers, json } = await world.call('GET', '/v1/deliverys', { key });
    expect(status).toBe(404);
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(json['detail']).toBe('There is no GET /v1/deliverys.');
  });
});
