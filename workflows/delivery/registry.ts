/**
 * The saga as data: every activity that a delivery calls and what undoes it, and every wait that it may be in. Nothing else can be
 * called (steps.ts takes only what stands here) or waited for, and the compensation matrix is made from these lists: a new step or
 * wait is covered there without anyone remembering it.
 */
import type { DeliveryActivities } from '../../activities/index.ts';
import type { DeliveryPolicy } from '../messages.ts';
import type { Undo } from './undo.ts';

export type Activity = keyof DeliveryActivities;

/**
 * `short`: at once within the workflow task while its service answers. `plain`: may take its time, or must not be lost with a
 * workflow task. `brief`: nothing depends on its answer, so it is given up after seconds.
 */
interface Step {
  how: 'short' | 'plain' | 'brief';
  /** The compensation that is registered before it runs; null: none is needed. */
  undoneBy: Undo['kind'] | null;
  /** Why none is needed. */
  because?: string;
}

/** What the saga calls on its way, in the order of a delivery. */
export const STEPS = {
  authorize: { how: 'short', undoneBy: 'void_authorization' },
  renewAuthorization: {
    how: 'short',
    undoneBy: null,
    because: 'what voids the authorization voids it however often it was renewed',
  },
  registerPackages: { how: 'short', undoneBy: 'void_packages' },
  reserveDrone: { how: 'plain', undoneBy: 'release_drone' },
  quoteCarrier: { how: 'plain', undoneBy: null, because: 'a quote binds nobody' },
  bookCarrier: { how: 'plain', undoneBy: 'cancel_booking' },
  dispatchDrone: { how: 'short', undoneBy: 'recall_drone' },
  recallDrone: { how: 'plain', undoneBy: null, because: 'it undoes a dispatch itself' },
  cancelBooking: { how: 'plain', undoneBy: null, because: 'it undoes a booking itself' },
  readConfirmation: { how: 'short', undoneBy: null, because: 'it only reads' },
  lowerPackage: {
    how: 'plain',
    undoneBy: null,
    because: 'a package that was handed over is delivered',
  },
  rerouteDrone: { how: 'plain', undoneBy: 'undo_reroute' },
  assessJob: { how: 'plain', undoneBy: null, because: 'it only asks' },
  leaveUnattended: {
    how: 'plain',
    undoneBy: null,
    because: 'a package that was set down is delivered, as the sender asked for',
  },
  returnToSender: {
    how: 'plain',
    undoneBy: null,
    because: 'the package goes back to where it came from, and the drone home',
  },
  capture: {
    how: 'short',
    undoneBy: null,
    because: 'it is the charge that is due; a refused one is made good',
  },
  appendEvents: { how: 'short', undoneBy: null, because: 'what happened has happened' },
  readDroneMilestones: { how: 'short', undoneBy: null, because: 'it only reads' },
  readCarrierMilestones: { how: 'short', undoneBy: null, because: 'it only reads' },
  readCancelRequest: { how: 'brief', undoneBy: null, because: 'it only reads' },
} as const satisfies Partial<Record<Activity, Step>>;

/** What undoes the steps, or makes good what must not be left undone: each one a plain activity, retried without a limit. */
export const COMPENSATIONS = {
  void_authorization: 'voidAuthorization',
  void_packages: 'voidPackages',
  release_drone: 'releaseDrone',
  recall_drone: 'recallDrone',
  undo_reroute: 'undoReroute',
  cancel_booking: 'cancelBooking',
  write_off_booking: 'writeOffBooking',
  capture_charge: 'capture',
  issue_credit_note: 'issueCreditNote',
} as const satisfies Record<Undo['kind'], Activity>;

type Steps = typeof STEPS;
export type StepName = keyof Steps;
export type CompensationKind = keyof typeof COMPENSATIONS;

/** The compensation of a step; never, when it needs none. */
export type UndoneBy<K extends StepName> = NonNullable<Steps[K]['undoneBy']>;
/** Steps that have to be undone when the delivery comes to nothing. */
export type UndoableStep = { [K in StepName]: Steps[K]['undoneBy'] extends null ? never : K }[StepName];
/** Steps that are run as they are. */
export type LoneStep = Exclude<StepName, UndoableStep>;

type Nothing<T extends never> = T;
/** Does not compile while an activity is neither a step nor a compensation. */
export type Unregistered = Nothing<Exclude<Activity, StepName | (typeof COMPENSATIONS)[CompensationKind]>>;

/**
 * What a delivery waits for between its steps, in the words that an operator reads. `within`: the deadline is so many seconds of
 * the policy after it could have happened; null: it is a time that comes by itself.
 */
export const WAITS = {
  'the pickup window': { within: null },
  'a free drone': { within: 'awaitDroneS' },
  'the time to take off': { within: null },
  'the drone at the pickup': { within: 'pickupArrivalSlackS' },
  'the sender to load': { within: 'loadingS' },
  'another drone': { within: 'awaitDroneS' },
  'a person’s word on the package': { within: null },
  'the package to be loaded': { within: 'loadingS' },
  'the drone’s answer to the recall': { within: 'recallAnswerS' },
  'the news that it is loaded': { within: 'recallAnswerS' },
  'word from the drone, which may have loaded': { within: 'recallAnswerS' },
  'the drone at the dropoff': { within: 'dropoffArrivalSlackS' },
  'the recipient’s confirmation': { within: 'confirmationS' },
  'the drone to turn back': { within: 'releaseS' },
  'the release at the dropoff': { within: 'releaseS' },
  'the package to be set down': { within: 'releaseS' },
  'the drone back at the sender': { within: 'returnSlackS' },
  'the release at the sender': { within: 'releaseS' },
  'the carrier': { within: 'carrierSlackS' },
} as const satisfies Record<string, { within: keyof DeliveryPolicy | null }>;

export type Wait = keyof typeof WAITS;
/** Waits whose deadline the policy sets. */
export type BoundedWait = { [K in Wait]: (typeof WAITS)[K]['within'] extends null ? never : K }[Wait];
