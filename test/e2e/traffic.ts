/** Deliveries for the whole-stack tests: requested and followed as a customer would, through the public API only. */
import { setTimeout as delay } from 'node:timers/promises';
import { publicContract } from '../../api/contract.ts';
import { everyItem } from '../../local/service-clients.ts';
import type { StackDescription } from '../../local/stack-file.ts';
import type { Delivery, DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { isFinal } from '../../services/delivery/contract/index.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Location } from '../../shared/schemas.ts';

export type PublicApi = Client<typeof publicContract>;

/** Short hops close to a base each: from the request to the delivery it takes some three minutes of the clock. */
export const HOPS: readonly (readonly [Location, Location])[] = [
  [
    { latitude: 47.6655, longitude: -122.1175 },
    { latitude: 47.667, longitude: -122.124 },
  ],
  [
    { latitude: 47.6163, longitude: -122.201 },
    { latitude: 47.612, longitude: -122.2 },
  ],
  [
    { latitude: 47.6785, longitude: -122.202 },
    { latitude: 47.682, longitude: -122.206 },
  ],
  [
    { latitude: 47.6627, longitude: -122.3088 },
    { latitude: 47.666, longitude: -122.313 },
  ],
];

export class Traffic {
  readonly sender: PublicApi;
  readonly operator: PublicApi;
  /** Every delivery that got a 201. */
  readonly accepted: DeliveryId[] = [];
  #next = 0;

  constructor({ api_url: baseUrl, account_key, operator_key }: StackDescription) {
    const as = (key: string) =>
      createClient(publicContract, { baseUrl, headers: { authorization: `Bearer ${key}` } });
    this.sender = as(account_key);
    this.operator = as(operator_key);
  }

  /** The next request: another hop each time, with an `external_id` of its own. */
  request(): CreateDeliveryRequest {
    const number = this.#next++;
    const [pickup, dropoff] = HOPS[number % HOPS.length] ?? HOPS[0]!;
    return {
      pickup: { location: pickup },
      dropoff: { location: dropoff },
      packages: [{ size: 'small', weight_kg: 0.5 + (number % 3) * 0.5 }],
      external_id: `e2e-${number}`,
    };
  }

  /** One request, once: whatever answers it, is thrown. */
  async post(request: CreateDeliveryRequest = this.request()): Promise<Delivery> {
    const delivery = await this.sender.createDelivery(
      { body: request },
      { idempotencyKey: `key-${request.external_id ?? crypto.randomUUID()}` },
    );
    this.#keep(delivery);
    return delivery;
  }

  /** One request, repeated with the same key until it is answered, as a careful client does. */
  async postUntilAccepted(request: CreateDeliveryRequest = this.request()): Promise<Delivery> {
    for (;;) {
      try {
        return await this.post(request);
      } catch (error) {
        if (!(error instanceof Problem) || !error.retryable) throw error;
        await delay(100);
      }
    }
  }

  async get(id: DeliveryId): Promise<Delivery> {
    return this.sender.getDelivery({ params: { delivery_id: id } });
  }

  async events(id: DeliveryId): Promise<DeliveryEvent[]> {
    return everyItem((page) => this.sender.listDeliveryEvents({ params: { delivery_id: id }, query: page }));
  }

  /** Those of the accepted ones that have not ended with everything settled. */
  async open(): Promise<Delivery[]> {
    const all = await everyItem((page) => this.operator.listAllDeliveries({ query: page }));
    const known = new Map(all.map((delivery) => [delivery.id, delivery]));
    return Promise.all(
      this.accepted
        .filter((id) => known.get(id)?.complete !== true)
        .map(async (id) => known.get(id) ?? this.get(id)),
    );
  }

  /** Waits until the delivery has been where `status` says, or beyond. */
  async reached(id: DeliveryId, status: Delivery['status'], withinMs = 60_000): Promise<void> {
    await until(`${id} is ${status}`, withinMs, async () => {
      const events = await this.events(id);
      const now = events.at(-1)?.status;
      return events.some((event) => event.status === status) || (now !== undefined && isFinal(now))
        ? undefined
        : `it is ${now ?? 'unknown'}`;
    });
  }

  /** Waits until every accepted delivery has ended and is settled. */
  async allEnded(withinMs: number): Promise<void> {
    await until('all deliveries have ended', withinMs, async () => {
      const open = await this.open();
      return open.length === 0
        ? undefined
        : open
            .map(({ id, status, compensation }) => `${id} ${status}, compensation ${compensation}`)
            .join('; ');
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.sender.close(), this.operator.close()]);
  }

  #keep({ id }: Delivery): void {
    if (!this.accepted.includes(id)) this.accepted.push(id);
  }
}

/**
 * Asks until `missing` answers undefined: nothing is missing any more. A service that does not answer is asked again.
 *
 * @throws with what was missing last, after `withinMs`.
 */
export async function until(
  what: string,
  withinMs: number,
  missing: () => Promise<string | undefined>,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    let last: string | undefined;
    try {
      last = await missing();
      if (last === undefined) return;
    } catch (error) {
      if (!(error instanceof Problem) || !error.retryable) throw error;
      last = error.message;
    }
    if (Date.now() > deadline) throw new Error(`Not within ${withinMs / 1000} s: ${what}. ${last}`);
    await delay(200);
  }
}
