/** Drives a fleet on the wall's time: events when they are due, telemetry at its interval, the registry now and then. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import type { Fleet } from './fleet.ts';

export interface RunnerOptions {
  fleet: Fleet;
  logger: Logger;
  /** Wall milliseconds between two radio messages of an aircraft. */
  telemetryIntervalMs: number;
  /** Wall milliseconds between two looks at the registry: new drones, cleared ones. */
  discoverIntervalMs?: number;
  /** Whatever else lives in the simulated world looks whenever the fleet has moved on. */
  onLook?: () => void;
}

export interface Runner {
  /** Throws until the whole fleet knows what it is doing. */
  checkReady(): Promise<void>;
  /** Stops; what is under way may end first, for a few seconds. */
  stop(): Promise<void>;
}

const DISCOVER_EVERY_MS = 5_000;
const DISCOVER_AGAIN_MS = 1_000;
/** An answer may bring the next event forward, so the look at what is due is never farther away than this. */
const LOOK_EVERY_MS = 50;
const STOP_WITHIN_MS = 3_000;

export function run({
  fleet,
  logger,
  telemetryIntervalMs,
  discoverIntervalMs = DISCOVER_EVERY_MS,
  onLook,
}: RunnerOptions): Runner {
  let isDiscovered = false;
  const discovering = repeat(async () => {
    try {
      await fleet.discover();
      if (!isDiscovered) logger.info({ drones: fleet.aircraft().length }, 'the fleet is awake');
      isDiscovered = true;
      return fleet.asleep === 0 ? discoverIntervalMs : DISCOVER_AGAIN_MS;
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'could not read the registry of drones');
      return DISCOVER_AGAIN_MS;
    }
  });
  const radioing = repeat(async () => {
    const startedMs = performance.now();
    await fleet.radio();
    return Math.max(0, telemetryIntervalMs - (performance.now() - startedMs));
  });
  const flying = repeat(async () => {
    fleet.advance();
    onLook?.();
    const nextMs = fleet.nextEventWallMs();
    return nextMs === null ? LOOK_EVERY_MS : Math.min(LOOK_EVERY_MS, Math.max(1, nextMs - Date.now()));
  });
  return {
    async checkReady() {
      if (!isDiscovered) throw new Error('the registry of drones has not been read');
      if (fleet.asleep > 0) throw new Error(`${fleet.asleep} drones do not know their mission yet`);
    },
    async stop() {
      await Promise.all([discovering.stop(), radioing.stop(), flying.stop()]);
      await Promise.race([fleet.settled(), delay(STOP_WITHIN_MS, undefined, { ref: false })]);
    },
  };
}

/** Runs again and again; each run answers after how many milliseconds the next is due. */
function repeat(run: () => Promise<number>): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const loop = (async () => {
    while (!signal.aborted) {
      const waitMs = await run();
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}
