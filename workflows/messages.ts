/**
 * Every name and payload that crosses the border of the delivery workflow: type, task queue, input, signals, updates and
 * queries. Types and constants only, so that services, api and tests import it without loading a workflow.
 */
import type { ClockSettings } from '../shared/clock.ts';
import type { AccountId, BookingId, DeliveryId, DroneId, PackageId, ReservationId } from '../shared/ids.ts';
import type { Location, Money, PackageSize, PickupWindow, Stop } from '../shared/schemas.ts';
import type { BookingState } from '../services/carrier/contract/index.ts';
import type { ConfirmationKind } from '../services/delivery/contract/confirmation.ts';
import type {
  CancellationReason,
  CompensationState,
  DeliveryStatus,
  FailureReason,
} from '../services/delivery/contract/status.ts';
import type { MilestoneKind } from '../services/drone/contract/index.ts';
import type { OpenedIntervention } from './delivery/record.ts';

export const DELIVERY_WORKFLOW = 'delivery';
export const DELIVERY_TASK_QUEUE = 'deliveries';

/** The workflow's id is the delivery's. Started with REJECT_DUPLICATE, so a delivery has one workflow for ever. */
export const deliveryWorkflowId = (deliveryId: DeliveryId): string => deliveryId;

/** Undoes what a delivery left whose own workflow was terminated. One at a time per delivery. */
export const RECONCILE_WORKFLOW = 'reconcile';
export const reconcileWorkflowId = (deliveryId: DeliveryId): string => `reconcile-${deliveryId}`;
/** Looks for such deliveries, as often as its schedule says. */
export const RECONCILE_SWEEP_WORKFLOW = 'reconcileSweep';
export const RECONCILE_SCHEDULE = 'reconcile-sweep';

export interface ReconcileInput {
  deliveryId: DeliveryId;
  /** What the run before this one asks people. */
  asked?: OpenedIntervention[];
}
/** `carried`: its workflow lives, nothing was done. `nothing_left`: there was nothing to do. */
export interface ReconcileOutcome {
  outcome: 'carried' | 'nothing_left' | 'reconciled';
  /** What was undone, in the order in which it was. */
  undone: string[];
}

/** Waits and deadlines, seconds of the delivery's clock. Absent ones take the defaults of workflows/delivery/policy.ts. */
export interface DeliveryPolicy {
  /** Longest wait for a free drone when the delivery has no deadline. */
  awaitDroneS: number;
  /** With a deadline and a carrier allowed: how long before it the wait for a drone is given up. */
  carrierLeadS: number;
  /** With a pickup window and a carrier allowed: how long before its end the wait for a drone is given up. */
  carrierPickupLeadS: number;
  /** Beyond the promised arrival at the pickup, until the drone counts as failed. */
  pickupArrivalSlackS: number;
  /** The sender must have loaded within this after the arrival. */
  loadingS: number;
  /** Beyond the promised arrival at the dropoff, until the delivery counts as delayed. */
  dropoffArrivalSlackS: number;
  /** How long the mission lets the drone hover at the dropoff; bounded, because hovering costs battery. */
  dropoffHoverS: number;
  /**
   * How long the recipient may take to confirm, from the arrival at the dropoff: less than the drone may hover, so that the
   * order to lower the package, or to bring it back, still reaches it.
   */
  confirmationS: number;
  /** From the arrival at the dropoff to the release, until the delivery counts as delayed. */
  releaseS: number;
  /** How long a recall may stay unanswered by an aircraft that holds the load token. */
  recallAnswerS: number;
  /** How long the services may take about another dropoff, and a flying aircraft at most, until it is answered without. */
  rerouteAnswerS: number;
  /** Beyond the ETA of a return flight. */
  returnSlackS: number;
  /** Beyond a carrier's promised dropoff. */
  carrierSlackS: number;
  /** A compensation that has not succeeded for this long becomes an intervention; it is retried all the same. */
  compensationStuckS: number;
  /** How far ahead a pickup may be scheduled. */
  scheduleAheadS: number;
  /** How long before the pickup window a drone is planned and reserved; it takes off in time for the window's start. */
  pickupLeadS: number;
  /** How long before its authorization runs out a waiting delivery has it renewed. */
  renewAheadS: number;
  /** Events after which a waiting delivery goes on with a new history, should the server not suggest it before. */
  historyEvents: number;
  /** At most this many drones before the carrier or failure; absent: as many as it takes, until the deadline or the window's end. */
  maxAttempts?: number;
}

