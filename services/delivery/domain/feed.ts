/**
 * The feed's order. An event gets its place after its transaction committed, from one sequencer at a time (the lock is in the
 * database), so a reader that has read up to a place never misses a lower one. While somebody waits for news, events are
 * placed as they are written; otherwise now and then in large batches, which costs the writers next to nothing.
 */
import type { PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import type { Logger } from '../../../shared/logger.ts';
import { Pump } from '../../../shared/pump.ts';
import { findFeedEntries, placeEvents, type StoredFeedEntry } from '../data/events.ts';

const PLACED_AT_ONCE = 1_000;
/** Without readers. */
const LOOK_EVERY_MS = 1_000;
/** With readers: how soon they hear of what another process wrote. */
const LOOK_WHILE_AWAITED_MS = 25;

export interface FeedPage {
  entries: StoredFeedEntry[];
  /** The end of the feed when it was read. */
  lastPosition: number;
}

interface Waiter {
  after: number;
  wake: () => void;
}

export class Feed {
  readonly #database: PrismaClient;
  readonly #sequencer: Pump;
  readonly #waiters = new Set<Waiter>();
  /** The last position that this process knows to be given. */
  #head = 0;
  #closed = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(database: PrismaClient, logger: Logger) {
    this.#database = database;
    this.#sequencer = new Pump({
      name: 'feed sequencer',
      logger,
      lookEveryMs: LOOK_EVERY_MS,
      round: () => this.#place(),
    });
  }

  start(): void {
    this.#sequencer.start();
  }

  /** Answers everybody who waits, so that the server can close. */
  async stop(): Promise<void> {
    this.#closed = true;
    for (const { wake } of this.#waiters) wake();
    await this.#sequencer.stop();
  }

  /** Readers who wait for news. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** This process wrote events. */
  written(): void {
    if (this.#waiters.size > 0) this.#sequencer.nudge();
  }

  /**
   * The entries after a position; when there is none yet, waits for one.
   * @param waitMs at most, wall milliseconds
   * @param gone aborted when the reader has left
   */
  async read(
    { after, limit, waitMs }: { after: number; limit: number; waitMs: number },
    gone: AbortSignal,
  ): Promise<FeedPage> {
    const deadline = performance.now() + waitMs;
    while (await this.#place());
    if (this.#head <= after) await this.#headBeyond(after, deadline - performance.now(), gone);
    const entries = await findFeedEntries(this.#database, after, limit);
    return { entries, lastPosition: Math.max(this.#head, entries.at(-1)?.position ?? 0) };
  }

  /** Places what has been committed. Answers whether there may be more. */
  async #place(): Promise<boolean> {
    const head = await placeEvents(this.#database, PLACED_AT_ONCE);
    const advancedBy = head - this.#head;
    this.#head = Math.max(this.#head, head);
    for (const { after, wake } of this.#waiters) if (this.#head > after) wake();
    return advancedBy >= PLACED_AT_ONCE;
  }

  /** Settles when there is news after the position, the time is over, the reader has left or the feed stops. */
  async #headBeyond(after: number, withinMs: number, gone: AbortSignal): Promise<void> {
    if (withinMs <= 0 || this.#closed || gone.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        gone.removeEventListener('abort', wake);
        this.#waiters.delete(waiter);
        this.#lookWhileAwaited();
        resolve();
      };
      const waiter = { after, wake };
      const timer = setTimeout(wake, withinMs);
      gone.addEventListener('abort', wake);
      this.#waiters.add(waiter);
      this.#lookWhileAwaited();
    });
  }

  #lookWhileAwaited(): void {
    if (this.#waiters.size > 0 && !this.#closed) {
      this.#ticker ??= setInterval(() => this.#sequencer.nudge(), LOOK_WHILE_AWAITED_MS).unref();
    } else {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
  }
}
