import { createHash } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId, type AccountId } from '../../../shared/ids.ts';
import { serve, silentLogger, type ServedService } from '../../../test/support/service.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { startTcpRelay } from '../../../test/support/tcp-relay.ts';
import { accountContract } from '../contract/index.ts';
import { buildAccountService } from '../service.ts';

const HOUR_MS = 3_600_000;
const KEY_SECRET = 'a secret of the service, long enough';
const usd = (amount: number) => ({ amount, currency: 'USD' });

let database: ServiceDatabase;
let service: ServedService<typeof accountContract>;
let sql: pg.Pool;
let wallMs = Date.parse('2026-03-01T12:00:00Z');

beforeAll(async () => {
  database = await createServiceDatabase('account');
  sql = new pg.Pool({ connectionString: database.url, max: 1 });
  service = await serveAccounts(KEY_SECRET);
});

afterAll(async () => {
  await service.close();
  await sql.end();
  await database.drop();
});

async function serveAccounts(keySecret: string) {
  const app = await buildAccountService({
    databaseUrl: database.url,
    logger: silentLogger,
    keySecret,
    wall: () => wallMs,
    poolSize: 3,
  });
  return serve(app, accountContract);
}

let registrations = 0;
const register = (
  body: Parameters<typeof service.client.createAccount>[0]['body'],
  idempotencyKey?: string,
) =>
  service.client.createAccount(
    { body },
    { idempotencyKey: idempotencyKey ?? `registration/${(registrations += 1)}` },
  );

const setState = (id: AccountId, state: 'active' | 'suspended' | 'closed', reason = 'because') =>
  service.client.setAccountState({ params: { account_id: id }, body: { state, reason, by: 'ops/ada' } });

