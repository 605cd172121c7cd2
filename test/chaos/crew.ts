/**
 * The people who fetch drones that came down, by the operators' API. They go to where an aircraft is, so they see what it does and
 * carries; one that flies, silent or not, nobody fetches.
 */
import { everyItem } from '../../local/service-clients.ts';
import type { Drone } from '../../services/drone/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import type { DeliveryId, DroneId } from '../../shared/ids.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import type { SeenAircraft } from './witnesses.ts';

/** Whoever is down, or not heard of, so long is fetched wherever it is: the wreck of one whose computer forgot it, say. */
const GIVEN_UP_AFTER_MS = 60_000;

export interface CrewOptions {
  operator: Pick<PublicApi, 'listFleet' | 'setDroneState'>;
  /** How the aircraft was seen last; undefined: nobody has seen it. */
  aircraft: (droneId: DroneId) => SeenAircraft | undefined;
  /** Whether the delivery's package was ever seen in that drone: whoever stands before it knows. */
  isAboard: (droneId: DroneId, deliveryId: DeliveryId) => boolean;
  /** Whether a package that cannot be let go of is taken out for another drone. */
  takesOut: (deliveryId: DeliveryId) => boolean;
}

export class Crew {
  readonly #options: CrewOptions;
  /** Since when each of those that are down is, by the wall. */
  readonly #downSinceMs = new Map<DroneId, number>();
  /** Of these the service says that nothing is in them. */
  readonly #empty = new Set<DroneId>();
  readonly #stranded = new Set<string>();
  #fetched = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** How many drones were brought back. */
  get fetched(): number {
    return this.#fetched;
  }

  /** Its drone was fetched, and its package with it: nobody else will tell how it ended. */
  hasFetched(deliveryId: DeliveryId): boolean {
    return this.#stranded.has(deliveryId);
  }

  /**
   * Fetches whoever can be fetched now. One that cannot does not keep the others waiting.
   * @param onRefusal told of each that could not
   */
  async look(onRefusal: (error: unknown) => void): Promise<void> {
    const { operator } = this.#options;
    const down = await everyItem((page) =>
      operator.listFleet({ query: { ...page, state: ['grounded', 'lost', 'maintenance'] } }),
    );
    const ids = new Set(down.map(({ id }) => id));
    for (const id of this.#downSinceMs.keys()) if (!ids.has(id)) this.#downSinceMs.delete(id);
    await Promise.all(
      down
        .filter((drone) => this.#canFetch(drone))
        .map((drone) => this.#fetch(drone).catch((error: unknown) => onRefusal(error))),
    );
  }

  #canFetch({ id, state }: Drone): boolean {
    const sinceMs = this.#downSinceMs.get(id) ?? Date.now();
    this.#downSinceMs.set(id, sinceMs);
    // Somebody has it already, and was not heard when they said that it flies again.
    if (state === 'maintenance' || Date.now() - sinceMs > GIVEN_UP_AFTER_MS) return true;
    const aircraft = this.#options.aircraft(id);
    // What it has to say it says first: where it has set down its package, for one.
    if (aircraft === undefined || aircraft.unsaid > 0) return false;
    return aircraft.activity === 'down' || (state === 'grounded' && aircraft.activity === 'parked');
  }

  /** It is mended and flies again. */
  async #fetch({ id, delivery_id }: Drone): Promise<void> {
    const aircraft = this.#options.aircraft(id);
    const isTakenOut =
      delivery_id !== null &&
      aircraft !== undefined &&
      !this.#empty.has(id) &&
      this.#options.isAboard(id, delivery_id) &&
      this.#options.takesOut(delivery_id);
    if (delivery_id !== null && !isTakenOut) this.#stranded.add(delivery_id);
    try {
      await this.#set(id, {
        state: 'maintenance',
        ...(delivery_id !== null && { package_aboard: this.#options.isAboard(id, delivery_id) }),
        ...(isTakenOut && { package_at: aircraft.position }),
      });
    } catch (error) {
      if (error instanceof Problem && error.reason === 'nothing_aboard') this.#empty.add(id);
      throw error;
    }
    await this.#set(id, { state: 'idle' });
    this.#empty.delete(id);
    this.#fetched += 1;
  }

  async #set(
    id: DroneId,
    body: Omit<Parameters<PublicApi['setDroneState']>[0]['body'], 'reason'>,
  ): Promise<void> {
    await this.#options.operator.setDroneState({
      params: { drone_id: id },
      body: { ...body, reason: 'Fetched and mended' },
    });
  }
}