export interface DeliveryInput {
  deliveryId: DeliveryId;
  accountId: AccountId;
  livemode: boolean;
  externalId: string | null;
  pickup: Stop;
  dropoff: Stop;
  packages: { id: PackageId; size: PackageSize; weight_kg: number; tag: string; declared_value?: Money }[];
  expedited: boolean;
  /** RFC 3339, dropoff no later than; null: none. */
  deadline: string | null;
  /** When the sender hands it over (RFC 3339); null or absent: at once. */
  pickupWindow?: PickupWindow | null;
  undeliverableAction: 'return' | 'leave';
  /** Proof of delivery that the sender asked for; absent: none. */
  confirmation?: ConfirmationKind;
  price: Money;
  clock: ClockSettings;
  acceptedAt: string;
  policy?: Partial<DeliveryPolicy>;
}

/** What a finished workflow returns: short, for the UI. */
export interface DeliveryOutcome {
  status: DeliveryStatus;
  reason: string | null;
  compensation: CompensationState;
  attempts: number;
}

/** Signal from the drone service, one for each milestone that changes the status. */
export const DRONE_MILESTONE_SIGNAL = 'droneMilestone';
export interface DroneMilestoneSignal {
  reservationId: ReservationId;
  reservationToken: number;
  /** 1, 2, 3 … per reservation. */
  sequence: number;
  kind: MilestoneKind;
  droneId: DroneId;
  occurredAt: string;
  recordedAt: string;
  position: Location | null;
  detail: Record<string, unknown>;
}

/** Signal from the carrier service, numbered per booking. */
export const CARRIER_MILESTONE_SIGNAL = 'carrierMilestone';
export interface CarrierMilestoneSignal {
  bookingId: BookingId;
  sequence: number;
  state: BookingState;
  occurredAt: string;
  recordedAt: string;
}

/** Signal from the drone service to a waiting delivery: a drone that may do the job is free. */
export const DRONE_AVAILABLE_SIGNAL = 'droneAvailable';

/** Who sends an update and why; kept with what it caused. */
export interface CommandActor {
  role: 'business' | 'operator';
  id: string;
}

/** Who did it, as the timeline keeps it: `operator:key_…`. */
export const nameOf = ({ role, id }: { role: string; id: string }): string => `${role}:${id}`;

export const CANCEL_UPDATE = 'cancel';
export interface CancelCommand {
  reason: CancellationReason;
  actor: CommandActor;
  /** Plain words, kept with the event. */
  why?: string;
}
/** `pending`: the aircraft holds the load token and has not answered; settled by event. */
export interface CancelAnswer {
  outcome: 'cancelled' | 'pending' | 'refused';
  /** For `refused`: `already_picked_up`, `already_delivered`, `already_failed`, … */
  reason: string | null;
  detail: string | null;
}

export const RESCHEDULE_UPDATE = 'reschedule';
export interface RescheduleCommand {
  pickupWindow: PickupWindow;
  /** The window the caller saw: moved only if it still is this one. Absent: whatever it is. */
  from?: PickupWindow | null;
  why: string;
  actor: CommandActor;
}
export interface RescheduleAnswer {
  outcome: 'rescheduled' | 'refused';
  /** For `refused`: `drone_dispatched`, `carrier_being_asked`, `carrier_booked`, `window_changed`, `already_cancelled`, … */
  reason: string | null;
  detail: string | null;
}
/** Type of the failure with which the validator rejects a window that cannot be served; its detail: the field errors. */
export const IMPOSSIBLE_WINDOW = 'impossible_window';

export const CHANGE_DROPOFF_UPDATE = 'changeDropoff';
export interface ChangeDropoffCommand {
  dropoff: Stop;
  /** The dropoff the caller saw: changed only if it still is there. Absent: wherever it is. */
  from?: Location;
  why: string;
  actor: CommandActor;
}
/** `pending`: the aircraft has not said yet whether it flies there; settled by event. */
export interface ChangeDropoffAnswer {
  outcome: 'changed' | 'pending' | 'refused';
  /** For `refused`: `out_of_range`, `after_deadline`, `arrived_at_dropoff`, `credit_exceeded`, `carrier_being_asked`, `carrier_booked`, `dropoff_changed`, … */
  reason: string | null;
  detail: string | null;
}
/** Type of the failure with which the validator rejects a dropoff that cannot be one; its detail: the field errors. */
export const IMPOSSIBLE_DROPOFF = 'impossible_dropoff';

