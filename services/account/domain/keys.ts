/** API keys: how they look, how they are recognised, and how the first one can be told again without being kept. */
import { createHash, createHmac } from 'node:crypto';
import type { AccountId } from '../../../shared/ids.ts';

/** 256 bits in base 36. */
const SECRET_CHARACTERS = 50;

export const keyPrefix = (livemode: boolean): string => (livemode ? 'dd_live_' : 'dd_test_');

/**
 * SHA-256 of a key, hex: all that is stored. A fast hash without a salt is right here, because a key is not a password: it
 * has 256 random bits, so it can neither be guessed nor found in a table, and it is looked up on every request.
 */
export function keyHash(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/**
 * The first key of an account. It is shown once, but the answer that shows it may be lost on the way, and the repetition has
 * to give the same answer. So it is derived, with HMAC-SHA-256, from a secret of the service and the account's id. Compared
 * with keeping it encrypted: nothing in the database leads back to it, whatever is stolen with it, and nothing has to be
 * deleted when the time for repetitions is over.
 *
 * @param secret of the service, at least 32 random bytes
 */
export function firstKey(secret: string, accountId: AccountId, livemode: boolean): string {
  const mac = createHmac('sha256', secret).update(`first api key of ${accountId}`).digest('hex');
  return keyPrefix(livemode) + BigInt(`0x${mac}`).toString(36).padStart(SECRET_CHARACTERS, '0');
}
