/** `/v1/accounts` and `/v1/ops/accounts`. */
import type { FastifyInstance } from 'fastify';
import { hash, randomUUID } from 'node:crypto';
import type { Account } from '../../services/account/contract/index.ts';
import { notFound } from '../../shared/errors.ts';
import type { AccountId } from '../../shared/ids.ts';
import { accountOperations } from '../contract/accounts.ts';
import { implementPublic, type PublicContext } from '../operation.ts';
import type { Services } from '../services.ts';

export function accountRoutes(app: FastifyInstance, { account: accounts }: Services): void {
  implementPublic(app, accountOperations, {
    async createAccount({ body }, { principal, idempotencyKey, reply }) {
      // Two operators who think of the same key mean two accounts.
      const key = idempotencyKey === null ? randomUUID() : `${principal.key_id}/${idempotencyKey}`;
      const { account, api_key, replayed } = await accounts.createAccount(
        { body },
        { idempotencyKey: hash('sha256', key, 'hex') },
      );
      void reply.header('location', `/v1/accounts/${account.id}`);
      if (replayed === true) void reply.header('idempotent-replayed', 'true');
      return { ...account, api_key };
    },

    async getAccount({ params: { account_id } }, { principal }) {
      if (principal.role === 'business' && principal.account_id !== account_id) {
        throw notFound('account', account_id);
      }
      return accounts.getAccount({ params: { account_id } });
    },

    listAccounts: ({ query }) => accounts.listAccounts({ query }),
    suspendAccount: ({ params, body }, context) =>
      change(params.account_id, 'suspended', body.reason, context),
    reactivateAccount: ({ params, body }, context) =>
      change(params.account_id, 'active', body.reason, context),
  });

  function change(
    accountId: AccountId,
    state: Account['state'],
    reason: string,
    { principal }: PublicContext,
  ): Promise<Account> {
    return accounts.setAccountState({
      params: { account_id: accountId },
      body: { state, reason, by: principal.key_id },
    });
  }
}
