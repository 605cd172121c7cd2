/**
 * What the updates take, checked before anything of them is written down: a command that is wrong is rejected with every
 * wrong field and an example of a right one, and leaves no trace in the delivery. Pure and synchronous, as validators must be.
 */
import { ApplicationFailure } from '@temporalio/common';
import { recipientRefusals } from '../../services/delivery/contract/confirmation.ts';
import { CANCELLATION_REASONS } from '../../services/delivery/contract/status.ts';
import { ARRIVED_WITHIN_M } from '../../services/drone/contract/flight.ts';
import type { FieldError } from '../../shared/errors.ts';
import { distanceM } from '../../shared/geodesy.ts';
import {
  ABORT_UPDATE,
  CANCEL_UPDATE,
  CONFIRM_UPDATE,
  CHANGE_DROPOFF_UPDATE,
  type ChangeDropoffCommand,
  type DeliveryInput,
  IMPOSSIBLE_DROPOFF,
  REASSIGN_DRONE_UPDATE,
  REJECTED,
  RESCHEDULE_UPDATE,
  RESOLVE_INTERVENTION_UPDATE,
  RETRY_COMPENSATION_UPDATE,
} from '../messages.ts';
import { COMPENSATION_KIND } from './compensation.ts';
import type { OpenedIntervention } from './record.ts';
import { isPlace, isRecord, isText, isWindow, stopErrors } from './shapes.ts';

interface Field {
  isRight: (value: unknown) => boolean;
  /** What would be right: `must …`. */
  must: string;
  /** What is wrong inside of it, where that can be said of an object. */
  inside?: (value: unknown) => FieldError[];
  optional?: boolean;
}

/** Who asks people something: a delivery, or the reconciler of one. */
export interface Asking {
  state: { openInterventions: string[] };
  intervention(id: string): OpenedIntervention | undefined;
}

interface Form {
  update: string;
  fields: Record<string, Field>;
  example: object;
}

const ROLES = ['business', 'operator'];
const ACTOR_EXAMPLE = { role: 'operator', id: 'jo' };

const actor: Field = {
  isRight: (value) => isRecord(value) && ROLES.includes(String(value['role'])) && isText(value['id']),
  must: 'must name who asks: {"role": "operator", "id": "your name or key"}',
};
/** Set by the API: whoever had the link. An operator may have it looked at again. */
const recipient: Field = {
  isRight: (value) =>
    isRecord(value) && [...ROLES, 'recipient'].includes(String(value['role'])) && isText(value['id']),
  must: 'must name who asks: {"role": "operator", "id": "your name or key"}',
};
const why: Field = { isRight: isText, must: 'must say the reason, in 1 to 500 characters' };
/** Set by the API, never by hand. */
const request: Field = { isRight: isText, must: 'must be left out', optional: true };
const interventionId: Field = { isRight: isText, must: 'must be the id of an open intervention: "int_…"' };

const CANCEL: Form = {
  update: CANCEL_UPDATE,
  fields: {
    reason: {
      isRight: (value) => CANCELLATION_REASONS.some((one) => one === value),
      must: `must be one of ${CANCELLATION_REASONS.join(', ')}`,
    },
    actor,
    why: { ...why, optional: true },
  },
  example: { reason: 'requested_by_operator', why: 'the sender called', actor: ACTOR_EXAMPLE },
};

const WINDOW = 'must be {"start": "…", "end": "…"}, both RFC 3339';

const RESCHEDULE: Form = {
  update: RESCHEDULE_UPDATE,
  fields: {
    actor,
    why,
    pickupWindow: { isRight: isWindow, must: WINDOW },
    from: {
      isRight: (value) => value === null || isWindow(value),
      must: `${WINDOW}, or null, or be left out`,
      optional: true,
    },
  },
  example: {
    pickupWindow: { start: '2027-01-15T10:00:00Z', end: '2027-01-15T11:00:00Z' },
    why: 'the sender is late',
    actor: ACTOR_EXAMPLE,
  },
};

const CHANGE_DROPOFF: Form = {
  update: CHANGE_DROPOFF_UPDATE,
  fields: {
    actor,
    why,
    dropoff: {
      isRight: (value) => stopErrors(value, 'dropoff').length === 0,
      must: 'must be {"location": {"latitude": …, "longitude": …}}, with address, contact and notes if there are any',
      inside: (value) => stopErrors(value, 'dropoff'),
    },
    from: {
      isRight: isPlace,
      must: 'must be {"latitude": …, "longitude": …}, where it goes now, or be left out',
      optional: true,
    },
  },
  example: {
    dropoff: { location: { latitude: 47.6301, longitude: -122.1123 }, address: '12 Elm Street' },
    why: 'the recipient is at work',
    actor: ACTOR_EXAMPLE,
  },
};

const REASSIGN_DRONE: Form = {
  update: REASSIGN_DRONE_UPDATE,
  fields: {
    actor,
    why,
    request,
    excludePresent: {
      isRight: (value) => typeof value === 'boolean',
      must: 'must be true (the present drone is not asked again) or false, or be left out for true',
      optional: true,
    },
  },
  example: { why: 'its rotor sounds rough', actor: ACTOR_EXAMPLE },
};

