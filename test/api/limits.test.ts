// How much one caller may ask of the api.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DRONES } from '../../local/seed/index.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let key: string;
let otherKey: string;
let fleetKey: string;

beforeAll(async () => {
  world = await startWorld();
  ({ key } = await world.makeAccount('Eager'));
  ({ key: otherKey } = await world.makeAccount('Calm'));
  fleetKey = await world.makeKey('drone');
});
afterAll(() => world.close());

const telemetry = {
  drones: [
    {
      drone_id: DRONES[0]!.id,
      samples: [
        {
          recorded_at: '2026-03-01T12:00:00Z',
          position: { latitude: 47.6, longitude: -122.1 },
          altitude_m: 0,
          speed_mps: 0,
          battery: 1,
          flight_mode: 'parked',
        },
      ],
    },
  ],
};

describe('One key', () => {
  it('may call so many times a minute, and hears how many are left', async () => {
    const { url: base } = await world.apiProcess({ rateLimits: { perMinute: 3 } });
    const list = (caller: string) => world.call('GET', '/v1/deliveries', { key: caller, base });
    const seen = [];
    for (let n = 0; n < 3; n += 1) {
      const { status, headers } = await list(key);
      expect(status).toBe(200);
      seen.push([headers.get('ratelimit-limit'), headers.get('ratelimit-remaining')]);
      expect(Number(headers.get('ratelimit-reset'))).toBeGreaterThan(0);
    }
    expect(seen).toEqual([
      ['3', '2'],
      ['3', '1'],
      ['3', '0'],
    ]);
    const { status, headers, json } = await list(key);
    expect(status).toBe(429);
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(json['type']).toMatch(/too-many-requests$/);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(json['retry_after_s']).toBe(Number(headers.get('retry-after')));
    // One for all routes of a key, and none for another key.
    expect((await world.call('GET', '/v1/deliveries?limit=1', { key, base })).status).toBe(429);
    expect((await list(otherKey)).status).toBe(200);
  });

  it('has its telemetry counted apart', async () => {
    const { url: base } = await world.apiProcess({ rateLimits: { perMinute: 1, telemetryPerMinute: 2 } });
    const tell = () => world.call('POST', '/v1/telemetry', { key: fleetKey, body: telemetry, base });
    expect((await world.call('GET', '/v1/models', { key: fleetKey, base })).status).toBe(200);
    expect((await world.call('GET', '/v1/models', { key: fleetKey, base })).status).toBe(429);
    expect([(await tell()).status, (await tell()).status, (await tell()).status]).toEqual([202, 202, 429]);
  });
});

describe('One address', () => {
  it('may try so many keys that nobody has, and real keys go on working', async () => {
    const { url: base } = await world.apiProcess({ wrongKeysPerMinute: 2 });
    const tryKey = (n: number) =>
      world.call('GET', '/v1/deliveries', { key: `dd_live_guess_number_${n}`, base });
    expect([(await tryKey(1)).status, (await tryKey(2)).status]).toEqual([401, 401]);
    const { status, headers, json } = await tryKey(3);
    expect(status).toBe(429);
    expect(json['reason']).toBe('wrong_keys');
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await world.call('GET', '/v1/deliveries', { key, base })).status).toBe(200);
  });
});

describe('Web pages', () => {
  const origin = 'https://console.example.com';
  it('may not call unless their origin is told', async () => {
    const { headers } = await world.call('GET', '/v1/deliveries', { key, headers: { origin } });
    expect(headers.has('access-control-allow-origin')).toBe(false);
    const { url: base } = await world.apiProcess({ corsOrigins: [origin] });
    const allowed = await world.call('GET', '/v1/deliveries', { key, headers: { origin }, base });
    expect(allowed.headers.get('access-control-allow-origin')).toBe(origin);
    const preflight = await world.call('OPTIONS', '/v1/deliveries', {
      base,
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(204);
  });
});

describe('An overloaded process', () => {
  it('turns requests away, says when to come back, and stays reachable for its supervisor', async () => {
    const { url: base } = await world.apiProcess({ maxEventLoopDelayMs: 0.001 });
    await expect
      .poll(() => world.call('GET', '/v1/deliveries', { key, base }), { timeout: 20_000 })
      .toMatchObject({ status: 503, json: { reason: 'overloaded', retry_after_s: 5 } });
    const { status } = await world.call('GET', '/health/live', { base });
    expect(status).toBe(200);
  });
});
