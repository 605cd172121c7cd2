/** Follows deliveries through the public API: their state, and every event of theirs once. */
import { setTimeout as delay } from 'node:timers/promises';
import type { publicContract } from '../../api/contract.ts';
import type { Delivery, DeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { Drone } from '../../services/drone/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import type { Client } from '../../shared/http/client.ts';
import type { DeliveryId, DroneId } from '../../shared/ids.ts';
import { everyItem } from '../service-clients.ts';

export type PublicApi = Client<typeof publicContract>;

const POLL_MS = 400;

export interface Followed {
  delivery: Delivery;
  events: DeliveryEvent[];
}

export class Watch {
  readonly #operator: PublicApi;
  readonly #followed = new Map<DeliveryId, Followed>();
  #fleet = new Map<DroneId, Drone>();

  constructor(operator: PublicApi) {
    this.#operator = operator;
  }

  /** From the 201 on. */
  follow(delivery: Delivery): Followed {
    const followed: Followed = { delivery, events: [] };
    this.#followed.set(delivery.id, followed);
    return followed;
  }

  droneName(id: DroneId | null): string {
    return id === null ? '' : (this.#fleet.get(id)?.name ?? id);
  }

  /**
   * Looks again and again, and tells what is new each time, until `isOver` says so. An API that does not answer for a
   * moment is asked again.
   */
  async run(options: {
    onNews: (news: { followed: Followed; event: DeliveryEvent }[]) => Promise<void>;
    isOver: () => boolean;
    signal: AbortSignal;
  }): Promise<void> {
    while (!options.isOver()) {
      await options.onNews(await this.#look());
      await delay(POLL_MS, undefined, { signal: options.signal });
    }
  }

  async #look(): Promise<{ followed: Followed; event: DeliveryEvent }[]> {
    try {
      const [drones, deliveries] = await Promise.all([
        everyItem((page) => this.#operator.listFleet({ query: page })),
        everyItem((page) => this.#operator.listAllDeliveries({ query: page })),
      ]);
      this.#fleet = new Map(drones.map((drone) => [drone.id, drone]));
      const news = await Promise.all(deliveries.map((delivery) => this.#newsOf(delivery)));
      return news.flat();
    } catch (error) {
      if (error instanceof Problem && error.retryable) return [];
      throw error;
    }
  }

  async #newsOf(delivery: Delivery): Promise<{ followed: Followed; event: DeliveryEvent }[]> {
    const followed = this.#followed.get(delivery.id);
    if (!followed) return [];
    const known = followed.events.length;
    if (delivery.sequence < followed.delivery.sequence) return [];
    followed.delivery = delivery;
    if (delivery.sequence <= known) return [];
    const events = await everyItem((page) =>
      this.#operator.listDeliveryEvents({
        params: { delivery_id: delivery.id },
        query: { ...page, after_sequence: known },
      }),
    );
    followed.events.push(...events);
    return events.map((event) => ({ followed, event }));
  }
}
