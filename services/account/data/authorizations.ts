/**
 * Credit in the database. Every step is settled by the unique index on the authorize step's key and by row locks, so that steps which arrive twice, late, or at once leave one result. The account's totals follow by trigger.
 */
import { isoTime } from '../../../shared/clock.ts';
import type { AccountId, AuthorizationId, DeliveryId } from '../../../shared/ids.ts';
import type { PageRequest } from '../../../shared/page.ts';
import type { Money } from '../../../shared/schemas.ts';
import type { CreditAuthorization, PrismaClient } from '../../../prisma/account/generated/client.ts';
import type { Authorization, Preferences } from '../contract/index.ts';

export interface AuthorizeStep {
  id: AuthorizationId;
  stepKey: string;
  accountId: AccountId;
  deliveryId: DeliveryId;
  livemode: boolean;
  amount: Money;
  nowMs: number;
  expiresAtMs: number;
}

export type RefusalReason = 'account_unknown' | 'account_suspended' | 'account_closed' | 'credit_exceeded';

/** What stands under a step's key once the step has run. */
export interface AuthorizationRecord {
  id: AuthorizationId;
  accountId: string;
  deliveryId: string;
  state: 'authorized' | 'captured' | 'voided' | 'refused' | 'never_authorized';
  amount: bigint;
  currency: string;
  captured: bigint | null;
  refusalReason: RefusalReason | null;
  /** For a refusal for credit: what was free then. */
  creditFree: bigint | null;
  endKey: string | null;
  expiresAt: Date | null;
}

/** What a renewal found: the account as it is, and whether it was renewed. */
export interface Renewal {
  renewed: boolean;
  expiresAt: Date | null;
  state: AuthorizationRecord['state'];
  accountState: string | null;
  amount: bigint;
  currency: string;
  /** What the account had free beside this authorization. */
  creditFree: bigint | null;
}

type AuthorizeRow = { verdict: string | null; preferences: Preferences | null } & (
  AuthorizationRecord | { id: null }
);

