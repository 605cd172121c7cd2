/**
 * Reads a delivery's events until a status can be read. Reading costs the system under test, so a reader asks when the answer
 * is likely to be there: it remembers how long each status has taken lately and waits most of that before it asks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { BusinessClient } from '../system.ts';

/** Waits this part of what a status took lately before the first question, */
const FIRST_AFTER = 0.8;
/** and this part of it between two questions. */
const BETWEEN = 0.15;
/** How much a new observation moves the memory. */
const WEIGHT = 0.2;

/** What was learned of the waits; shared by all deliveries of a run. */
export class Pace {
  readonly #shortestMs: number;
  readonly #expectedMs = new Map<string, number>();

  /** `shortestMs`: never asks more often than that. */
  constructor(shortestMs: number) {
    this.#shortestMs = shortestMs;
  }

  firstMs(what: string): number {
    return Math.max(this.#shortestMs, this.#expected(what) * FIRST_AFTER);
  }

  nextMs(what: string): number {
    return Math.max(this.#shortestMs, this.#expected(what) * BETWEEN);
  }

  learn(what: string, tookMs: number): void {
    this.#expectedMs.set(what, this.#expected(what) * (1 - WEIGHT) + tookMs * WEIGHT);
  }

  #expected(what: string): number {
    return this.#expectedMs.get(what) ?? 0;
  }
}

export interface TimelineOptions {
  business: BusinessClient;
  deliveryId: DeliveryId;
  pace: Pace;
  /** Gives up on a status after this. */
  timeoutMs: number;
}

export class Timeline {
  readonly #options: TimelineOptions;
  #events: DeliveryEvent[] = [];
  /** Questions asked so far. */
  reads = 0;

  constructor(options: TimelineOptions) {
    this.#options = options;
  }

  /**
   * Returns the event of this type once it can be read.
   * @throws when the delivery failed or was cancelled, or nothing came in time
   */
  async until(type: string): Promise<DeliveryEvent> {
    const { pace, timeoutMs, deliveryId } = this.#options;
    const known = this.#find(type);
    if (known) return known;
    const since = performance.now();
    await sleep(pace.firstMs(type));
    for (;;) {
      await this.#read();
      const found = this.#find(type);
      const tookMs = performance.now() - since;
      if (found) {
        pace.learn(type, tookMs);
        return found;
      }
      const ended = this.#events.find((event) => event.status === 'failed' || event.status === 'cancelled');
      if (ended) throw new Error(`${deliveryId} ${ended.status} instead: ${JSON.stringify(ended.data)}`);
      if (tookMs > timeoutMs) {
        const last = this.#events.at(-1)?.type ?? 'nothing';
        throw new Error(`${deliveryId}: no ${type} within ${timeoutMs} ms; the last event is ${last}`);
      }
      await sleep(pace.nextMs(type));
    }
  }

  #find(type: string): DeliveryEvent | undefined {
    return this.#events.find((event) => event.type === type);
  }

  async #read(): Promise<void> {
    const { business, deliveryId } = this.#options;
    this.reads += 1;
    const { data } = await business.listDeliveryEvents({
      params: { delivery_id: deliveryId },
      query: { after_sequence: this.#events.at(-1)?.sequence ?? 0 },
    });
    this.#events = [...this.#events, ...data];
  }
}
