import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { POOL_SIZE } from '../../../prisma/connection-budget.ts';
import { newId, type AccountId, type DeliveryId } from '../../../shared/ids.ts';
import { serve, silentLogger, type ServedService } from '../../../test/support/service.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { accountContract, type Preferences } from '../contract/index.ts';
import { buildAccountService } from '../service.ts';

const PREFERENCES: Preferences = { carrier_fallback: true, carrier_price_cap: null };
/** For what happens at once on an idle machine. */
const PATIENCE = { timeout: 10_000 };
const usd = (amount: number) => ({ amount, currency: 'USD' });

let database: ServiceDatabase;
let service: ServedService<typeof accountContract>;
let sql: pg.Pool;

beforeAll(async () => {
  database = await createServiceDatabase('account');
  sql = new pg.Pool({ connectionString: database.url, max: 2 });
  const app = await buildAccountService({ databaseUrl: database.url, logger: silentLogger });
  service = await serve(app, accountContract);
});

afterAll(async () => {
  await service.close();
  await sql.end();
  await database.drop();
});

/** A new account with this much credit, and the calls of one delivery's steps. */
async function account(creditLimit: number, livemode = true): Promise<AccountId> {
  const id = newId('account');
  await service.client.ensureAccount({
    params: { account_id: id },
    body: {
      name: 'Contoso',
      livemode,
      state: 'active',
      credit_limit: usd(creditLimit),
      preferences: PREFERENCES,
    },
  });
  return id;
}

function steps(accountId: AccountId, deliveryId: DeliveryId = newId('delivery'), step = 'authorize/1') {
  const authorizeKey = `${deliveryId}/${step}`;
  return {
    deliveryId,
    authorizeKey,
    authorize: (amount: number, over: { key?: string; livemode?: boolean; currency?: string } = {}) =>
      service.client.authorize(
        {
          body: {
            account_id: accountId,
            delivery_id: deliveryId,
            livemode: over.livemode ?? true,
            amount: { amount, currency: over.currency ?? 'USD' },
          },
        },
        { idempotencyKey: over.key ?? authorizeKey },
      ),
    capture: (amount: number, key = `${deliveryId}/capture/1`, charge?: number) =>
      service.client.capture(
        {
          body: {
            authorize_key: authorizeKey,
            delivery_id: deliveryId,
            amount: usd(amount),
            ...(charge !== undefined && { charge: usd(charge) }),
            reason: 'delivered',
          },
        },
        { idempotencyKey: key },
      ),
    void: (key = `${deliveryId}/void/1`) =>
      service.client.voidAuthorization(
        { body: { authorize_key: authorizeKey, account_id: accountId, delivery_id: deliveryId } },
        { idempotencyKey: key },
      ),
  };
}

async function totals(id: AccountId) {
  const { authorized, captured } = await service.client.getAccount({ params: { account_id: id } });
  return { authorized: authorized.amount, captured: captured.amount };
}

/** Holds the account's row, so that what needs it queues up until the gate is opened. */
async function holdAccount(id: AccountId) {
  const holder = new pg.Client({ connectionString: database.adminUrl });
  await holder.connect();
  await holder.query('SET search_path = account');
  await holder.query('BEGIN');
  await holder.query('SELECT 1 FROM account WHERE id = $1 FOR UPDATE', [id]);
  return {
    waitForQueue: (length: number) =>
      expect
        .poll(async () => {
          const { rows } = await sql.query<{ waiting: string }>(
            `SELECT count(*) AS waiting FROM pg_stat_activity
              WHERE datname = current_database() AND usename = current_user AND wait_event_type = 'Lock'`,
          );
          return Number(rows[0]!.waiting);
        }, PATIENCE)
        .toBe(length),
    /** An authorize step that has written, and is not done before the gate opens. */
    authorize: (account: AccountId, { deliveryId, authorizeKey }: ReturnType<typeof steps>, amount: number) =>
      holder.query(
        `INSERT INTO credit_authorization
           (id, step_key, account_id, delivery_id, livemode, state, amount, currency, created_at, expires_at)
         VALUES ($1, $2, $3, $4, true, 'authorized', $5, 'USD', now(), now() + interval '7 days')`,
        [newId('authorization'), authorizeKey, account, deliveryId, amount],
      ),
    async open() {
      await holder.query('COMMIT');
      await holder.end();
    },
  };
}

