/** Contract of the delivery service: the read model, the event log and its feed, tracking. */
import { type Static, Type } from 'typebox';
import { defineContract } from '../../../shared/http/contract.ts';
import { idSchema } from '../../../shared/ids.ts';
import {
  Closed,
  Location,
  Money,
  Nullable,
  OneOf,
  Page,
  PageQuery,
  PackageSize,
  PickupWindow,
  Stop,
  Timestamp,
} from '../../../shared/schemas.ts';
import { CONFIRMATION_KINDS, CONFIRMATION_STATUSES } from './confirmation.ts';
import { GivenConfirmation, IMAGE_TYPES, Photo, Proof } from './proof.ts';
import {
  CANCELLATION_REASONS,
  COMPENSATION_STATES,
  DELAY_REASONS,
  DELIVERY_STATUSES,
  FAILURE_REASONS,
  UNDELIVERABLE_REASONS,
} from './status.ts';

export * from './confirmation.ts';
export * from './proof.ts';
export * from './schedule.ts';
export * from './status.ts';

export const DeliveryStatusSchema = OneOf(DELIVERY_STATUSES);

export const DeliveryPackage = Closed(
  {
    id: idSchema('package'),
    size: PackageSize,
    weight_kg: Type.Number({ exclusiveMinimum: 0 }),
    tag: Type.String(),
    declared_value: Type.Optional(Money),
  },
  { title: 'DeliveryPackage' },
);
export type DeliveryPackage = Static<typeof DeliveryPackage>;

export const Eta = Closed(
  {
    /** `pending`: nobody knows yet; `estimated`: from typical flights; `confirmed`: from the reserved drone's mission. */
    status: OneOf(['pending', 'estimated', 'confirmed'] as const),
    pickup_at: Nullable(Timestamp),
    dropoff_at: Nullable(Timestamp),
    /** Only of a package that is flown back: when it is at the sender again. */
    return_at: Type.Optional(Nullable(Timestamp)),
  },
  { title: 'Eta' },
);
export type Eta = Static<typeof Eta>;

/** A case that only a person can settle. */
export const Intervention = Closed(
  {
    id: Type.String(),
    /** What is stuck: `compensation:void_authorization`, `drone_down_with_package`, … */
    kind: Type.String(),
    reason: Type.String(),
    /** The answers that settle it, each with what it causes. */
    answers: Type.Array(Closed({ answer: Type.String(), effect: Type.String() })),
    opened_at: Timestamp,
    resolved_at: Nullable(Timestamp),
    resolution: Nullable(Closed({ answer: Type.String(), by: Type.String(), why: Type.String() })),
  },
  { title: 'Intervention' },
);
export type Intervention = Static<typeof Intervention>;

/** An intervention in the list of all of them: with the delivery that it is about. */
export const ListedIntervention = Type.Object(
  {
    object: Type.Literal('intervention'),
    delivery_id: idSchema('delivery'),
    account_id: idSchema('account'),
    livemode: Type.Boolean(),
    ...Intervention.properties,
  },
  { title: 'ListedIntervention' },
);
export type ListedIntervention = Static<typeof ListedIntervention>;

/** What the sender asked for: fixed at the accept, but for the dropoff, which may be changed, and the price with it. */
const requested = {
  id: idSchema('delivery'),
  account_id: idSchema('account'),
  livemode: Type.Boolean(),
  external_id: Nullable(Type.String()),
  pickup: Stop,
  dropoff: Stop,
  packages: Type.Array(DeliveryPackage),
  expedited: Type.Boolean(),
  deadline: Nullable(Timestamp),
  confirmation: OneOf(CONFIRMATION_KINDS),
  undeliverable_action: OneOf(['return', 'leave'] as const),
  metadata: Type.Record(Type.String(), Type.String()),
  price: Money,
  created_at: Timestamp,
};