describe('createAccount', () => {
  test('registers a business with a key that works', async () => {
    const { account, api_key } = await register({ name: 'Contoso' });
    expect(account).toMatchObject({
      object: 'account',
      name: 'Contoso',
      livemode: true,
      state: 'active',
      state_reason: null,
      credit_limit: usd(100_000),
      authorized: usd(0),
      captured: usd(0),
      preferences: { carrier_fallback: true, carrier_price_cap: null },
      created_at: '2026-03-01T12:00:00.000Z',
    });
    expect(await service.client.getAccount({ params: { account_id: account.id } })).toEqual(account);
    expect(api_key).toMatch(/^dd_live_[0-9a-z]{50}$/);
    expect(await service.client.resolveKey({ body: { key: api_key } })).toMatchObject({
      role: 'business',
      account_id: account.id,
      account_state: 'active',
      drone_id: null,
      livemode: true,
      name: 'Contoso',
    });
  });

  test('takes what the caller chose', async () => {
    const { account, api_key } = await register({
      name: 'Tailspin',
      livemode: false,
      credit_limit: usd(5),
      preferences: { carrier_fallback: false },
    });
    expect(account).toMatchObject({
      livemode: false,
      credit_limit: usd(5),
      preferences: { carrier_fallback: false, carrier_price_cap: null },
    });
    expect(api_key).toMatch(/^dd_test_/);
  });

  test('keeps of a key nothing but its hash', async () => {
    const { account, api_key } = await register({ name: 'Contoso' });
    const { rows } = await sql.query<{ all: string; hash: string }>(
      `SELECT concat(to_jsonb(k), to_jsonb(a)) AS all, k.hash
         FROM account a JOIN api_key k ON k.account_id = a.id WHERE a.id = $1`,
      [account.id],
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]!.hash).toBe(createHash('sha256').update(api_key).digest('hex'));
    expect(rows[0]!.all).not.toContain(api_key.slice('dd_live_'.length));
  });

  test('answers a repetition with the same account and key, also when all come at once', async () => {
    const bodies = [
      { name: 'Once' },
      { name: 'Once', livemode: true, credit_limit: usd(100_000) },
      { preferences: { carrier_price_cap: null, carrier_fallback: true }, name: 'Once' },
    ];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => register(bodies[index % bodies.length]!, 'registration/once')),
    );
    expect(new Set(answers.map((answer) => JSON.stringify([answer.account.id, answer.api_key]))).size).toBe(
      1,
    );
    expect(answers.filter(({ replayed }) => replayed !== true)).toHaveLength(1);
    const { rows } = await sql.query(`SELECT 1 FROM api_key WHERE account_id = $1`, [answers[0]!.account.id]);
    expect(rows).toHaveLength(1);
  });

  test('refuses the same key for another registration', async () => {
    await register({ name: 'Contoso' }, 'registration/reused');
    await expect(register({ name: 'Fabrikam' }, 'registration/reused')).rejects.toMatchObject({
      status: 422,
      slug: 'idempotency-key-reused',
    });
  });

  test('does not show the key again after a day, when it is revoked, or when it cannot be known any more', async () => {
    const { account, api_key } = await register({ name: 'Late' }, 'registration/late');
    const shownOnce = {
      status: 409,
      reason: 'key_shown_once',
      detail: expect.stringContaining(account.id) as unknown,
    };
    const other = await serveAccounts('another secret, after it was changed');
    try {
      const repeated = other.client.createAccount(
        { body: { name: 'Late' } },
        { idempotencyKey: 'registration/late' },
      );
      await expect(repeated).rejects.toMatchObject(shownOnce);
    } finally {
      await other.close();
    }
    wallMs += 23 * HOUR_MS;
    expect((await register({ name: 'Late' }, 'registration/late')).api_key).toBe(api_key);
    wallMs += 2 * HOUR_MS;
    await expect(register({ name: 'Late' }, 'registration/late')).rejects.toMatchObject(shownOnce);

    const revoked = await register({ name: 'Revoked' }, 'registration/revoked');
    const { key_id } = await service.client.resolveKey({ body: { key: revoked.api_key } });
    await service.client.revokeKey({ params: { key_id } });
    await expect(register({ name: 'Revoked' }, 'registration/revoked')).rejects.toMatchObject({
      reason: 'key_shown_once',
    });
  });

  test('names every wrong field', async () => {
    const wrong = {
      name: '',
      credit_limit: { amount: -1, currency: 'usd' },
      preferences: { carrier_fallback: 'yes' },
      colour: 'blue',
    };
    const response = await service.app.inject({
      method: 'POST',
      url: '/accounts',
      headers: { 'idempotency-key': 'x' },
      payload: wrong,
    });
    expect(response.statusCode).toBe(400);
    expect(response.headers['content-type']).toContain('application/problem+json');
    const { errors } = response.json<{ errors: { field: string }[] }>();
    expect(errors.map((one) => one.field).sort()).toEqual([
      'colour',
      'credit_limit.amount',
      'credit_limit.currency',
      'name',
      'preferences.carrier_fallback',
    ]);
  });

  test.each([
    ['no idempotency key', { name: 'Contoso' }, {}, 'idempotency-key'],
    [
      'a cap in another currency',
      { name: 'Contoso', preferences: { carrier_price_cap: { amount: 1, currency: 'EUR' } } },
      { 'idempotency-key': 'cap' },
      'preferences.carrier_price_cap.currency',
    ],
    ['a text that cannot be stored', { name: 'Con\u0000toso' }, { 'idempotency-key': 'nul' }, 'body'],
  ])('refuses %s', async (_, payload, headers, field) => {
    const response = await service.app.inject({ method: 'POST', url: '/accounts', headers, payload });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ errors: [{ field }] });
  });
});