export function authorizationStore(prisma: PrismaClient) {
  const find = async (stepKey: string): Promise<AuthorizationRecord | undefined> => {
    const row = await prisma.creditAuthorization.findUnique({ where: { stepKey } });
    return row
      ? {
          ...row,
          id: row.id as AuthorizationId,
          state: row.state as AuthorizationRecord['state'],
          refusalReason: row.refusalReason as RefusalReason | null,
        }
      : undefined;
  };

  return {
    find,

    /**
     * Checks the account and its credit and writes the result under the step's key; a key that has one keeps it.
     *
     * The lock on the account's row is taken first, by a statement of its own: the next one then sees what the calls before
     * it left, the totals and the row under this key. Read in the same statement, a row that was written while it waited
     * for the lock would be missing, and it would wait, holding the account, for a `void` or `capture` of that row, which
     * waits for the account.
     *
     * @returns what stands under the key, with the account's preferences; `wrong_currency` when the account has another one.
     */
    async authorize(
      step: AuthorizeStep,
    ): Promise<{ record: AuthorizationRecord; preferences: Preferences } | 'wrong_currency'> {
      // Nothing comes back when a `void` with this key committed after our snapshot was taken: the next one sees it.
      for (;;) {
        const lock = prisma.$queryRaw`SELECT 1 FROM account WHERE id = ${step.accountId} FOR NO KEY UPDATE`;
        const write = prisma.$queryRaw<AuthorizeRow[]>`
          WITH known AS (
            SELECT id, account_id, delivery_id, state, amount, currency, captured, refusal_reason, credit_free, end_key,
                   expires_at
              FROM credit_authorization
             WHERE step_key = ${step.stepKey}
          ), payer AS (
            SELECT state, livemode, currency, credit_limit - authorized - captured AS free, preferences
              FROM account
             WHERE id = ${step.accountId}
          ), verdict AS (
            SELECT payer.free, payer.preferences,
                   CASE WHEN payer.livemode IS DISTINCT FROM ${step.livemode}::boolean THEN 'account_unknown'
                        WHEN payer.state = 'suspended' THEN 'account_suspended'
                        WHEN payer.state = 'closed' THEN 'account_closed'
                        WHEN payer.currency <> ${step.amount.currency} THEN 'wrong_currency'
                        WHEN payer.free < ${BigInt(step.amount.amount)} THEN 'credit_exceeded'
                    END AS reason
              FROM (SELECT) AS always LEFT JOIN payer ON true
          ), written AS (
            INSERT INTO credit_authorization (id, step_key, account_id, delivery_id, livemode, state, amount, currency,
                                              refusal_reason, credit_free, created_at, expires_at)
            SELECT ${step.id}, ${step.stepKey}, ${step.accountId}, ${step.deliveryId}, ${step.livemode}::boolean,
                   CASE WHEN reason IS NULL THEN 'authorized' ELSE 'refused' END,
                   ${BigInt(step.amount.amount)}, ${step.amount.currency},
                   reason, CASE WHEN reason = 'credit_exceeded' THEN free END, ${isoTime(step.nowMs)}::timestamptz,
                   ${isoTime(step.expiresAtMs)}::timestamptz
              FROM verdict
             WHERE reason IS DISTINCT FROM 'wrong_currency' AND NOT EXISTS (SELECT FROM known)
            ON CONFLICT (step_key) DO NOTHING
            RETURNING id, account_id, delivery_id, state, amount, currency, captured, refusal_reason, credit_free, end_key,
                      expires_at
          )
          SELECT verdict.reason AS verdict, verdict.preferences, result.id, result.account_id AS "accountId",
                 result.delivery_id AS "deliveryId", result.state, result.amount, result.currency, result.captured,
                 result.refusal_reason AS "refusalReason", result.credit_free AS "creditFree", result.end_key AS "endKey",
                 result.expires_at AS "expiresAt"
            FROM verdict
            LEFT JOIN (SELECT id, account_id, delivery_id, state, amount, currency, captured, refusal_reason, credit_free,
                              end_key, expires_at FROM known
                       UNION ALL
                       SELECT id, account_id, delivery_id, state, amount, currency, captured, refusal_reason, credit_free,
                              end_key, expires_at FROM written) AS result ON true`;
        const [, [row]] = await prisma.$transaction([lock, write]);
        if (row !== undefined && row.id !== null) {
          const { verdict: _, preferences, ...record } = row;
          return { record, preferences: preferences ?? NO_PREFERENCES };
        }
        if (row?.verdict === 'wrong_currency') return 'wrong_currency';
      }
    },

    /**
     * Renews an open authorization if its account is active and has the credit. The locks are taken in the order in which a
     * capture takes them: the authorization, then the account.
     * @returns undefined when the step has no authorization
     */
    async renew(step: {
      authorizeKey: string;
      deliveryId: DeliveryId;
      renewKey: string;
      expiresAtMs: number;
    }): Promise<Renewal | undefined> {
      const [row] = await prisma.$queryRaw<Renewal[]>`
        WITH target AS (
          SELECT id, account_id, state, amount, currency, lapsed, expires_at, renew_key
            FROM credit_authorization
           WHERE step_key = ${step.authorizeKey} AND delivery_id = ${step.deliveryId}
             FOR NO KEY UPDATE
        ), payer AS (
          SELECT id, state, credit_limit - authorized - captured AS free
            FROM account
           WHERE id = (SELECT account_id FROM target)
             FOR NO KEY UPDATE
        ), renewed AS (
          UPDATE credit_authorization AS it
             SET expires_at = CASE WHEN it.renew_key IS NOT DISTINCT FROM ${step.renewKey} THEN it.expires_at
                                   ELSE ${isoTime(step.expiresAtMs)}::timestamptz END,
                 renew_key = ${step.renewKey}, lapsed = false
            FROM target, payer
           WHERE it.id = target.id AND target.state = 'authorized' AND payer.state = 'active'
             AND payer.free >= CASE WHEN target.lapsed THEN target.amount ELSE 0 END
          RETURNING it.expires_at
        )
        SELECT renewed.expires_at IS NOT NULL AS renewed, coalesce(renewed.expires_at, target.expires_at) AS "expiresAt",
               target.state, payer.state AS "accountState", target.amount, target.currency,
               payer.free + CASE WHEN target.state = 'authorized' AND NOT target.lapsed THEN target.amount ELSE 0 END
                 AS "creditFree"
          FROM target LEFT JOIN payer ON true LEFT JOIN renewed ON true`;
      return row;
    },

    /** Lets go of the credit of authorizations that ran out. @returns how many there were, at most `limit` */
    async lapse({ nowMs, limit }: { nowMs: number; limit: number }): Promise<number> {
      return prisma.$executeRaw`
        UPDATE credit_authorization SET lapsed = true
         WHERE id IN (SELECT id FROM credit_authorization
                       WHERE state = 'authorized' AND NOT lapsed AND expires_at <= ${isoTime(nowMs)}::timestamptz
                       ORDER BY expires_at LIMIT ${limit}
                         FOR NO KEY UPDATE SKIP LOCKED)`;
    },

    /**
     * Captures an authorization that is still open; what is not captured is free again.
     *
     * The delivery's authorizations are locked first, by a statement of its own: the next one then sees what is captured of the others.
     * @returns what this call captured; undefined when it did not, and `find` says what stands in its way.
     */
    async capture(step: {
      authorizeKey: string;
      deliveryId: DeliveryId;
      amount: Money;
      /** With what is captured of the delivery's other authorizations, no more than this; null: whatever they are. */
      most: number | null;
      reason: string;
      captureKey: string;
      nowMs: number;
    }): Promise<number | undefined> {
      const { authorizeKey, deliveryId, amount, most } = step;
      const lock = prisma.$queryRaw`
        SELECT 1 FROM credit_authorization WHERE delivery_id = ${deliveryId} ORDER BY id FOR NO KEY UPDATE`;
      const write = prisma.$queryRaw<{ captured: bigint }[]>`
        WITH others AS (
          SELECT coalesce(sum(captured), 0)::bigint AS captured
            FROM credit_authorization
           WHERE delivery_id = ${deliveryId} AND step_key <> ${authorizeKey}
        )
        UPDATE credit_authorization AS it
           SET state = 'captured', charge_reason = ${step.reason},
               captured = CASE WHEN ${most}::bigint IS NULL THEN ${BigInt(amount.amount)}::bigint
                               ELSE least(${BigInt(amount.amount)}::bigint, greatest(0, ${most}::bigint - others.captured)) END,
               end_key = ${step.captureKey}, ended_at = ${isoTime(step.nowMs)}::timestamptz
          FROM others
         WHERE it.step_key = ${authorizeKey} AND it.delivery_id = ${deliveryId} AND it.state = 'authorized'
           AND it.amount >= ${BigInt(amount.amount)} AND it.currency = ${amount.currency}
        RETURNING it.captured`;
      const [, [row]] = await prisma.$transaction([lock, write]);
      return row && Number(row.captured);
    },

    /**
     * Voids an open authorization, or makes sure that the authorize step will do nothing should it still arrive. The insert
     * waits for an authorize step that is under way with the same key, and then voids what it did.
     * @returns what this call did; undefined when there was nothing to do, and `find` says why.
     */
    async void(step: {
      id: AuthorizationId;
      authorizeKey: string;
      accountId: AccountId;
      deliveryId: DeliveryId;
      voidKey: string;
      nowMs: number;
    }): Promise<'voided' | 'never_authorized' | undefined> {
      const [row] = await prisma.$queryRaw<{ state: 'voided' | 'never_authorized' }[]>`
        INSERT INTO credit_authorization AS it (id, step_key, account_id, delivery_id, livemode, state, amount, currency,
                                                end_key, created_at, ended_at)
        SELECT ${step.id}, ${step.authorizeKey}, ${step.accountId}, ${step.deliveryId}, coalesce(account.livemode, true),
               'never_authorized', 0, coalesce(account.currency, 'XXX'), ${step.voidKey},
               ${isoTime(step.nowMs)}::timestamptz, ${isoTime(step.nowMs)}::timestamptz
          FROM (SELECT) AS always LEFT JOIN account ON account.id = ${step.accountId}
        ON CONFLICT (step_key) DO UPDATE
           SET state = 'voided', end_key = excluded.end_key, ended_at = excluded.ended_at
         WHERE it.state = 'authorized' AND it.delivery_id = excluded.delivery_id
        RETURNING it.state`;
      return row?.state;
    },

    /** What was really authorized, newest first. */
    async page(
      { limit, before }: PageRequest<'authorization'>,
      filter: { state?: Authorization['state']; deliveryId?: DeliveryId; accountId?: AccountId },
    ): Promise<Authorization[]> {
      const rows = await prisma.creditAuthorization.findMany({
        where: {
          state: filter.state ?? { in: ['authorized', 'captured', 'voided'] },
          ...(before !== undefined && { id: { lt: before } }),
          ...(filter.deliveryId !== undefined && { deliveryId: filter.deliveryId }),
          ...(filter.accountId !== undefined && { accountId: filter.accountId }),
        },
        orderBy: { id: 'desc' },
        take: limit + 1,
      });
      return rows.map(authorizationOf);
    },
  };
}

export type AuthorizationStore = ReturnType<typeof authorizationStore>;

/** Of an account that does not exist; only ever beside a refusal. */
const NO_PREFERENCES: Preferences = { carrier_fallback: false, carrier_price_cap: null };

function authorizationOf(row: CreditAuthorization): Authorization {
  const money = (amount: bigint) => ({ amount: Number(amount), currency: row.currency });
  return {
    id: row.id as AuthorizationId,
    step_key: row.stepKey,
    account_id: row.accountId as AccountId,
    delivery_id: row.deliveryId as DeliveryId,
    livemode: row.livemode,
    state: row.state as Authorization['state'],
    amount: money(row.amount),
    captured: row.captured === null ? null : money(row.captured),
    charge_reason: row.chargeReason,
    expires_at: row.expiresAt === null ? null : isoTime(row.expiresAt.getTime()),
    created_at: isoTime(row.createdAt.getTime()),
  };
}
