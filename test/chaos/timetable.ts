/** Things that have their time from a common beginning on, and are in the order of it. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Begins each at its time, whatever those before it still do; one timer at a time, however many there are. Resolves once all are
 * done; the first that fails ends it, once those that have begun are over.
 * @param begunMs as `Date.now()`
 * @throws what the first failed with, or the signal's reason
 */
export async function atTheirTimes<T extends { atMs: number }>(
  items: readonly T[],
  { begunMs, signal }: { begunMs: number; signal: AbortSignal },
  begin: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const failing = new AbortController();
  const either = AbortSignal.any([signal, failing.signal]);
  const begun: Promise<void>[] = [];
  try {
    for (const [index, item] of items.entries()) {
      const waitMs = begunMs + item.atMs - Date.now();
      if (waitMs > 0) await delay(waitMs, undefined, { signal: either });
      either.throwIfAborted();
      begun.push(begin(item, index).catch((error: unknown) => failing.abort(error)));
    }
  } catch (error) {
    if (!either.aborted) throw error;
  } finally {
    await Promise.all(begun);
  }
  failing.signal.throwIfAborted();
  signal.throwIfAborted();
}
