/** What an accept makes of a request: the delivery it will be. Pure but for the ids it gives. */
import { type ClockSettings, clockTimeMs, isoTime, timeMsOf } from '../../../shared/clock.ts';
import { type FieldError, Problem } from '../../../shared/errors.ts';
import { distanceM } from '../../../shared/geodesy.ts';
import { type AccountId, newId, type PackageId } from '../../../shared/ids.ts';
import { unstorable } from '../../../shared/storable.ts';
import type { DeliveryInput, DeliveryPolicy } from '../../../workflows/messages.ts';
import { priceOf } from '../../account/contract/tariff.ts';
import {
  type CancellationReason,
  type Delivery,
  type DeliveryCreation,
  initialConfirmationStatus,
  utcWindow,
} from '../../delivery/contract/index.ts';
import type { Actor, CreateDeliveryRequest } from '../contract/index.ts';

/** What an accepted row holds: all that is needed to answer, to project and to start, whatever changes later. */
export interface AcceptedDocument {
  creation: DeliveryCreation;
  /** The clock that the delivery follows from now on. */
  clock: ClockSettings;
  policy?: Partial<DeliveryPolicy>;
}

/** A cancel before the start. */
export interface Cancellation {
  reason: CancellationReason;
  actor: Actor;
  why?: string;
  /** By the delivery's clock, RFC 3339. */
  at: string;
}

export interface Acceptance {
  accountId: AccountId;
  livemode: boolean;
  request: CreateDeliveryRequest;
  clock: ClockSettings;
  policy?: Partial<DeliveryPolicy>;
  /** Unix milliseconds. */
  wallMs: number;
}

/**
 * The accepted delivery: ids and missing tags given, priced, stamped with the clock.
 * @throws {Problem} 400 naming every text or time that cannot be kept
 */
export function acceptedDocument(acceptance: Acceptance): AcceptedDocument {
  const { accountId, livemode, request, clock, policy, wallMs } = acceptance;
  refuseUnstorable(request);
  const { pickup, dropoff, expedited = false } = request;
  const weightKg = request.packages.reduce((sum, one) => sum + one.weight_kg, 0);
  return {
    creation: {
      id: newId('delivery'),
      account_id: accountId,
      livemode,
      external_id: request.external_id ?? null,
      pickup,
      dropoff,
      packages: request.packages.map((one) => {
        const id = newId('package');
        return { id, tag: tagOf(id), ...one };
      }),
      expedited,
      deadline: request.deadline === undefined ? null : isoTime(timeMsOf(request.deadline)),
      confirmation: request.confirmation ?? 'none',
      undeliverable_action: request.undeliverable_action ?? 'return',
      metadata: request.metadata ?? {},
      price: priceOf({
        distanceM: distanceM(pickup.location, dropoff.location),
        weightKg,
        expedited,
      }),
      created_at: isoTime(clockTimeMs(clock, wallMs)),
      pickup_window: request.pickup_window === undefined ? null : utcWindow(request.pickup_window),
      // Which drone will fly is not known here, and a guess would be a promise.
      eta: { status: 'pending', pickup_at: null, dropoff_at: null },
    },
    clock,
    ...(policy && { policy }),
  };
}

/** A barcode for a package that came without: the last 80 bits of its id, which are random. */
function tagOf(id: PackageId): string {
  return `DD${id.slice(-16).toUpperCase()}`;
}

/** The delivery as the accept answered it, and as reads see it until the delivery service has it. */
export function requestedDelivery({ creation }: AcceptedDocument): Delivery {
  return {
    object: 'delivery',
    ...creation,
    // Accepted before there were windows, it has none.
    pickup_window: creation.pickup_window ?? null,
    status: 'created',
    fulfilment: null,
    drone_id: null,
    booking_id: null,
    attempt: 0,
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
    imminent: false,
    sequence: 1,
    interventions: [],
    updated_at: creation.created_at,
    ended_at: null,
  };
}

/** What a cancel before the start changes. Nothing was authorized, so nothing is charged and nothing compensated. */
export function cancelledPatch({ creation }: AcceptedDocument, { reason }: Cancellation) {
  return {
    cancellation_reason: reason,
    compensation: 'none',
    charge: { amount: 0, currency: creation.price.currency },
    complete: true,
  } as const;
}

/** The delivery of a request that was cancelled before its start. */
export function cancelledDelivery(document: AcceptedDocument, cancellation: Cancellation): Delivery {
  return {
    ...requestedDelivery(document),
    ...cancelledPatch(document, cancellation),
    confirmation_status: document.creation.confirmation === 'none' ? 'not_required' : 'not_given',
    status: 'cancelled',
    sequence: 2,
    updated_at: cancellation.at,
    ended_at: cancellation.at,
  };
}

export function workflowInput({ creation, clock, policy }: AcceptedDocument): DeliveryInput {
  return {
    deliveryId: creation.id,
    accountId: creation.account_id,
    livemode: creation.livemode,
    externalId: creation.external_id,
    pickup: creation.pickup,
    dropoff: creation.dropoff,
    packages: creation.packages,
    expedited: creation.expedited,
    deadline: creation.deadline,
    ...(creation.pickup_window && { pickupWindow: creation.pickup_window }),
    undeliverableAction: creation.undeliverable_action,
    ...(creation.confirmation !== 'none' && { confirmation: creation.confirmation }),
    price: creation.price,
    clock,
    acceptedAt: creation.created_at,
    ...(policy && { policy }),
  };
}

/**
 * Refuses what the databases behind us cannot keep (U+0000, half a surrogate pair, a time without an instant): accepted,
 * it would fail for ever on its way. An accept is the last moment to say so.
 */
function refuseUnstorable(request: CreateDeliveryRequest): void {
  const errors = unstorable(request);
  const { deadline, pickup_window: window } = request;
  const times = { deadline, 'pickup_window.start': window?.start, 'pickup_window.end': window?.end };
  for (const [field, time] of Object.entries(times)) {
    if (time !== undefined && !isInstant(time))
      errors.push({ field, message: 'must be an RFC 3339 time such as 2026-03-01T12:00:00Z' });
  }
  if (errors.length > 0) throw malformedFields(errors);
}

/** A command that could not be kept. @throws {Problem} 400 naming every wrong field */
export function refuseUnstorableCommand(command: object): void {
  const errors = unstorable(command);
  if (errors.length > 0) throw malformedFields(errors);
}

function malformedFields(errors: FieldError[]): Problem {
  return new Problem('invalid-request', {
    detail: `${errors.length === 1 ? 'One field is' : `${errors.length} fields are`} wrong: ${errors.map((one) => one.field).join(', ')}.`,
    errors,
  });
}

function isInstant(time: string): boolean {
  try {
    return Number.isFinite(timeMsOf(time));
  } catch {
    return false;
  }
}
