/** Contract of the account service: tenants, their keys, credit and charge. */
import { type Static, Type } from 'typebox';
import { defineContract } from '../../../shared/http/contract.ts';
import { idSchema } from '../../../shared/ids.ts';
import { Closed, Money, Nullable, OneOf, Page, PageQuery, Timestamp } from '../../../shared/schemas.ts';

export * from './tariff.ts';

export const ACCOUNT_STATES = ['active', 'suspended', 'closed'] as const;

export const Preferences = Closed(
  {
    /** A third-party carrier may take over when no drone can do the job. */
    carrier_fallback: Type.Boolean(),
    /** At most this for a carrier; null: the delivery's own price. */
    carrier_price_cap: Nullable(Money),
  },
  { title: 'Preferences' },
);
export type Preferences = Static<typeof Preferences>;

export const Account = Type.Object(
  {
    object: Type.Literal('account'),
    id: idSchema('account'),
    name: Type.String(),
    livemode: Type.Boolean(),
    state: OneOf(ACCOUNT_STATES),
    state_reason: Nullable(Type.String()),
    /** Authorized and captured but unpaid charges together never exceed it. */
    credit_limit: Money,
    /** What is authorized and not yet captured or voided. */
    authorized: Money,
    /** What was captured and is not yet invoiced. */
    captured: Money,
    preferences: Preferences,
    created_at: Timestamp,
  },
  { title: 'Account' },
);
export type Account = Static<typeof Account>;

export const KEY_ROLES = ['business', 'operator', 'drone'] as const;

/** Who a key belongs to and what it may do. `account_id` only for business keys, `drone_id` only for a key bound to one drone. */
export const Principal = Closed({
  key_id: idSchema('apiKey'),
  role: OneOf(KEY_ROLES),
  account_id: Nullable(idSchema('account')),
  account_state: Nullable(OneOf(ACCOUNT_STATES)),
  drone_id: Nullable(idSchema('drone')),
  livemode: Type.Boolean(),
  name: Type.String(),
});
export type Principal = Static<typeof Principal>;

export const AUTHORIZATION_STATES = ['authorized', 'captured', 'voided'] as const;
/** How long an authorization holds its amount, seconds: 7 days. Whoever needs it longer renews it before. */
export const AUTHORIZATION_VALID_S = 7 * 24 * 3600;
export const Authorization = Type.Object({
  id: idSchema('authorization'),
  step_key: Type.String(),
  account_id: idSchema('account'),
  delivery_id: idSchema('delivery'),
  livemode: Type.Boolean(),
  state: OneOf(AUTHORIZATION_STATES),
  amount: Money,
  captured: Nullable(Money),
  /** Why the captured amount is what it is: `delivered`, `sender_absent_fee`, … */
  charge_reason: Nullable(Type.String()),
  /** From then on it holds no credit, unless it is renewed; null: never. */
  expires_at: Nullable(Timestamp),
  created_at: Timestamp,
});
export type Authorization = Static<typeof Authorization>;

export const CREDIT_NOTE_REASONS = ['package_lost'] as const;
/** What the account is owed: its next invoice is so much less. See `creditNoteFor`. */
export const CreditNote = Type.Object({
  id: idSchema('creditNote'),
  step_key: Type.String(),
  account_id: idSchema('account'),
  /** It has no other one. */
  delivery_id: idSchema('delivery'),
  livemode: Type.Boolean(),
  amount: Money,
  reason: OneOf(CREDIT_NOTE_REASONS),
  created_at: Timestamp,
});
export type CreditNote = Static<typeof CreditNote>;

const AccountParams = Closed({ account_id: idSchema('account') });

export const CreateAccount = Closed({
  name: Type.String({ minLength: 1, maxLength: 200 }),
  livemode: Type.Optional(Type.Boolean({ default: true })),
  credit_limit: Type.Optional(Money),
  preferences: Type.Optional(Type.Partial(Preferences, { additionalProperties: false })),
});

