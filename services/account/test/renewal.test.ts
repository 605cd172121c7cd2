/** Authorizations that run out, and their renewal. The service's time is the test's. */
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isoTime } from '../../../shared/clock.ts';
import { newId, type AccountId } from '../../../shared/ids.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { serve, silentLogger, type ServedService } from '../../../test/support/service.ts';
import { accountContract, AUTHORIZATION_VALID_S } from '../contract/index.ts';
import { buildAccountService } from '../service.ts';

const VALID_MS = AUTHORIZATION_VALID_S * 1000;
const usd = (amount: number) => ({ amount, currency: 'USD' });

let database: ServiceDatabase;
let app: FastifyInstance;
let service: ServedService<typeof accountContract>;
let nowMs = Date.parse('2026-03-01T12:00:00Z');

beforeAll(async () => {
  database = await createServiceDatabase('account');
  app = await buildAccountService({ databaseUrl: database.url, logger: silentLogger, wall: () => nowMs });
  service = await serve(app, accountContract);
});
afterAll(async () => {
  await service.close();
  await database.drop();
});

async function account(creditLimit: number) {
  const id = newId('account');
  await ensure(id, creditLimit);
  return id;
}

const ensure = (id: AccountId, creditLimit: number) =>
  service.client.ensureAccount({
    params: { account_id: id },
    body: {
      name: 'Contoso',
      livemode: true,
      state: 'active',
      credit_limit: usd(creditLimit),
      preferences: { carrier_fallback: false, carrier_price_cap: null },
    },
  });

function steps(accountId: AccountId) {
  const delivery_id = newId('delivery');
  const authorize_key = `${delivery_id}/authorize/1`;
  return {
    authorize: (amount: number) =>
      service.client.authorize(
        { body: { account_id: accountId, delivery_id, livemode: true, amount: usd(amount) } },
        { idempotencyKey: authorize_key },
      ),
    renew: (ordinal = 1) =>
      service.client.renewAuthorization(
        { body: { authorize_key, delivery_id } },
        { idempotencyKey: `${delivery_id}/renew/${ordinal}` },
      ),
    capture: (amount: number) =>
      service.client.capture(
        { body: { authorize_key, delivery_id, amount: usd(amount), reason: 'delivered' } },
        { idempotencyKey: `${delivery_id}/capture/1` },
      ),
    void: () =>
      service.client.voidAuthorization(
        { body: { authorize_key, account_id: accountId, delivery_id } },
        { idempotencyKey: `${delivery_id}/void/1` },
      ),
  };
}

async function totals(id: AccountId) {
  const { authorized, captured } = await service.client.getAccount({ params: { account_id: id } });
  return { authorized: authorized.amount, captured: captured.amount };
}

/** Lets so much time pass, and what has run out by then lapse. */
async function pass(ms: number): Promise<void> {
  nowMs += ms;
  await app.lapsePump.runDue();
}

describe('an authorization', () => {
  test('says when it runs out, and holds no credit from then on', async () => {
    const id = await account(1000);
    const one = steps(id);
    const expiresAt = isoTime(nowMs + VALID_MS);
    expect(await one.authorize(600)).toMatchObject({ outcome: 'authorized', expires_at: expiresAt });
    await pass(VALID_MS - 1);
    expect(await totals(id)).toEqual({ authorized: 600, captured: 0 });
    await pass(1);
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
    expect(await steps(id).authorize(1000)).toMatchObject({ outcome: 'authorized' });
  });

  test('that has run out can still be captured: the delivery was made', async () => {
    const id = await account(1000);
    const one = steps(id);
    await one.authorize(600);
    await pass(VALID_MS);
    expect(await one.capture(600)).toMatchObject({ outcome: 'captured' });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 600 });
  });

  test('that has run out can still be voided, and takes nothing from the totals', async () => {
    const id = await account(1000);
    const one = steps(id);
    await one.authorize(600);
    await pass(VALID_MS);
    expect(await one.void()).toEqual({ outcome: 'voided' });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
  });
});

describe('a renewal', () => {
  test('holds the amount for as long again, from now', async () => {
    const id = await account(1000);
    const one = steps(id);
    await one.authorize(600);
    await pass(VALID_MS - 1000);
    expect(await one.renew()).toEqual({ outcome: 'renewed', expires_at: isoTime(nowMs + VALID_MS) });
    await pass(VALID_MS - 1);
    expect(await totals(id)).toEqual({ authorized: 600, captured: 0 });
  });

  test('repeated with its key answers the first result; another key renews again', async () => {
    const one = steps(await account(1000));
    await one.authorize(600);
    const first = await one.renew(1);
    await pass(1000);
    expect(await one.renew(1)).toEqual(first);
    expect(await one.renew(2)).toEqual({ outcome: 'renewed', expires_at: isoTime(nowMs + VALID_MS) });
  });

  test('holds again what had run out, if the credit is free', async () => {
    const id = await account(1000);
    const one = steps(id);
    await one.authorize(600);
    await pass(VALID_MS);
    const other = steps(id);
    await other.authorize(600);
    expect(await one.renew()).toMatchObject({
      outcome: 'refused',
      reason: 'credit_exceeded',
      detail: '6.00 USD is more than the 4.00 USD of credit that were left.',
    });
    await other.void();
    expect(await one.renew(2)).toMatchObject({ outcome: 'renewed' });
    expect(await totals(id)).toEqual({ authorized: 600, captured: 0 });
  });

  test.each(['suspended', 'closed'] as const)('is refused once the account is %s', async (state) => {
    const id = await account(1000);
    const one = steps(id);
    await one.authorize(600);
    await service.client.setAccountState({
      params: { account_id: id },
      body: { state, reason: 'unpaid', by: 'test' },
    });
    expect(await one.renew()).toMatchObject({ outcome: 'refused', reason: `account_${state}` });
    expect(await totals(id)).toEqual({ authorized: 600, captured: 0 });
  });

  test('is refused once the credit limit is below what is in use', async () => {
    const id = await account(1000);
    const one = steps(id);
    await one.authorize(600);
    await ensure(id, 500);
    expect(await one.renew()).toMatchObject({ outcome: 'refused', reason: 'credit_exceeded' });
  });

  test.each(['captured', 'voided', 'never there'] as const)('finds nothing to renew: %s', async (ended) => {
    const one = steps(await account(1000));
    if (ended !== 'never there') await one.authorize(600);
    if (ended === 'captured') await one.capture(600);
    if (ended === 'voided') await one.void();
    expect(await one.renew()).toMatchObject({ outcome: 'refused', reason: 'not_authorized' });
  });

  test('at once with captures, voids and lapses of its account leaves the totals what the rows say', async () => {
    const id = await account(100_000);
    const all = Array.from({ length: 12 }, () => steps(id));
    for (const one of all) await one.authorize(100);
    nowMs += VALID_MS;
    const outcomes = await Promise.all([
      app.lapsePump.runDue(),
      ...all.map((one) => one.renew()),
      ...all.slice(0, 4).map((one) => one.capture(100)),
      ...all.slice(4, 8).map((one) => one.void()),
    ]);
    expect(outcomes).toHaveLength(21);
    await app.lapsePump.runDue();
    for (const one of all.slice(8)) await one.renew(2);
    expect(await totals(id)).toEqual({ authorized: 400, captured: 400 });
  });
});
