// Proof of delivery by the API: what a recipient may do with a link alone, what the sender reads of it, and what neither may.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DRONES } from '../../local/seed/index.ts';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import { recipientAccess } from '../../services/delivery/contract/recipient.ts';
import { LIVE_CLOCK } from '../../shared/clock.ts';
import { newId } from '../../shared/ids.ts';
import type { OrderResult } from '../../shared/temporal/operator-orders.ts';
import { simulatedPhoto, simulatedSignature } from '../../simulator/pictures.ts';
import { aRequest, startWorld, type World } from './world.ts';

type Confirmation = Delivery['confirmation'];

let world: World;
let live: { key: string };
let test: { key: string };
let operatorKey: string;

/** What the workflow is told, and what it answers. */
const told: { update: string; command: unknown; updateId: string }[] = [];
let answer: () => OrderResult | Promise<never>;
const ACCEPTED = { outcome: 'accepted', reason: null, detail: 'It is lowered.', request: null } as const;
const refused = (reason: string) =>
  ({ outcome: 'refused', reason, detail: 'so it is', request: null }) as const;

beforeAll(async () => {
  world = await startWorld({ ingestion: { cancelWaitMs: 300 } });
  live = await world.makeAccount('Live');
  test = await world.makeAccount('Test', false);
  operatorKey = await world.makeKey('operator');
  world.temporal.answerOrder(async (_deliveryId, update, command, { updateId }) => {
    told.push({ update, command, updateId });
    return answer();
  });
});
afterAll(() => world.close());
beforeEach(() => {
  told.length = 0;
  answer = () => ACCEPTED;
});

const REACHABLE = { ...aRequest().dropoff, contact: { email: 'r@example.com' } };

/** A test delivery whose drone waits at the dropoff, and what its recipient was sent. */
async function waiting(confirmation: Confirmation = 'pin', { arrived = true } = {}) {
  const body = aRequest({
    confirmation,
    dropoff: REACHABLE,
    packages: [{ size: 'small', weight_kg: 1, tag: 'T-1' }],
  });
  const made = await world.call('POST', '/v1/deliveries', { key: test.key, body });
  const id = made.json['id'] as Delivery['id'];
  await expect.poll(() => world.temporal.started).toContain(id);
  if (arrived) {
    await world.append(
      id,
      'confirmed',
      'enroute_to_pickup',
      'arrived_at_pickup',
      'picked_up',
      'enroute_to_dropoff',
      {
        status: 'arrived_at_dropoff',
        patch: { confirmation_status: 'awaited', confirmation_due_at: '2027-01-01T00:00:00Z' },
      },
    );
  } else await world.projected(id);
  const helper = await world.call('GET', `/v1/test_helpers/deliveries/${id}/recipient`, { key: test.key });
  const { tracking_token: token, pin } = helper.json as unknown as { tracking_token: string; pin: string };
  const path = `/v1/track/${token}`;
  return {
    id,
    token,
    pin,
    track: () => world.call('GET', path),
    confirm: (given: unknown) => world.call('POST', `${path}/confirmation`, { body: given }),
  };
}
/** A drone for it, as the workflow reserves one. */
async function reserve(id: Delivery['id']) {
  const { pickup, dropoff } = aRequest();
  const reserved = await world.drone.reserve(
    {
      body: {
        delivery_id: id,
        account_id: newId('account'),
        livemode: false,
        pickup: pickup.location,
        dropoff: dropoff.location,
        payload_kg: 1,
        package_sizes: ['small'],
        clock: LIVE_CLOCK,
        expedited: false,
        wait: false,
        exclude_drone_ids: [],
      },
    },
    { idempotencyKey: `${id}/reserve/1` },
  );
  if (reserved.outcome !== 'reserved') throw new Error(reserved.outcome);
  return reserved;
}

const wrong = (pin: string, n = 1) => String((Number(pin) + n) % 1_000_000).padStart(6, '0');

