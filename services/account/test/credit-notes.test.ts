// Credit notes: one for a delivery, whatever arrives twice, late or at once; never another account's, never changed.
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AccountId, type DeliveryId, newId } from '../../../shared/ids.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { serve, type ServedService, silentLogger } from '../../../test/support/service.ts';
import { accountContract } from '../contract/index.ts';
import { buildAccountService } from '../service.ts';

const usd = (amount: number) => ({ amount, currency: 'USD' });

let database: ServiceDatabase;
let service: ServedService<typeof accountContract>;
let owner: pg.Pool;

beforeAll(async () => {
  database = await createServiceDatabase('account');
  owner = new pg.Pool({ connectionString: database.ownerUrl, max: 1 });
  const app = await buildAccountService({ databaseUrl: database.url, logger: silentLogger });
  service = await serve(app, accountContract);
});

afterAll(async () => {
  await service.close();
  await owner.end();
  await database.drop();
});

async function account({ livemode = true } = {}): Promise<AccountId> {
  const id = newId('account');
  await service.client.ensureAccount({
    params: { account_id: id },
    body: {
      name: 'Contoso',
      livemode,
      state: 'active',
      credit_limit: usd(10_000),
      preferences: { carrier_fallback: false, carrier_price_cap: null },
    },
  });
  return id;
}

interface Asked {
  deliveryId?: DeliveryId;
  amount?: { amount: number; currency: string };
  livemode?: boolean;
  key?: string;
}

function issue(accountId: AccountId, asked: Asked = {}) {
  const { deliveryId = newId('delivery'), amount = usd(1_234), livemode = true } = asked;
  return service.client.issueCreditNote(
    {
      body: { account_id: accountId, delivery_id: deliveryId, livemode, amount, reason: 'package_lost' },
    },
    { idempotencyKey: asked.key ?? `${deliveryId}/credit_note/1` },
  );
}
const listOf = async (query: { account_id?: AccountId; delivery_id?: DeliveryId }) =>
  (await service.client.listCreditNotes({ query })).data;

test('A lost delivery is credited once, also when its step comes twice and at once', async () => {
  const accountId = await account();
  const deliveryId = newId('delivery');
  const answers = await Promise.all(Array.from({ length: 8 }, () => issue(accountId, { deliveryId })));
  expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(answers[0]).toMatchObject({
    outcome: 'issued',
    credit_note: {
      id: expect.stringMatching(/^crn_/) as unknown,
      step_key: `${deliveryId}/credit_note/1`,
      account_id: accountId,
      delivery_id: deliveryId,
      livemode: true,
      amount: usd(1_234),
      reason: 'package_lost',
    },
  });
  expect(await listOf({ delivery_id: deliveryId })).toEqual([answers[0]?.credit_note]);
});

test('and another step, be it the reconciler’s with another amount, finds the one that is there', async () => {
  const accountId = await account();
  const deliveryId = newId('delivery');
  const asks = ['one', 'two', 'three', 'four'].map((key, index) =>
    issue(accountId, { deliveryId, key, amount: usd(100 + index) }),
  );
  const answers = await Promise.all(asks);
  expect(answers.map((one) => one.outcome).sort()).toEqual([
    'already_issued',
    'already_issued',
    'already_issued',
    'issued',
  ]);
  expect(new Set(answers.map((one) => one.credit_note.id)).size).toBe(1);
});

test('A key stands for one credit note: with anything else in it, it is refused', async () => {
  const accountId = await account();
  const deliveryId = newId('delivery');
  await issue(accountId, { deliveryId });
  const key = `${deliveryId}/credit_note/1`;
  const others: Asked[] = [{ deliveryId, amount: usd(1) }, { deliveryId, livemode: false }, { key }];
  for (const other of others) {
    await expect(issue(accountId, { key, ...other })).rejects.toMatchObject({
      slug: 'idempotency-key-reused',
    });
  }
  await expect(issue(await account(), { deliveryId })).rejects.toMatchObject({
    slug: 'idempotency-key-reused',
  });
});

test('Nobody is credited who is not there in this mode and currency, nor for another’s delivery', async () => {
  const accountId = await account();
  const unknown = { status: 422, reason: 'account_unknown' };
  await expect(issue(newId('account'))).rejects.toMatchObject(unknown);
  await expect(issue(accountId, { livemode: false })).rejects.toMatchObject(unknown);
  await expect(issue(accountId, { amount: { amount: 1, currency: 'EUR' } })).rejects.toMatchObject(unknown);
  const deliveryId = newId('delivery');
  await issue(accountId, { deliveryId });
  await expect(issue(await account(), { deliveryId, key: 'theirs' })).rejects.toMatchObject(unknown);
  await expect(issue(accountId, { amount: usd(0) })).rejects.toMatchObject({ status: 400 });
});

test('A suspended account is credited all the same, and the lists are each account’s own, newest first', async () => {
  const [accountId, otherId] = [await account(), await account({ livemode: false })];
  await service.client.setAccountState({
    params: { account_id: accountId },
    body: { state: 'suspended', reason: 'does not pay', by: 'test' },
  });
  const first = await issue(accountId);
  const second = await issue(accountId);
  const theirs = await issue(otherId, { livemode: false });
  expect(await listOf({ account_id: accountId })).toEqual([second.credit_note, first.credit_note]);
  expect(await listOf({ account_id: otherId })).toEqual([theirs.credit_note]);
  const page = await service.client.listCreditNotes({ query: { account_id: accountId, limit: 1 } });
  const rest = await service.client.listCreditNotes({
    query: { account_id: accountId, limit: 1, cursor: page.next_cursor ?? '' },
  });
  expect([...page.data, ...rest.data]).toEqual([second.credit_note, first.credit_note]);
});

test('The database refuses to change or delete one, whoever asks', async () => {
  const { credit_note } = await issue(await account());
  await expect(
    owner.query('UPDATE account.credit_note SET amount = 1 WHERE id = $1', [credit_note.id]),
  ).rejects.toThrow(/never changed or deleted/);
  await expect(
    owner.query('DELETE FROM account.credit_note WHERE id = $1', [credit_note.id]),
  ).rejects.toThrow(/never changed or deleted/);
});
