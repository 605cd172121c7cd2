/** Public operations of senders on their deliveries. */
import { type Static, Type } from 'typebox';
import {
  CANCELLATION_REASONS,
  Delivery,
  DeliveryEvent,
  DeliveryStatusSchema,
} from '../../services/delivery/contract/index.ts';
import { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import { idSchema } from '../../shared/ids.ts';
import {
  Closed,
  Nullable,
  OneOf,
  Page,
  PageQuery,
  PickupWindow,
  Stop,
  Timestamp,
} from '../../shared/schemas.ts';
import { definePublicContract } from '../operation.ts';
import {
  ACCEPTED_DELIVERY_EXAMPLE,
  CANCELLED_DELIVERY_EXAMPLE,
  CREATE_DELIVERY_EXAMPLE,
  DELIVERY_EXAMPLE,
  RESCHEDULED_DELIVERY_EXAMPLE,
  EVENT_EXAMPLE,
} from './examples.ts';

export const DeliveryParams = Closed({ delivery_id: idSchema('delivery') });

/** The filters that senders and operators share. */
export const DeliveryFilters = {
  ...PageQuery,
  status: Type.Optional(
    Type.Array(DeliveryStatusSchema, { description: 'Repeat the parameter for several', maxItems: 15 }),
  ),
  external_id: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  complete: Type.Optional(Type.Boolean({ description: 'Whether nothing follows any more' })),
  created_after: Type.Optional(Timestamp),
  created_before: Type.Optional(Timestamp),
};

/** The delivery, and what became of the request to cancel it. */
export const CancelledDelivery = Type.Object(
  {
    ...Delivery.properties,
    cancellation: Closed({
      outcome: OneOf(['cancelled', 'pending'] as const),
      detail: Nullable(Type.String()),
    }),
  },
  { title: 'CancelledDelivery' },
);
export type CancelledDelivery = Static<typeof CancelledDelivery>;

export const deliveryOperations = definePublicContract({
  createDelivery: {
    method: 'POST',
    path: '/v1/deliveries',
    tag: 'Deliveries',
    summary: 'Requests a delivery',
    description:
      'The 201 means it is kept for good: it will be carried out, or fail with a reason, whatever happens to us meanwhile. The account’s credit and a drone for it are settled afterwards; follow the status. `external_id`, your own id, is unique per account (409 `external_id_taken`).',
    access: ['business'],
    body: CreateDeliveryRequest,
    response: Delivery,
    status: 201,
    idempotencyKey: 'optional',
    answerHeaders: {
      Location: 'Path of the delivery',
      ETag: 'Of the delivery as it is now',
      'Idempotent-Replayed': '`true` when this is the answer to an earlier request with the same key',
    },
    problems: [
      'account-suspended',
      'account-closed',
      'conflict',
      'request-in-progress',
      'unserviceable',
      'idempotency-key-reused',
    ],
    examples: { body: CREATE_DELIVERY_EXAMPLE, response: ACCEPTED_DELIVERY_EXAMPLE },
  },
  getDelivery: {
    method: 'GET',
    path: '/v1/deliveries/:delivery_id',
    tag: 'Deliveries',
    summary: 'One delivery',
    description:
      'With the `ETag` of an earlier answer in `If-None-Match`, 304 when nothing has changed. `interventions` are shown to operators in full.',
    access: ['business', 'operator'],
    params: DeliveryParams,
    headers: { 'if-none-match': { type: 'string' } },
    response: Delivery,
    answerHeaders: { ETag: 'Changes with the delivery; weak' },
    alsoAnswers: { 304: 'Nothing has changed since the answer with this ETag' },
    problems: ['not-found'],
    examples: { response: DELIVERY_EXAMPLE },
  },
  listDeliveries: {
    method: 'GET',
    path: '/v1/deliveries',
    tag: 'Deliveries',
    summary: 'Your deliveries, newest first',
    description: 'A delivery appears here within moments of its 201.',
    access: ['business', 'operator'],
    query: Closed(DeliveryFilters),
    response: Page(Delivery),
    examples: { response: { data: [DELIVERY_EXAMPLE], next_cursor: null } },
  },
  changeDelivery: {
    method: 'PATCH',
    path: '/v1/deliveries/:delivery_id',
    tag: 'Deliveries',
    summary: 'Moves the pickup, earlier or later, or changes the dropoff',
    description:
      'One of the two at a time, so that each has an answer of its own. `pickup_window`: until its drone is sent or a carrier is asked: while `created`, `scheduled`, `awaiting_drone`, or `confirmed` with the drone still on the ground; afterwards 409 with a `reason`. 422: the window is over, more than 30 days ahead, or too late for any drone to make the deadline. `dropoff`: until the drone has arrived at the present one; the price is that of the new distance, and the difference is authorized first. 422 with the reason `out_of_range` when it cannot be flown with the battery that is left, or `after_deadline` when the drone would be there after the `deadline` (without a drone that is not known yet: the change is taken, and one that makes the deadline is waited for), or when its contact has neither phone nor email and the recipient has to confirm; 409 with a `reason` when it is too late (`arrived_at_dropoff`, `returning`), by a carrier (`carrier_being_asked`, `carrier_booked`), the account does not allow the price (`credit_exceeded`), or a service that it needs has not answered for 30 s (`service_unavailable`): then the old dropoff stands. 202: the drone, or the drone service, has not answered for 5 s; `delivery.dropoff_changed` or `delivery.dropoff_change_refused` will tell. With the `ETag` of what you read in `If-Match`, 412 when it has changed since. 503: no answer in time; repeat it with the same `Idempotency-Key` to hear the answer.',
    access: ['business', 'operator'],
    params: DeliveryParams,
    headers: { 'if-match': { type: 'string' } },
    body: Closed({
      pickup_window: Type.Optional(PickupWindow),
      dropoff: Type.Optional(Stop),
      why: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 200,
          pattern: '\\S',
          description: 'Kept in the timeline. Required of an operator. No personal data',
        }),
      ),
    }),
    response: Delivery,
    idempotencyKey: 'optional',
    answerHeaders: {
      ETag: 'Of the delivery as it is now',
      'Idempotent-Replayed': '`true` when this is the answer to an earlier request with the same key',
    },
    alsoAnswers: {
      202: 'The drone has not answered yet whether it flies there: the outcome comes as an event',
    },
    problems: ['not-found', 'conflict', 'precondition-failed', 'unserviceable', 'idempotency-key-reused'],
    examples: {
      body: { pickup_window: RESCHEDULED_DELIVERY_EXAMPLE.pickup_window, why: 'The shop opens later' },
      response: RESCHEDULED_DELIVERY_EXAMPLE,
    },
  },
  cancelDelivery: {
    method: 'POST',
    path: '/v1/deliveries/:delivery_id/cancel',
    tag: 'Deliveries',
    summary: 'Cancels a delivery whose package is not aboard yet',
    description:
      'Safe to repeat. 200: cancelled. 202: the drone has not answered yet whether it has loaded; `delivery.cancelled` or `delivery.picked_up` will tell. 409 with a `reason`: too late. 503: no answer in time; the wish is kept and carried out, repeat to hear the answer.',
    access: ['business', 'operator'],
    params: DeliveryParams,
    body: Closed({
      reason: Type.Optional(OneOf(CANCELLATION_REASONS)),
      why: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 500,
          pattern: '\\S',
          description: 'Kept with the event in the timeline. Required of an operator. No personal data',
        }),
      ),
    }),
    bodyOptional: true,
    response: CancelledDelivery,
    alsoAnswers: { 202: 'The drone has not answered yet: the outcome comes as an event' },
    problems: ['not-found', 'conflict'],
    examples: {
      body: { reason: 'requested_by_sender', why: 'The sender called: it was ordered twice' },
      response: CANCELLED_DELIVERY_EXAMPLE,
    },
  },
  listDeliveryEvents: {
    method: 'GET',
    path: '/v1/deliveries/:delivery_id/events',
    tag: 'Deliveries',
    summary: 'The timeline of a delivery, oldest first',
    description: 'Events are numbered 1, 2, 3 … without a gap.',
    access: ['business', 'operator'],
    params: DeliveryParams,
    query: Closed({
      ...PageQuery,
      after_sequence: Type.Optional(
        Type.Integer({ minimum: 0, description: 'Only events with a greater number' }),
      ),
    }),
    response: Page(DeliveryEvent),
    problems: ['not-found'],
    examples: { response: { data: [EVENT_EXAMPLE], next_cursor: null } },
  },
});
