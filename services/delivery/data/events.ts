/** Reading the event log: one delivery's timeline, and the feed of all. */
import type { PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import { isoTime } from '../../../shared/clock.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { DeliveryEvent, DeliveryStatus } from '../contract/index.ts';
import { type StoredDelivery, storedDelivery } from './deliveries.ts';

interface EventRow {
  id: string;
  deliveryId: string;
  accountId: string;
  livemode: boolean;
  sequence: number;
  type: string;
  status: string;
  occurredAt: Date;
  recordedAt: Date;
  data: unknown;
}

const SHOWN = {
  id: true,
  deliveryId: true,
  accountId: true,
  livemode: true,
  sequence: true,
  type: true,
  status: true,
  occurredAt: true,
  recordedAt: true,
  data: true,
} as const;

function storedEvent(row: EventRow): DeliveryEvent {
  return {
    object: 'event',
    id: row.id as DeliveryEvent['id'],
    delivery_id: row.deliveryId as DeliveryEvent['delivery_id'],
    account_id: row.accountId as DeliveryEvent['account_id'],
    livemode: row.livemode,
    sequence: row.sequence,
    type: row.type,
    status: row.status as DeliveryStatus,
    occurred_at: isoTime(row.occurredAt.getTime()),
    recorded_at: isoTime(row.recordedAt.getTime()),
    data: row.data as Record<string, unknown>,
  };
}

/** Oldest first. */
export async function findEvents(
  database: PrismaClient,
  deliveryId: DeliveryId,
  { afterSequence, limit }: { afterSequence: number; limit: number },
): Promise<DeliveryEvent[]> {
  const rows = await database.deliveryEvent.findMany({
    select: SHOWN,
    where: { deliveryId, sequence: { gt: afterSequence } },
    orderBy: { sequence: 'asc' },
    take: limit,
  });
  return rows.map(storedEvent);
}

/** A place of the feed, with the delivery as it was after the event. */
export interface StoredFeedEntry {
  position: number;
  event: DeliveryEvent;
  delivery: StoredDelivery;
}

/** The entries after a position. Only what has a place is there: see `placeEvents`. */
export async function findFeedEntries(
  database: PrismaClient,
  after: number,
  limit: number,
): Promise<StoredFeedEntry[]> {
  const rows = await database.$queryRaw<FeedRow[]>`
    SELECT feed.position, event.id AS event_id, event.sequence, event.type, event.status, event.occurred_at,
      event.recorded_at, event.data, event.state, delivery.id, delivery.account_id, delivery.livemode,
      delivery.external_id, delivery.created_at, delivery.requested, delivery.personal
    FROM feed_entries feed
    JOIN delivery_events event ON event.delivery_id = feed.delivery_id AND event.sequence = feed.sequence
    JOIN deliveries delivery ON delivery.id = feed.delivery_id
    WHERE feed.position > ${after}
    ORDER BY feed.position
    LIMIT ${limit}`;
  return rows.map(feedEntry);
}

interface FeedRow {
  position: bigint;
  event_id: string;
  sequence: number;
  type: string;
  status: string;
  occurred_at: Date;
  recorded_at: Date;
  data: unknown;
  state: unknown;
  id: string;
  account_id: string;
  livemode: boolean;
  external_id: string | null;
  created_at: Date;
  requested: unknown;
  personal: unknown;
}

function feedEntry(row: FeedRow): StoredFeedEntry {
  const { id, account_id: accountId, livemode, state } = row;
  return {
    position: Number(row.position),
    event: storedEvent({
      id: row.event_id,
      deliveryId: id,
      accountId,
      livemode,
      sequence: row.sequence,
      type: row.type,
      status: row.status,
      occurredAt: row.occurred_at,
      recordedAt: row.recorded_at,
      data: row.data,
    }),
    delivery: storedDelivery({
      id,
      accountId,
      livemode,
      externalId: row.external_id,
      createdAt: row.created_at,
      requested: row.requested,
      personal: row.personal,
      // As it was after the event, not as it is now.
      state,
    }),
  };
}

/**
 * Gives up to `atMost` committed events their places in the feed, in the order in which they were written.
 * @returns the last position given, by whomever
 */
export async function placeEvents(database: PrismaClient, atMost: number): Promise<number> {
  const [row] = await database.$queryRaw<{ head: bigint }[]>`SELECT place_events(${atMost}::int) AS head`;
  return Number(row?.head ?? 0);
}
