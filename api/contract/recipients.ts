/** Public operations of whoever has a tracking link: no key, and nothing but what a recipient needs. */
import { type Static, Type } from 'typebox';
import {
  CONFIRMATION_KINDS,
  CONFIRMATION_STATUSES,
  DELAY_REASONS,
  DeliveryStatusSchema,
  Eta,
  GivenConfirmation,
} from '../../services/delivery/contract/index.ts';
import { Closed, Nullable, OneOf, Timestamp } from '../../shared/schemas.ts';
import { definePublicContract } from '../operation.ts';
import { EXAMPLE_IDS, TRACKING_EXAMPLE } from './examples.ts';
import { LivePosition } from './tracking.ts';

const TOKEN_EXAMPLE = `trk_${EXAMPLE_IDS.delivery.slice(4)}_3q2-7wAAAAAAAAAAAAAAAA`;

/** Any text: a token that is none is answered like one that leads nowhere. */
const TrackingParams = Closed({
  tracking_token: Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'The end of the link that the recipient was sent: `trk_…`',
    examples: [TOKEN_EXAMPLE],
  }),
});

export const RecipientTracking = Type.Object(
  {
    object: Type.Literal('recipient_tracking'),
    status: DeliveryStatusSchema,
    complete: Type.Boolean(),
    imminent: Type.Boolean({ description: '≤ 60 s from the dropoff by ETA: time to go outside' }),
    delayed: Type.Boolean(),
    delay_reason: Nullable(OneOf(DELAY_REASONS)),
    eta: Eta,
    position_status: OneOf(['live', 'none', 'unavailable'] as const),
    position: Nullable(LivePosition),
    confirmation: Closed({
      kind: OneOf(CONFIRMATION_KINDS, {
        description: 'What the recipient is asked for; `photo` is the drone’s',
      }),
      status: OneOf(CONFIRMATION_STATUSES, { description: '`awaited`: the drone hovers and waits for it' }),
      due_at: { ...Nullable(Timestamp), description: 'How long the drone waits' },
      attempts_left: Type.Integer({ minimum: 0 }),
    }),
    left_unattended: Type.Boolean(),
    updated_at: Timestamp,
  },
  { title: 'RecipientTracking' },
);
export type RecipientTracking = Static<typeof RecipientTracking>;

export const Confirmed = Closed(
  {
    object: Type.Literal('confirmation'),
    outcome: OneOf(['confirmed', 'pending'] as const, {
      description:
        '`confirmed`: the drone lowers the package. `pending`: it counts, and the drone will be told; one that has come down with the package is followed by another',
    }),
    confirmed_at: Timestamp,
    detail: Nullable(Type.String()),
  },
  { title: 'Confirmation' },
);

export type Confirmed = Static<typeof Confirmed>;

export const recipientOperations = definePublicContract({
  getRecipientTracking: {
    method: 'GET',
    path: '/v1/track/:tracking_token',
    tag: 'Recipients',
    summary: 'Where the package is, and whether it waits for you',
    access: 'anybody',
    params: TrackingParams,
    response: RecipientTracking,
    problems: ['not-found'],
    examples: {
      response: {
        object: 'recipient_tracking',
        status: 'arrived_at_dropoff',
        complete: false,
        imminent: true,
        delayed: false,
        delay_reason: null,
        eta: TRACKING_EXAMPLE.eta,
        position_status: 'live',
        position: TRACKING_EXAMPLE.position,
        confirmation: {
          kind: 'pin',
          status: 'awaited',
          due_at: '2026-03-01T12:10:40.000Z',
          attempts_left: 5,
        },
        left_unattended: false,
        updated_at: '2026-03-01T12:08:55.000Z',
      },
    },
  },
  confirmDelivery: {
    method: 'POST',
    path: '/v1/track/:tracking_token/confirmation',
    tag: 'Recipients',
    summary: 'Confirms the delivery, so that the drone lowers the package',
    description:
      'While `confirmation.status` is `awaited`, with what the sender asked for: the PIN, a signature, or the scanned tags of all packages. Safe to repeat: the same answer, and the same wrong PIN is counted once. 422 `wrong_pin` or `wrong_barcodes` says how many tries are left; after the last one 409 `attempts_exhausted`, and the package goes back. 409 `not_awaited`: the drone is not there, or not any more; `too_late`: it had just turned back; `not_required`, `given_by_drone`: there is nothing to confirm; `already_confirmed`: with something else. 202: it counts, but nobody could tell the drone yet, or it has come down with the package and another one takes over.',
    access: 'anybody',
    params: TrackingParams,
    body: GivenConfirmation,
    response: Confirmed,
    alsoAnswers: {
      202: 'It counts; the drone, or the one that takes over, will be told as long as it waits',
    },
    problems: ['not-found', 'conflict', 'unserviceable'],
    examples: {
      body: { pin: '048213' },
      response: {
        object: 'confirmation',
        outcome: 'confirmed',
        confirmed_at: '2026-03-01T12:09:20.000Z',
        detail: 'It is confirmed: the drone lowers the package.',
      },
    },
  },
});
