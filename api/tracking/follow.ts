/**
 * Fills one stream with one delivery's events, in order, none twice and none missed: the timeline is read up to now, then the
 * feed goes on. Wherever the two do not meet, the timeline is read again.
 */
import type { Delivery, DeliveryEvent, FeedEntry } from '../../services/delivery/contract/index.ts';
import type { Clock } from '../../shared/clock.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Logger } from '../../shared/logger.ts';
import type { PositionUpdate, StatusUpdate } from '../contract/tracking.ts';
import { isNotFound } from '../delivery-reader.ts';
import type { Services } from '../services.ts';
import { type EventStream, frameOf } from './event-stream.ts';
import type { FeedFollower } from './feed-follower.ts';
import { type LiveDrone, positionOf, type PositionWatch } from './positions.ts';

export interface FollowOptions {
  stream: EventStream;
  deliveryId: DeliveryId;
  /** Number of the last event the reader has. */
  after: number;
  /** Reads the delivery as it is now. */
  read: () => Promise<Delivery>;
  timeline: Pick<Services['delivery'], 'listEvents'>;
  feed: FeedFollower;
  positions: PositionWatch;
  clock: Clock;
  logger: Logger;
}

const PAGE = 200;

/**
 * Resolves when the stream holds everything up to now; the rest follows by itself until the delivery is complete.
 * @throws {Problem} when the timeline or the feed cannot be read now.
 */
export async function follow(options: FollowOptions): Promise<void> {
  const { stream, deliveryId, feed, positions, clock, logger } = options;
  let sent = options.after;
  /** Entries that came while the timeline was being read; null while it is not. */
  let held: FeedEntry[] | null = [];
  const stops: (() => void)[] = [];
  stream.once('close', () => stops.forEach((stop) => stop()));

  function send(event: DeliveryEvent, delivery: Delivery | null): void {
    sent = event.sequence;
    const update: StatusUpdate = {
      ...event,
      eta: delivery?.eta ?? null,
      complete: delivery?.complete ?? false,
    };
    stream.write(frameOf({ event: 'status', id: sent, data: update }));
  }

  function end({ status, sequence }: Delivery): void {
    stream.write(frameOf({ event: 'complete', data: { delivery_id: deliveryId, status, sequence } }));
    stream.finish();
    stops.forEach((stop) => stop());
  }

  function onEntry(entry: FeedEntry): void {
    if (held) held.push(entry);
    else if (entry.event.sequence === sent + 1) {
      send(entry.event, entry.delivery);
      if (entry.delivery.complete) end(entry.delivery);
    } else if (entry.event.sequence > sent) {
      held = [entry];
      void catchUp().catch((error: unknown) => {
        logger.warn({ err: error, deliveryId }, 'cannot go on with a stream');
        // The reader reconnects with its `Last-Event-ID` and misses nothing.
        stream.finish();
      });
    }
  }

  async function catchUp(): Promise<void> {
    const events = await eventsAfter(options.timeline, deliveryId, sent);
    const now = await options.read();
    for (const event of events) send(event, event.sequence === now.sequence ? now : null);
    if (now.complete && sent >= now.sequence) {
      end(now);
      return;
    }
    const waiting = (held ?? []).filter((entry) => entry.event.sequence > sent);
    if (waiting[0] && waiting[0].event.sequence !== sent + 1) {
      throw new Error(`The timeline has no event ${sent + 1}, the feed has ${waiting[0].event.sequence}`);
    }
    held = null;
    for (const entry of waiting) onEntry(entry);
  }

  function onPosition(live: LiveDrone): void {
    const position = positionOf(live, clock);
    if (position === null) return;
    const update: PositionUpdate = {
      delivery_id: deliveryId,
      drone_id: live.drone_id,
      ...position,
      eta_pickup_at: live.eta_pickup_at,
      eta_dropoff_at: live.eta_dropoff_at,
    };
    stream.write(frameOf({ event: 'position', data: update }));
  }

  stops.push(await feed.subscribe(deliveryId, onEntry));
  await catchUp();
  if (stream.isOver) stops.forEach((stop) => stop());
  else stops.push(positions.subscribe(deliveryId, onPosition));
}

async function eventsAfter(
  timeline: FollowOptions['timeline'],
  deliveryId: DeliveryId,
  after: number,
): Promise<DeliveryEvent[]> {
  const events: DeliveryEvent[] = [];
  for (;;) {
    const { data, next_cursor } = await timeline
      .listEvents({
        params: { delivery_id: deliveryId },
        query: { after_sequence: events.at(-1)?.sequence ?? after, limit: PAGE },
      })
      .catch((error: unknown) => {
        // Not projected yet: event 1 comes with the feed.
        if (isNotFound(error)) return { data: [], next_cursor: null };
        throw error;
      });
    events.push(...data);
    if (next_cursor === null || data.length === 0) return events;
  }
}