/** What the rows say, added up without the trigger. */
async function sums(id: AccountId) {
  const { rows } = await sql.query<{ authorized: string; captured: string }>(
    `SELECT coalesce(sum(amount) FILTER (WHERE state = 'authorized'), 0) AS authorized,
            coalesce(sum(captured) FILTER (WHERE state = 'captured'), 0) AS captured
       FROM credit_authorization WHERE account_id = $1`,
    [id],
  );
  return { authorized: Number(rows[0]!.authorized), captured: Number(rows[0]!.captured) };
}

describe('authorize', () => {
  test('holds the amount, and answers the account’s preferences', async () => {
    const id = await account(1000);
    const answer = await steps(id).authorize(600);
    expect(answer).toMatchObject({ outcome: 'authorized', preferences: PREFERENCES });
    expect(await totals(id)).toEqual({ authorized: 600, captured: 0 });
  });

  test('answers a repetition with the first result and holds nothing more', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    const first = await delivery.authorize(600);
    expect(await delivery.authorize(600)).toEqual(first);
    expect(await totals(id)).toEqual({ authorized: 600, captured: 0 });
  });

  test('remembers a refusal for its key, and decides anew for the next', async () => {
    const id = await account(1000);
    const other = steps(id);
    await other.authorize(600);
    const delivery = steps(id);
    const refused = await delivery.authorize(500);
    expect(refused).toMatchObject({ outcome: 'refused', reason: 'credit_exceeded' });
    expect(refused).toHaveProperty('detail', '5.00 USD is more than the 4.00 USD of credit that were left.');
    await other.void();
    expect(await delivery.authorize(500)).toEqual(refused);
    expect(await delivery.authorize(500, { key: `${delivery.deliveryId}/authorize/2` })).toMatchObject({
      outcome: 'authorized',
    });
  });

  test('takes the credit to its limit, and not beyond', async () => {
    const id = await account(1000);
    expect(await steps(id).authorize(1000)).toMatchObject({ outcome: 'authorized' });
    expect(await steps(id).authorize(0)).toMatchObject({ outcome: 'authorized' });
    expect(await steps(id).authorize(1)).toMatchObject({ outcome: 'refused', reason: 'credit_exceeded' });
  });

  test.each([
    ['suspended', 'account_suspended'],
    ['closed', 'account_closed'],
  ] as const)('refuses an account that is %s', async (state, reason) => {
    const id = await account(1000);
    await service.client.setAccountState({
      params: { account_id: id },
      body: { state, reason: 'unpaid', by: 'ops@fabrikam.example' },
    });
    expect(await steps(id).authorize(1)).toMatchObject({ outcome: 'refused', reason });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
  });

  test('refuses an account that is unknown, or of the other mode', async () => {
    expect(await steps(newId('account')).authorize(1)).toMatchObject({ reason: 'account_unknown' });
    const testAccount = await account(1000, false);
    expect(await steps(testAccount).authorize(1)).toMatchObject({ reason: 'account_unknown' });
    expect(await steps(testAccount).authorize(1, { livemode: false })).toMatchObject({
      outcome: 'authorized',
    });
  });

  test('does not mix currencies', async () => {
    const id = await account(1000);
    await expect(steps(id).authorize(1, { currency: 'EUR' })).rejects.toMatchObject({
      status: 422,
      reason: 'wrong_currency',
    });
    expect(await sums(id)).toEqual({ authorized: 0, captured: 0 });
  });

  test('does not let a key stand for another amount or another delivery', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    await delivery.authorize(100);
    await expect(delivery.authorize(101)).rejects.toMatchObject({ slug: 'idempotency-key-reused' });
    await expect(steps(id).authorize(100, { key: delivery.authorizeKey })).rejects.toMatchObject({
      slug: 'idempotency-key-reused',
    });
    expect(await totals(id)).toEqual({ authorized: 100, captured: 0 });
  });

  test('of many deliveries at once authorizes as many as the credit carries, never more', async () => {
    const id = await account(1000);
    const gate = await holdAccount(id);
    const pending = Promise.all(Array.from({ length: 40 }, () => steps(id).authorize(90)));
    // All of the service's sessions stand in the queue before the first one may decide.
    await gate.waitForQueue(POOL_SIZE.account);
    await gate.open();
    const answers = await pending;
    expect(answers.filter(({ outcome }) => outcome === 'authorized')).toHaveLength(11);
    expect(await totals(id)).toEqual({ authorized: 990, captured: 0 });
    expect(await sums(id)).toEqual({ authorized: 990, captured: 0 });
  });

  test('of one step sent many times at once holds the amount once', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    const answers = await Promise.all(Array.from({ length: 20 }, () => delivery.authorize(90)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toHaveProperty('size', 1);
    expect(await totals(id)).toEqual({ authorized: 90, captured: 0 });
  });
});

