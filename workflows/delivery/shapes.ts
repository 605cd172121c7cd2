/**
 * What a command's values look like: the rules of the services' schemas, in code. The schemas themselves would make the bundle
 * three times as big; a test holds the two to each other (shapes.test.ts). Pure.
 */
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { timeMsOf } from '../../shared/clock.ts';
import type { FieldError } from '../../shared/errors.ts';
import { STOP_LIMITS } from '../../shared/limits.ts';
import type { Location } from '../../shared/schemas.ts';
import { isStorable } from '../../shared/storable.ts';

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A text that can be kept, of so many characters (code points, as JSON Schema counts them). */
function isTextOf(value: unknown, least: number, most: number): value is string {
  if (typeof value !== 'string' || !isStorable(value)) return false;
  const { length } = Array.from(value);
  return length >= least && length <= most;
}

/** A text that says something. */
export const isText = (value: unknown): value is string => isTextOf(value, 1, 500) && value.trim() !== '';

const hasOnly = (value: Record<string, unknown>, names: readonly string[]): boolean =>
  Object.keys(value).every((name) => names.includes(name));

const isDegrees = (value: unknown, most: number): boolean =>
  typeof value === 'number' && Math.abs(value) <= most;

/** `Location`. */
export const isPlace = (value: unknown): value is Location =>
  isRecord(value) &&
  hasOnly(value, ['latitude', 'longitude']) &&
  isDegrees(value['latitude'], 90) &&
  isDegrees(value['longitude'], 180);

/** `PickupWindow`, of times that are some. */
export const isWindow = (value: unknown): boolean =>
  isRecord(value) && hasOnly(value, ['start', 'end']) && isTime(value['start']) && isTime(value['end']);

function isTime(value: unknown): boolean {
  if (typeof value !== 'string' || !hasFormat('date-time', value)) return false;
  try {
    return Number.isFinite(timeMsOf(value));
  } catch {
    return false;
  }
}

/** As the services check it: they take these very rules. */
function hasFormat(format: 'email' | 'date-time', text: string): boolean {
  const rule = fullFormats[format];
  if (rule instanceof RegExp) return rule.test(text);
  if (typeof rule !== 'object' || !('validate' in rule) || typeof rule.validate !== 'function') return false;
  const validate = rule.validate as (data: string) => unknown;
  return validate(text) === true;
}

const PHONE = new RegExp(STOP_LIMITS.phone, 'u');

interface Part {
  isRight: (value: unknown) => boolean;
  must: string;
}

const CONTACT: Record<string, Part> = {
  name: {
    isRight: (value) => isTextOf(value, 1, STOP_LIMITS.nameLength),
    must: `must be a text of 1 to ${STOP_LIMITS.nameLength} characters`,
  },
  phone: {
    isRight: (value) => isTextOf(value, 1, Number.POSITIVE_INFINITY) && PHONE.test(value),
    must: 'must be in E.164: "+14255550100"',
  },
  email: {
    isRight: (value) => isTextOf(value, 1, STOP_LIMITS.emailLength) && hasFormat('email', value),
    must: `must be an email address of at most ${STOP_LIMITS.emailLength} characters`,
  },
};

const STOP: Record<string, Part> = {
  location: { isRight: isPlace, must: 'must be {"latitude": …, "longitude": …} in degrees, WGS 84' },
  address: {
    isRight: (value) => isTextOf(value, 1, STOP_LIMITS.addressLength),
    must: `must be a text of 1 to ${STOP_LIMITS.addressLength} characters`,
  },
  contact: { isRight: isRecord, must: 'must be an object with name, phone and email, or some of them' },
  notes: {
    isRight: (value) => isTextOf(value, 0, STOP_LIMITS.notesLength),
    must: `must be a text of at most ${STOP_LIMITS.notesLength} characters`,
  },
};

/** Every wrong part of what should be a `Stop`, by field; empty: it is one. */
export function stopErrors(stop: unknown, field: string): FieldError[] {
  if (!isRecord(stop)) return [{ field, message: 'must be one JSON object' }];
  const { contact } = stop;
  return [
    ...(stop['location'] === undefined ? [{ field: `${field}.location`, message: 'is required' }] : []),
    ...partErrors(stop, STOP, field),
    ...(isRecord(contact) ? partErrors(contact, CONTACT, `${field}.contact`) : []),
  ];
}

function partErrors(
  value: Record<string, unknown>,
  parts: Record<string, Part>,
  field: string,
): FieldError[] {
  return Object.entries(value).flatMap(([name, item]) => {
    const part = Object.hasOwn(parts, name) ? parts[name] : undefined;
    if (!part) return [{ field: `${field}.${name}`, message: 'is not a known field' }];
    return part.isRight(item) ? [] : [{ field: `${field}.${name}`, message: part.must }];
  });
}
