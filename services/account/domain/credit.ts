/** Credit and charge: what the steps authorize, capture and void answer. A business refusal is an outcome, not an error. */
import { isoTime } from '../../../shared/clock.ts';
import { conflict, Problem } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import { newId } from '../../../shared/ids.ts';
import type { Money } from '../../../shared/schemas.ts';
import { type accountContract, AUTHORIZATION_VALID_S } from '../contract/index.ts';
import type { AuthorizationRecord, AuthorizationStore, RefusalReason } from '../data/authorizations.ts';

type Contract = typeof accountContract;
type Body<K extends 'authorize' | 'renewAuthorization' | 'capture' | 'voidAuthorization'> = BodyOf<
  Contract,
  K
>;

export function credit(store: AuthorizationStore, nowMs: () => number) {
  return {
    async authorize(stepKey: string, body: Body<'authorize'>): Promise<Output<Contract['authorize']>> {
      const result = await store.authorize({
        id: newId('authorization'),
        stepKey,
        accountId: body.account_id,
        deliveryId: body.delivery_id,
        livemode: body.livemode,
        amount: body.amount,
        nowMs: nowMs(),
        expiresAtMs: nowMs() + AUTHORIZATION_VALID_S * 1000,
      });
      if (result === 'wrong_currency') {
        throw new Problem('unserviceable', {
          reason: 'wrong_currency',
          detail: `The account is not charged in ${body.amount.currency}.`,
        });
      }
      const { record, preferences } = result;
      assertSameDelivery(record, body.delivery_id);
      if (record.state === 'voided' || record.state === 'never_authorized') {
        return {
          outcome: 'refused',
          reason: 'voided',
          detail: 'The delivery was abandoned before this step was done.',
        };
      }
      assertSameRequest(record, body);
      if (record.refusalReason !== null) {
        return {
          outcome: 'refused',
          reason: record.refusalReason,
          detail: refusalDetail(record.refusalReason, body.amount, record.creditFree),
        };
      }
      const { id, expiresAt } = record;
      return { outcome: 'authorized', authorization_id: id, preferences, expires_at: timeOf(expiresAt) };
    },

    async renew(
      renewKey: string,
      { authorize_key, delivery_id }: Body<'renewAuthorization'>,
    ): Promise<Output<Contract['renewAuthorization']>> {
      const found = await store.renew({
        authorizeKey: authorize_key,
        deliveryId: delivery_id,
        renewKey,
        expiresAtMs: nowMs() + AUTHORIZATION_VALID_S * 1000,
      });
      if (found?.renewed) return { outcome: 'renewed', expires_at: timeOf(found.expiresAt) };
      if (found?.state !== 'authorized') {
        return {
          outcome: 'refused',
          reason: 'not_authorized',
          detail: `Nothing is authorized by ${authorize_key}.`,
        };
      }
      const reason =
        found.accountState === 'suspended' || found.accountState === 'closed'
          ? (`account_${found.accountState}` as const)
          : 'credit_exceeded';
      const { amount, currency, creditFree } = found;
      return {
        outcome: 'refused',
        reason,
        detail: refusalDetail(reason, { amount: Number(amount), currency }, creditFree),
      };
    },

    /** @throws {Problem} `conflict` with the reason `not_authorized`, `voided` or `exceeds_authorization`. */
    async capture(captureKey: string, body: Body<'capture'>): Promise<Output<Contract['capture']>> {
      const { authorize_key: authorizeKey, delivery_id: deliveryId, amount, charge, reason } = body;
      if (charge && charge.currency !== amount.currency) {
        throw new Problem('unserviceable', {
          reason: 'wrong_currency',
          detail: `\`amount\` is in ${amount.currency} and \`charge\` in ${charge.currency}: both must be in one currency.`,
        });
      }
      const captured = await store.capture({
        authorizeKey,
        deliveryId,
        amount,
        most: charge?.amount ?? null,
        reason,
        captureKey,
        nowMs: nowMs(),
      });
      if (captured !== undefined) return { outcome: 'captured', captured: { ...amount, amount: captured } };
      const record = await store.find(authorizeKey);
      if (record) assertSameDelivery(record, deliveryId);
      switch (record?.state) {
        case 'captured':
          return {
            outcome: record.endKey === captureKey ? 'captured' : 'already_captured',
            captured: { amount: Number(record.captured), currency: record.currency },
          };
        case 'authorized':
          throw conflict(
            'exceeds_authorization',
            `${format(amount)} is more than the ${format({ amount: Number(record.amount), currency: record.currency })} that were authorized.`,
          );
        case 'voided':
        case 'never_authorized':
          throw conflict('voided', `The authorization ${authorizeKey} was voided.`);
        default:
          throw conflict('not_authorized', `Nothing was authorized by ${authorizeKey}.`);
      }
    },

    async voidAuthorization(
      voidKey: string,
      body: Body<'voidAuthorization'>,
    ): Promise<Output<Contract['voidAuthorization']>> {
      const { authorize_key: authorizeKey, account_id: accountId, delivery_id: deliveryId } = body;
      const done = await store.void({
        id: newId('authorization'),
        authorizeKey,
        accountId,
        deliveryId,
        voidKey,
        nowMs: nowMs(),
      });
      if (done) return { outcome: done };
      const record = await store.find(authorizeKey);
      if (!record) throw new Error(`The authorization ${authorizeKey} was neither written nor found`);
      assertSameDelivery(record, deliveryId);
      const isRepetition = record.endKey === voidKey;
      switch (record.state) {
        case 'captured':
          return { outcome: 'already_captured' };
        case 'refused':
          return { outcome: 'never_authorized' };
        case 'never_authorized':
          return { outcome: isRepetition ? 'never_authorized' : 'already_voided' };
        case 'voided':
          return { outcome: isRepetition ? 'voided' : 'already_voided' };
        case 'authorized':
          // It was not when the statement ran, and an ended authorization never opens again.
          throw new Error(`The authorization ${authorizeKey} is open after it was voided`);
      }
    },
  };
}

const timeOf = (time: Date | null): string | null => (time === null ? null : isoTime(time.getTime()));

function assertSameDelivery(record: AuthorizationRecord, deliveryId: string): void {
  if (record.deliveryId !== deliveryId) {
    throw new Problem('idempotency-key-reused', {
      detail: 'This authorize step belongs to another delivery.',
    });
  }
}

function assertSameRequest(record: AuthorizationRecord, body: Body<'authorize'>): void {
  if (
    record.accountId !== body.account_id ||
    record.amount !== BigInt(body.amount.amount) ||
    record.currency !== body.amount.currency
  ) {
    throw new Problem('idempotency-key-reused', {
      detail: 'This authorize step ran before with another account or amount.',
    });
  }
}

function refusalDetail(reason: RefusalReason, amount: Money, creditFree: bigint | null): string {
  switch (reason) {
    case 'account_unknown':
      return 'There is no such account in this mode.';
    case 'account_suspended':
      return 'The account is suspended.';
    case 'account_closed':
      return 'The account is closed.';
    case 'credit_exceeded': {
      // A limit lowered below what is already in use leaves less than nothing.
      const free = { amount: Math.max(0, Number(creditFree ?? 0)), currency: amount.currency };
      return `${format(amount)} is more than the ${format(free)} of credit that were left.`;
    }
  }
}

/** `8.59 USD`; with as many decimals as the currency has. */
function format({ amount, currency }: Money): string {
  const { maximumFractionDigits = 2 } = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
  }).resolvedOptions();
  return `${(amount / 10 ** maximumFractionDigits).toFixed(maximumFractionDigits)} ${currency}`;
}
