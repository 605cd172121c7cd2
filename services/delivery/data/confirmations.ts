/**
 * What was given as proof of delivery, and what was tried. Each write is one statement that holds only while the delivery is
 * neither confirmed nor out of tries, so that of two at once one sees what the other did.
 */
import type { PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import { isoTime } from '../../../shared/clock.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type { Location } from '../../../shared/schemas.ts';
import { MAX_WRONG_CONFIRMATIONS, type ConfirmationKind } from '../contract/confirmation.ts';
import type { ImageType } from '../contract/proof.ts';

export interface StoredConfirmation {
  /** How many different things were given wrongly. */
  wrong: number;
  /** Null until it is confirmed. */
  given: {
    at: string;
    by: 'recipient' | 'drone';
    digest: string;
    position: Location | null;
    signedBy: string | null;
    image: { contentType: ImageType; sizeBytes: number; digest: string } | null;
  } | null;
}

export interface ConfirmationOf {
  deliveryId: DeliveryId;
  accountId: AccountId;
  livemode: boolean;
  kind: ConfirmationKind;
}

export interface NewProof {
  at: string;
  by: 'recipient' | 'drone';
  /** Tells a repetition from something else. */
  digest: string;
  position: Location | null;
  signedBy?: string;
  image?: { contentType: ImageType; bytes: Buffer };
}

export const NOTHING_GIVEN: StoredConfirmation = { wrong: 0, given: null };

export async function findConfirmation(
  database: PrismaClient,
  deliveryId: DeliveryId,
): Promise<StoredConfirmation> {
  const [row] = await database.$queryRaw<
    {
      wrong: number;
      confirmed_at: Date | null;
      given_by: 'recipient' | 'drone' | null;
      digest: string | null;
      latitude: number | null;
      longitude: number | null;
      signed_by: string | null;
      content_type: ImageType | null;
      size_bytes: number | null;
      image_digest: string | null;
    }[]
  >`
    SELECT cardinality(wrong_digests) AS wrong, confirmed_at, given_by, digest, latitude, longitude, signed_by, content_type,
      octet_length(image) AS size_bytes, encode(sha256(image), 'hex') AS image_digest
    FROM confirmations WHERE delivery_id = ${deliveryId}`;
  if (!row) return NOTHING_GIVEN;
  const { wrong, confirmed_at: at, given_by: by, digest, latitude, longitude } = row;
  if (at === null || by === null || digest === null) return { wrong, given: null };
  const { content_type: contentType, size_bytes: sizeBytes, image_digest: imageDigest } = row;
  return {
    wrong,
    given: {
      at: isoTime(at.getTime()),
      by,
      digest,
      position: latitude === null || longitude === null ? null : { latitude, longitude },
      signedBy: row.signed_by,
      image:
        contentType === null || sizeBytes === null || imageDigest === null
          ? null
          : { contentType, sizeBytes, digest: imageDigest },
    },
  };
}

/** Keeps the proof. Whether it did: not when there is one already, or no try was left. */
export async function storeProof(
  database: PrismaClient,
  { deliveryId, accountId, livemode, kind }: ConfirmationOf,
  { at, by, digest, position, signedBy, image }: NewProof,
): Promise<boolean> {
  const written = await database.$executeRaw`
    INSERT INTO confirmations AS it (delivery_id, account_id, livemode, kind, wrong_digests, confirmed_at, given_by, digest,
      latitude, longitude, signed_by, content_type, image)
    VALUES (${deliveryId}, ${accountId}, ${livemode}, ${kind}, '{}', ${at}::timestamptz, ${by}, ${digest},
      ${position?.latitude ?? null}::float8, ${position?.longitude ?? null}::float8, ${signedBy ?? null},
      ${image?.contentType ?? null}, ${image?.bytes ?? null}::bytea)
    ON CONFLICT (delivery_id) DO UPDATE SET confirmed_at = excluded.confirmed_at, given_by = excluded.given_by,
      digest = excluded.digest, latitude = excluded.latitude, longitude = excluded.longitude,
      signed_by = excluded.signed_by, content_type = excluded.content_type, image = excluded.image
    WHERE it.confirmed_at IS NULL AND cardinality(it.wrong_digests) < ${MAX_WRONG_CONFIRMATIONS}::int`;
  return written > 0;
}

/** Counts a wrong one, each value once: a repetition whose answer was lost takes no second try. */
export async function countWrong(
  database: PrismaClient,
  { deliveryId, accountId, livemode, kind }: ConfirmationOf,
  digest: string,
): Promise<void> {
  await database.$executeRaw`
    INSERT INTO confirmations AS it (delivery_id, account_id, livemode, kind, wrong_digests)
    VALUES (${deliveryId}, ${accountId}, ${livemode}, ${kind}, ARRAY[${digest}])
    ON CONFLICT (delivery_id) DO UPDATE SET wrong_digests = it.wrong_digests || excluded.wrong_digests
    WHERE it.confirmed_at IS NULL AND cardinality(it.wrong_digests) < ${MAX_WRONG_CONFIRMATIONS}::int
      AND NOT it.wrong_digests @> excluded.wrong_digests`;
}

/** The bytes of a signature or photo; undefined when there are none (any more). */
export async function findImage(
  database: PrismaClient,
  deliveryId: DeliveryId,
): Promise<{ contentType: ImageType; bytes: Uint8Array } | undefined> {
  const row = await database.confirmation.findUnique({
    where: { deliveryId },
    select: { contentType: true, image: true },
  });
  if (!row?.image || row.contentType === null) return undefined;
  return { contentType: row.contentType as ImageType, bytes: row.image };
}