/** What changes as the delivery goes on. Every field may be patched by an event. */
const progress = {
  /** When the sender hands it over; null: as soon as possible. */
  pickup_window: Nullable(PickupWindow),
  fulfilment: Nullable(OneOf(['drone', 'carrier'] as const)),
  drone_id: Nullable(idSchema('drone')),
  booking_id: Nullable(idSchema('booking')),
  /** 1 for the first drone, 2 for its replacement, …; 0 before any. */
  attempt: Type.Integer({ minimum: 0 }),
  eta: Eta,
  cancellation_reason: Nullable(OneOf(CANCELLATION_REASONS)),
  failure_reason: Nullable(OneOf(FAILURE_REASONS)),
  /** Plain words for a person: what went wrong, with its numbers. No personal data. */
  failure_detail: Nullable(Type.String()),
  delayed: Type.Boolean(),
  delay_reason: Nullable(OneOf(DELAY_REASONS)),
  compensation: OneOf(COMPENSATION_STATES),
  /** What was captured at the end, by outcome; null until settled. */
  charge: Nullable(Money),
  /** What the flight back to the sender costs, once there is one and it could be authorized. Charged on top of the price. */
  return_price: Nullable(Money),
  left_unattended: Type.Boolean(),
  /** Why it was not handed over at the dropoff; null while nothing stood in the way. */
  undeliverable_reason: Nullable(OneOf(UNDELIVERABLE_REASONS)),
  /** How far the proof of delivery is. */
  confirmation_status: OneOf(CONFIRMATION_STATUSES),
  /** While it is `awaited`: how long the drone waits for the recipient. */
  confirmation_due_at: Nullable(Timestamp),
};

export const Delivery = Type.Object(
  {
    object: Type.Literal('delivery'),
    ...requested,
    status: DeliveryStatusSchema,
    ...progress,
    /** Nothing follows: final status, compensation settled. */
    complete: Type.Boolean(),
    /** ≤ 60 s from the dropoff by ETA. */
    imminent: Type.Boolean(),
    /** Number of the last event. */
    sequence: Type.Integer({ minimum: 1 }),
    interventions: Type.Array(Intervention),
    updated_at: Timestamp,
    ended_at: Nullable(Timestamp),
  },
  { title: 'Delivery' },
);
export type Delivery = Static<typeof Delivery>;

export const DeliveryCreation = Closed({
  ...requested,
  eta: Eta,
  /** Absent in what was accepted before there were windows. */
  pickup_window: Type.Optional(Nullable(PickupWindow)),
});
export type DeliveryCreation = Static<typeof DeliveryCreation>;

export const DeliveryPatch = Type.Partial(Closed({ ...progress, complete: Type.Boolean() }), {
  additionalProperties: false,
});
export type DeliveryPatch = Static<typeof DeliveryPatch>;

/** An event as it is written. Its number, id and `recorded_at` are the service's. */
export const NewDeliveryEvent = Closed({
  /** `delivery.confirmed`, `delivery.drone_replaced`, `delivery.compensation_complete`, … */
  type: Type.String({ pattern: '^delivery\\.[a-z_]+$' }),
  /** The new status, where the event changes it. Refused when the state machine forbids it. */
  status: Type.Optional(DeliveryStatusSchema),
  /** When it happened, by the delivery's clock. */
  occurred_at: Timestamp,
  /** Details for the reader. No personal data. */
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  patch: Type.Optional(DeliveryPatch),
  /** The package goes there instead, for this price. Addresses and contacts are kept apart from the event. */
  change_dropoff: Type.Optional(Closed({ dropoff: Stop, price: Money })),
  open_intervention: Type.Optional(
    Closed({
      id: Type.String(),
      kind: Type.String(),
      reason: Type.String(),
      answers: Type.Array(Closed({ answer: Type.String(), effect: Type.String() })),
    }),
  ),
  resolve_intervention: Type.Optional(
    Closed({ id: Type.String(), answer: Type.String(), by: Type.String(), why: Type.String() }),
  ),
});
export type NewDeliveryEvent = Static<typeof NewDeliveryEvent>;

