/** The operations of the delivery service that are about proof of delivery. */
import type { PrismaClient } from '../../prisma/delivery/generated/client.ts';
import { type Clock, isoTime } from '../../shared/clock.ts';
import { notFound } from '../../shared/errors.ts';
import type { Handlers } from '../../shared/http/server.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { deliveryContract, Proof } from './contract/index.ts';
import { recipientAccess } from './contract/recipient.ts';
import { findConfirmation, findImage } from './data/confirmations.ts';
import { findDelivery, type StoredDelivery } from './data/deliveries.ts';
import { attemptsLeft, Confirmations } from './domain/confirmations.ts';
import type { DeliveryWriter } from './domain/writer.ts';
import { deliveryView } from './domain/view.ts';

export type ConfirmationOperation =
  | 'track'
  | 'giveConfirmation'
  | 'keepPhoto'
  | 'getConfirmation'
  | 'getProof'
  | 'getProofImage'
  | 'getRecipientAccess'
  | 'showRecipientAccess';

/** @param secrets the first makes tracking links and PINs, all are believed */
export function confirmationHandlers(
  database: PrismaClient,
  clock: Clock,
  writer: DeliveryWriter,
  secrets: readonly [string, ...string[]],
): Pick<Handlers<typeof deliveryContract>, ConfirmationOperation> {
  const confirmations = new Confirmations(database, clock, secrets);
  const [newest] = secrets;

  async function found(id: DeliveryId): Promise<StoredDelivery> {
    const stored = await findDelivery(database, id);
    if (!stored) throw notFound('delivery', id);
    return stored;
  }

  function accessOf({ identity, impersonal }: StoredDelivery) {
    const { trackingToken, pin } = recipientAccess(newest, identity.id);
    return { tracking_token: trackingToken, pin: impersonal.confirmation === 'pin' ? pin : null };
  }

  return {
    track: async ({ body }) => {
      const { stored } = await confirmations.tracked(body.tracking_token);
      const { identity, impersonal, personal, state } = stored;
      return {
        delivery: deliveryView(identity, impersonal, personal, state, clock.nowMs()),
        attempts_left: attemptsLeft(await findConfirmation(database, identity.id)),
      };
    },

    giveConfirmation: async ({ body }) => {
      const answer = await confirmations.give(body.tracking_token, body.given, body.position);
      const { deliveryId: delivery_id } = answer;
      return answer.outcome === 'confirmed'
        ? { outcome: 'confirmed', delivery_id, confirmed_at: answer.confirmedAt }
        : { outcome: 'wrong', delivery_id, attempts_left: answer.attemptsLeft };
    },

    keepPhoto: async ({ params, body: { photo, taken_at: takenAt, position } }) => ({
      outcome: await confirmations.keepPhoto(params.delivery_id, photo, { takenAt, position }),
    }),

    getConfirmation: async ({ params }) => {
      const stored = await findConfirmation(database, params.delivery_id);
      return {
        confirmed_at: stored.given?.at ?? null,
        given_by: stored.given?.by ?? null,
        attempts_left: attemptsLeft(stored),
      };
    },

    getProof: async ({ params }) => {
      const { identity, impersonal, state } = await found(params.delivery_id);
      const { wrong, given } = await findConfirmation(database, identity.id);
      return {
        object: 'proof',
        delivery_id: identity.id,
        kind: impersonal.confirmation,
        status: statusOf(state),
        confirmed_at: given?.at ?? null,
        given_by: given?.by ?? null,
        position: given?.position ?? null,
        signed_by: given?.signedBy ?? null,
        image: given?.image
          ? {
              content_type: given.image.contentType,
              size_bytes: given.image.sizeBytes,
              sha256: given.image.digest,
            }
          : null,
        wrong_attempts: wrong,
      };
    },

    getProofImage: async ({ params }) => {
      const image = await findImage(database, params.delivery_id);
      if (!image) throw notFound('image as proof of', params.delivery_id);
      return { content_type: image.contentType, data: Buffer.from(image.bytes).toString('base64') };
    },

    getRecipientAccess: async ({ params }) => accessOf(await found(params.delivery_id)),

    showRecipientAccess: async ({ params, body }, { idempotencyKey }) => {
      const stored = await found(params.delivery_id);
      const shown = {
        type: 'delivery.recipient_access_shown',
        occurred_at: isoTime(clock.nowMs()),
        data: { ...body },
      };
      await writer.append(params.delivery_id, idempotencyKey, [shown]);
      return accessOf(stored);
    },
  };
}

/** Written before there was proof of delivery, a state says nothing of it. */
function statusOf(state: Partial<StoredDelivery['state']>): Proof['status'] {
  return state.confirmation_status ?? 'not_required';
}