describe('The tracking link', () => {
  it('shows the recipient where the package is and what it waits for, and nothing of the sender', async () => {
    const { track } = await waiting();
    const { status, json, text, headers } = await track();
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: 'recipient_tracking',
      status: 'arrived_at_dropoff',
      confirmation: { kind: 'pin', status: 'awaited', due_at: '2027-01-01T00:00:00.000Z', attempts_left: 5 },
    });
    for (const hidden of ['price', 'account', 'contact', 'acc_', 'drn_', 'metadata', 'tag', 'pin"'])
      expect(text.replace('"kind":"pin"', '')).not.toContain(hidden);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('shows where the drone is, which drone it is to nobody; and where it was is kept with what was confirmed', async () => {
    const { id, pin, track, confirm } = await waiting();
    expect((await track()).json).toMatchObject({ position_status: 'none', position: null });
    const { drone_id } = await reserve(id);
    await world.append(id, { patch: { drone_id } });
    const heard = {
      recorded_at: new Date(Date.now() - 3_000).toISOString(),
      position: { latitude: 47.6421, longitude: -122.1301 },
      altitude_m: 8,
      speed_mps: 0.5,
    };
    const samples = [{ ...heard, battery: 0.7, flight_mode: 'hover' as const }];
    await world.aircraft.postTelemetry({ body: { drones: [{ drone_id, samples }] } });

    const { json, text } = await track();
    const { position, ...shown } = heard;
    expect(json).toMatchObject({ position_status: 'live', position: { ...shown, location: position } });
    const { age_s } = json['position'] as { age_s: number };
    expect(age_s).toBeGreaterThanOrEqual(3);
    expect(age_s).toBeLessThan(60);
    expect(text).not.toContain(drone_id);

    expect((await confirm({ pin })).status).toBe(200);
    const proof = await world.call('GET', `/v1/deliveries/${id}/proof`, { key: test.key });
    expect(proof.json).toMatchObject({ given_by: 'recipient', position });

    await world.relays.drone.cut();
    expect((await track()).json).toMatchObject({ position_status: 'unavailable', position: null });
    await world.relays.drone.mend();
  });

  it.each(['nonsense', 'trk_', `trk_${newId('delivery').slice(4)}_AAAAAAAAAAAAAAAAAAAAAA`])(
    'that is none (%s) leads nowhere, in the same words',
    async (token) => {
      for (const call of [
        world.call('GET', `/v1/track/${token}`),
        world.call('POST', `/v1/track/${token}/confirmation`, { body: { pin: '123456' } }),
      ]) {
        const { status, json } = await call;
        expect(status).toBe(404);
        expect(json['detail']).toBe('There is no delivery under this link.');
      }
    },
  );

  it('needs no key, and a key opens nothing more', async () => {
    const { id, token } = await waiting();
    const foreign = recipientAccess('x'.repeat(32), id).trackingToken;
    for (const key of [operatorKey, live.key, test.key]) {
      expect((await world.call('GET', `/v1/track/${token}`, { key })).status).toBe(200);
      expect((await world.call('GET', `/v1/track/${foreign}`, { key })).status).toBe(404);
    }
  });

  it('may be asked only so often from one address', async () => {
    const { token } = await waiting();
    const { url: base } = await world.apiProcess({ rateLimits: { openPerMinute: 3 } });
    const ask = () => world.call('GET', `/v1/track/${token}`, { base });
    for (let n = 0; n < 3; n += 1) expect((await ask()).status).toBe(200);
    const { status, headers } = await ask();
    expect(status).toBe(429);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    // Callers with a key are counted by it.
    expect((await world.call('GET', '/v1/deliveries', { key: test.key, base })).status).toBe(200);
  });
});

