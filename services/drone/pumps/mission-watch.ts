/**
 * Aircraft that wait for news of their mission. A change by this process wakes them at once; one by another process is
 * found by a look at the versions, one query for all that wait.
 */
import type { DroneId } from '../../../shared/ids.ts';
import type { Logger } from '../../../shared/logger.ts';
import { Pump } from '../../../shared/pump.ts';

const LOOK_EVERY_MS = 250;

export interface Known {
  missionId: string | undefined;
  version: number;
}

interface Waiting {
  known: Known;
  wake: () => void;
}

export type ReadVersions = (
  droneIds: readonly DroneId[],
) => Promise<{ droneId: DroneId; missionId: string; version: number }[]>;

/** Whether a mission is news to an aircraft that knows this much. */
export function isNews(mission: { id: string; version: number }, known: Known): boolean {
  return known.missionId === undefined
    ? mission.version > known.version
    : mission.id !== known.missionId || mission.version > known.version;
}

export class MissionWatch {
  readonly pump: Pump;
  readonly #waiting = new Map<DroneId, Set<Waiting>>();
  #closed = false;

  constructor(readVersions: ReadVersions, logger: Logger) {
    this.pump = new Pump({
      name: 'mission-watch',
      logger,
      lookEveryMs: LOOK_EVERY_MS,
      round: async () => {
        if (this.#waiting.size > 0) this.#wakeForNews(await readVersions([...this.#waiting.keys()]));
        return false;
      },
    });
  }

  /** This process has changed the drone's mission. */
  changed(droneId: DroneId): void {
    for (const one of this.#waiting.get(droneId) ?? []) one.wake();
  }

  /** Resolves when there may be news, after `waitMs`, when the caller has gone, or when the process closes. */
  async wait(droneId: DroneId, known: Known, waitMs: number, gone: AbortSignal): Promise<void> {
    if (this.#closed || gone.aborted) return;
    let wake: () => void = () => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const timer = setTimeout(wake, waitMs);
    const waiting: Waiting = { known, wake };
    const others = this.#waiting.get(droneId) ?? new Set<Waiting>();
    this.#waiting.set(droneId, others.add(waiting));
    gone.addEventListener('abort', waiting.wake);
    try {
      await woken;
    } finally {
      clearTimeout(timer);
      gone.removeEventListener('abort', waiting.wake);
      others.delete(waiting);
      if (others.size === 0 && this.#waiting.get(droneId) === others) this.#waiting.delete(droneId);
    }
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Lets everybody go. */
  close(): void {
    this.#closed = true;
    for (const all of this.#waiting.values()) for (const one of all) one.wake();
  }

  #wakeForNews(versions: { droneId: DroneId; missionId: string; version: number }[]): void {
    for (const { droneId, missionId, version } of versions) {
      for (const one of this.#waiting.get(droneId) ?? []) {
        if (isNews({ id: missionId, version }, one.known)) one.wake();
      }
    }
  }
}
