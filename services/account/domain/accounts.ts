/** Registration of accounts and their keys, and the account's state. */
import { conflict, notFound, Problem } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import { type AccountId, type Id, newId } from '../../../shared/ids.ts';
import type { Money } from '../../../shared/schemas.ts';
import type { Account, accountContract, Preferences, Principal } from '../contract/index.ts';
import type { AccountStore } from '../data/accounts.ts';
import type { KeyStore } from '../data/keys.ts';
import { firstKey, keyHash } from './keys.ts';
import { newAccount, registrationHash, REPLAY_MS } from './registration.ts';

type Contract = typeof accountContract;

export interface AccountsOptions {
  accounts: AccountStore;
  keys: KeyStore;
  /** Of which the first keys are derived. */
  keySecret: string;
  /** The stack's clock. */
  nowMs: () => number;
  wallMs: () => number;
}

export function accountRegistry({ accounts, keys, keySecret, nowMs, wallMs }: AccountsOptions) {
  return {
    /**
     * A repetition within a day answers the same account and key, unless the key was revoked.
     * @throws {Problem} `idempotency-key-reused` for another body; `conflict` `key_shown_once` for a late repetition.
     */
    async create(
      createKey: string,
      body: BodyOf<Contract, 'createAccount'>,
    ): Promise<Output<Contract['createAccount']>> {
      const wanted = newAccount(body);
      assertOneCurrency(wanted.creditLimit, wanted.preferences);
      const bodyHash = registrationHash(wanted);
      const id = newId('account');
      const key = firstKey(keySecret, id, wanted.livemode);
      const account = await accounts.register({
        ...wanted,
        id,
        createKey,
        bodyHash,
        replayUntilMs: wallMs() + REPLAY_MS,
        nowMs: nowMs(),
        firstKey: { id: newId('apiKey'), hash: keyHash(key) },
      });
      return account ? { account, api_key: key } : this.replay(createKey, bodyHash);
    },

    async replay(createKey: string, bodyHash: string): Promise<Output<Contract['createAccount']>> {
      const known = await accounts.findRegistered(createKey);
      if (!known) throw new Error(`The account of ${createKey} was neither written nor found`);
      const { account } = known;
      if (known.bodyHash !== bodyHash) {
        throw new Problem('idempotency-key-reused', { detail: 'This key registered another account.' });
      }
      const key = firstKey(keySecret, account.id, account.livemode);
      // Not usable when it was revoked, or derived from a secret that was changed since.
      if (wallMs() > known.replayUntilMs || !(await keys.isUsable(keyHash(key)))) {
        throw conflict('key_shown_once', `The account is ${account.id}; its first key is not shown again.`);
      }
      return { account, api_key: key, replayed: true };
    },

    async get(id: AccountId): Promise<Account> {
      const account = await accounts.find(id);
      if (!account) throw notFound('account', id);
      return account;
    },

    /** @throws {Problem} `conflict` `account_closed`: closed is for good. */
    async setState(id: AccountId, body: BodyOf<Contract, 'setAccountState'>): Promise<Account> {
      const done = await accounts.setState(id, { ...body, nowMs: nowMs() });
      const account = await this.get(id);
      if (!done) throw conflict('account_closed', `The account ${id} is closed, for good.`);
      return account;
    },

    /** @throws {Problem} `conflict` `account_fixed`: an account keeps its mode and currency. */
    async ensure(id: AccountId, body: BodyOf<Contract, 'ensureAccount'>): Promise<Account> {
      const { credit_limit: creditLimit, ...rest } = body;
      assertOneCurrency(creditLimit, body.preferences);
      if (!(await accounts.ensure(id, { ...rest, creditLimit, nowMs: nowMs() }))) {
        throw conflict('account_fixed', `The account ${id} exists in another mode or currency.`);
      }
      return this.get(id);
    },

    /** @throws {Problem} 400 when role and owner do not fit; `conflict` `key_taken` or `key_revoked`. */
    async ensureKey(body: BodyOf<Contract, 'ensureKey'>): Promise<Principal> {
      assertOwner(body);
      const ensured = await keys.ensure({
        id: newId('apiKey'),
        hash: keyHash(body.key),
        role: body.role,
        name: body.name,
        accountId: body.account_id,
        droneId: body.drone_id,
        livemode: body.livemode,
        nowMs: nowMs(),
      });
      if (!ensured) {
        const id = body.account_id ?? '';
        throw conflict(
          'account_unfit',
          `There is no account ${id} in ${body.livemode ? 'live' : 'test'} mode to hold this key.`,
        );
      }
      const { principal, revoked } = ensured;
      if (revoked) throw conflict('key_revoked', 'This key was revoked, for good.');
      if (
        principal.role !== body.role ||
        principal.account_id !== body.account_id ||
        principal.drone_id !== body.drone_id ||
        principal.livemode !== body.livemode
      ) {
        throw conflict('key_taken', 'This key is registered for somebody else.');
      }
      return principal;
    },

    async resolveKey(key: string): Promise<Principal> {
      const principal = await keys.resolve(keyHash(key));
      if (!principal) throw new Problem('unauthorized', { detail: 'The key is unknown or was revoked.' });
      return principal;
    },

    async revokeKey(id: Id<'apiKey'>): Promise<Date> {
      const revokedAt = await keys.revoke(id, nowMs());
      if (!revokedAt) throw notFound('key', id);
      return revokedAt;
    },
  };
}

function assertOneCurrency(creditLimit: Money, { carrier_price_cap: cap }: Preferences): void {
  if (cap === null || cap.currency === creditLimit.currency) return;
  const message = `must be ${creditLimit.currency}, the account's currency`;
  throw new Problem('invalid-request', {
    detail: `preferences.carrier_price_cap.currency ${message}.`,
    errors: [{ field: 'preferences.carrier_price_cap.currency', message }],
  });
}

function assertOwner({ role, account_id, drone_id }: BodyOf<Contract, 'ensureKey'>): void {
  const errors = [
    ...((role === 'business') === (account_id !== null)
      ? []
      : [
          {
            field: 'account_id',
            message:
              role === 'business' ? 'must name the account of a business key' : 'must be null for this role',
          },
        ]),
    ...(drone_id === null || role === 'drone'
      ? []
      : [{ field: 'drone_id', message: 'must be null for this role' }]),
  ];
  if (errors.length === 0) return;
  throw new Problem('invalid-request', { detail: 'The key does not fit its owner.', errors });
}
