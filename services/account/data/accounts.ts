/** Accounts in the database: registration, state, preferences. */
import type { AccountId, Id } from '../../../shared/ids.ts';
import { isoTime } from '../../../shared/clock.ts';
import type { PageRequest } from '../../../shared/page.ts';
import type { Account as AccountRow, PrismaClient } from '../../../prisma/account/generated/client.ts';
import type { Account, Preferences } from '../contract/index.ts';
import type { NewAccount } from '../domain/registration.ts';

export interface Registration extends NewAccount {
  id: AccountId;
  createKey: string;
  bodyHash: string;
  replayUntilMs: number;
  nowMs: number;
  firstKey: { id: Id<'apiKey'>; hash: string };
}

/** An account as the idempotency key of its registration finds it. */
export interface Registered {
  account: Account;
  bodyHash: string;
  replayUntilMs: number;
}

export function accountStore(prisma: PrismaClient) {
  return {
    /** Inserts the account and its first key. Undefined when an account was registered with this idempotency key before. */
    async register(one: Registration): Promise<Account | undefined> {
      const rows = await prisma.$queryRaw<{ id: string }[]>`
        WITH registered AS (
          INSERT INTO account (id, name, livemode, state, state_reason, state_changed_by, state_changed_at, currency,
                               credit_limit, preferences, create_key, create_body_hash, replay_until, created_at)
          VALUES (${one.id}, ${one.name}, ${one.livemode}, 'active', NULL, 'registration', ${isoTime(one.nowMs)}::timestamptz,
                  ${one.creditLimit.currency}, ${BigInt(one.creditLimit.amount)}, ${JSON.stringify(one.preferences)}::jsonb,
                  ${one.createKey}, ${one.bodyHash}, ${isoTime(one.replayUntilMs)}::timestamptz,
                  ${isoTime(one.nowMs)}::timestamptz)
          ON CONFLICT (create_key) DO NOTHING
          RETURNING id, name, livemode, created_at
        ), keyed AS (
          INSERT INTO api_key (id, hash, role, name, account_id, livemode, created_at)
          SELECT ${one.firstKey.id}, ${one.firstKey.hash}, 'business', name, id, livemode, created_at FROM registered
        )
        SELECT id FROM registered`;
      if (rows.length === 0) return undefined;
      return {
        object: 'account',
        id: one.id,
        name: one.name,
        livemode: one.livemode,
        state: 'active',
        state_reason: null,
        credit_limit: one.creditLimit,
        authorized: { amount: 0, currency: one.creditLimit.currency },
        captured: { amount: 0, currency: one.creditLimit.currency },
        preferences: one.preferences,
        created_at: isoTime(one.nowMs),
      };
    },

    async findRegistered(createKey: string): Promise<Registered | undefined> {
      const row = await prisma.account.findUnique({ where: { createKey } });
      if (!row) return undefined;
      return {
        account: accountOf(row),
        bodyHash: row.createBodyHash ?? '',
        replayUntilMs: row.replayUntil?.getTime() ?? 0,
      };
    },

    async find(id: AccountId): Promise<Account | undefined> {
      const row = await prisma.account.findUnique({ where: { id } });
      return row ? accountOf(row) : undefined;
    },

    async page({ limit, before }: PageRequest<'account'>): Promise<Account[]> {
      const rows = await prisma.account.findMany({
        where: before === undefined ? {} : { id: { lt: before } },
        orderBy: { id: 'desc' },
        take: limit + 1,
      });
      return rows.map(accountOf);
    },

    /** Changes the state of an account that is not closed; the same state again changes nothing. True when it has it now. */
    async setState(
      id: AccountId,
      change: { state: Account['state']; reason: string; by: string; nowMs: number },
    ): Promise<boolean> {
      const changed = await prisma.$executeRaw`
        UPDATE account
           SET state = ${change.state}, state_reason = ${change.reason}, state_changed_by = ${change.by},
               state_changed_at = ${isoTime(change.nowMs)}::timestamptz
         WHERE id = ${id} AND state <> ${change.state} AND state <> 'closed'`;
      if (changed > 0) return true;
      return (await prisma.account.count({ where: { id, state: change.state } })) > 0;
    },

    /** Creates or updates it. False when it exists in the other mode or another currency: these never change. */
    async ensure(
      id: AccountId,
      one: NewAccount & { state: Account['state']; nowMs: number },
    ): Promise<boolean> {
      const written = await prisma.$executeRaw`
        INSERT INTO account (id, name, livemode, state, state_changed_by, state_changed_at, currency, credit_limit,
                             preferences, created_at)
        VALUES (${id}, ${one.name}, ${one.livemode}, ${one.state}, 'seed', ${isoTime(one.nowMs)}::timestamptz,
                ${one.creditLimit.currency}, ${BigInt(one.creditLimit.amount)}, ${JSON.stringify(one.preferences)}::jsonb,
                ${isoTime(one.nowMs)}::timestamptz)
        ON CONFLICT (id) DO UPDATE
           SET name = excluded.name, credit_limit = excluded.credit_limit, preferences = excluded.preferences,
               state = excluded.state,
               state_reason = CASE WHEN account.state = excluded.state THEN account.state_reason END,
               state_changed_by = CASE WHEN account.state = excluded.state THEN account.state_changed_by ELSE 'seed' END,
               state_changed_at = CASE WHEN account.state = excluded.state THEN account.state_changed_at
                                       ELSE excluded.state_changed_at END
         WHERE account.livemode = excluded.livemode AND account.currency = excluded.currency`;
      return written > 0;
    },
  };
}

export type AccountStore = ReturnType<typeof accountStore>;

function accountOf(row: AccountRow): Account {
  const money = (amount: bigint) => ({ amount: Number(amount), currency: row.currency });
  return {
    object: 'account',
    id: row.id as AccountId,
    name: row.name,
    livemode: row.livemode,
    state: row.state as Account['state'],
    state_reason: row.stateReason,
    credit_limit: money(row.creditLimit),
    authorized: money(row.authorized),
    captured: money(row.captured),
    preferences: row.preferences as Preferences,
    created_at: isoTime(row.createdAt.getTime()),
  };
}
