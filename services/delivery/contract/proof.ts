/** What is given as proof of delivery, and how it is shown. */
import { type Static, Type } from 'typebox';
import { idSchema } from '../../../shared/ids.ts';
import { Closed, Location, Nullable, OneOf, Timestamp } from '../../../shared/schemas.ts';
import { CONFIRMATION_KINDS, CONFIRMATION_STATUSES } from './confirmation.ts';

export const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/webp'] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

/** Enough for a drawn name. */
export const MAX_SIGNATURE_BYTES = 100_000;
/** What a photo of a doorstep needs; the database holds to it too. */
export const MAX_PHOTO_BYTES = 700_000;

const base64Length = (bytes: number): number => Math.ceil(bytes / 3) * 4;

const image = (maxBytes: number) => ({
  content_type: OneOf(IMAGE_TYPES, { description: 'What the bytes are; they are looked at' }),
  data: Type.String({
    pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
    minLength: 4,
    maxLength: base64Length(maxBytes),
    contentEncoding: 'base64',
    description: `The image, base64; at most ${maxBytes} bytes`,
  }),
});

export const Photo = Closed(image(MAX_PHOTO_BYTES), { title: 'Photo' });
export type Photo = Static<typeof Photo>;

/** What a recipient gives: one of them, of the kind that the sender asked for. */
export const GivenConfirmation = Closed(
  {
    pin: Type.Optional(
      Type.String({ pattern: '^[0-9]{6}$', description: 'The six digits that the recipient was sent' }),
    ),
    signature: Type.Optional(
      Closed({
        ...image(MAX_SIGNATURE_BYTES),
        signed_by: Type.String({ minLength: 1, maxLength: 200, pattern: '\\S', description: 'Whose it is' }),
      }),
    ),
    barcodes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
        minItems: 1,
        maxItems: 20,
        description: 'The tags of the packages as scanned, all of them',
      }),
    ),
  },
  { title: 'GivenConfirmation', minProperties: 1, maxProperties: 1 },
);
export type GivenConfirmation = Static<typeof GivenConfirmation>;

export const Proof = Type.Object(
  {
    object: Type.Literal('proof'),
    delivery_id: idSchema('delivery'),
    kind: OneOf(CONFIRMATION_KINDS),
    status: OneOf(CONFIRMATION_STATUSES),
    confirmed_at: Nullable(Timestamp),
    given_by: Nullable(OneOf(['recipient', 'drone'] as const)),
    position: { ...Nullable(Location), description: 'Where the drone was when it was given' },
    /** Of a signature. */
    signed_by: Nullable(Type.String()),
    /** Of a signature or photo; its bytes are at `/proof/image`. */
    image: Nullable(
      Closed({
        content_type: OneOf(IMAGE_TYPES),
        size_bytes: Type.Integer(),
        sha256: Type.String({ description: 'Of the bytes, hex' }),
      }),
    ),
    wrong_attempts: Type.Integer({ minimum: 0, description: 'Different wrong PINs or scans' }),
  },
  { title: 'Proof' },
);
export type Proof = Static<typeof Proof>;
