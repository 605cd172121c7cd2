// Every route against every kind of caller. What is another tenant's must look exactly like what does not exist.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { proofImage, publicContract, trackingStream } from '../../api/contract.ts';
import type { PublicOperation } from '../../api/operation.ts';
import { DRONES } from '../../local/seed/index.ts';
import type { AccountId, DeliveryId } from '../../shared/ids.ts';
import { newId } from '../../shared/ids.ts';
import { aRequest, startWorld, type World } from './world.ts';

const CALLERS = [
  'nobody',
  'wrong key',
  'A',
  'A in test mode',
  'B',
  'operator',
  'fleet',
  'own drone',
  'other drone',
] as const;
type Caller = (typeof CALLERS)[number];

const operations: Record<string, PublicOperation> = { ...publicContract, ...trackingStream, ...proofImage };
const [ownDrone, otherDrone] = [DRONES[0]!.id, DRONES[1]!.id];

let world: World;
let keys: Record<Caller, string | undefined>;
let accountA: AccountId;
let deliveryOfA: DeliveryId;
let linkOfA: string;

beforeAll(async () => {
  world = await startWorld();
  const [a, b] = [await world.makeAccount('A'), await world.makeAccount('B')];
  // An account is live or test; the key of a test account must not see what is live.
  const test = await world.makeAccount('A in test mode', false);
  accountA = a.id;
  keys = {
    nobody: undefined,
    'wrong key': 'dd_live_nobody_has_this_key_at_all',
    A: a.key,
    'A in test mode': test.key,
    B: b.key,
    operator: await world.makeKey('operator'),
    fleet: await world.makeKey('drone'),
    'own drone': await world.makeKey('drone', { droneId: ownDrone }),
    'other drone': await world.makeKey('drone', { droneId: otherDrone }),
  };
  const made = await world.clientWith(a.key).createDelivery({ body: aRequest() });
  deliveryOfA = made.id;
  await world.projected(deliveryOfA);
  ({ tracking_token: linkOfA } = await world.delivery.getRecipientAccess({
    params: { delivery_id: deliveryOfA },
  }));
  // Complete, so that its stream ends.
  await world.append(deliveryOfA, { status: 'failed', patch: { complete: true } });
});
afterAll(() => world.close());

const position = { latitude: 47.6, longitude: -122.1 };
const now = new Date().toISOString();
const sample = {
  recorded_at: now,
  position,
  altitude_m: 0,
  speed_mps: 0,
  battery: 1,
  flight_mode: 'parked',
};

/** A well-formed request of each operation, about A's delivery, A's account and `ownDrone`. */
function request(id: string): { path: string; headers?: Record<string, string>; body?: unknown } {
  const { path: pattern, examples, idempotencyKey } = operations[id]!;
  const path = pattern
    .replace(':delivery_id', deliveryOfA)
    .replace(':intervention_id', `int_${deliveryOfA.slice('del_'.length)}_overdue_1`)
    .replace(':tracking_token', linkOfA)
    .replace(':account_id', accountA)
    .replace(':drone_id', ownDrone);
  const bodies: Record<string, unknown> = {
    createDelivery: aRequest(),
    createAccount: { name: 'C' },
    setDroneState: { state: 'idle', reason: 'test' },
    postTelemetry: { drones: [{ drone_id: ownDrone, samples: [sample] }] },
    postPhoto: { ...(examples?.body as object), reservation_id: newId('reservation') },
    requestLoadToken: { reservation_id: newId('reservation'), reservation_token: 1 },
    postMilestone: {
      reservation_id: newId('reservation'),
      reservation_token: 1,
      aircraft_sequence: 1,
      kind: 'took_off',
      occurred_at: now,
      position,
    },
  };
  const body = bodies[id] ?? examples?.body;
  return {
    path,
    ...(idempotencyKey !== undefined && { headers: { 'idempotency-key': newId('event') } }),
    ...(body !== undefined && { body }),
  };
}

/** Orders that are well-formed here, and refused because of how things stand: nothing is reserved, and all is over. */
const REFUSED_AS_THINGS_STAND = new Set([
  'requestLoadToken',
  'postMilestone',
  'postPhoto',
  'confirmDelivery',
  'getProofImage',
  'cancelDelivery',
  'changeDelivery',
  'reassignDrone',
  'abortDelivery',
  'resolveIntervention',
  'retryCompensation',
]);

/** Operations about one tenant's own thing. */
const ABOUT_A = new Set([
  'getDelivery',
  'cancelDelivery',
  'changeDelivery',
  'listDeliveryEvents',
  'getTracking',
  'streamTracking',
  'getProof',
  'getProofImage',
  'getAccount',
]);
const ABOUT_ONE_DRONE = new Set([
  'postTelemetry',
  'getDrone',
  'getMission',
  'requestLoadToken',
  'postMilestone',
  'postPhoto',
]);

