/**
 * The accepted rows as the queues that the pumps work off. A row is claimed by one statement that skips what others hold;
 * a claim is a time until which nobody else tries, so that a killed process delays a row and never loses it.
 */
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type { REQUEST_STATES } from '../contract/index.ts';
import type { AcceptedDocument, Cancellation } from '../domain/accepted.ts';

export type RequestState = (typeof REQUEST_STATES)[number];

/** A row that this process may start now. */
export interface StartClaim {
  deliveryId: DeliveryId;
  document: AcceptedDocument;
  /** Wall time of the first try. */
  startingSince: Date;
  /** This try included. */
  attempts: number;
  /** Events that the delivery service has. */
  projected: number;
}

/**
 * Claims up to `limit` rows to start: of those that a try has left (half of the places at most), then new ones, expedited
 * first, then oldest first.
 */
export async function claimToStart(
  database: PrismaClient,
  { limit, now, leaseUntil }: { limit: number; now: Date; leaseUntil: Date },
): Promise<StartClaim[]> {
  return database.$queryRaw<StartClaim[]>`
    WITH left_over AS MATERIALIZED (
      SELECT delivery_id FROM delivery_requests
      WHERE state = 'starting' AND start_due_at <= ${now}
      ORDER BY start_due_at LIMIT ${Math.ceil(limit / 2)}
      FOR UPDATE SKIP LOCKED
    ), fresh AS MATERIALIZED (
      SELECT delivery_id FROM delivery_requests
      WHERE state = 'accepted'
      ORDER BY expedited DESC, received_at, delivery_id
      LIMIT ${limit} - (SELECT count(*) FROM left_over)
      FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery_requests AS request
    SET state = 'starting', starting_since = COALESCE(starting_since, ${now}), start_due_at = ${leaseUntil},
      start_attempts = start_attempts + 1
    FROM (SELECT delivery_id FROM left_over UNION ALL SELECT delivery_id FROM fresh) AS chosen
    WHERE request.delivery_id = chosen.delivery_id
    RETURNING request.delivery_id AS "deliveryId", request.document, request.starting_since AS "startingSince",
      request.start_attempts AS attempts, request.projected`;
}

export async function markStarted(database: PrismaClient, ids: readonly DeliveryId[]): Promise<void> {
  if (ids.length === 0) return;
  await database.$executeRaw`
    UPDATE delivery_requests SET state = 'started', start_due_at = NULL
    WHERE delivery_id = ANY(${ids}) AND state = 'starting'`;
}

/** Has a row started again that was. Answers whether it did. */
export async function markToStartAgain(
  database: PrismaClient,
  deliveryId: DeliveryId,
  now: Date,
): Promise<boolean> {
  const { count } = await database.deliveryRequest.updateMany({
    where: { deliveryId, state: 'started' },
    data: { state: 'starting', startingSince: now, startDueAt: now, startAttempts: 0 },
  });
  return count > 0;
}

/** Puts off the next try of rows that could not be started. */
export async function putOffStart(
  database: PrismaClient,
  rows: readonly { deliveryId: DeliveryId; dueAt: Date }[],
): Promise<void> {
  if (rows.length === 0) return;
  await database.$executeRaw`
    UPDATE delivery_requests AS request SET start_due_at = later."dueAt"
    FROM json_to_recordset(${JSON.stringify(rows)}::json) AS later("deliveryId" text, "dueAt" timestamptz)
    WHERE request.delivery_id = later."deliveryId" AND request.state = 'starting'`;
}

/** A row whose projection this process may try now. */
export interface ProjectClaim {
  deliveryId: DeliveryId;
  document: AcceptedDocument;
  /** Null unless it was cancelled before its start. */
  cancellation: Cancellation | null;
  /** Events that the delivery service has. */
  projected: number;
  attempts: number;
}

