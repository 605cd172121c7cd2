/** The schemas that every room shares: places, times, money, contacts, problems, pages. Units stand in the names. */
import { type Static, type TSchema, Type } from 'typebox';
import { STOP_LIMITS } from './limits.ts';

/** A value or null. */
export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** A closed object: unknown fields are refused by name rather than dropped. */
export const Closed = <T extends Record<string, TSchema>>(
  properties: T,
  options: Record<string, unknown> = {},
) => Type.Object(properties, { additionalProperties: false, ...options });

/** One of a few words. Written as a JSON Schema `enum`, so that an error can list them. */
export const OneOf = <const T extends readonly string[]>(values: T, options: Record<string, unknown> = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options });

/** RFC 3339 in UTC or with an offset; what we write ourselves is always UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-03-01T12:00:00.000Z'] });

/** WGS 84, degrees. */
export const Location = Closed(
  {
    latitude: Type.Number({ minimum: -90, maximum: 90, description: 'WGS 84, degrees north' }),
    longitude: Type.Number({ minimum: -180, maximum: 180, description: 'WGS 84, degrees east' }),
  },
  { title: 'Location' },
);
export type Location = Static<typeof Location>;

/** Minor units of the currency (cents), never a float. */
export const Money = Closed(
  {
    // Sums of such amounts stay exact both as a double and as a bigint.
    amount: Type.Integer({ minimum: 0, maximum: 1_000_000_000_000, description: 'Minor units: cents' }),
    currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217', examples: ['USD'] }),
  },
  { title: 'Money' },
);
export type Money = Static<typeof Money>;

export const Contact = Closed(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: STOP_LIMITS.nameLength })),
    phone: Type.Optional(Type.String({ pattern: STOP_LIMITS.phone, description: 'E.164' })),
    email: Type.Optional(Type.String({ format: 'email', maxLength: STOP_LIMITS.emailLength })),
  },
  { title: 'Contact' },
);

export const Stop = Closed(
  {
    location: Location,
    address: Type.Optional(Type.String({ minLength: 1, maxLength: STOP_LIMITS.addressLength })),
    contact: Type.Optional(Contact),
    notes: Type.Optional(Type.String({ maxLength: STOP_LIMITS.notesLength })),
  },
  { title: 'Stop' },
);
export type Stop = Static<typeof Stop>;

export const PickupWindow = Closed(
  {
    start: Type.String({ format: 'date-time', description: 'The package is ready from here on' }),
    end: Type.String({ format: 'date-time', description: 'After `start`; nobody hands it over later' }),
  },
  {
    title: 'PickupWindow',
    description: 'When the sender hands it over, at most 30 days ahead. The drone is there from `start` on',
  },
);
export type PickupWindow = Static<typeof PickupWindow>;

export const PackageSize = OneOf(['small', 'medium', 'large'] as const, {
  description: 'small ≤ 20×15×10 cm, medium ≤ 35×25×15 cm, large ≤ 50×40×30 cm',
});
export type PackageSize = Static<typeof PackageSize>;
/** Outer limits of each size, cm (length, width, height). */
export const PACKAGE_SIZES_CM = {
  small: [20, 15, 10],
  medium: [35, 25, 15],
  large: [50, 40, 30],
} as const satisfies Record<PackageSize, readonly [number, number, number]>;

/** The clock a delivery follows, as it travels between rooms (see shared/clock.ts). */
export const ClockSettingsSchema = Closed({
  anchorWallMs: Type.Number(),
  anchorMs: Type.Number(),
  rate: Type.Number({ exclusiveMinimum: 0 }),
});

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ format: 'uri' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    reason: Type.Optional(Type.String()),
    errors: Type.Optional(Type.Array(Type.Object({ field: Type.String(), message: Type.String() }))),
    request_id: Type.Optional(Type.String()),
    retry_after_s: Type.Optional(Type.Number()),
  },
  { title: 'Problem', description: 'RFC 9457 problem details' },
);

/** A cursor page. `next_cursor` is null on the last one. */
export const Page = <T extends TSchema>(item: T) =>
  Type.Object({ data: Type.Array(item), next_cursor: Nullable(Type.String()) });

export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 500, description: '`next_cursor` of the page before' })),
};
