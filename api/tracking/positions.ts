/** Live positions for all streams of this process: one batch a second, only for the deliveries somebody follows. */
import type { Static } from 'typebox';
import type { droneContract } from '../../services/drone/contract/index.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Client } from '../../shared/http/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Logger } from '../../shared/logger.ts';
import type { LivePosition } from '../contract/tracking.ts';
import { Subscribers } from './subscribers.ts';

/** What the drone service knows of the drone on a delivery. */
export type LiveDrone = Static<typeof droneContract.live.response>['data'][number];

export interface PositionWatchOptions {
  drone: Pick<Client<typeof droneContract>, 'live'>;
  logger: Logger;
  /** Between two batches, milliseconds. */
  everyMs?: number;
}

export interface PositionWatch {
  /** Calls the listener with each new position of the drone on this delivery. Returns how to stop. */
  subscribe(deliveryId: DeliveryId, listener: (live: LiveDrone) => void): () => void;
  stop(): void;
}

/** Ids in one call: what `live` takes. */
const BATCH = 200;

export function watchPositions({ drone, logger, everyMs = 1_000 }: PositionWatchOptions): PositionWatch {
  const subscribers = new Subscribers<DeliveryId, LiveDrone>();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function poll(): Promise<void> {
    const topics = subscribers.topics();
    for (let start = 0; start < topics.length; start += BATCH) {
      const { data } = await drone.live({ query: { delivery_id: topics.slice(start, start + BATCH) } });
      for (const live of data) subscribers.publish(live.delivery_id, live);
    }
  }

  function schedule(): void {
    timer ??= setTimeout(() => {
      void poll()
        .catch((error: unknown) => logger.debug({ err: error }, 'could not fetch live positions'))
        .finally(() => {
          timer = undefined;
          if (subscribers.size > 0 && !stopped) schedule();
        });
    }, everyMs);
  }

  return {
    subscribe(deliveryId, listener) {
      let lastHeard: string | null = null;
      const unsubscribe = subscribers.add(deliveryId, (live) => {
        const heard = `${live.drone_id} ${live.recorded_at ?? ''}`;
        if (live.recorded_at === null || heard === lastHeard) return;
        lastHeard = heard;
        listener(live);
      });
      if (!stopped) schedule();
      return unsubscribe;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** The position as it is shown, with its age by the clock; null when the drone has not been heard yet. */
export function positionOf(live: LiveDrone, clock: Clock): LivePosition | null {
  if (live.recorded_at === null) return null;
  const ageS = Math.max(0, (clock.nowMs() - Date.parse(live.recorded_at)) / 1000);
  return {
    location: live.position,
    altitude_m: live.altitude_m,
    speed_mps: live.speed_mps,
    recorded_at: live.recorded_at,
    age_s: Math.round(ageS * 10) / 10,
  };
}
