/** How events change a delivery. Pure: a state and events in, the next state and the numbered events out. */
import { conflict, Problem } from '../../../shared/errors.ts';
import { isoTime, timeMsOf } from '../../../shared/clock.ts';
import type { Location, Money } from '../../../shared/schemas.ts';
import {
  canTransition,
  type Delivery,
  type DeliveryCreation,
  type DeliveryPatch,
  type DeliveryStatus,
  initialConfirmationStatus,
  type Intervention,
  isFinal,
  type NewDeliveryEvent,
  utcWindow,
} from '../contract/index.ts';

/** What is fixed at the accept. */
export type Requested = Omit<DeliveryCreation, 'eta' | 'pickup_window'>;

/** What changes as the delivery goes on. Holds no personal data: every event keeps a copy of it. */
export type DeliveryState = Omit<Delivery, keyof Requested | 'object' | 'imminent'> & {
  /** Where it goes, and for how much, since that was changed. */
  dropoff?: { location: Location };
  price?: Money;
};

/** An event with its number and the state after it. */
export interface NumberedEvent {
  sequence: number;
  type: string;
  status: DeliveryStatus;
  occurredAt: string;
  data: Record<string, unknown>;
  state: DeliveryState;
}

/** Event 1: the accept. */
export function createdEvent(creation: DeliveryCreation, recordedAt: string): NumberedEvent {
  const createdAt = utc(creation.created_at);
  const state: DeliveryState = {
    status: 'created',
    pickup_window: creation.pickup_window ? utcWindow(creation.pickup_window) : null,
    fulfilment: null,
    drone_id: null,
    booking_id: null,
    attempt: 0,
    eta: utcEta(creation.eta),
    cancellation_reason: null,
    failure_reason: null,
    failure_detail: null,
    delayed: false,
    delay_reason: null,
    compensation: 'none',
    charge: null,
    return_price: null,
    left_unattended: false,
    undeliverable_reason: null,
    confirmation_status: initialConfirmationStatus(creation.confirmation),
    confirmation_due_at: null,
    complete: false,
    sequence: 1,
    interventions: [],
    updated_at: recordedAt,
    ended_at: null,
  };
  return {
    sequence: 1,
    type: 'delivery.created',
    status: 'created',
    occurredAt: createdAt,
    data: {},
    state,
  };
}

/**
 * Applies events one after the other.
 * @param recordedAt what the clock shows now, RFC 3339
 * @throws {Problem} 409 `already_complete` for a status or an end after the end; 409 `illegal_transition` naming from and to, when the state machine forbids one; 409
 *   `intervention_not_open` for the resolution of one that is not; 409 `not_complete` when a patch says that nothing
 *   follows although the status is not final or the compensation not settled
 * @returns the events, and before one that ends the delivery those that close what a person was still asked
 */
export function advance(
  before: DeliveryState,
  events: readonly NewDeliveryEvent[],
  recordedAt: string,
): NumberedEvent[] {
  let state = before;
  const numbered = (event: NewDeliveryEvent): NumberedEvent => {
    const occurredAt = utc(event.occurred_at);
    state = { ...apply(state, event, occurredAt), updated_at: recordedAt };
    return {
      sequence: state.sequence,
      type: event.type,
      status: state.status,
      occurredAt,
      data: event.data ?? {},
      state,
    };
  };
  return events.flatMap((event) => [...closings(state, event).map(numbered), numbered(event)]);
}

/** Nobody is left to answer once it is complete: what is open then is closed by an event of its own, before the end. */
function closings({ interventions }: DeliveryState, end: NewDeliveryEvent): NewDeliveryEvent[] {
  if (end.patch?.complete !== true) return [];
  const resolution = { answer: 'ended', by: 'system', why: 'the delivery is complete' };
  return interventions
    .filter((one) => one.resolved_at === null && one.id !== end.resolve_intervention?.id)
    .map(({ id, kind }) => ({
      type: 'delivery.intervention_resolved',
      occurred_at: end.occurred_at,
      data: { kind, ...resolution },
      resolve_intervention: { id, ...resolution },
    }));
}