describe('capture', () => {
  test('charges a part and frees the rest', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    await delivery.authorize(600);
    expect(await delivery.capture(240)).toEqual({ outcome: 'captured', captured: usd(240) });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 240 });
  });

  test('charges once: the same step answers the same, another one that it was done', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    await delivery.authorize(600);
    const answers = await Promise.all(Array.from({ length: 10 }, () => delivery.capture(600)));
    expect(answers).toEqual(answers.map(() => ({ outcome: 'captured', captured: usd(600) })));
    expect(await delivery.capture(100, 'another/capture/1')).toEqual({
      outcome: 'already_captured',
      captured: usd(600),
    });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 600 });
  });

  test('never charges more than was authorized', async () => {
    const delivery = steps(await account(1000));
    await delivery.authorize(600);
    await expect(delivery.capture(601)).rejects.toMatchObject({
      status: 409,
      reason: 'exceeds_authorization',
      detail: '6.01 USD is more than the 6.00 USD that were authorized.',
    });
  });

  test('needs an authorization that stands', async () => {
    const id = await account(1000);
    const never = steps(id);
    await expect(never.capture(1)).rejects.toMatchObject({ status: 409, reason: 'not_authorized' });
    const voided = steps(id);
    await voided.authorize(10);
    await voided.void();
    await expect(voided.capture(1)).rejects.toMatchObject({ status: 409, reason: 'voided' });
    const refused = steps(id);
    await refused.authorize(5000);
    await expect(refused.capture(1)).rejects.toMatchObject({ status: 409, reason: 'not_authorized' });
  });

  test('still charges an account that was suspended or closed meanwhile', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    await delivery.authorize(100);
    await service.client.setAccountState({
      params: { account_id: id },
      body: { state: 'closed', reason: 'moved away', by: 'ops' },
    });
    expect(await delivery.capture(100)).toMatchObject({ outcome: 'captured' });
  });

  test('captures no more of all authorizations together than the delivery costs', async () => {
    const id = await account(1000);
    const first = steps(id);
    const second = steps(id, first.deliveryId, 'reauthorize/1');
    const other = steps(id);
    for (const one of [first, second, other]) await one.authorize(100);
    // Another delivery's charge does not count.
    expect(await other.capture(100, 'capture/1', 100)).toEqual({ outcome: 'captured', captured: usd(100) });
    expect(await first.capture(100, 'capture/1', 130)).toEqual({ outcome: 'captured', captured: usd(100) });
    for (let times = 0; times < 2; times += 1) {
      expect(await second.capture(100, 'capture/2', 130)).toEqual({ outcome: 'captured', captured: usd(30) });
    }
    expect(await totals(id)).toEqual({ authorized: 0, captured: 230 });
  });

  test('two runs of a workflow at once, each with its own authorization of the same difference: it is charged once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = await account(1000);
      const price = steps(id);
      const differences = ['reauthorize/1', 'reauthorize/1001'].map((step) =>
        steps(id, price.deliveryId, step),
      );
      await Promise.all([price.authorize(600), ...differences.map((one) => one.authorize(29))]);
      const captured = await Promise.all(
        differences.map(async (difference) => {
          await price.capture(600, `${price.deliveryId}/capture/1`, 629);
          return (await difference.capture(29, `${price.deliveryId}/capture/2`, 629)).captured.amount;
        }),
      );
      expect(captured.sort((a, b) => a - b)).toEqual([0, 29]);
      expect(await totals(id)).toEqual({ authorized: 0, captured: 629 });
    }
  });

  test('a charge in another currency than what is captured of it is refused', async () => {
    const delivery = steps(await account(1000));
    await delivery.authorize(100);
    const asking = service.client.capture(
      {
        body: {
          authorize_key: delivery.authorizeKey,
          delivery_id: delivery.deliveryId,
          amount: usd(100),
          charge: { amount: 100, currency: 'EUR' },
          reason: 'delivered',
        },
      },
      { idempotencyKey: `${delivery.deliveryId}/capture/1` },
    );
    await expect(asking).rejects.toMatchObject({ status: 422, reason: 'wrong_currency' });
  });

  test('a capture and a void at once: one of them wins, and the totals say which', async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = await account(1000);
      const delivery = steps(id);
      await delivery.authorize(100);
      const [captured, voided] = await Promise.allSettled([delivery.capture(100), delivery.void()]);
      const { outcome } = (voided as PromiseFulfilledResult<{ outcome: string }>).value;
      if (captured.status === 'fulfilled') {
        expect(outcome).toBe('already_captured');
        expect(await totals(id)).toEqual({ authorized: 0, captured: 100 });
      } else {
        expect(outcome).toBe('voided');
        expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
      }
    }
  });
});

