/**
 * Prefixed, time-sortable ids: `del_01h455vb4pex5vsknk084sn02q` (TypeID: a UUIDv7 in Crockford base 32).
 * The prefix is part of the id, so an id of the wrong kind is refused by its schema, not by a lookup that finds nothing.
 */
import { Type } from 'typebox';
import { TypeID, typeid } from 'typeid-js';

const PREFIXES = {
  account: 'acc',
  apiKey: 'key',
  authorization: 'auth',
  creditNote: 'crn',
  delivery: 'del',
  package: 'pkg',
  drone: 'drn',
  base: 'bas',
  model: 'mdl',
  reservation: 'rsv',
  mission: 'mis',
  quote: 'quo',
  booking: 'bkg',
  event: 'evt',
  request: 'req',
} as const;

export type IdKind = keyof typeof PREFIXES;
declare const idKind: unique symbol;
/** An id of one kind. Only this file and a schema make one, so kinds cannot be mixed up. */
export type Id<K extends IdKind> = string & { readonly [idKind]: K };

export type AccountId = Id<'account'>;
export type DeliveryId = Id<'delivery'>;
export type PackageId = Id<'package'>;
export type DroneId = Id<'drone'>;
export type BaseId = Id<'base'>;
export type ModelId = Id<'model'>;
export type ReservationId = Id<'reservation'>;
export type MissionId = Id<'mission'>;
export type AuthorizationId = Id<'authorization'>;
export type CreditNoteId = Id<'creditNote'>;
export type BookingId = Id<'booking'>;
export type QuoteId = Id<'quote'>;
export type EventId = Id<'event'>;

/** A new id of the given kind; later ids sort after earlier ones (to the millisecond). */
export function newId<K extends IdKind>(kind: K): Id<K> {
  return typeid(PREFIXES[kind]).toString() as unknown as Id<K>;
}

/** The id of the given kind that stands for a UUID: the same for ever, for data that is known beforehand. */
export function idFromUuid<K extends IdKind>(kind: K, uuid: string): Id<K> {
  return TypeID.fromUUID(PREFIXES[kind], uuid).toString() as unknown as Id<K>;
}

/** The schema of an id of one kind: the prefix, `_` and 26 characters of Crockford base 32. */
export function idSchema<K extends IdKind>(kind: K) {
  const prefix = PREFIXES[kind];
  return Type.Unsafe<Id<K>>(
    Type.String({
      pattern: patternOf(kind),
      description: `Id of a ${kind}: \`${prefix}_…\``,
      examples: [`${prefix}_01h455vb4pex5vsknk084sn02q`],
    }),
  );
}

/** Whether a text is an id of the given kind, for what does not come through a schema. */
export function isId<K extends IdKind>(kind: K, text: string): text is Id<K> {
  return new RegExp(patternOf(kind)).test(text);
}

function patternOf(kind: IdKind): string {
  return `^${PREFIXES[kind]}_[0-7][0-9a-hjkmnp-tv-z]{25}$`;
}