describe('A recipient', () => {
  it('confirms with the PIN: the workflow is told to look, once for every repetition, and never hears the PIN', async () => {
    const { id, pin, confirm } = await waiting();
    const first = await confirm({ pin });
    expect(first.status).toBe(200);
    expect(first.json).toMatchObject({
      object: 'confirmation',
      outcome: 'confirmed',
      detail: 'It is lowered.',
    });
    expect((await confirm({ pin })).json).toEqual(first.json);
    expect(new Set(told.map((one) => one.updateId))).toEqual(new Set([`${id}/confirm/confirmed`]));
    expect(told[0]).toMatchObject({ update: 'confirm', command: { actor: { role: 'recipient' } } });
    expect(JSON.stringify(told)).not.toContain(pin);
  });

  it('hears how often a wrong PIN may be tried yet; after the last the workflow hears that it is over', async () => {
    const { id, pin, confirm, track } = await waiting();
    const tries = [];
    for (let n = 1; n <= 4; n += 1) tries.push(await confirm({ pin: wrong(pin, n) }));
    for (const { status, json } of tries) {
      expect(status).toBe(422);
      expect(json).toMatchObject({ reason: 'wrong_pin', errors: [{ field: 'pin' }] });
    }
    expect(tries.map(({ json }) => json['detail'])).toEqual(
      ['4 tries', '3 tries', '2 tries', '1 try'].map(
        (left) => `This is not the PIN of the delivery: ${left} left.`,
      ),
    );
    expect(told).toEqual([]);
    expect((await track()).json['confirmation']).toMatchObject({ attempts_left: 1 });
    answer = () => refused('attempts_exhausted');
    for (const given of [wrong(pin, 5), wrong(pin, 6), pin]) {
      const { status, json } = await confirm({ pin: given });
      expect({ status, reason: json['reason'] }).toEqual({ status: 409, reason: 'attempts_exhausted' });
    }
    expect(new Set(told.map((one) => one.updateId))).toEqual(new Set([`${id}/confirm/exhausted`]));
  });

  it('signs, and the sender sees the signature', async () => {
    const { id, confirm } = await waiting('signature');
    const signature = { ...simulatedSignature('R'), signed_by: 'R. Recipient' };
    expect((await confirm({ signature })).status).toBe(200);
    const path = `/v1/deliveries/${id}/proof`;
    const proof = await world.call('GET', path, { key: test.key });
    expect(proof.json).toMatchObject({ kind: 'signature', signed_by: 'R. Recipient', given_by: 'recipient' });
    const response = await fetch(`${world.url}${path}/image`, {
      headers: { authorization: `Bearer ${test.key}` },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(Buffer.from(await response.arrayBuffer()).toString('base64')).toBe(signature.data);
  });

  it('has the tags scanned', async () => {
    const { confirm } = await waiting('barcode');
    const other = await confirm({ barcodes: ['T-2'] });
    expect(other.json).toMatchObject({
      status: 422,
      reason: 'wrong_barcodes',
      errors: [{ field: 'barcodes' }],
    });
    expect((await confirm({ barcodes: ['T-1'] })).status).toBe(200);
  });

  it.each([
    ['nothing', {}],
    ['two things', { pin: '123456', barcodes: ['T-1'] }],
    ['a PIN of letters', { pin: 'abcdef' }],
    ['a PIN that is too short', { pin: '1234' }],
    ['no text that is base64', { signature: { content_type: 'image/png', data: '<svg/>', signed_by: 'R' } }],
    ['an SVG', { signature: { content_type: 'image/svg+xml', data: 'AAAA', signed_by: 'R' } }],
    [
      'a signature of a megabyte',
      { signature: { content_type: 'image/png', data: 'A'.repeat(400_000), signed_by: 'R' } },
    ],
    ['an unknown field', { pin: '123456', hint: 'x' }],
  ])('who gives %s is told what is wrong with it, and loses no try', async (_what, given) => {
    const { confirm, track } = await waiting('pin');
    const { status, json } = await confirm(given);
    expect(status).toBe(400);
    expect(json.errors?.length).toBeGreaterThan(0);
    expect((await track()).json['confirmation']).toMatchObject({ attempts_left: 5 });
  });

  it('who comes before the drone, or after it, is told so', async () => {
    const early = await waiting('pin', { arrived: false });
    expect((await early.confirm({ pin: early.pin })).json).toMatchObject({
      status: 409,
      reason: 'not_awaited',
    });
    const late = await waiting();
    await world.append(late.id, 'enroute_to_return');
    expect((await late.confirm({ pin: late.pin })).json).toMatchObject({
      status: 409,
      reason: 'not_awaited',
    });
    const moment = await waiting();
    answer = () => refused('too_late');
    expect((await moment.confirm({ pin: moment.pin })).json).toMatchObject({
      status: 409,
      reason: 'too_late',
    });
    expect((await waiting('photo').then((one) => one.confirm({ pin: '123456' }))).json).toMatchObject({
      status: 409,
      reason: 'given_by_drone',
    });
  });

  it('whose confirmation cannot be passed on is told that it counts: the workflow will look', async () => {
    const { id, pin, confirm } = await waiting();
    answer = () => 'no_answer';
    const { status, json } = await confirm({ pin });
    expect(status).toBe(202);
    expect(json).toMatchObject({ outcome: 'pending' });
    answer = () => Promise.reject(new Error('Temporal is down'));
    expect((await confirm({ pin })).status).toBe(202);
    const read = await world.delivery.getConfirmation({ params: { delivery_id: id } });
    expect(read.confirmed_at).toBe(json['confirmed_at']);
    answer = () => ACCEPTED;
    expect((await confirm({ pin })).status).toBe(200);
  });

  it('whose drone has come down hears that it counts for the one that takes over', async () => {
    const { pin, confirm } = await waiting();
    const detail = 'It is kept, and counts for the drone that takes over.';
    answer = () => ({ ...ACCEPTED, outcome: 'pending', reason: 'drone_down', detail });
    const { status, json } = await confirm({ pin });
    expect(status).toBe(202);
    expect(json).toMatchObject({ outcome: 'pending', detail });
  });

  it('who repeats it when all is done hears that it is', async () => {
    const { id, pin, confirm } = await waiting();
    await confirm({ pin });
    await world.append(id, 'delivered');
    answer = () => 'gone';
    expect((await confirm({ pin })).json).toMatchObject({ outcome: 'confirmed' });
  });
});

describe('What only the recipient is sent', () => {
  it('is shown to a test key, and to no live one: whoever sends a package cannot confirm it', async () => {
    const body = aRequest({ confirmation: 'pin', dropoff: REACHABLE });
    const made = await world.call('POST', '/v1/deliveries', { key: live.key, body });
    const id = String(made.json['id']);
    const helper = `/v1/test_helpers/deliveries/${id}/recipient`;
    expect((await world.call('GET', helper, { key: live.key })).status).toBe(403);
    // A test key sees no live delivery at all.
    expect((await world.call('GET', helper, { key: test.key })).status).toBe(404);
    await world.projected(id as Delivery['id']);
    const secret = await world.delivery.getRecipientAccess({ params: { delivery_id: id as Delivery['id'] } });
    for (const path of ['', '/events', '/tracking', '/proof']) {
      const { text } = await world.call('GET', `/v1/deliveries/${id}${path}`, { key: live.key });
      expect(text).not.toContain(secret.tracking_token);
      expect(text).not.toContain(`"${secret.pin ?? ''}"`);
    }
  });

  it('is shown to an operator who says why, and the sender sees that it was', async () => {
    const { id, token, pin } = await waiting();
    const path = `/v1/ops/deliveries/${id}/recipient_access`;
    const show = (headers: Record<string, string>) =>
      world.call('POST', path, { key: operatorKey, body: { why: 'the recipient called' }, headers });
    expect((await show({})).status).toBe(400);
    const shown = await show({ 'idempotency-key': 'once' });
    expect(shown.json).toMatchObject({ tracking_token: token, pin });
    await show({ 'idempotency-key': 'once' });
    const events = await world.call('GET', `/v1/deliveries/${id}/events`, { key: test.key });
    expect(events.text.match(/recipient_access_shown/g)).toHaveLength(1);
    expect(events.text).toContain('the recipient called');
    expect(events.text).not.toContain(pin);
  });
});

describe('A drone’s photo', () => {
  it('is kept for the delivery that it flies for, and for no other', async () => {
    const { id } = await waiting('photo');
    const fleetKey = await world.makeKey('drone');
    const droneId = DRONES[0]!.id;
    const reserved = await reserve(id);
    const body = {
      reservation_id: reserved.reservation_id,
      reservation_token: reserved.reservation_token,
      taken_at: '2026-03-01T12:09:10Z',
      position: aRequest().dropoff.location,
      photo: simulatedPhoto('x'),
    };
    const post = (drone: string, change: object = {}) =>
      world.call('POST', `/v1/drones/${drone}/photos`, { key: fleetKey, body: { ...body, ...change } });
    const stale = { outcome: 'ignored', reason: 'stale_reservation' };
    const other = DRONES.find((one) => one.id !== reserved.drone_id)?.id ?? droneId;
    expect((await post(other)).json).toEqual(stale);
    expect(
      (await post(reserved.drone_id, { reservation_token: reserved.reservation_token + 1 })).json,
    ).toEqual(stale);
    expect((await post(reserved.drone_id)).json).toEqual({ outcome: 'stored', reason: null });
    expect((await post(reserved.drone_id, { photo: simulatedPhoto('y') })).json).toMatchObject({
      outcome: 'duplicate',
    });
    const pretended = { photo: { content_type: 'image/jpeg', data: simulatedPhoto('x').data } };
    expect((await post(reserved.drone_id, pretended)).status).toBe(400);
    const proof = await world.call('GET', `/v1/deliveries/${id}/proof`, { key: test.key });
    expect(proof.json).toMatchObject({ kind: 'photo', given_by: 'drone' });
  });
});