describe('voidAuthorization', () => {
  test('frees what was held, once', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    await delivery.authorize(600);
    expect(await delivery.void()).toEqual({ outcome: 'voided' });
    expect(await delivery.void()).toEqual({ outcome: 'voided' });
    expect(await delivery.void('another/void/1')).toEqual({ outcome: 'already_voided' });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
  });

  test('of a step that never ran keeps it from running late', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    expect(await delivery.void()).toEqual({ outcome: 'never_authorized' });
    expect(await delivery.void()).toEqual({ outcome: 'never_authorized' });
    expect(await delivery.authorize(600)).toMatchObject({ outcome: 'refused', reason: 'voided' });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
    const { data } = await service.client.listAuthorizations({ query: { account_id: id } });
    expect(data).toEqual([]);
  });

  test('of a step that ran and was voided, a late repetition authorizes nothing', async () => {
    const delivery = steps(await account(1000));
    await delivery.authorize(600);
    await delivery.void();
    expect(await delivery.authorize(600)).toMatchObject({ outcome: 'refused', reason: 'voided' });
  });

  test('leaves what was captured', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    await delivery.authorize(600);
    await delivery.capture(600);
    expect(await delivery.void()).toEqual({ outcome: 'already_captured' });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 600 });
  });

  test('of a refused step says that nothing was authorized', async () => {
    const delivery = steps(await account(10));
    await delivery.authorize(600);
    expect(await delivery.void()).toEqual({ outcome: 'never_authorized' });
  });

  test('racing its own authorize step leaves nothing held, whichever comes first', async () => {
    const id = await account(100_000);
    for (let round = 0; round < 25; round += 1) {
      const delivery = steps(id);
      const [authorized, voided] = await Promise.all([delivery.authorize(100), delivery.void()]);
      if (authorized.outcome === 'authorized') expect(voided.outcome).toBe('voided');
      else expect([authorized.reason, voided.outcome]).toEqual(['voided', 'never_authorized']);
      expect(await delivery.authorize(100)).toMatchObject({ outcome: 'refused', reason: 'voided' });
    }
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
  });

  test('overtaking an authorize step that is under way keeps it from authorizing', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    const gate = await holdAccount(id);
    const pending = delivery.authorize(100);
    await gate.waitForQueue(1);
    expect(await delivery.void()).toEqual({ outcome: 'never_authorized' });
    await gate.open();
    expect(await pending).toMatchObject({ outcome: 'refused', reason: 'voided' });
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
  });

  test('and an authorize step that was sent twice do not wait for each other', async () => {
    const id = await account(100_000);
    for (let round = 0; round < 10; round += 1) {
      const delivery = steps(id);
      const gate = await holdAccount(id);
      // All of them begin before the first is done, so none sees its row yet; then they go on in any order.
      const pending = [delivery.authorize(100), delivery.authorize(100), delivery.authorize(100)];
      await gate.waitForQueue(pending.length);
      await gate.authorize(id, delivery, 100);
      const voided = delivery.void();
      await gate.waitForQueue(pending.length + 1);
      await gate.open();
      expect(await voided).toEqual({ outcome: 'voided' });
      for (const one of await Promise.all(pending)) {
        expect(['authorized', 'refused']).toContain(one.outcome);
      }
    }
    expect(await totals(id)).toEqual({ authorized: 0, captured: 0 });
  });

  test('does not touch the authorization of another delivery', async () => {
    const id = await account(1000);
    const delivery = steps(id);
    await delivery.authorize(600);
    await expect(
      service.client.voidAuthorization(
        {
          body: {
            authorize_key: delivery.authorizeKey,
            account_id: id,
            delivery_id: newId('delivery'),
          },
        },
        { idempotencyKey: 'void/1' },
      ),
    ).rejects.toMatchObject({ slug: 'idempotency-key-reused' });
    expect(await totals(id)).toEqual({ authorized: 600, captured: 0 });
  });
});

