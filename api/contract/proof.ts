/** Public operations on the proof that a package was handed over, and on what only its recipient is sent. */
import { type Static, Type } from 'typebox';
import { Proof } from '../../services/delivery/contract/index.ts';
import { idSchema } from '../../shared/ids.ts';
import { Closed, Nullable } from '../../shared/schemas.ts';
import { definePublicContract } from '../operation.ts';
import { DeliveryParams } from './deliveries.ts';
import { EXAMPLE_IDS } from './examples.ts';

export const RecipientAccess = Closed(
  {
    object: Type.Literal('recipient_access'),
    delivery_id: idSchema('delivery'),
    tracking_token: Type.String({ description: 'For `/v1/track/{tracking_token}`' }),
    pin: Nullable(Type.String({ description: 'Where the delivery is confirmed by one' })),
  },
  { title: 'RecipientAccess' },
);
export type RecipientAccess = Static<typeof RecipientAccess>;

const ACCESS_EXAMPLE = {
  object: 'recipient_access',
  delivery_id: EXAMPLE_IDS.delivery,
  tracking_token: `trk_${EXAMPLE_IDS.delivery.slice(4)}_3q2-7wAAAAAAAAAAAAAAAA`,
  pin: '048213',
};

export const proofOperations = definePublicContract({
  getProof: {
    method: 'GET',
    path: '/v1/deliveries/:delivery_id/proof',
    tag: 'Deliveries',
    summary: 'The proof that it was handed over',
    description:
      'Of the kind that the delivery was requested with: when it was given, by whom, and where the drone was. A PIN is never shown. A signature or photo is at `/proof/image`.',
    access: ['business', 'operator'],
    params: DeliveryParams,
    response: Proof,
    problems: ['not-found'],
    examples: {
      response: {
        object: 'proof',
        delivery_id: EXAMPLE_IDS.delivery,
        kind: 'signature',
        status: 'confirmed',
        confirmed_at: '2026-03-01T12:09:20.000Z',
        given_by: 'recipient',
        position: { latitude: 47.6205, longitude: -122.1493 },
        signed_by: 'A. Recipient',
        image: {
          content_type: 'image/png',
          size_bytes: 4_812,
          sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        },
        wrong_attempts: 0,
      },
    },
  },
  getTestRecipient: {
    method: 'GET',
    path: '/v1/test_helpers/deliveries/:delivery_id/recipient',
    tag: 'Test helpers',
    summary: 'What the recipient of a test delivery is sent: the tracking link’s token, and the PIN',
    description: 'With a test key. With a live one 403: whoever sends a package cannot confirm it.',
    access: ['business'],
    params: DeliveryParams,
    response: RecipientAccess,
    problems: ['not-found'],
    examples: { response: ACCESS_EXAMPLE },
  },
  showRecipientAccess: {
    method: 'POST',
    path: '/v1/ops/deliveries/:delivery_id/recipient_access',
    tag: 'Operations',
    summary: 'What the recipient was sent, for an operator who helps: the timeline says who looked, and why',
    access: ['operator'],
    params: DeliveryParams,
    body: Closed({
      why: Type.String({
        minLength: 1,
        maxLength: 500,
        pattern: '\\S',
        description: 'Kept with the event in the timeline, which the sender reads too. No personal data',
      }),
    }),
    response: RecipientAccess,
    idempotencyKey: 'required',
    problems: ['not-found'],
    examples: { body: { why: 'The recipient called: the message did not arrive' }, response: ACCESS_EXAMPLE },
  },
});

/** Not part of the typed client: it answers bytes. */
export const proofImage = definePublicContract({
  getProofImage: {
    method: 'GET',
    path: '/v1/deliveries/:delivery_id/proof/image',
    tag: 'Deliveries',
    summary: 'The signature or photo itself',
    description:
      'As `image/png`, `image/jpeg` or `image/webp`. 404 when there is none (yet, or any more: it is personal, and can be erased).',
    access: ['business', 'operator'],
    params: DeliveryParams,
    response: Type.String({ contentEncoding: 'binary' }),
    produces: 'image/*',
    answerHeaders: { ETag: 'SHA-256 of the bytes' },
    problems: ['not-found'],
  },
});
