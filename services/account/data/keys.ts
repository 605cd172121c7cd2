/** API keys in the database: found by their hash, registered, revoked. */
import { isoTime } from '../../../shared/clock.ts';
import type { AccountId, DroneId, Id } from '../../../shared/ids.ts';
import type { PrismaClient } from '../../../prisma/account/generated/client.ts';
import type { Principal } from '../contract/index.ts';

export interface NewKey {
  id: Id<'apiKey'>;
  hash: string;
  role: Principal['role'];
  name: string;
  accountId: AccountId | null;
  droneId: DroneId | null;
  livemode: boolean;
  nowMs: number;
}

interface PrincipalRow {
  key_id: string;
  role: string;
  account_id: string | null;
  account_state: string | null;
  drone_id: string | null;
  livemode: boolean;
  name: string;
}

export function keyStore(prisma: PrismaClient) {
  return {
    /** Whose key this is, unless it is revoked. */
    async resolve(hash: string): Promise<Principal | undefined> {
      const [row] = await prisma.$queryRaw<PrincipalRow[]>`
        SELECT k.id AS key_id, k.role, k.account_id, a.state AS account_state, k.drone_id, k.livemode, k.name
          FROM api_key k LEFT JOIN account a ON a.id = k.account_id
         WHERE k.hash = ${hash} AND k.revoked_at IS NULL`;
      return row && principalOf(row);
    },

    /** Those that are not revoked, newest first. */
    async recent(limit: number): Promise<{ key_hash: string; principal: Principal }[]> {
      const rows = await prisma.$queryRaw<(PrincipalRow & { hash: string })[]>`
        SELECT k.hash, k.id AS key_id, k.role, k.account_id, a.state AS account_state, k.drone_id, k.livemode, k.name
          FROM api_key k LEFT JOIN account a ON a.id = k.account_id
         WHERE k.revoked_at IS NULL
         ORDER BY k.id DESC
         LIMIT ${limit}`;
      return rows.map(({ hash, ...row }) => ({ key_hash: hash, principal: principalOf(row) }));
    },

    /**
     * Registers a key whose hash is not known yet, for an account of the same mode.
     * @returns what the hash stands for then, and whether it is revoked; undefined when the account does not fit.
     */
    async ensure(key: NewKey): Promise<{ principal: Principal; revoked: boolean } | undefined> {
      await prisma.$executeRaw`
        INSERT INTO api_key (id, hash, role, name, account_id, drone_id, livemode, created_at)
        SELECT ${key.id}, ${key.hash}, ${key.role}, ${key.name}, ${key.accountId}, ${key.droneId}, ${key.livemode},
               ${isoTime(key.nowMs)}::timestamptz
         WHERE ${key.accountId}::text IS NULL
            OR EXISTS (SELECT FROM account WHERE id = ${key.accountId} AND livemode = ${key.livemode})
        ON CONFLICT (hash) DO NOTHING`;
      const row = await prisma.apiKey.findUnique({
        where: { hash: key.hash },
        include: { account: { select: { state: true } } },
      });
      if (!row) return undefined;
      const principal = principalOf({
        key_id: row.id,
        role: row.role,
        account_id: row.accountId,
        account_state: row.account?.state ?? null,
        drone_id: row.droneId,
        livemode: row.livemode,
        name: row.name,
      });
      return { principal, revoked: row.revokedAt !== null };
    },

    /** @returns when it was revoked, now or before; undefined for an unknown key. */
    async revoke(id: string, nowMs: number): Promise<Date | undefined> {
      const [row] = await prisma.$queryRaw<{ revoked_at: Date }[]>`
        UPDATE api_key SET revoked_at = coalesce(revoked_at, ${isoTime(nowMs)}::timestamptz) WHERE id = ${id}
        RETURNING revoked_at`;
      return row?.revoked_at;
    },

    async isUsable(hash: string): Promise<boolean> {
      return (await prisma.apiKey.count({ where: { hash, revokedAt: null } })) > 0;
    },
  };
}

export type KeyStore = ReturnType<typeof keyStore>;

function principalOf(row: PrincipalRow): Principal {
  return {
    key_id: row.key_id as Principal['key_id'],
    role: row.role as Principal['role'],
    account_id: row.account_id as Principal['account_id'],
    account_state: row.account_state as Principal['account_state'],
    drone_id: row.drone_id as Principal['drone_id'],
    livemode: row.livemode,
    name: row.name,
  };
}