function apply(before: DeliveryState, event: NewDeliveryEvent, occurredAt: string): DeliveryState {
  const { status: to = before.status } = event;
  // Nothing follows a complete delivery but notes. A workflow that was reset after somebody closed its delivery hears so.
  if (before.complete && (event.status !== undefined || event.patch?.complete === true)) {
    throw conflict('already_complete', `${event.type}: the delivery is ${before.status} and complete.`);
  }
  if (event.status !== undefined && !canTransition(before.status, event.status)) {
    throw conflict(
      'illegal_transition',
      `${event.type}: a delivery cannot go from ${before.status} to ${event.status}.`,
    );
  }
  const after: DeliveryState = {
    ...before,
    ...patched(event.patch),
    ...(event.change_dropoff && {
      dropoff: { location: event.change_dropoff.dropoff.location },
      price: event.change_dropoff.price,
    }),
    status: to,
    sequence: before.sequence + 1,
    interventions: interventionsAfter(before.interventions, event, occurredAt),
    ended_at: isFinal(to) ? (before.ended_at ?? occurredAt) : null,
  };
  if (!mayStillBeConfirmed(after)) Object.assign(after, NOT_CONFIRMED);
  if (event.patch?.complete === true) refuseUnsettled(after);
  // What was complete and has to compensate again (an operator's act) is not complete any more.
  else if (!isSettled(after)) after.complete = false;
  return after;
}

/** Once the package goes back, or the delivery has ended, nobody is asked to confirm it any more. */
function mayStillBeConfirmed({ status, confirmation_status }: DeliveryState): boolean {
  if (confirmation_status !== 'pending' && confirmation_status !== 'awaited') return true;
  return !isFinal(status) && status !== 'enroute_to_return' && status !== 'arrived_at_return';
}
const NOT_CONFIRMED = { confirmation_status: 'not_given', confirmation_due_at: null } as const;

function patched(patch: DeliveryPatch = {}): Partial<DeliveryState> {
  return {
    ...patch,
    ...(patch.eta && { eta: utcEta(patch.eta) }),
    ...(typeof patch.confirmation_due_at === 'string' && {
      confirmation_due_at: utc(patch.confirmation_due_at),
    }),
    ...(patch.pickup_window && { pickup_window: utcWindow(patch.pickup_window) }),
  };
}

function interventionsAfter(
  before: readonly Intervention[],
  { open_intervention: opened, resolve_intervention: resolved }: NewDeliveryEvent,
  occurredAt: string,
): Intervention[] {
  let after = [...before];
  if (opened) {
    const isOpen = after.some((one) => one.id === opened.id && one.resolved_at === null);
    // A case that is open already is opened again by a repetition only; one that was settled comes up anew.
    if (!isOpen) {
      after = after.filter((one) => one.id !== opened.id);
      after.push({ ...opened, opened_at: occurredAt, resolved_at: null, resolution: null });
    }
  }
  if (resolved) {
    const { id, ...resolution } = resolved;
    if (!after.some((one) => one.id === id && one.resolved_at === null))
      throw conflict('intervention_not_open', `There is no open intervention ${id}.`);
    after = after.map((one) => (one.id === id ? { ...one, resolved_at: occurredAt, resolution } : one));
  }
  return after;
}

function isSettled({ status, compensation }: DeliveryState): boolean {
  return isFinal(status) && (compensation === 'none' || compensation === 'complete');
}

function refuseUnsettled(state: DeliveryState): void {
  if (isSettled(state)) return;
  throw conflict(
    'not_complete',
    `A delivery that is ${state.status} with its compensation ${state.compensation} is not complete.`,
  );
}

export function openInterventions(state: DeliveryState): number {
  return state.interventions.filter((one) => one.resolved_at === null).length;
}

function utcEta(eta: Delivery['eta']): Delivery['eta'] {
  return {
    ...eta,
    pickup_at: eta.pickup_at === null ? null : utc(eta.pickup_at),
    dropoff_at: eta.dropoff_at === null ? null : utc(eta.dropoff_at),
    ...(typeof eta.return_at === 'string' && { return_at: utc(eta.return_at) }),
  };
}

function utc(time: string): string {
  try {
    return isoTime(timeMsOf(time));
  } catch (error) {
    throw new Problem('invalid-request', { detail: `${time} is not a time that can be kept.`, cause: error });
  }
}
