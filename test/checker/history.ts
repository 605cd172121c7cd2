/**
 * What is known of a run, as plain data: what was accepted, and what every service, the fleet and Temporal hold of it. The
 * judge needs nothing else, so what it says of a planted fault can be tested without a system.
 */
import type { Orphan } from '../../audit/orphans.ts';
import type { Account, Authorization, CreditNote } from '../../services/account/contract/index.ts';
import type { Booking } from '../../services/carrier/contract/index.ts';
import type {
  ConfirmationKind,
  Delivery,
  DeliveryEvent,
  DeliveryStatus,
} from '../../services/delivery/contract/index.ts';
import type { Base, Reservation } from '../../services/drone/contract/index.ts';
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
  confirmation: ConfirmationKind;
  undeliverableAction: 'return' | 'leave';
}

/** What came of something that was asked for after the accept, as whoever asked was told. */
interface Answered {
  /** `pending`: an event was to tell; `unknown`: no answer was heard. */
  answer: 'done' | 'refused' | 'pending' | 'unknown';
  /** Of a refusal: the stable word for why. */
  reason?: string;
  /** How far the delivery was, as far as whoever asked knew. */
  askedIn?: DeliveryStatus;
  /** When the answer was heard, RFC 3339 by the deliveries' clock. */
  answeredAt?: string;
}

/** What was asked for. `native_cancel`, `reset`, `terminate`: of its workflow; `done`: Temporal has taken it. */
type Asked =
  | { kind: 'cancel' }
  | { kind: 'reassign' }
  /** `returning`: answered that the drone has turned round. */
  | { kind: 'abort'; returning: boolean }
  | { kind: 'change_dropoff'; dropoff: Location }
  | { kind: 'reschedule'; window: PickupWindow }
  /** An operator's answer to an intervention; `done`: it was accepted. */
  | { kind: 'answer'; intervention: string; given: string }
  | { kind: 'native_cancel' }
  | { kind: 'reset' }
  | { kind: 'terminate' };

/** Something that was asked for after the accept, and what came of it. */
export type Order = Answered & Asked;

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
  detail: Readonly<Record<string, unknown>>;
  /** False: the drone service, or an operator, found it out. */
  byAircraft: boolean;
}

/** What was given as proof of delivery, as the delivery service keeps it. */
export interface Proof {
  deliveryId: string;
  kind: string;
  /** RFC 3339, by the clock of the deliveries; null: only tried. */
  confirmedAt: string | null;
}

/** What carriers said when they were asked. Bookings that stood are `History.bookings`. */
export interface CarrierAnswer {
  deliveryId: string;
  outcome: 'quoted' | 'quote_refused' | 'booking_refused';
  /** Of a quote, minor units. */
  amount: number | null;
}

/** What the fleet can do at best. */
export interface FleetLimits {
  max_payload_kg: number;
  /** From pickup to dropoff, with the base at the pickup. */
  max_distance_m: number;
  bases: readonly Base[];
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
  /** It ends with its delivery: what is written after that it may have seen, and need not. */
  endsWithDelivery?: boolean;
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
  limits: FleetLimits;
  proofs: readonly Proof[];
  carrierAnswers: readonly CarrierAnswer[];
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
  'failure',
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