export async function claimToProject(
  database: PrismaClient,
  { limit, now, leaseUntil }: { limit: number; now: Date; leaseUntil: Date },
): Promise<ProjectClaim[]> {
  return database.$queryRaw<ProjectClaim[]>`
    WITH due AS MATERIALIZED (
      SELECT delivery_id FROM delivery_requests
      WHERE project_due_at <= ${now}
      ORDER BY project_due_at LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery_requests AS request
    SET project_due_at = ${leaseUntil}, project_attempts = project_attempts + 1
    FROM due
    WHERE request.delivery_id = due.delivery_id
    RETURNING request.delivery_id AS "deliveryId", request.document, request.cancellation, request.projected,
      request.project_attempts AS attempts`;
}

/**
 * The delivery service has event 1 of these (`projected` 1), or the cancellation too (2). One that was cancelled in
 * between stays in the queue until that is projected as well.
 */
export async function markProjected(
  database: PrismaClient,
  ids: readonly DeliveryId[],
  projected: 1 | 2,
): Promise<void> {
  if (ids.length === 0) return;
  await database.$executeRaw`
    UPDATE delivery_requests
    SET projected = GREATEST(projected, ${projected}::int),
      project_due_at = CASE WHEN state = 'cancelled' AND GREATEST(projected, ${projected}::int) < 2
        THEN project_due_at END
    WHERE delivery_id = ANY(${ids})`;
}

export async function putOffProjection(
  database: PrismaClient,
  rows: readonly { deliveryId: DeliveryId; dueAt: Date }[],
): Promise<void> {
  if (rows.length === 0) return;
  await database.$executeRaw`
    UPDATE delivery_requests AS request SET project_due_at = later."dueAt"
    FROM json_to_recordset(${JSON.stringify(rows)}::json) AS later("deliveryId" text, "dueAt" timestamptz)
    WHERE request.delivery_id = later."deliveryId" AND request.project_due_at IS NOT NULL`;
}

/** Cancels it if nobody has begun to start it: a compare-and-set. Answers whether it did. */
export async function cancelBeforeStart(
  database: PrismaClient,
  deliveryId: DeliveryId,
  accountId: AccountId | null,
  cancellation: Cancellation,
  projectDueAt: Date,
): Promise<boolean> {
  const { count } = await database.deliveryRequest.updateMany({
    where: { deliveryId, state: 'accepted', ...(accountId !== null && { accountId }) },
    data: { state: 'cancelled', cancellation: { ...cancellation }, projectDueAt },
  });
  return count > 0;
}

export interface StoredRequest {
  accountId: string;
  livemode: boolean;
  state: RequestState;
  acceptedAt: Date;
  document: AcceptedDocument;
  cancellation: Cancellation | null;
  /** The delivery service has all that there is to tell of it. */
  isProjected: boolean;
}

export async function findRequest(
  database: PrismaClient,
  deliveryId: DeliveryId,
): Promise<StoredRequest | undefined> {
  const row = await database.deliveryRequest.findUnique({ where: { deliveryId } });
  if (!row) return undefined;
  const { accountId, livemode, acceptedAt } = row;
  return {
    accountId,
    livemode,
    acceptedAt,
    state: row.state as RequestState,
    document: row.document as unknown as AcceptedDocument,
    cancellation: row.cancellation as unknown as Cancellation | null,
    isProjected: row.projectDueAt === null,
  };
}

export interface Backlog {
  unstarted: number;
  unprojected: number;
  unansweredCancels: number;
  oldestUnstartedAt: Date | null;
}

/** Each figure is read from an index that holds nothing else. */
export async function readBacklog(database: PrismaClient): Promise<Backlog> {
  const [row] = await database.$queryRaw<Backlog[]>`
    SELECT
      (SELECT count(*)::int FROM delivery_requests WHERE state = 'accepted')
        + (SELECT count(*)::int FROM delivery_requests WHERE state = 'starting') AS unstarted,
      (SELECT count(*)::int FROM delivery_requests WHERE project_due_at IS NOT NULL) AS unprojected,
      (SELECT count(*)::int FROM cancel_intents WHERE send_due_at IS NOT NULL) AS "unansweredCancels",
      LEAST(
        (SELECT min(received_at) FROM delivery_requests WHERE state = 'accepted'),
        (SELECT min(received_at) FROM delivery_requests WHERE state = 'starting')
      ) AS "oldestUnstartedAt"`;
  if (!row) throw new Error('The backlog query answered no row');
  return row;
}