describe('setAccountState', () => {
  test('suspends and reactivates, seen at once by whoever resolves a key, and keeps who, when and why', async () => {
    const { account, api_key } = await register({ name: 'Contoso' });
    expect(await setState(account.id, 'suspended', 'unpaid')).toMatchObject({
      state: 'suspended',
      state_reason: 'unpaid',
    });
    expect(await service.client.resolveKey({ body: { key: api_key } })).toMatchObject({
      account_state: 'suspended',
    });
    await setState(account.id, 'suspended', 'said again');
    expect(await setState(account.id, 'active', 'paid')).toMatchObject({ state: 'active' });
    const { rows } = await sql.query(
      `SELECT "from", "to", reason, changed_by FROM account_state_change WHERE account_id = $1 ORDER BY id`,
      [account.id],
    );
    expect(rows).toEqual([
      { from: null, to: 'active', reason: null, changed_by: 'registration' },
      { from: 'active', to: 'suspended', reason: 'unpaid', changed_by: 'ops/ada' },
      { from: 'suspended', to: 'active', reason: 'paid', changed_by: 'ops/ada' },
    ]);
  });

  test('closes for good', async () => {
    const { account } = await register({ name: 'Contoso' });
    expect(await setState(account.id, 'closed')).toMatchObject({ state: 'closed' });
    expect(await setState(account.id, 'closed')).toMatchObject({ state: 'closed' });
    await expect(setState(account.id, 'active')).rejects.toMatchObject({
      status: 409,
      reason: 'account_closed',
    });
  });

  test('knows no account that is not there', async () => {
    const id = newId('account');
    await expect(setState(id, 'suspended')).rejects.toMatchObject({ status: 404 });
    await expect(service.client.getAccount({ params: { account_id: id } })).rejects.toMatchObject({
      status: 404,
    });
  });
});

describe('ensureAccount', () => {
  const body = {
    name: 'Seeded',
    livemode: true,
    state: 'active' as const,
    credit_limit: usd(100),
    preferences: { carrier_fallback: true, carrier_price_cap: usd(7) },
  };

  test('creates, then updates, and is the same however often', async () => {
    const id = newId('account');
    const ensure = (over: Partial<typeof body> = {}) =>
      service.client.ensureAccount({ params: { account_id: id }, body: { ...body, ...over } });
    const [first, again] = await Promise.all([ensure(), ensure()]);
    expect(first).toEqual(again);
    expect(first).toMatchObject({ id, ...body });
    expect(await ensure({ name: 'Renamed', credit_limit: usd(5) })).toMatchObject({
      name: 'Renamed',
      credit_limit: usd(5),
      created_at: first.created_at,
    });
  });

  test('never changes the mode or the currency', async () => {
    const id = newId('account');
    await service.client.ensureAccount({ params: { account_id: id }, body });
    for (const over of [
      { livemode: false },
      {
        credit_limit: { amount: 1, currency: 'EUR' },
        preferences: { carrier_fallback: true, carrier_price_cap: null },
      },
    ]) {
      const changed = service.client.ensureAccount({
        params: { account_id: id },
        body: { ...body, ...over },
      });
      await expect(changed).rejects.toMatchObject({ status: 409, reason: 'account_fixed' });
    }
  });
});

