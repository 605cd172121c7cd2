/** Those who look on during the whole run: followers of the events, and whoever looks into the aircraft themselves. */
import { setTimeout as delay } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import type { ServiceClients } from '../../local/service-clients.ts';
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import { createClient } from '../../shared/http/client.ts';
import type { Output } from '../../shared/http/contract.ts';
import type { DeliveryId, DroneId } from '../../shared/ids.ts';
import { controlContract } from '../../simulator/contract.ts';
import type { SeenAboard, Subscriber } from '../checker/index.ts';

const AGAIN_AFTER_MS = 250;
const LOOK_EVERY_MS = 250;
const WAIT_MS = 2_000;
const PAGE = 200;

/** A subscriber of the feed: it keeps its place, and does something for every event, once. */
export class FeedFollower {
  readonly #effects: { deliveryId: string; sequence: number }[] = [];
  readonly #stopping = new AbortController();
  readonly #following: Promise<void>;
  #after = 0;
  #end = 0;

  constructor({ delivery }: ServiceClients, onEvent: (event: DeliveryEvent) => void) {
    this.#following = this.#follow(delivery, onEvent);
  }

  /** How many events it knows of and has not seen; undefined before its first page. */
  get behind(): number {
    return this.#end - this.#after;
  }

  subscriber(): Subscriber {
    return { name: 'the feed', effects: this.#effects };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
  }

  async #follow(
    delivery: ServiceClients['delivery'],
    onEvent: (event: DeliveryEvent) => void,
  ): Promise<void> {
    const { signal } = this.#stopping;
    const isStopped = () => signal.aborted;
    while (!isStopped()) {
      try {
        const { entries, last_position } = await delivery.readFeed(
          { query: { after: this.#after, limit: PAGE, wait_ms: WAIT_MS } },
          { signal },
        );
        for (const { event } of entries) {
          this.#effects.push({ deliveryId: event.delivery_id, sequence: event.sequence });
          onEvent(event);
        }
        this.#after = entries.at(-1)?.position ?? this.#after;
        this.#end = last_position;
      } catch (error) {
        if (isStopped()) return;
        if (!(error instanceof Problem)) throw error;
        await delay(AGAIN_AFTER_MS);
      }
    }
  }
}

/** A customer's browser: one delivery's stream, taken up again with the last id wherever it breaks, until it is complete. */
export class StreamFollower {
  readonly #deliveryId: string;
  readonly #effects: { deliveryId: string; sequence: number }[] = [];
  readonly #stopping = new AbortController();
  readonly #following: Promise<void>;
  #breaks = 0;
  #isComplete = false;

  constructor(options: { apiUrl: string; key: string; deliveryId: string }) {
    this.#deliveryId = options.deliveryId;
    this.#following = this.#follow(options);
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** How often its stream broke off. */
  get breaks(): number {
    return this.#breaks;
  }

  subscriber(): Subscriber {
    return {
      name: `the stream of ${this.#deliveryId}`,
      of: [this.#deliveryId],
      endsWithDelivery: true,
      effects: this.#effects,
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
  }

  async #follow({
    apiUrl,
    key,
    deliveryId,
  }: {
    apiUrl: string;
    key: string;
    deliveryId: string;
  }): Promise<void> {
    const { signal } = this.#stopping;
    const isOver = () => this.#isComplete || signal.aborted;
    // Of the events before the first connection it wants all too.
    let lastId = '0';
    const parser = createParser({
      onEvent: ({ event, id }) => {
        if (event === 'complete') this.#isComplete = true;
        if (event !== 'status' || id === undefined) return;
        lastId = id;
        this.#effects.push({ deliveryId, sequence: Number(id) });
      },
    });
    while (!isOver()) {
      let wasOpen = false;
      try {
        const response = await fetch(`${apiUrl}/v1/deliveries/${deliveryId}/tracking/stream`, {
          headers: { authorization: `Bearer ${key}`, 'last-event-id': lastId },
          signal,
        });
        if (response.status === 204) this.#isComplete = true;
        if (response.status === 200 && response.body) {
          wasOpen = true;
          const decoder = new TextDecoder();
          for await (const bytes of response.body)
            parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
        } else await response.body?.cancel();
      } catch {
        // Cut off: what stood half in the buffer comes again.
      }
      parser.reset();
      if (wasOpen && !isOver()) this.#breaks += 1;
      if (!isOver()) await delay(AGAIN_AFTER_MS);
    }
  }
}

/** An aircraft as somebody who stands before it sees it. */
export type SeenAircraft = Output<typeof controlContract.listAircraft>['data'][number];

/** Looks at every aircraft itself, for what it does and carries: the one witness that does not ask the system under test. */
export class CargoWatch {
  readonly #seen = new Map<string, SeenAboard>();
  #fleet = new Map<DroneId, SeenAircraft>();
  readonly #simulator;
  readonly #stopping = new AbortController();
  readonly #watching: Promise<void>;

  constructor(simulatorUrl: string) {
    this.#simulator = createClient(controlContract, { baseUrl: simulatorUrl, timeoutMs: 2_000 });
    this.#watching = this.#watch();
  }

  get seen(): SeenAboard[] {
    return [...this.#seen.values()];
  }

  /** Whether the package was ever in that aircraft: killed, the simulator forgets what nobody was told. */
  hasSeen(droneId: DroneId, deliveryId: DeliveryId): boolean {
    return this.#seen.has(`${droneId}/${deliveryId}`);
  }

  /** As it was seen last; undefined: the simulator does not know it, or does not run. */
  aircraft(droneId: DroneId): SeenAircraft | undefined {
    return this.#fleet.get(droneId);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    await this.#simulator.close();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const { data } = await this.#simulator.listAircraft({}, { signal });
        this.#fleet = new Map(data.map((one) => [one.drone_id, one]));
        for (const { drone_id, delivery_id, payload_kg } of data) {
          if (delivery_id === null || payload_kg === 0) continue;
          this.#seen.set(`${drone_id}/${delivery_id}`, { droneId: drone_id, deliveryId: delivery_id });
        }
      } catch {
        // It is one of those that are killed. Nobody knows how its aircraft are until it runs again.
        this.#fleet.clear();
      }
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
