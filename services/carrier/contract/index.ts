/** Contract of the carrier service: third-party transport behind one adapter. */
import { type Static, Type } from 'typebox';
import { defineContract } from '../../../shared/http/contract.ts';
import { idSchema } from '../../../shared/ids.ts';
import {
  Closed,
  ClockSettingsSchema,
  Money,
  Nullable,
  OneOf,
  Page,
  PageQuery,
  PickupWindow,
  Stop,
  Timestamp,
} from '../../../shared/schemas.ts';

/**
 * How a booking goes on. Each step but `booked`, `cancelled` and `lost` is told to the workflow as a `carrierMilestone` signal.
 * `lost`: a person has ended it and not the carrier, whose track is lost: its package was given up, or has arrived, they say.
 */
export const BOOKING_STATES = [
  'booked',
  'enroute_to_pickup',
  'arrived_at_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
  'delivered',
  'failed',
  'cancelled',
  'lost',
] as const;
export type BookingState = (typeof BOOKING_STATES)[number];

export const Booking = Type.Object({
  id: idSchema('booking'),
  step_key: Type.String(),
  delivery_id: idSchema('delivery'),
  account_id: idSchema('account'),
  livemode: Type.Boolean(),
  state: OneOf(BOOKING_STATES),
  carrier: Type.String(),
  price: Money,
  pickup_eta: Timestamp,
  dropoff_eta: Timestamp,
  created_at: Timestamp,
  ended_at: Nullable(Timestamp),
});
export type Booking = Static<typeof Booking>;

/** What is carried, from where to where. */
const job = {
  delivery_id: idSchema('delivery'),
  account_id: idSchema('account'),
  livemode: Type.Boolean(),
  pickup: Stop,
  dropoff: Stop,
  weight_kg: Type.Number({ exclusiveMinimum: 0 }),
  clock: ClockSettingsSchema,
};

export const carrierContract = defineContract({
  quote: {
    method: 'POST',
    path: '/quotes',
    summary: 'What a carrier would take and when it would arrive; refused when it cannot do the job',
    description:
      'With a `pickup_window` the carrier is at the pickup within it: it does not come before, and refuses what it could only pick up later (`too_late`). A booking keeps to the times of its quote.',
    body: Closed({
      ...job,
      deadline: Nullable(Timestamp),
      pickup_window: Type.Optional(Nullable(PickupWindow)),
    }),
    response: Type.Union([
      Closed({
        outcome: Type.Literal('quoted'),
        quote_id: idSchema('quote'),
        carrier: Type.String(),
        price: Money,
        pickup_eta: Timestamp,
        dropoff_eta: Timestamp,
        expires_at: Timestamp,
      }),
      Closed({
        outcome: Type.Literal('refused'),
        reason: OneOf(['too_heavy', 'too_far', 'too_late', 'unavailable'] as const),
        detail: Type.String(),
      }),
    ]),
    idempotent: true,
  },
  book: {
    method: 'POST',
    path: '/bookings',
    summary: 'Books a quote. Idempotent by key; after `cancelBooking` with the same key it books nothing',
    body: Closed({ quote_id: idSchema('quote'), ...job }),
    response: Type.Union([
      Closed({ outcome: Type.Literal('booked'), booking: Booking }),
      Closed({
        outcome: Type.Literal('refused'),
        reason: OneOf(['quote_expired', 'unavailable', 'cancelled'] as const),
        detail: Type.String(),
      }),
    ]),
    idempotent: true,
  },
  cancelBooking: {
    method: 'POST',
    path: '/bookings/cancel',
    summary:
      'Cancels what the book step with this key did; also when that step never ran. `already_picked_up`: too late',
    body: Closed({
      book_key: Type.String(),
      delivery_id: idSchema('delivery'),
      account_id: idSchema('account'),
    }),
    response: Closed({
      outcome: OneOf([
        'cancelled',
        'already_cancelled',
        'never_booked',
        'already_picked_up',
        'already_ended',
      ] as const),
    }),
    idempotent: true,
  },
  writeOffBooking: {
    method: 'POST',
    path: '/bookings/write-off',
    summary:
      'Closes what the book step with this key did as lost: a person has said what became of its package, and nobody follows it',
    description:
      'What the carrier says of it afterwards is not asked for any more. `already_ended`: it was delivered, given up or cancelled before.',
    body: Closed({
      book_key: Type.String(),
      delivery_id: idSchema('delivery'),
      account_id: idSchema('account'),
    }),
    response: Closed({
      outcome: OneOf(['written_off', 'already_written_off', 'never_booked', 'already_ended'] as const),
    }),
    idempotent: true,
  },
  getBooking: {
    method: 'GET',
    path: '/bookings/:booking_id',
    summary: 'One booking',
    params: Closed({ booking_id: idSchema('booking') }),
    response: Booking,
  },
  listBookings: {
    method: 'GET',
    path: '/bookings',
    summary: 'Bookings, newest first',
    query: Closed({
      ...PageQuery,
      delivery_id: Type.Optional(idSchema('delivery')),
      open: Type.Optional(Type.Boolean()),
    }),
    response: Page(Booking),
  },
  readMilestones: {
    method: 'GET',
    path: '/bookings/:booking_id/milestones',
    summary: 'The milestones of a booking after a sequence number: fills a gap in the signals',
    params: Closed({ booking_id: idSchema('booking') }),
    query: Closed({ after_sequence: Type.Integer({ minimum: 0 }) }),
    response: Closed({
      data: Type.Array(
        Closed({
          sequence: Type.Integer(),
          state: OneOf(BOOKING_STATES),
          occurred_at: Timestamp,
          recorded_at: Timestamp,
        }),
      ),
    }),
  },
  setSimulation: {
    method: 'PUT',
    path: '/simulation',
    summary:
      'Tells the simulated carrier how to behave: refuse quotes, ask more, fail bookings, lose an answer',
    body: Closed({
      /** False: it refuses quotes and bookings as `unavailable`. */
      available: Type.Optional(Type.Boolean()),
      /** The next so many bookings are taken, and break down on the way to the pickup. */
      fail_next_bookings: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
      /** The next so many bookings are taken, and break down with the package, on the way to the dropoff. */
      fail_next_after_pickup: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
      /** The next so many bookings are taken, but the carrier's answer is lost: 503, and the repetition finds the booking. */
      lose_next_answers: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
      /** What it asks from now on, percent of its tariff. What it has quoted stands until that expires. */
      price_percent: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    }),
    response: Closed({
      available: Type.Boolean(),
      fail_next_bookings: Type.Integer(),
      fail_next_after_pickup: Type.Integer(),
      lose_next_answers: Type.Integer(),
      price_percent: Type.Integer(),
    }),
  },
});
