/**
 * The drones of the bench: many beside the seeded ones, so that drones are never what a delivery waits for. One gateway sends
 * the telemetry of all of them once a second, as a real fleet's would.
 */
import type { Drone } from '../../services/drone/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import type { DroneId } from '../../shared/ids.ts';
import type { Location } from '../../shared/schemas.ts';
import { BASES, MODELS } from '../../local/seed/index.ts';
import { seedId } from '../../local/seed/ids.ts';
import type { DroneClient, DroneServiceClient } from '../system.ts';

const TELEMETRY_EVERY_MS = 1_000;
/** What the contract takes at once. */
const DRONES_PER_REQUEST = 200;

/** Registers `count` drones of the bench's own, spread over the seeded bases. */
export async function registerDrones(drone: DroneServiceClient, count: number): Promise<void> {
  const model = MODELS.find((one) => one.name === 'Heron') ?? MODELS[0];
  if (model === undefined) throw new Error('The seed has no drone model');
  for (let first = 0; first < count; first += 8) {
    const names = Array.from({ length: Math.min(8, count - first) }, (_, index) => first + index);
    await Promise.all(
      names.map((index) => {
        const base = BASES[index % BASES.length];
        if (base === undefined) throw new Error('The seed has no base');
        return drone.ensureDrone({
          params: { drone_id: seedId('drone', `bench-${index}`) },
          body: { name: `Bench-${index}`, model_id: model.id, base_id: base.id },
        });
      }),
    );
  }
}

interface Aircraft {
  droneId: DroneId;
  position: Location;
  isFlying: boolean;
}

/** Every drone of the system as the bench flies it: where it is said to be, and the telemetry that says so. */
export class Fleet {
  readonly #drones: DroneClient;
  readonly #aircraft = new Map<DroneId, Aircraft>();
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  /** Samples sent so far. */
  samples = 0;

  constructor(drones: DroneClient, onError: (error: unknown) => void) {
    this.#drones = drones;
    this.#onError = onError;
  }

  get size(): number {
    return this.#aircraft.size;
  }

  /** Learns of every drone through the public API and begins to send their telemetry. */
  async start(): Promise<void> {
    for (const drone of await this.#all()) {
      this.#aircraft.set(drone.id, { droneId: drone.id, position: drone.position, isFlying: false });
    }
    await this.#send();
    this.#timer = setInterval(() => {
      this.#sending = this.#send().catch(this.#onError);
    }, TELEMETRY_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
  }

  /** Where a drone is from now on. */
  moved(droneId: DroneId, position: Location, isFlying: boolean): void {
    this.#aircraft.set(droneId, { droneId, position, isFlying });
  }

  async #all(): Promise<Drone[]> {
    const drones: Drone[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await this.#drones.listDrones({ query: { limit: 200, ...(cursor ? { cursor } : {}) } });
      drones.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return drones;
  }

  async #send(): Promise<void> {
    const recorded_at = isoTime(Date.now());
    const all = [...this.#aircraft.values()];
    for (let first = 0; first < all.length; first += DRONES_PER_REQUEST) {
      const drones = all.slice(first, first + DRONES_PER_REQUEST).map(({ droneId, position, isFlying }) => ({
        drone_id: droneId,
        samples: [
          {
            recorded_at,
            position,
            altitude_m: isFlying ? 80 : 0,
            speed_mps: isFlying ? 18 : 0,
            // Deliveries take a fraction of a second here: there is no time to fly a battery empty or to charge it.
            battery: 1,
            flight_mode: isFlying ? ('cruise' as const) : ('parked' as const),
          },
        ],
      }));
      await this.#drones.postTelemetry({ body: { drones } });
      this.samples += drones.length;
    }
  }
}