/** Right for whom it is for: whatever the services answer to it, but none of the refusals at the door. */
const ADMITTED = 'admitted';
function expected(id: string, caller: Caller): 401 | 403 | 404 | typeof ADMITTED {
  const { access } = operations[id]!;
  // The link is the key.
  if (access === 'anybody') return ADMITTED;
  if (caller === 'nobody' || caller === 'wrong key') return 401;
  const role =
    caller === 'operator' ? 'operator' : ['A', 'B', 'A in test mode'].includes(caller) ? 'business' : 'drone';
  if (!access.includes(role)) return 403;
  // For test keys, and this delivery is a live one.
  if (id === 'getTestRecipient') return caller === 'A in test mode' ? 404 : 403;
  if (role === 'business' && ABOUT_A.has(id) && caller !== 'A') return 404;
  if (caller === 'other drone' && ABOUT_ONE_DRONE.has(id)) return 403;
  // A key that is bound to one drone does not see the fleet.
  if ((caller === 'own drone' || caller === 'other drone') && id === 'listDrones') return 403;
  return ADMITTED;
}

describe.each(Object.keys(operations))('%s', (id) => {
  it.each(CALLERS)('asked by %s', async (caller) => {
    const { path, ...what } = request(id);
    const key = keys[caller];
    const { status, json, headers } = await world.call(operations[id]!.method, path, {
      ...(key !== undefined && { key }),
      ...what,
    });
    const wanted = expected(id, caller);
    if (wanted !== ADMITTED) {
      expect(status).toBe(wanted);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(headers.has('www-authenticate')).toBe(wanted === 401);
      return;
    }
    expect([400, 401, 403], JSON.stringify(json)).not.toContain(status);
    expect(status, JSON.stringify(json)).toBeLessThan(REFUSED_AS_THINGS_STAND.has(id) ? 500 : 300);
  });
});

describe('What is another tenant’s', () => {
  it.each([...ABOUT_A].filter((id) => id !== 'getAccount'))(
    '%s: looks exactly like what does not exist',
    async (id) => {
      const { path, headers: asked, body } = request(id);
      const nothing = newId('delivery');
      const ask = async (where: string) => {
        const { status, text, headers } = await world.call(operations[id]!.method, where, {
          key: keys.B!,
          ...(body !== undefined && { body }),
          headers: { ...asked, 'x-request-id': 'same' },
        });
        const shown = [...headers.keys()].filter((name) => !name.startsWith('ratelimit') && name !== 'date');
        return { status, shown, text: text.replaceAll(deliveryOfA, '_').replaceAll(nothing, '_') };
      };
      const [theirs, none] = [await ask(path), await ask(path.replace(deliveryOfA, nothing))];
      expect(theirs.status).toBe(404);
      expect(theirs).toEqual(none);
    },
  );

  it('is in nobody else’s lists', async () => {
    const list = async (caller: Caller, query = '') =>
      (await world.call('GET', `/v1/deliveries${query}`, { key: keys[caller]! })).text;
    expect(await list('A')).toContain(deliveryOfA);
    expect(await list('operator')).toContain(deliveryOfA);
    for (const caller of ['B', 'A in test mode'] as const)
      expect(await list(caller)).not.toContain(deliveryOfA);
    const widened = await world.call('GET', `/v1/deliveries?account_id=${accountA}`, { key: keys.B! });
    expect(widened.status).toBe(400);
  });

  it('is not touched by a drone’s key that speaks for several drones, one of them not its own', async () => {
    const drones = [ownDrone, otherDrone].map((drone_id) => ({ drone_id, samples: [sample] }));
    const { status } = await world.call('POST', '/v1/telemetry', {
      key: keys['own drone']!,
      body: { drones },
    });
    expect(status).toBe(403);
  });
});

describe('A key', () => {
  it.each([
    ['no scheme', 'dd_live_x'],
    ['another scheme', 'Basic ZGQ6ZGQ='],
    ['no key', 'Bearer '],
    ['two keys', 'Bearer one two'],
    ['a key of wrong characters', 'Bearer schlüssel'],
  ])('with %s is refused', async (_what, authorization) => {
    const { status, headers } = await world.call('GET', '/v1/deliveries', {
      headers: { authorization: Buffer.from(authorization).toString('latin1') },
    });
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toMatch(/^Bearer/);
  });

  it('may be announced in any case', async () => {
    const headers = { authorization: `bearer ${keys.A!}` };
    expect((await world.call('GET', '/v1/deliveries', { headers })).status).toBe(200);
  });
});