describe('keys', () => {
  const droneKey = {
    key: 'dd_drone_of_the_stack_0123456789',
    role: 'drone' as const,
    name: 'the fleet',
    account_id: null,
    drone_id: null,
    livemode: true,
  };

  test('a key that the caller made is registered once', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () => service.client.ensureKey({ body: droneKey })),
    );
    expect(new Set(all.map((one) => one.key_id)).size).toBe(1);
    expect(await service.client.resolveKey({ body: { key: droneKey.key } })).toEqual(all[0]);
    await expect(service.client.ensureKey({ body: { ...droneKey, role: 'operator' } })).rejects.toMatchObject(
      { status: 409, reason: 'key_taken' },
    );
  });

  test('a business key belongs to an account of its mode, the others to none', async () => {
    const key = (over: object) =>
      service.client.ensureKey({
        body: {
          key: `dd_live_${newId('request')}`,
          role: 'business',
          name: 'x',
          account_id: null,
          drone_id: null,
          livemode: true,
          ...over,
        },
      });
    const { account } = await register({ name: 'Contoso', livemode: false });
    await expect(key({ account_id: account.id })).rejects.toMatchObject({ reason: 'account_unfit' });
    await expect(key({ account_id: newId('account') })).rejects.toMatchObject({ reason: 'account_unfit' });
    expect(await key({ account_id: account.id, livemode: false })).toMatchObject({
      account_id: account.id,
      account_state: 'active',
    });
    await expect(key({})).rejects.toMatchObject({ errors: [{ field: 'account_id' }] });
    await expect(
      key({ role: 'operator', account_id: account.id, drone_id: newId('drone') }),
    ).rejects.toMatchObject({ errors: [{ field: 'account_id' }, { field: 'drone_id' }] });
  });

  test('nobody knows an unknown or a revoked key, and a revoked one stays so', async () => {
    const unknown = service.client.resolveKey({ body: { key: 'dd_live_nobody' } });
    await expect(unknown).rejects.toMatchObject({ status: 401, slug: 'unauthorized' });
    const mine = { ...droneKey, key: 'dd_drone_to_be_revoked_0123456789' };
    const { key_id } = await service.client.ensureKey({ body: mine });
    const first = await service.client.revokeKey({ params: { key_id } });
    wallMs += HOUR_MS;
    expect(await service.client.revokeKey({ params: { key_id } })).toEqual(first);
    await expect(service.client.resolveKey({ body: { key: mine.key } })).rejects.toMatchObject({
      status: 401,
    });
    await expect(service.client.ensureKey({ body: mine })).rejects.toMatchObject({ reason: 'key_revoked' });
    await expect(service.client.revokeKey({ params: { key_id: newId('apiKey') } })).rejects.toMatchObject({
      status: 404,
    });
  });

  test('the recent ones are told by their hashes, newest first, without the revoked', async () => {
    const { api_key } = await register({ name: 'Newest' });
    const { api_key: revoked } = await register({ name: 'Revoked' });
    const { key_id } = await service.client.resolveKey({ body: { key: revoked } });
    await service.client.revokeKey({ params: { key_id } });
    const { data } = await service.client.recentKeys({ query: { limit: 1 } });
    expect(data).toEqual([
      {
        key_hash: createHash('sha256').update(api_key).digest('hex'),
        principal: await service.client.resolveKey({ body: { key: api_key } }),
      },
    ]);
  });
});

test('pages through accounts, newest first', async () => {
  const made = [];
  for (let index = 0; index < 3; index += 1)
    made.push((await register({ name: `Page ${index}` })).account.id);
  const first = await service.client.listAccounts({ query: { limit: 2 } });
  expect(first.data).toHaveLength(2);
  const second = await service.client.listAccounts({ query: { limit: 2, cursor: first.next_cursor! } });
  const ids = [...first.data, ...second.data].map((one) => one.id);
  expect(new Set(ids).size).toBe(4);
  expect(ids).toEqual([...ids].sort().reverse());
  expect(made.every((id) => ids.includes(id))).toBe(true);
  await expect(service.client.listAccounts({ query: { cursor: 'page 2' } })).rejects.toMatchObject({
    status: 400,
    errors: [{ field: 'cursor' }],
  });
});

test('documents every operation', async () => {
  const document = (await service.app.inject('/openapi.json')).json<{
    openapi: string;
    paths: Record<string, Record<string, { operationId: string }>>;
  }>();
  expect(document.openapi).toBe('3.1.0');
  const operations = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((one) => one.operationId),
  );
  expect(operations.sort()).toEqual(Object.keys(accountContract).sort());
});

test('says 503 with Retry-After while the database is down, and goes on when it is back', async () => {
  const relay = await startTcpRelay(database.url);
  const app = await buildAccountService({
    databaseUrl: relay.through(database.url),
    logger: silentLogger,
    poolSize: 2,
  });
  const resolve = () =>
    app.inject({ method: 'POST', url: '/keys/resolve', payload: { key: 'dd_live_nobody' } });
  try {
    expect((await resolve()).statusCode).toBe(401);
    expect((await app.inject('/health/ready')).statusCode).toBe(200);
    await relay.cut();
    const answer = await resolve();
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.json()).toMatchObject({ type: expect.stringMatching(/unavailable$/) as unknown });
    expect((await app.inject('/health/ready')).statusCode).toBe(503);
    expect((await app.inject('/health/live')).statusCode).toBe(200);
    await relay.mend();
    await expect.poll(async () => (await resolve()).statusCode, { timeout: 10_000 }).toBe(401);
    expect((await app.inject('/health/ready')).statusCode).toBe(200);
  } finally {
    await app.close();
    await relay.close();
  }
});
