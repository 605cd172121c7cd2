/** Public operations that follow a delivery live. */
import { type Static, Type } from 'typebox';
import {
  CONFIRMATION_STATUSES,
  DELAY_REASONS,
  DeliveryEvent,
  DeliveryStatusSchema,
  Eta,
} from '../../services/delivery/contract/index.ts';
import { idSchema } from '../../shared/ids.ts';
import { Closed, Location, Nullable, OneOf, Timestamp } from '../../shared/schemas.ts';
import { definePublicContract } from '../operation.ts';
import { DeliveryParams } from './deliveries.ts';
import { STREAM_EXAMPLE, TRACKING_EXAMPLE } from './examples.ts';

const position = {
  location: Location,
  altitude_m: Type.Number({ description: 'Above ground' }),
  speed_mps: Type.Number({ description: 'Over ground' }),
  recorded_at: Timestamp,
  age_s: Type.Number({ minimum: 0, description: 'How old the position is' }),
};
export const LivePosition = Closed(position, { title: 'LivePosition' });
export type LivePosition = Static<typeof LivePosition>;

export const Tracking = Type.Object(
  {
    object: Type.Literal('tracking'),
    delivery_id: idSchema('delivery'),
    status: DeliveryStatusSchema,
    sequence: Type.Integer({ minimum: 1 }),
    complete: Type.Boolean(),
    imminent: Type.Boolean({ description: '≤ 60 s from the dropoff by ETA' }),
    delayed: Type.Boolean(),
    delay_reason: Nullable(OneOf(DELAY_REASONS)),
    eta: Eta,
    drone_id: Nullable(idSchema('drone')),
    confirmation_status: OneOf(CONFIRMATION_STATUSES, {
      description:
        '`awaited`: the drone hovers at the dropoff and waits for the recipient, until `confirmation_due_at`',
    }),
    confirmation_due_at: Nullable(Timestamp),
    position_status: OneOf(['live', 'none', 'unavailable'] as const, {
      description:
        '`none`: no drone is on this delivery, or it has not been heard yet; `unavailable`: it cannot be asked right now',
    }),
    position: Nullable(LivePosition),
    updated_at: Timestamp,
  },
  { title: 'Tracking' },
);
export type Tracking = Static<typeof Tracking>;

/** Data of a `status` event of the stream: an event of the timeline with what it did to the ETA. */
export const StatusUpdate = Type.Object(
  {
    ...DeliveryEvent.properties,
    eta: { ...Nullable(Eta), description: 'Null for an event of the past' },
    complete: Type.Boolean(),
  },
  { title: 'StatusUpdate' },
);
export type StatusUpdate = Static<typeof StatusUpdate>;

/** Data of a `position` event of the stream. */
export const PositionUpdate = Closed(
  {
    delivery_id: idSchema('delivery'),
    drone_id: idSchema('drone'),
    ...position,
    eta_pickup_at: Nullable(Timestamp),
    eta_dropoff_at: Nullable(Timestamp),
  },
  { title: 'PositionUpdate' },
);
export type PositionUpdate = Static<typeof PositionUpdate>;

export const trackingOperations = definePublicContract({
  getTracking: {
    method: 'GET',
    path: '/v1/deliveries/:delivery_id/tracking',
    tag: 'Tracking',
    summary: 'Where a delivery is and when it will arrive',
    access: ['business', 'operator'],
    params: DeliveryParams,
    response: Tracking,
    problems: ['not-found'],
    examples: { response: TRACKING_EXAMPLE },
  },
});

/** Not part of the typed client: it answers a stream. */
export const trackingStream = definePublicContract({
  streamTracking: {
    method: 'GET',
    path: '/v1/deliveries/:delivery_id/tracking/stream',
    tag: 'Tracking',
    summary: 'Follows a delivery as server-sent events',
    description:
      'First the newest event, then each as it happens: `status` (a StatusUpdate; its `id` is the event’s number), `position` (a PositionUpdate) while a drone flies, a comment as heartbeat, and `complete` before the stream ends. After a break, reconnect with `Last-Event-ID`: no event is missed and none comes twice. 204 when the delivery is complete and you have all of it.',
    access: ['business', 'operator'],
    params: DeliveryParams,
    headers: {
      'last-event-id': {
        type: 'string',
        pattern: '^[0-9]{1,9}$',
        description: 'The last `id` received; 0 for the whole timeline',
      },
    },
    response: Type.String(),
    produces: 'text/event-stream',
    alsoAnswers: { 204: 'Complete: there is nothing more to come' },
    problems: ['not-found'],
    examples: { response: STREAM_EXAMPLE },
  },
});
