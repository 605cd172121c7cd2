/**
 * Proof of delivery: who may give which, how often it may be tried, and what is kept of it. Whether the drone then lowers the
 * package is the workflow's to say, which reads here what was given.
 */
import { createHash } from 'node:crypto';
import type { PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import { type Clock, isoTime, timeMsOf } from '../../../shared/clock.ts';
import { conflict, notFound, Problem } from '../../../shared/errors.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { Location } from '../../../shared/schemas.ts';
import { type ConfirmationKind, MAX_WRONG_CONFIRMATIONS } from '../contract/confirmation.ts';
import {
  type GivenConfirmation,
  MAX_PHOTO_BYTES,
  MAX_SIGNATURE_BYTES,
  type Photo,
} from '../contract/proof.ts';
import { givenDigest, isPin, recognizeToken, type RecognizedToken } from '../contract/recipient.ts';
import { isFinal } from '../contract/status.ts';
import {
  type ConfirmationOf,
  countWrong,
  findConfirmation,
  type NewProof,
  storeProof,
  type StoredConfirmation,
} from '../data/confirmations.ts';
import { findDelivery, type StoredDelivery } from '../data/deliveries.ts';
import { imageBytes } from './images.ts';

export type Given =
  | { outcome: 'confirmed'; deliveryId: DeliveryId; confirmedAt: string }
  /** `attemptsLeft` 0: it cannot be confirmed any more. */
  | { outcome: 'wrong'; deliveryId: DeliveryId; attemptsLeft: number };

export class Confirmations {
  readonly #database: PrismaClient;
  readonly #clock: Clock;
  readonly #secrets: readonly string[];

  /** @param secrets the first makes tracking tokens and PINs, all are believed */
  constructor(database: PrismaClient, clock: Clock, secrets: readonly string[]) {
    this.#database = database;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  /** @throws {Problem} 404, in the same words for a token that is none and for one whose delivery is not there */
  async tracked(token: string): Promise<{ token: RecognizedToken; stored: StoredDelivery }> {
    const recognized = recognizeToken(this.#secrets, token);
    const stored = recognized && (await findDelivery(this.#database, recognized.deliveryId));
    if (!recognized || !stored)
      throw new Problem('not-found', { detail: 'There is no delivery under this link.' });
    return { token: recognized, stored };
  }

  /**
   * The recipient gives what the sender asked for. A repetition answers the same.
   * @param position where the drone is, as far as is known
   * @throws {Problem} 400 for an image that is none; 404 for a wrong token; 409 `not_required`, `given_by_drone`, `not_awaited`,
   *   `already_confirmed`; 422 for another kind than was asked for
   */
  async give(trackingToken: string, given: GivenConfirmation, position: Location | null): Promise<Given> {
    const { token, stored } = await this.tracked(trackingToken);
    const { deliveryId } = token;
    const of = confirmationOf(stored);
    assertRecipientGives(of.kind, given);
    const proof = this.#proofOf(token, given, position);
    const known = await findConfirmation(this.#database, deliveryId);
    if (known.given) return repeated(deliveryId, known.given, proof);
    assertAwaited(stored);
    if (!isRight(token, stored, given)) {
      await countWrong(this.#database, of, proof.digest);
      return {
        outcome: 'wrong',
        deliveryId,
        attemptsLeft: attemptsLeft(await findConfirmation(this.#database, deliveryId)),
      };
    }
    if (await storeProof(this.#database, of, proof))
      return { outcome: 'confirmed', deliveryId, confirmedAt: proof.at };
    // Somebody was faster: with a confirmation, or with the last wrong one.
    const now = await findConfirmation(this.#database, deliveryId);
    if (now.given) return repeated(deliveryId, now.given, proof);
    return { outcome: 'wrong', deliveryId, attemptsLeft: attemptsLeft(now) };
  }

  /**
   * The drone's photo. The first one stays.
   * @throws {Problem} 400 for an image that is none; 404; 409 `not_required` when no photo was asked for, `already_<status>`
   */
  async keepPhoto(
    deliveryId: DeliveryId,
    photo: Photo,
    { takenAt, position }: { takenAt: string; position: Location },
  ): Promise<'stored' | 'duplicate'> {
    const stored = await findDelivery(this.#database, deliveryId);
    if (!stored) throw notFound('delivery', deliveryId);
    const of = confirmationOf(stored);
    if (of.kind !== 'photo') throw conflict('not_required', 'No photo was asked for.');
    const bytes = imageBytes(photo, 'photo.data', MAX_PHOTO_BYTES);
    const known = await findConfirmation(this.#database, deliveryId);
    if (known.given) return 'duplicate';
    const { status } = stored.state;
    if (isFinal(status)) throw conflict(`already_${status}`, `The delivery has ended: it is ${status}.`);
    const kept = await storeProof(this.#database, of, {
      at: isoTime(timeMsOf(takenAt)),
      by: 'drone',
      digest: createHash('sha256').update(bytes).digest('hex'),
      position,
      image: { contentType: photo.content_type, bytes },
    });
    return kept ? 'stored' : 'duplicate';
  }

  #proofOf(token: RecognizedToken, given: GivenConfirmation, position: Location | null): NewProof {
    const { signature } = given;
    const digest = givenDigest(token, canonical(given));
    const proof: NewProof = { at: isoTime(this.#clock.nowMs()), by: 'recipient', digest, position };
    if (!signature) return proof;
    const bytes = imageBytes(signature, 'signature.data', MAX_SIGNATURE_BYTES);
    return { ...proof, signedBy: signature.signed_by, image: { contentType: signature.content_type, bytes } };
  }
}

/** How many more wrong ones there may be. */
export function attemptsLeft({ wrong }: StoredConfirmation): number {
  return Math.max(0, MAX_WRONG_CONFIRMATIONS - wrong);
}

function confirmationOf({ identity, impersonal }: StoredDelivery): ConfirmationOf {
  const { id, account_id: accountId, livemode } = identity;
  return { deliveryId: id, accountId, livemode, kind: impersonal.confirmation };
}

const FIELD_OF = { pin: 'pin', signature: 'signature', barcode: 'barcodes' } as const;

function assertRecipientGives(kind: ConfirmationKind, given: GivenConfirmation): void {
  if (kind === 'none') throw conflict('not_required', 'Nothing has to be confirmed: the drone sets it down.');
  if (kind === 'photo')
    throw conflict('given_by_drone', 'The drone takes a photo: nobody has to confirm it.');
  const [field = ''] = Object.keys(given);
  if (field === FIELD_OF[kind]) return;
  throw new Problem('unserviceable', {
    reason: 'wrong_kind',
    detail: `This delivery is confirmed by ${kind}.`,
    errors: [{ field, message: `must be ${FIELD_OF[kind]}: this delivery is confirmed by ${kind}` }],
  });
}

function assertAwaited({ state }: StoredDelivery): void {
  const { status } = state;
  if (status === 'arrived_at_dropoff') return;
  const why = isFinal(status)
    ? `The delivery has ended: it is ${status.replaceAll('_', ' ')}.`
    : status === 'enroute_to_return' || status === 'arrived_at_return'
      ? 'Nobody confirmed it in time: it is on its way back to the sender.'
      : 'It is not at the dropoff yet. It can be confirmed as soon as it waits there.';
  throw conflict('not_awaited', why);
}

function isRight(token: RecognizedToken, { impersonal }: StoredDelivery, given: GivenConfirmation): boolean {
  if (given.pin !== undefined) return isPin(token, given.pin);
  if (given.barcodes === undefined) return true;
  const wanted = impersonal.packages.map((one) => one.tag).sort();
  const scanned = [...given.barcodes].sort();
  return wanted.length === scanned.length && wanted.every((tag, index) => tag === scanned[index]);
}

/** The same scans in another order are the same scans. */
function canonical({ pin, signature, barcodes }: GivenConfirmation): string {
  return JSON.stringify([pin, signature?.signed_by, signature?.data, barcodes && [...barcodes].sort()]);
}

function repeated(
  deliveryId: DeliveryId,
  given: NonNullable<StoredConfirmation['given']>,
  { digest }: NewProof,
): Given {
  if (given.digest !== digest) throw conflict('already_confirmed', 'It has been confirmed before.');
  return { outcome: 'confirmed', deliveryId, confirmedAt: given.at };
}