/** What an operator orders: by whom and why, kept as an event of the delivery's timeline. */
export interface OperatorCommand {
  actor: CommandActor;
  /** Plain words for whoever reads the timeline. No personal data. */
  why: string;
  /** Fingerprint of the API request that it came with; its answer gives it back, which tells a repetition from another. */
  request?: string;
}

/** Before the pickup: the present drone is recalled and released, and another one is reserved. */
export const REASSIGN_DRONE_UPDATE = 'reassignDrone';
export interface ReassignDroneCommand extends OperatorCommand {
  /** Whether the present drone is out of the question from now on; yes unless told. */
  excludePresent?: boolean;
}

/** Ends the delivery: before the pickup like a cancel, after it by flying the package back to the sender. */
export const ABORT_UPDATE = 'abort';
export type AbortCommand = OperatorCommand;

/** Answers an intervention. */
export const RESOLVE_INTERVENTION_UPDATE = 'resolveIntervention';
export interface ResolveInterventionCommand extends OperatorCommand {
  interventionId: string;
  /** One of the intervention's own answers. */
  answer: string;
}

/** Tries the compensation of an intervention again at once. */
export const RETRY_COMPENSATION_UPDATE = 'retryCompensation';
export interface RetryCompensationCommand extends OperatorCommand {
  interventionId: string;
}

/**
 * The recipient has given what confirms the delivery, or has tried it wrongly too often. The workflow reads which: an update
 * cannot claim what was not given.
 */
export const CONFIRM_UPDATE = 'confirm';
export interface ConfirmCommand {
  /** `recipient`: of whom nothing is known but that they had the link. */
  actor: { role: 'recipient' | 'operator'; id: string };
  request?: string;
}

/** The operators' updates and what each takes. */
export interface OperatorCommands {
  [REASSIGN_DRONE_UPDATE]: ReassignDroneCommand;
  [ABORT_UPDATE]: AbortCommand;
  [RESOLVE_INTERVENTION_UPDATE]: ResolveInterventionCommand;
  [RETRY_COMPENSATION_UPDATE]: RetryCompensationCommand;
}

/** All updates that are answered in an operator's words. */
export interface OrderCommands extends OperatorCommands {
  [CONFIRM_UPDATE]: ConfirmCommand;
}

/**
 * `reassigning`: the drone is recalled, another one is being reserved. `cancelled`, `returning`: what an abort led to.
 * `accepted`: the intervention has its answer; the confirmed package is let go. `pending`: the aircraft may be loading, or is to turn round, and has not
 * answered, or has come down with what is to be confirmed; settled by event. `refused`: not in this state, with the reason.
 */
export const OPERATOR_OUTCOMES = [
  'reassigning',
  'cancelled',
  'returning',
  'accepted',
  'pending',
  'refused',
] as const;
export interface OperatorAnswer {
  outcome: (typeof OPERATOR_OUTCOMES)[number];
  reason: string | null;
  detail: string | null;
  /** The command's own `request`. */
  request: string | null;
}

/** Types of the failures that the updates' validators reject a command with. */
export const REJECTED = {
  /** A field is wrong: `details[0]` is every wrong field with what would be right. */
  invalid: 'invalid_command',
  /** The intervention it names is not open, or not of the kind that the update takes. */
  notOpen: 'intervention_not_open',
} as const;

export const STATE_QUERY = 'state';
/** What the `state` query answers an operator in the UI. No personal data. */
export interface DeliveryState {
  status: DeliveryStatus;
  attempt: number;
  droneId: DroneId | null;
  bookingId: BookingId | null;
  failureReason: FailureReason | null;
  cancellationReason: CancellationReason | null;
  compensation: CompensationState;
  /** What it waits for, until when (RFC 3339), or null. */
  waitingFor: string | null;
  until: string | null;
  openInterventions: string[];
  history: { at: string; what: string }[];
}
