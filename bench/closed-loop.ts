/** A closed loop: so many things under way all the time, each followed by the next. What completes in the window counts. */
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;

export interface ClosedLoopOptions {
  inFlight: number;
  /** Not counted: caches, connections and the just-in-time compiler get warm. */
  warmUpMs: number;
  /** How long the window is open at least. On a slow machine it stays open until as many as are in flight have completed. */
  measureMs: number;
  /** Does one thing, from start to end. */
  one: () => Promise<void>;
  /** Called when the window opens and when it closes, to read meters. */
  onWindow?: (edge: 'open' | 'close') => Promise<void>;
}

export interface ClosedLoopResult {
  /** Completed within the window. */
  completed: number;
  windowS: number;
  perSecond: number;
  /** Everything that was begun, before, in and after the window. */
  total: number;
}

/**
 * Runs the loop and returns when everything begun has ended.
 * @throws the first error of `one`, after all others have ended
 */
export async function closedLoop(options: ClosedLoopOptions): Promise<ClosedLoopResult> {
  const { inFlight, warmUpMs, measureMs, one, onWindow } = options;
  let isOver = false;
  let isOpen = false;
  let completed = 0;
  let total = 0;
  const failure: { error?: unknown } = {};
  const slot = async () => {
    while (!isOver) {
      total += 1;
      try {
        await one();
      } catch (error) {
        failure.error ??= error;
        isOver = true;
        return;
      }
      if (isOpen) completed += 1;
    }
  };
  const slots = Promise.all(Array.from({ length: inFlight }, slot));
  const window = async () => {
    await sleep(warmUpMs);
    await onWindow?.('open');
    isOpen = true;
    const openedAt = performance.now();
    await Promise.race([sleep(measureMs), slots]);
    while (completed < inFlight && !isOver) await sleep(LOOK_EVERY_MS);
    isOpen = false;
    const windowS = (performance.now() - openedAt) / 1000;
    await onWindow?.('close');
    isOver = true;
    return windowS;
  };
  const windowS = await window().finally(() => (isOver = true));
  await slots;
  if ('error' in failure) throw failure.error;
  return { completed, windowS, perSecond: completed / windowS, total };
}
