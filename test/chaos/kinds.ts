/**
 * What a request is to show: how many of a hundred, how far its delivery is when something is asked for, and what people answer
 * when they are asked about it. The checks do not depend on it: chaos may turn any of them into another ending.
 */
import type { DeliveryStatus } from '../../services/delivery/contract/index.ts';

interface Kind {
  ofHundred: number;
  /** It is asked for what it is named after once its delivery is there, or further; one after the other. */
  askedIn?: readonly DeliveryStatus[];
  /** What people answer to the question that it leads to, where that is offered; one after the other. */
  answers?: readonly string[];
}

const AT_ANY_STAGE = [
  'confirmed',
  'enroute_to_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
] as const;

export const REQUEST_KINDS = {
  plain: { ofHundred: 23 },
  cancelled_at_once: { ofHundred: 4 },
  /** Before the pickup, in the race for it, and when it is too late. */
  cancelled_in_flight: {
    ofHundred: 7,
    askedIn: [
      'awaiting_drone',
      'confirmed',
      'enroute_to_pickup',
      'arrived_at_pickup',
      'arrived_at_pickup',
      'picked_up',
      'enroute_to_dropoff',
    ],
  },
  heavy: { ofHundred: 4 },
  two_packages: { ofHundred: 3 },
  undeliverable_return: { ofHundred: 3 },
  undeliverable_leave: { ofHundred: 3 },
  drone_fails_before_pickup: { ofHundred: 3 },
  /** It lands safely on the way and sets its package down. */
  drone_fails_with_package: {
    ofHundred: 3,
    answers: ['another_drone', 'lost', 'returned', 'another_drone', 'delivered'],
  },
  /** It comes down with its package in it: whoever fetches it may take that out, for another drone. */
  drone_crashes: { ofHundred: 2, answers: ['lost', 'another_drone'] },
  /** So long that it counts as lost: on its way to the pickup, there with its load token, or with the package. */
  silent_to_pickup: { ofHundred: 3 },
  silent_at_pickup: { ofHundred: 2 },
  silent_with_package: { ofHundred: 2 },
  /** For a minute: not long enough. */
  link_lost: { ofHundred: 1 },
  sender_absent: { ofHundred: 2 },
  recipient_absent: { ofHundred: 1 },
  no_credit: { ofHundred: 2 },
  suspended: { ofHundred: 1 },
  /** Too big for every drone together, of an account that takes a carrier then. */
  carrier: { ofHundred: 3 },
  carrier_cancelled: {
    ofHundred: 2,
    askedIn: ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup', 'picked_up'],
  },
  carrier_fails: { ofHundred: 2, answers: ['lost', 'returned', 'delivered'] },
  scheduled: { ofHundred: 2 },
  rescheduled: { ofHundred: 3, askedIn: ['scheduled'] },
  dropoff_changed: {
    ofHundred: 3,
    askedIn: ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup', 'enroute_to_dropoff'],
  },
  /** To where no drone flies: refused. */
  dropoff_too_far: { ofHundred: 2, askedIn: ['confirmed', 'enroute_to_pickup', 'enroute_to_dropoff'] },
  reassigned: { ofHundred: 3, askedIn: ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup'] },
  aborted: { ofHundred: 3, askedIn: AT_ANY_STAGE },
  /** Its workflow is terminated, as somebody can in the Temporal UI: the reconciler ends it. */
  terminated: { ofHundred: 2, askedIn: AT_ANY_STAGE },
  /** Cancelled in Temporal's own way; with the package aboard a person says what was meant. */
  native_cancelled: {
    ofHundred: 3,
    askedIn: ['confirmed', 'picked_up', 'enroute_to_pickup', 'picked_up', 'enroute_to_dropoff'],
    answers: ['abort', 'carry_on', 'abort'],
  },
  /** Its workflow begins anew, as somebody can have it in the Temporal UI. Nothing else is asked of it. */
  reset: {
    ofHundred: 3,
    askedIn: ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup', 'enroute_to_dropoff'],
  },
} as const satisfies Record<string, Kind>;

export type RequestKind = keyof typeof REQUEST_KINDS;

/** The same, where which one it is does not matter. */
export const KINDS: Readonly<Record<RequestKind, Kind>> = REQUEST_KINDS;
export const KIND_NAMES = Object.keys(REQUEST_KINDS) as RequestKind[];