test('lists authorizations newest first, by page, state, account and delivery', async () => {
  const id = await account(1000);
  const deliveries = Array.from({ length: 5 }, () => steps(id));
  for (const delivery of deliveries) await delivery.authorize(10);
  await deliveries[0]!.capture(10);
  await deliveries[1]!.void();

  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await service.client.listAuthorizations({
      query: { account_id: id, limit: 2, ...(cursor !== undefined && { cursor }) },
    });
    seen.push(...page.data.map((one) => one.delivery_id));
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toHaveLength(5);
  expect(new Set(seen)).toEqual(new Set(deliveries.map((one) => one.deliveryId)));

  const open = await service.client.listAuthorizations({ query: { account_id: id, state: 'authorized' } });
  expect(open.data).toHaveLength(3);
  const one = await service.client.listAuthorizations({
    query: { delivery_id: deliveries[0]!.deliveryId },
  });
  expect(one.data).toMatchObject([
    {
      state: 'captured',
      amount: usd(10),
      captured: usd(10),
      charge_reason: 'delivered',
      step_key: deliveries[0]!.authorizeKey,
    },
  ]);
});

test('after any operations in any order, many at once, the totals are the sums and within the limit', async () => {
  const limit = 500;
  const operation = fc.record({
    kind: fc.constantFrom('authorize', 'authorize', 'authorize', 'capture', 'void'),
    delivery: fc.integer({ min: 0, max: 7 }),
    amount: fc.integer({ min: 0, max: 200 }),
  });
  const waves = fc.array(fc.array(operation, { minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(waves, async (sequence) => {
      const id = await account(limit);
      const deliveries = Array.from({ length: 8 }, () => steps(id));
      for (const wave of sequence) {
        const results = await Promise.allSettled(
          wave.map(({ kind, delivery, amount }) => {
            const one = deliveries[delivery]!;
            if (kind === 'authorize') return one.authorize(amount);
            return kind === 'capture' ? one.capture(amount) : one.void();
          }),
        );
        for (const result of results) {
          if (result.status === 'rejected') {
            expect([409, 422]).toContain((result.reason as { status: number }).status);
          }
        }
        const held = await totals(id);
        expect(held).toEqual(await sums(id));
        expect(held.authorized + held.captured).toBeLessThanOrEqual(limit);
      }
    }),
    { numRuns: 25 },
  );
});

describe('the database itself', () => {
  test.each([
    ['the totals are written', 'UPDATE account SET authorized = authorized + 1 WHERE id = $1'],
    ['an authorization is deleted', 'DELETE FROM credit_authorization WHERE account_id = $1'],
    [
      'an ended authorization is opened again',
      `UPDATE credit_authorization SET state = 'authorized', captured = NULL, end_key = NULL, ended_at = NULL
        WHERE account_id = $1 AND state = 'captured'`,
    ],
    [
      'an authorized amount is changed',
      `UPDATE credit_authorization SET amount = amount + 1 WHERE account_id = $1 AND state = 'authorized'`,
    ],
    [
      'more is captured than authorized',
      `UPDATE credit_authorization SET state = 'captured', captured = amount + 1, end_key = 'x', ended_at = now()
        WHERE account_id = $1 AND state = 'authorized'`,
    ],
  ])('refuses when %s', async (_, statement) => {
    const id = await account(1000);
    const [open, ended] = [steps(id), steps(id)];
    await open.authorize(100);
    await ended.authorize(100);
    await ended.capture(50);
    await expect(sql.query(statement, [id])).rejects.toThrow();
    expect(await totals(id)).toEqual({ authorized: 100, captured: 50 });
  });
});
