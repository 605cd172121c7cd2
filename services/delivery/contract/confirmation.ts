/** Proof of delivery: which kinds there are and who gives each. Pure: workflow code imports it. */
import type { FieldError } from '../../../shared/errors.ts';
import type { Stop } from '../../../shared/schemas.ts';

export const CONFIRMATION_KINDS = ['none', 'pin', 'signature', 'photo', 'barcode'] as const;
export type ConfirmationKind = (typeof CONFIRMATION_KINDS)[number];

/**
 * How far it is. `not_required`: none was asked for. `pending`: the drone is not there yet. `awaited`: it hovers at the
 * dropoff and waits for the recipient. `confirmed`. `not_given`: the delivery ended, or turned back, without.
 */
export const CONFIRMATION_STATUSES = [
  'not_required',
  'pending',
  'awaited',
  'confirmed',
  'not_given',
] as const;
export type ConfirmationStatus = (typeof CONFIRMATION_STATUSES)[number];

/** So many different wrong PINs, or scans, and the package goes back: a guess at six digits has a chance of 1 in 200,000. */
export const MAX_WRONG_CONFIRMATIONS = 5;

const BY_RECIPIENT: ReadonlySet<ConfirmationKind> = new Set(['pin', 'signature', 'barcode']);

/** Somebody at the dropoff must give it before the package is lowered. A photo is the drone's own. */
export function needsRecipient(kind: ConfirmationKind): boolean {
  return BY_RECIPIENT.has(kind);
}

/**
 * Why this cannot be the dropoff of a delivery that is to be confirmed so, by field; empty: it can. The door asks it before the accept
 * and before a change, the workflow when it is changed, so that all say the same.
 */
export function recipientRefusals(kind: ConfirmationKind, { contact }: Pick<Stop, 'contact'>): FieldError[] {
  if (!needsRecipient(kind) || contact?.phone !== undefined || contact?.email !== undefined) return [];
  return [
    {
      field: 'dropoff.contact',
      message: `must have a phone or an email with confirmation ${kind}: the recipient is sent there what it takes`,
    },
  ];
}

/** At the beginning of a delivery. */
export function initialConfirmationStatus(kind: ConfirmationKind): ConfirmationStatus {
  return kind === 'none' ? 'not_required' : 'pending';
}
