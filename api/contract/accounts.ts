/** Public operations on accounts: operators register businesses, a business reads its own. */
import { type Static, Type } from 'typebox';
import { Account, CreateAccount } from '../../services/account/contract/index.ts';
import { idSchema } from '../../shared/ids.ts';
import { Closed, Page, PageQuery } from '../../shared/schemas.ts';
import { definePublicContract } from '../operation.ts';
import { ACCOUNT_EXAMPLE } from './examples.ts';

const AccountParams = Closed({ account_id: idSchema('account') });
const StateChange = Closed({ reason: Type.String({ minLength: 1, maxLength: 500 }) });

export const RegisteredAccount = Type.Object(
  {
    ...Account.properties,
    api_key: Type.String({ description: 'The account’s first key. It is shown this once and never again' }),
  },
  { title: 'RegisteredAccount' },
);
export type RegisteredAccount = Static<typeof RegisteredAccount>;

export const accountOperations = definePublicContract({
  createAccount: {
    method: 'POST',
    path: '/v1/accounts',
    tag: 'Accounts',
    summary: 'Registers a business and makes its first API key',
    access: ['operator'],
    body: CreateAccount,
    response: RegisteredAccount,
    status: 201,
    idempotencyKey: 'optional',
    answerHeaders: {
      Location: 'Path of the account',
      'Idempotent-Replayed': '`true` when this is the answer to an earlier request with the same key',
    },
    problems: ['request-in-progress', 'idempotency-key-reused'],
    examples: {
      body: { name: 'Northwind Pharmacies', credit_limit: { amount: 500_000, currency: 'USD' } },
      response: { ...ACCOUNT_EXAMPLE, api_key: 'dd_live_…' },
    },
  },
  getAccount: {
    method: 'GET',
    path: '/v1/accounts/:account_id',
    tag: 'Accounts',
    summary: 'One account: a business its own, an operator any',
    access: ['business', 'operator'],
    params: AccountParams,
    response: Account,
    problems: ['not-found'],
    examples: { response: ACCOUNT_EXAMPLE },
  },
  listAccounts: {
    method: 'GET',
    path: '/v1/ops/accounts',
    tag: 'Operations',
    summary: 'Accounts, newest first',
    access: ['operator'],
    query: Closed(PageQuery),
    response: Page(Account),
    examples: { response: { data: [ACCOUNT_EXAMPLE], next_cursor: null } },
  },
  suspendAccount: {
    method: 'POST',
    path: '/v1/ops/accounts/:account_id/suspend',
    tag: 'Operations',
    summary: 'Suspends an account: it may read, and request no further deliveries',
    description:
      'Reaches every api process within the time a key is trusted (30 s). Deliveries on their way go on.',
    access: ['operator'],
    params: AccountParams,
    body: StateChange,
    response: Account,
    problems: ['not-found', 'conflict'],
    examples: {
      body: { reason: 'Invoice 2026-02 is 30 days overdue' },
      response: {
        ...ACCOUNT_EXAMPLE,
        state: 'suspended',
        state_reason: 'Invoice 2026-02 is 30 days overdue',
      },
    },
  },
  reactivateAccount: {
    method: 'POST',
    path: '/v1/ops/accounts/:account_id/reactivate',
    tag: 'Operations',
    summary: 'Ends a suspension',
    access: ['operator'],
    params: AccountParams,
    body: StateChange,
    response: Account,
    problems: ['not-found', 'conflict'],
    examples: { body: { reason: 'Paid' }, response: ACCOUNT_EXAMPLE },
  },
});
