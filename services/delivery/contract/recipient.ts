/**
 * What only the recipient is sent: the token of the tracking link, and the PIN. Both are derived from a secret, so there is
 * nothing at rest that a leaked database would tell, and whoever sends them (again) asks for them when it does. The token
 * names its delivery and proves that we made it. Several secrets: the first makes new ones, all are believed.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { DeliveryId } from '../../../shared/ids.ts';

export interface RecipientAccess {
  /** `trk_…`: the end of the tracking link. */
  trackingToken: string;
  /** Six digits. */
  pin: string;
}

/** A token that was made with one of the secrets. */
export interface RecognizedToken {
  deliveryId: DeliveryId;
  /** The secret that made it, and so the PIN that was sent with it. */
  secret: string;
}

export const TRACKING_TOKEN_PATTERN = '^trk_[0-7][0-9a-hjkmnp-tv-z]{25}_[A-Za-z0-9_-]{22}$';
const TOKEN = new RegExp(TRACKING_TOKEN_PATTERN);
const SHORTEST_SECRET = 32;
/** NIST SP 800-107: half of SHA-256's output, 128 bits. */
const PROOF_BYTES = 16;

/**
 * Reads `RECIPIENT_SECRETS`: one or several, separated by commas.
 * @throws {RangeError} for one that is too short, without telling it
 */
export function parseRecipientSecrets(text: string): [string, ...string[]] {
  const [newest = '', ...older] = text.split(',').map((one) => one.trim());
  if ([newest, ...older].some((one) => one.length < SHORTEST_SECRET))
    throw new RangeError(`RECIPIENT_SECRETS: each must have at least ${SHORTEST_SECRET} characters`);
  return [newest, ...older];
}

export function recipientAccess(secret: string, deliveryId: DeliveryId): RecipientAccess {
  const own = deliveryId.slice(deliveryId.indexOf('_') + 1);
  return {
    trackingToken: `trk_${own}_${linkProof(secret, deliveryId).toString('base64url')}`,
    pin: pinOf(secret, deliveryId),
  };
}

/** Undefined for a token that none of the secrets has made. Takes the same time however wrong it is. */
export function recognizeToken(secrets: readonly string[], token: string): RecognizedToken | undefined {
  if (!TOKEN.test(token)) return undefined;
  const [, own = '', ...rest] = token.split('_');
  const deliveryId = `del_${own}` as DeliveryId;
  const given = Buffer.from(rest.join('_'), 'base64url');
  const secret = secrets.find((one) => timingSafeEqual(given, linkProof(one, deliveryId)));
  return secret === undefined ? undefined : { deliveryId, secret };
}

/** In a time that does not tell how much of it was right. */
export function isPin({ secret, deliveryId }: RecognizedToken, given: string): boolean {
  const [right, tried] = [pinOf(secret, deliveryId), given].map((one) => mac(secret, 'compare', one));
  return right !== undefined && tried !== undefined && timingSafeEqual(right, tried);
}

/** Stands for something that was given, and tells nothing of it without the secret. Hex. */
export function givenDigest({ secret, deliveryId }: RecognizedToken, given: string): string {
  return mac(secret, `given/${deliveryId}`, given).toString('hex');
}

function pinOf(secret: string, deliveryId: DeliveryId): string {
  return String(mac(secret, 'pin', deliveryId).readUIntBE(0, 6) % 1_000_000).padStart(6, '0');
}

function linkProof(secret: string, deliveryId: DeliveryId): Buffer {
  return mac(secret, 'link', deliveryId).subarray(0, PROOF_BYTES);
}

/** Each purpose has its own MAC of the same text. */
function mac(secret: string, purpose: string, text: string): Buffer {
  return createHmac('sha256', secret).update(`${purpose}\0${text}`).digest();
}
