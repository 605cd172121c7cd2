/**
 * One reader of the event feed for all streams of this process: a single long poll, fanned out by delivery. It starts at the
 * feed's end when somebody listens and rests when nobody does.
 */
import type { deliveryContract, FeedEntry } from '../../services/delivery/contract/index.ts';
import type { Client } from '../../shared/http/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Logger } from '../../shared/logger.ts';
import { Subscribers } from './subscribers.ts';

export interface FeedFollowerOptions {
  feed: Pick<Client<typeof deliveryContract>, 'readFeed'>;
  logger: Logger;
  /** How long one poll waits for an event, milliseconds. */
  waitMs?: number;
}

export interface FeedFollower {
  /**
   * Every entry of this delivery that is committed after the promise resolves reaches the listener, in order. (Some that
   * were committed shortly before may, too.) Returns how to stop.
   * @throws {Problem} when the feed cannot be read now.
   */
  subscribe(deliveryId: DeliveryId, listener: (entry: FeedEntry) => void): Promise<() => void>;
  stop(): void;
}

const PAGE = 500;
const BACKOFF_MS = { first: 200, most: 5_000 };
/** Beyond the wait itself. */
const ANSWER_WITHIN_MS = 5_000;

export function followFeed({ feed, logger, waitMs = 20_000 }: FeedFollowerOptions): FeedFollower {
  const subscribers = new Subscribers<DeliveryId, FeedEntry>();
  const stopping = new AbortController();
  const isStopped = () => stopping.signal.aborted;
  /** Resolves once the place to read on from is known; null while it rests. */
  let begun: Promise<void> | null = null;

  async function begin(): Promise<void> {
    const { last_position } = await feed.readFeed({ query: { after: 0, limit: 1 } });
    void follow(last_position);
  }

  async function follow(from: number): Promise<void> {
    let after = from;
    let backoffMs = BACKOFF_MS.first;
    while (subscribers.size > 0 && !isStopped()) {
      try {
        const { entries, last_position } = await feed.readFeed(
          { query: { after, limit: PAGE, wait_ms: waitMs } },
          { signal: stopping.signal, timeoutMs: waitMs + ANSWER_WITHIN_MS },
        );
        for (const entry of entries) subscribers.publish(entry.event.delivery_id, entry);
        // A feed that ends before our place is another one (a fresh database): its end is where new events come.
        after = entries.at(-1)?.position ?? Math.min(after, last_position);
        backoffMs = BACKOFF_MS.first;
      } catch (error) {
        if (isStopped()) return;
        // Our place is kept, so nothing is missed when it answers again.
        logger.warn({ err: error, after }, 'cannot read the event feed; trying again');
        await pause(backoffMs, stopping.signal);
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MS.most);
      }
    }
    begun = null;
  }

  return {
    async subscribe(deliveryId, listener) {
      const unsubscribe = subscribers.add(deliveryId, listener);
      begun ??= begin();
      const mine = begun;
      try {
        await mine;
      } catch (error) {
        if (begun === mine) begun = null;
        unsubscribe();
        throw error;
      }
      return unsubscribe;
    },
    stop: () => stopping.abort(),
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
