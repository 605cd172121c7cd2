/** The fleet's limits, fetched in the background so that no request waits for them; old ones serve until there are new ones. */
import type { droneContract } from '../../services/drone/contract/index.ts';
import type { Client } from '../../shared/http/client.ts';
import type { Logger } from '../../shared/logger.ts';
import type { FleetLimits } from './index.ts';

export interface FleetLimitsOptions {
  drone: Pick<Client<typeof droneContract>, 'limits' | 'listModels'>;
  logger: Logger;
  /** Between two fetches, milliseconds. */
  everyMs?: number;
  /** After a failed one, milliseconds. */
  retryMs?: number;
}

export interface FleetLimitsWatch {
  /** The newest known; null while none are known or the fleet is empty. */
  current(): FleetLimits | null;
  start(): void;
  stop(): void;
}

export function watchFleetLimits({
  drone,
  logger,
  everyMs = 30_000,
  retryMs = 2_000,
}: FleetLimitsOptions): FleetLimitsWatch {
  let limits: FleetLimits | null = null;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function fetchLimits(): Promise<FleetLimits | null> {
    const [best, { data: models }] = await Promise.all([drone.limits({}), drone.listModels({})]);
    // An empty fleet says nothing of what it could do once it is there.
    if (best.max_package_size === null || best.max_payload_kg <= 0) return null;
    return {
      maxPayloadKg: best.max_payload_kg,
      maxDistanceM: best.max_distance_m,
      maxPackageSize: best.max_package_size,
      models,
    };
  }

  async function refresh(): Promise<void> {
    let nextMs = everyMs;
    try {
      limits = await fetchLimits();
      if (limits === null) nextMs = retryMs;
    } catch (error) {
      nextMs = retryMs;
      logger.debug({ err: error }, 'could not fetch the limits of the fleet');
    }
    if (!stopped) timer = setTimeout(() => void refresh(), nextMs).unref();
  }

  return {
    current: () => limits,
    start: () => void refresh(),
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
