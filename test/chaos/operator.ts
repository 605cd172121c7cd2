/** The people who look after fleet and deliveries: a crew that fetches drones, and a desk that settles what it is asked. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, Problem } from '../../shared/errors.ts';
import { Crew, type CrewOptions } from './crew.ts';
import { Desk, type DeskOptions } from './desk.ts';

const LOOK_EVERY_MS = 1_000;

export type OperatorOptions = CrewOptions & Omit<DeskOptions, 'hasFetched'>;

export class Operator {
  readonly #crew: Crew;
  readonly #desk: Desk;
  readonly #stopping = new AbortController();
  readonly #working: Promise<void>;
  readonly #refusals = new Map<string, number>();

  constructor(options: OperatorOptions) {
    const crew = new Crew(options);
    this.#crew = crew;
    this.#desk = new Desk({ ...options, hasFetched: (deliveryId) => crew.hasFetched(deliveryId) });
    this.#working = this.#work();
  }

  /** What they had to do, and what they were told when they could not, each answer with how often. */
  get done(): { fetched: number; settled: number; refusals: ReadonlyMap<string, number> } {
    return { fetched: this.#crew.fetched, settled: this.#desk.settled, refusals: this.#refusals };
  }

  /** Every answer that was given has been answered. */
  answered(): Promise<void> {
    return this.#desk.answered();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
    await this.#desk.answered();
  }

  /** Who is down is asked again; a refusal is told in the report. */
  readonly #keep = (error: unknown): void => {
    if (error instanceof Problem && error.retryable) return;
    const what = error instanceof Problem ? (error.reason ?? error.slug) : messageOf(error);
    this.#refusals.set(what, (this.#refusals.get(what) ?? 0) + 1);
  };

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Whatever does not answer now is asked again: it may be one of those that were killed.
      await Promise.all([this.#crew.look(this.#keep).catch(this.#keep), this.#desk.look().catch(this.#keep)]);
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