export const DeliveryEvent = Type.Object(
  {
    object: Type.Literal('event'),
    id: idSchema('event'),
    delivery_id: idSchema('delivery'),
    account_id: idSchema('account'),
    livemode: Type.Boolean(),
    /** 1, 2, 3 … without a gap, per delivery. */
    sequence: Type.Integer({ minimum: 1 }),
    type: Type.String(),
    /** The delivery's status after the event. */
    status: DeliveryStatusSchema,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { title: 'DeliveryEvent' },
);
export type DeliveryEvent = Static<typeof DeliveryEvent>;

/** An entry of the feed: the event, its place in the feed and the delivery as it was after it. */
export const FeedEntry = Type.Object({ position: Type.Integer(), event: DeliveryEvent, delivery: Delivery });
export type FeedEntry = Static<typeof FeedEntry>;

/** `pin` where the delivery is confirmed by one. */
const RecipientAccess = Closed({ tracking_token: Type.String(), pin: Nullable(Type.String()) });

const DeliveryParams = Closed({ delivery_id: idSchema('delivery') });

export const deliveryContract = defineContract({
  createDelivery: {
    method: 'POST',
    path: '/deliveries',
    summary: 'Projects an accepted request: the read model and event 1. Idempotent by the delivery id',
    body: DeliveryCreation,
    response: Delivery,
    status: 201,
  },
  createDeliveries: {
    method: 'POST',
    path: '/deliveries/batch',
    summary: 'Projects several accepted requests in one statement. Idempotent by the delivery ids',
    body: Closed({ deliveries: Type.Array(DeliveryCreation, { minItems: 1, maxItems: 100 }) }),
    response: Closed({
      /** Those that were not there before. */
      created: Type.Array(idSchema('delivery')),
    }),
  },
  appendEvents: {
    method: 'POST',
    path: '/deliveries/:delivery_id/events',
    summary: 'Appends events and applies them to the read model, in one transaction',
    description:
      'Idempotent by key: a repetition answers the first result. 404 `not-found` until the accept is projected (retryable); 409 `illegal_transition` when the state machine forbids the status, `already_complete` for a status or an end after the end, `overtaken` when another event has come after `after_sequence`. An end closes the interventions that are still open, by an event each.',
    params: DeliveryParams,
    body: Closed({
      events: Type.Array(NewDeliveryEvent, { minItems: 1, maxItems: 20 }),
      /** Only if the delivery's last event is still this one. */
      after_sequence: Type.Optional(Type.Integer({ minimum: 1 })),
    }),
    response: Closed({
      first_sequence: Type.Integer(),
      last_sequence: Type.Integer(),
      status: DeliveryStatusSchema,
    }),
    idempotent: true,
  },
  getDelivery: {
    method: 'GET',
    path: '/deliveries/:delivery_id',
    summary: 'One delivery',
    params: DeliveryParams,
    response: Delivery,
  },
  listDeliveries: {
    method: 'GET',
    path: '/deliveries',
    summary: 'Deliveries, newest first',
    query: Closed({
      ...PageQuery,
      account_id: Type.Optional(idSchema('account')),
      livemode: Type.Optional(Type.Boolean()),
      status: Type.Optional(Type.Array(DeliveryStatusSchema)),
      external_id: Type.Optional(Type.String()),
      drone_id: Type.Optional(idSchema('drone')),
      complete: Type.Optional(Type.Boolean()),
      has_intervention: Type.Optional(Type.Boolean()),
      created_after: Type.Optional(Timestamp),
      created_before: Type.Optional(Timestamp),
    }),
    response: Page(Delivery),
  },
  listInterventions: {
    method: 'GET',
    path: '/interventions',
    summary: 'Interventions of all deliveries, newest first',
    query: Closed({
      ...PageQuery,
      open: Type.Optional(
        Type.Boolean({ description: 'Only those that wait for an answer, or only those that had theirs' }),
      ),
      kind: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 100,
          description: 'What it begins with: `compensation:`, `compensation:void_packages`, `drone_down`',
        }),
      ),
      delivery_id: Type.Optional(idSchema('delivery')),
      account_id: Type.Optional(idSchema('account')),
      livemode: Type.Optional(Type.Boolean()),
      opened_after: Type.Optional(Timestamp),
      opened_before: Type.Optional(Timestamp),
    }),
    response: Page(ListedIntervention),
  },
  listEvents: {
    method: 'GET',
    path: '/deliveries/:delivery_id/events',
    summary: 'The timeline of a delivery, oldest first',
    params: DeliveryParams,
    query: Closed({ ...PageQuery, after_sequence: Type.Optional(Type.Integer({ minimum: 0 })) }),
    response: Page(DeliveryEvent),
  },
  track: {
    method: 'POST',
    path: '/track',
    summary: 'The delivery behind a tracking link',
    description: '404 for a token that we have not made.',
    body: Closed({ tracking_token: Type.String({ maxLength: 200 }) }),
    response: Closed({ delivery: Delivery, attempts_left: Type.Integer({ minimum: 0 }) }),
  },
  giveConfirmation: {
    method: 'POST',
    path: '/confirmations',
    summary: 'The recipient gives the proof of delivery that the sender asked for',
    description:
      'Safe to repeat: the same answer; the same wrong value is counted once. 409 `not_required`, `given_by_drone`, `not_awaited` (the drone is not there, or not any more), `already_confirmed`; 422 `wrong_kind`. What was given is kept; the workflow has to be told to look.',
    body: Closed({
      tracking_token: Type.String({ maxLength: 200 }),
      given: GivenConfirmation,
      /** Where the drone is, as far as is known. */
      position: Nullable(Location),
    }),
    response: Type.Union([
      Closed({
        outcome: Type.Literal('confirmed'),
        delivery_id: idSchema('delivery'),
        confirmed_at: Timestamp,
      }),
      Closed({
        outcome: Type.Literal('wrong'),
        delivery_id: idSchema('delivery'),
        /** 0: it cannot be confirmed any more. */
        attempts_left: Type.Integer({ minimum: 0 }),
      }),
    ]),
  },
  keepPhoto: {
    method: 'POST',
    path: '/deliveries/:delivery_id/photo',
    summary: 'Keeps the drone’s photo as proof of delivery; the first one stays',
    params: DeliveryParams,
    body: Closed({ photo: Photo, taken_at: Timestamp, position: Location }),
    response: Closed({ outcome: OneOf(['stored', 'duplicate'] as const) }),
  },
  getConfirmation: {
    method: 'GET',
    path: '/deliveries/:delivery_id/confirmation',
    summary: 'Whether a delivery is confirmed: what its workflow goes by',
    params: DeliveryParams,
    response: Closed({
      confirmed_at: Nullable(Timestamp),
      given_by: Nullable(OneOf(['recipient', 'drone'] as const)),
      attempts_left: Type.Integer({ minimum: 0 }),
    }),
  },
  getProof: {
    method: 'GET',
    path: '/deliveries/:delivery_id/proof',
    summary: 'What was given as proof of delivery',
    params: DeliveryParams,
    response: Proof,
  },
  getProofImage: {
    method: 'GET',
    path: '/deliveries/:delivery_id/proof/image',
    summary: 'The signature or photo itself; 404 when there is none',
    params: DeliveryParams,
    response: Closed({ content_type: OneOf(IMAGE_TYPES), data: Type.String({ contentEncoding: 'base64' }) }),
  },
  getRecipientAccess: {
    method: 'GET',
    path: '/deliveries/:delivery_id/recipient-access',
    summary: 'What only the recipient is sent: the token of the tracking link, and the PIN',
    params: DeliveryParams,
    response: RecipientAccess,
  },
  showRecipientAccess: {
    method: 'POST',
    path: '/deliveries/:delivery_id/recipient-access',
    summary: 'The same for an operator who helps the recipient: the timeline says who looked, and why',
    params: DeliveryParams,
    body: Closed({ by: Type.String(), why: Type.String() }),
    response: RecipientAccess,
    idempotent: true,
  },
  readFeed: {
    method: 'GET',
    path: '/feed',
    summary: 'Events of all deliveries after a position, in the order they were committed',
    description:
      'Positions are given after the commit, in one place, so a reader never skips an event whose transaction committed late. With `wait_ms` the answer waits for the next event (long poll). Go on after the position of the last entry; `last_position` is the end of the feed.',
    query: Closed({
      after: Type.Integer({ minimum: 0 }),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
      wait_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: 30_000, default: 0 })),
    }),
    response: Closed({
      entries: Type.Array(FeedEntry),
      /** The feed's end when it was read, whether or not this page reaches it: where a reader of new events begins. */
      last_position: Type.Integer({ minimum: 0 }),
    }),
  },
});