const ABORT: Form = {
  update: ABORT_UPDATE,
  fields: { actor, why, request },
  example: { why: 'the street is closed', actor: ACTOR_EXAMPLE },
};

const CONFIRM: Form = {
  update: CONFIRM_UPDATE,
  fields: { actor: recipient, request },
  example: { actor: ACTOR_EXAMPLE },
};

const RESOLVE_INTERVENTION: Form = {
  update: RESOLVE_INTERVENTION_UPDATE,
  fields: {
    actor,
    why,
    request,
    interventionId,
    answer: { isRight: isText, must: 'must be one of the intervention’s answers' },
  },
  example: { interventionId: 'int_…', answer: 'done', why: 'voided by phone', actor: ACTOR_EXAMPLE },
};

const RETRY_COMPENSATION: Form = {
  update: RETRY_COMPENSATION_UPDATE,
  fields: { actor, why, request, interventionId },
  example: { interventionId: 'int_…', why: 'the service is up again', actor: ACTOR_EXAMPLE },
};

export const checkCancel = (command: unknown): void => void checked(CANCEL, command);
export const checkRescheduleForm = (command: unknown): void => void checked(RESCHEDULE, command);
/** @throws {ApplicationFailure} for what is no dropoff, or cannot be this delivery's: then its detail are the field errors */
export function checkChangeDropoff({ pickup, confirmation = 'none' }: DeliveryInput, command: unknown): void {
  checked(CHANGE_DROPOFF, command);
  // What has just been checked.
  const { dropoff } = command as ChangeDropoffCommand;
  const errors = recipientRefusals(confirmation, dropoff);
  if (distanceM(pickup.location, dropoff.location) < ARRIVED_WITHIN_M) {
    errors.unshift({ field: 'dropoff.location', message: 'must be another place than the pickup' });
  }
  if (errors.length === 0) return;
  const list = errors.map(({ field, message }) => `${field} ${message}`);
  throw rejected(IMPOSSIBLE_DROPOFF, list.join('; '), errors);
}

export const checkReassignDrone = (command: unknown): void => void checked(REASSIGN_DRONE, command);
export const checkConfirm = (command: unknown): void => void checked(CONFIRM, command);
export const checkAbort = (command: unknown): void => void checked(ABORT, command);

export function checkResolveIntervention(record: Asking, command: unknown): void {
  const fields = checked(RESOLVE_INTERVENTION, command);
  const answers = openIntervention(record, fields).answers.map((one) => one.answer);
  if (answers.includes(String(fields['answer']))) return;
  throw invalid(RESOLVE_INTERVENTION, [
    { field: 'answer', message: `must be one of ${answers.join(', ')} for this intervention` },
  ]);
}

export function checkRetryCompensation(record: Asking, command: unknown): void {
  const { id, kind, answers } = openIntervention(record, checked(RETRY_COMPENSATION, command));
  if (kind.startsWith(COMPENSATION_KIND)) return;
  throw rejected(
    REJECTED.notOpen,
    `${id} is no compensation that could be retried; it takes ${answers.map((one) => one.answer).join(', ')} by ${RESOLVE_INTERVENTION_UPDATE}.`,
  );
}

function openIntervention(record: Asking, fields: Record<string, unknown>): OpenedIntervention {
  const id = String(fields['interventionId']);
  const intervention = record.intervention(id);
  if (intervention) return intervention;
  const open = record.state.openInterventions.join(', ') || 'none';
  throw rejected(REJECTED.notOpen, `${id} is not open; open are: ${open}.`);
}

/** The command's fields. @throws {ApplicationFailure} `invalid_command` naming every wrong one */
function checked(form: Form, command: unknown): Record<string, unknown> {
  if (!isRecord(command)) throw invalid(form, [{ field: '', message: 'must be one JSON object' }]);
  const wrong = Object.entries(form.fields).flatMap(([field, { isRight, must, inside, optional }]) => {
    const value = command[field];
    if ((value === undefined && optional === true) || isRight(value)) return [];
    return inside && isRecord(value) ? inside(value) : [{ field, message: must }];
  });
  const unknown = Object.keys(command).filter((field) => !Object.hasOwn(form.fields, field));
  const errors = [
    ...wrong,
    ...unknown.map((field) => ({ field, message: `is not known; there are ${knownOf(form)}` })),
  ];
  if (errors.length > 0) throw invalid(form, errors);
  return command;
}

const knownOf = ({ fields }: Form): string =>
  Object.keys(fields)
    .filter((field) => field !== 'request')
    .join(', ');

function invalid({ update, example }: Form, errors: FieldError[]): ApplicationFailure {
  const list = errors.map(({ field, message }) => `${field === '' ? 'the input' : field} ${message}`);
  return rejected(
    REJECTED.invalid,
    `${update} is rejected and nothing has changed: ${list.join('; ')}. For example: ${JSON.stringify(example)}`,
    errors,
  );
}

function rejected(type: string, message: string, errors: FieldError[] = []): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details: [errors] });
}
