/** The accept's one statement, and what is there when it could not be written. */
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { AcceptedDocument } from '../domain/accepted.ts';

/** A row to be accepted. */
export interface NewRequest {
  idempotencyKey: string | null;
  fingerprint: string;
  document: AcceptedDocument;
  /** Wall time, Unix milliseconds. */
  receivedAtMs: number;
  /** Wall time from which anybody may project it, Unix milliseconds. */
  projectDueAtMs: number;
}

/**
 * Writes all that can be written, in one statement, and answers which. One that is not among them has a twin with its
 * idempotency key or its external id, in the table or earlier in the same list.
 */
export async function insertRequests(
  database: PrismaClient,
  requests: readonly NewRequest[],
): Promise<Set<string>> {
  const rows = requests.map(({ idempotencyKey, fingerprint, document, receivedAtMs, projectDueAtMs }) => ({
    delivery_id: document.creation.id,
    account_id: document.creation.account_id,
    livemode: document.creation.livemode,
    idempotency_key: idempotencyKey,
    fingerprint,
    external_id: document.creation.external_id,
    expedited: document.creation.expedited,
    accepted_at: document.creation.created_at,
    received_at: new Date(receivedAtMs),
    project_due_at: new Date(projectDueAtMs),
    document,
  }));
  const written = await database.$queryRaw<{ delivery_id: string }[]>`
    INSERT INTO delivery_requests (delivery_id, account_id, livemode, idempotency_key, fingerprint, external_id,
      expedited, accepted_at, received_at, project_due_at, document, state)
    SELECT delivery_id, account_id, livemode, idempotency_key, fingerprint, external_id, expedited, accepted_at,
      received_at, project_due_at, document, 'accepted'
    FROM json_to_recordset(${JSON.stringify(rows)}::json) AS request(delivery_id text, account_id text,
      livemode boolean, idempotency_key text, fingerprint text, external_id text, expedited boolean,
      accepted_at timestamptz, received_at timestamptz, project_due_at timestamptz, document json)
    ON CONFLICT DO NOTHING
    RETURNING delivery_id`;
  return new Set(written.map((row) => row.delivery_id));
}

/** The row with the same idempotency key, if any, and the one with the same external id, if any. */
export interface Twins {
  sameKey: { fingerprint: string; document: AcceptedDocument } | undefined;
  sameExternalId: DeliveryId | undefined;
}

/** What stands in the way of each request, at its place. */
export async function findTwins(database: PrismaClient, requests: readonly NewRequest[]): Promise<Twins[]> {
  const wanted = requests.map(({ idempotencyKey, document: { creation } }, place) => ({
    place,
    account_id: creation.account_id,
    livemode: creation.livemode,
    idempotency_key: idempotencyKey,
    external_id: creation.external_id,
  }));
  const rows = await database.$queryRaw<TwinRow[]>`
    WITH wanted AS (
      SELECT * FROM json_to_recordset(${JSON.stringify(wanted)}::json) AS request(place int, account_id text,
        livemode boolean, idempotency_key text, external_id text)
    )
    SELECT wanted.place, true AS same_key, twin.delivery_id, twin.fingerprint, twin.document
    FROM wanted JOIN delivery_requests twin USING (account_id, livemode, idempotency_key)
    UNION ALL
    SELECT wanted.place, false, twin.delivery_id, NULL, NULL
    FROM wanted JOIN delivery_requests twin USING (account_id, livemode, external_id)`;
  return requests.map((_, place) => {
    const sameKey = rows.find((row) => row.place === place && row.same_key);
    const sameExternalId = rows.find((row) => row.place === place && !row.same_key);
    return {
      sameKey:
        sameKey?.document && sameKey.fingerprint !== null
          ? { fingerprint: sameKey.fingerprint, document: sameKey.document }
          : undefined,
      sameExternalId: sameExternalId?.delivery_id,
    };
  });
}

interface TwinRow {
  place: number;
  same_key: boolean;
  delivery_id: DeliveryId;
  fingerprint: string | null;
  document: AcceptedDocument | null;
}

/** The request that was accepted under this key. */
export async function findByKey(
  database: PrismaClient,
  key: { accountId: string; livemode: boolean; idempotencyKey: string },
): Promise<{ fingerprint: string; document: AcceptedDocument } | undefined> {
  const row = await database.deliveryRequest.findUnique({
    where: { accountId_livemode_idempotencyKey: key },
    select: { fingerprint: true, document: true },
  });
  return row
    ? { fingerprint: row.fingerprint, document: row.document as unknown as AcceptedDocument }
    : undefined;
}
