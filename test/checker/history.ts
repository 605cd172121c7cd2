/**
 * What is known of a run, as plain data: what was accepted, and what every service, the fleet and Temporal hold of it. The
 * judge needs nothing else, so what it says of a planted fault can be tested without a system.
 */
import type { Orphan } from '../../audit/orphans.ts';
import type { Account, Authorization, CreditNote } from '../../services/account/contract/index.ts';
import type { Booking } from '../../services/carrier/contract/index.ts';
import type { Delivery, DeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import type { Package } from '../../services/package/contract/index.ts';
import type { Location, PickupWindow } from '../../shared/schemas.ts';

/** What a caller posted, as far as it decides what is due. */
export interface Requested {
  pickup: Location;
  dropoff: Location;
  /** All packages together. */
  weightKg: number;
  expedited: boolean;
  pickupWindow: PickupWindow | null;
}

/**
 * What was asked for after the accept, and what came of it as whoever asked was told: `done`; `refused`; `pending`, an event was to
 * tell; `unknown`, no answer was heard.
 */
export type Order = { answer: 'done' | 'refused' | 'pending' | 'unknown' } & (
  | { kind: 'cancel' | 'reassign' | 'terminate' }
  /** `returning`: answered that the drone has turned round. */
  | { kind: 'abort'; returning: boolean }
  | { kind: 'change_dropoff'; dropoff: Location }
  | { kind: 'reschedule'; window: PickupWindow }
);

/** A request of a caller, and the delivery that each 201 for its idempotency key named: more than one answer is usual. */
export interface AcceptedRequest {
  key: string;
  answers: readonly string[];
  /** Undefined: nobody kept it, and what the delivery service says was asked for is believed. */
  requested?: Requested;
  /** In the order in which they were given. Undefined: not kept. */
  orders?: readonly Order[];
}

/** Something that the audit (`npm run audit`) says nobody will ever undo. */
export type AuditFinding = Pick<Orphan, 'kind' | 'id' | 'what' | 'workflow'> & { deliveryId: string };

/** A milestone as the drone service keeps it: also those that no workflow is told of. */
export interface FlownMilestone {
  reservationId: string;
  droneId: string;
  deliveryId: string;
  kind: string;
  /** RFC 3339, by the clock of the deliveries. */
  occurredAt: string;
  /** Where the aircraft was; null: it did not say. */
  position: Location | null;
}

/** One run of a workflow. */
export interface WorkflowRun {
  workflowId: string;
  runId: string;
  deliveryId: string;
  /** As Temporal calls it: `COMPLETED`, `RUNNING`, `FAILED`, … */
  status: string;
}

/** What a follower of the feed did with its events, in the order in which it did it: one entry for each effect. */
export interface Subscriber {
  name: string;
  /** Only of these deliveries; undefined: of all. */
  of?: readonly string[];
  effects: readonly { deliveryId: string; sequence: number }[];
}

/** Cargo seen in an aircraft itself, whatever the drone service has heard of it. */
export interface SeenAboard {
  droneId: string;
  deliveryId: string;
}

export interface History {
  accepted: readonly AcceptedRequest[];
  deliveries: readonly Delivery[];
  /** Every event of the deliveries, as the timelines have them. */
  events: readonly DeliveryEvent[];
  /** The whole feed in its order. Undefined: not looked at. */
  feed?: readonly { position: number; deliveryId: string; sequence: number }[];
  subscribers: readonly Subscriber[];
  reservations: readonly Reservation[];
  /** Reservations for which a mission was issued: those drones were dispatched. */
  dispatched: ReadonlySet<string>;
  milestones: readonly FlownMilestone[];
  seenAboard: readonly SeenAboard[];
  accounts: readonly Account[];
  authorizations: readonly Authorization[];
  creditNotes: readonly CreditNote[];
  bookings: readonly Booking[];
  packages: readonly Package[];
  /** Undefined: not looked at. */
  workflows?: readonly WorkflowRun[];
  /** What nobody may hold any more, in words. */
  held: readonly string[];
  /** What the audit finds. Undefined: it was not asked, because Temporal was not looked at. */
  audit?: readonly AuditFinding[];
}

export const FAULT_KINDS = [
  'lost',
  'double',
  'orphan',
  'unfinished',
  'workflow',
  'events',
  'feed',
  'subscriber',
  'double_load',
  'double_flight',
  'flight',
  'booking',
  'order',
  'proof',
  'charge',
  'package',
  'held',
  'audit',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  kind: FaultKind;
  /** Null where it is nobody's in particular. */
  deliveryId: string | null;
  /** In words for a person, without the delivery's id. */
  what: string;
}