export const accountContract = defineContract({
  createAccount: {
    method: 'POST',
    path: '/accounts',
    summary: 'Registers a business and makes its first API key, shown once',
    body: CreateAccount,
    response: Type.Object({
      account: Account,
      api_key: Type.String(),
      /** This is the first answer again. */
      replayed: Type.Optional(Type.Boolean()),
    }),
    status: 201,
    idempotent: true,
  },
  getAccount: {
    method: 'GET',
    path: '/accounts/:account_id',
    summary: 'One account',
    params: AccountParams,
    response: Account,
  },
  listAccounts: {
    method: 'GET',
    path: '/accounts',
    summary: 'Accounts, newest first',
    query: Closed(PageQuery),
    response: Page(Account),
  },
  setAccountState: {
    method: 'PUT',
    path: '/accounts/:account_id/state',
    summary: 'Suspends, reactivates or closes an account',
    params: AccountParams,
    body: Closed({
      state: OneOf(ACCOUNT_STATES),
      reason: Type.String({ minLength: 1, maxLength: 500 }),
      by: Type.String(),
    }),
    response: Account,
  },
  ensureAccount: {
    method: 'PUT',
    path: '/accounts/:account_id',
    summary: 'Creates or updates an account with a given id (seed data)',
    params: AccountParams,
    body: Closed({
      name: Type.String(),
      livemode: Type.Boolean(),
      state: OneOf(ACCOUNT_STATES),
      credit_limit: Money,
      preferences: Preferences,
    }),
    response: Account,
  },
  ensureKey: {
    method: 'PUT',
    path: '/keys',
    summary:
      'Registers a key whose secret the caller already has (the stack); only its hash is kept. Idempotent',
    body: Closed({
      key: Type.String({ minLength: 20, maxLength: 200 }),
      role: OneOf(KEY_ROLES),
      name: Type.String(),
      account_id: Nullable(idSchema('account')),
      drone_id: Nullable(idSchema('drone')),
      livemode: Type.Boolean(),
    }),
    response: Principal,
  },
  resolveKey: {
    method: 'POST',
    path: '/keys/resolve',
    summary: 'Who presents this key; 401 when nobody or revoked',
    body: Closed({ key: Type.String({ maxLength: 500 }) }),
    response: Principal,
  },
  revokeKey: {
    method: 'POST',
    path: '/keys/:key_id/revoke',
    summary: 'Revokes a key for good. Idempotent',
    params: Closed({ key_id: idSchema('apiKey') }),
    response: Closed({ key_id: idSchema('apiKey'), revoked_at: Timestamp }),
  },
  recentKeys: {
    method: 'GET',
    path: '/keys/recent',
    summary:
      'Keys that are not revoked, newest first, as their hashes: the api knows them before they are used',
    description:
      'So that a key works at the public door although this service is down when it is first presented.',
    query: Closed({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 1000 })) }),
    response: Closed({
      data: Type.Array(
        Closed({
          key_hash: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the key, hex' }),
          principal: Principal,
        }),
      ),
    }),
  },
  authorize: {
    method: 'POST',
    path: '/authorizations',
    summary: 'Verifies the account (active, credit) and authorizes an amount, atomically',
    description:
      'A business refusal is an outcome, not an error. After `voidAuthorization` with the same step key it authorizes nothing.',
    body: Closed({
      account_id: idSchema('account'),
      delivery_id: idSchema('delivery'),
      livemode: Type.Boolean(),
      amount: Money,
    }),
    response: Type.Union([
      Closed({
        outcome: Type.Literal('authorized'),
        authorization_id: idSchema('authorization'),
        preferences: Preferences,
        /** Renew it before; null: it never runs out. */
        expires_at: Nullable(Timestamp),
      }),
      Closed({
        outcome: Type.Literal('refused'),
        reason: OneOf([
          'account_unknown',
          'account_suspended',
          'account_closed',
          'credit_exceeded',
          'voided',
        ] as const),
        detail: Type.String(),
      }),
    ]),
    idempotent: true,
  },
  renewAuthorization: {
    method: 'POST',
    path: '/authorizations/renew',
    summary: 'Lets an authorization hold its amount anew, if the account is still active and has the credit',
    description:
      'Idempotent by key. A refusal is an outcome, not an error, and leaves the authorization as it is. One that has run out needs free credit again.',
    body: Closed({
      /** The `Idempotency-Key` of the authorize step. */
      authorize_key: Type.String(),
      delivery_id: idSchema('delivery'),
    }),
    response: Type.Union([
      Closed({ outcome: Type.Literal('renewed'), expires_at: Nullable(Timestamp) }),
      Closed({
        outcome: Type.Literal('refused'),
        reason: OneOf(['account_suspended', 'account_closed', 'credit_exceeded', 'not_authorized'] as const),
        detail: Type.String(),
      }),
    ]),
    idempotent: true,
  },
  capture: {
    method: 'POST',
    path: '/authorizations/capture',
    summary: 'Captures all or part of an authorization and releases the rest. Idempotent',
    body: Closed({
      /** The `Idempotency-Key` of the authorize step. */
      authorize_key: Type.String(),
      delivery_id: idSchema('delivery'),
      amount: Money,
      /**
       * What the delivery costs in all. With what is captured of its other authorizations no more is captured than that: two runs of a
       * workflow, of which a reset has begun the second, may each have authorized the same difference.
       */
      charge: Type.Optional(Money),
      reason: Type.String(),
    }),
    response: Closed({ outcome: OneOf(['captured', 'already_captured'] as const), captured: Money }),
    idempotent: true,
  },
  voidAuthorization: {
    method: 'POST',
    path: '/authorizations/void',
    summary:
      'Voids what the authorize step with this key did; also when that step never ran or is still under way',
    body: Closed({
      authorize_key: Type.String(),
      account_id: idSchema('account'),
      delivery_id: idSchema('delivery'),
    }),
    response: Closed({
      outcome: OneOf(['voided', 'already_voided', 'never_authorized', 'already_captured'] as const),
    }),
    idempotent: true,
  },
  issueCreditNote: {
    method: 'POST',
    path: '/credit-notes',
    summary:
      'Credits an account for a delivery whose package was lost. Idempotent by key, and once for a delivery',
    description: 'Also for an account that was suspended or closed meanwhile: what is owed is owed.',
    body: Closed({
      account_id: idSchema('account'),
      delivery_id: idSchema('delivery'),
      livemode: Type.Boolean(),
      amount: Type.Intersect([Money, Type.Object({ amount: Type.Integer({ minimum: 1 }) })]),
      reason: OneOf(CREDIT_NOTE_REASONS),
    }),
    response: Closed({
      /** `already_issued`: by another step; then it is that one's. */
      outcome: OneOf(['issued', 'already_issued'] as const),
      credit_note: CreditNote,
    }),
    idempotent: true,
  },
  listCreditNotes: {
    method: 'GET',
    path: '/credit-notes',
    summary: 'Credit notes, newest first',
    query: Closed({
      ...PageQuery,
      delivery_id: Type.Optional(idSchema('delivery')),
      account_id: Type.Optional(idSchema('account')),
    }),
    response: Page(CreditNote),
  },
  listAuthorizations: {
    method: 'GET',
    path: '/authorizations',
    summary: 'Authorizations, newest first',
    query: Closed({
      ...PageQuery,
      state: Type.Optional(OneOf(AUTHORIZATION_STATES)),
      delivery_id: Type.Optional(idSchema('delivery')),
      account_id: Type.Optional(idSchema('account')),
    }),
    response: Page(Authorization),
  },
});
