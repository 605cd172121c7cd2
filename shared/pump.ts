/**
 * Background work that is never lost and never sleeps while there is some: woken at once by a nudge, looking by itself
 * now and then in case a nudge was lost (another process made the work, this one was restarted), slowing down after an error.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from './errors.ts';
import type { Logger } from './logger.ts';

export interface PumpOptions {
  name: string;
  logger: Logger;
  /**
   * One bounded round of the work. Answers whether more may be due right now. Throws when it cannot go on (a database or
   * a service is down): the next round then waits, each time longer.
   */
  round: () => Promise<boolean>;
  /** How often it looks without being nudged, wall milliseconds. */
  lookEveryMs: number;
  /** The first and the longest wait after an error, wall milliseconds. */
  backoffMs?: { first: number; longest: number };
}

const STOP_WITHIN_MS = 3_000;

export class Pump {
  readonly #options: PumpOptions;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  #nudged = false;
  #failures = 0;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  /** How many rounds in a row have failed. */
  get failures(): number {
    return this.#failures;
  }

  start(): void {
    this.#started = true;
    this.nudge();
  }

  /** There may be work: looks at once, or right after the round under way. After an error it waits for the backoff. */
  nudge(): void {
    this.#nudged = true;
    if (this.#started && this.#failures === 0) this.#wake();
  }

  /** Lets the round under way end, for at most a few seconds, and begins no other. */
  async stop(): Promise<void> {
    this.#started = false;
    clearTimeout(this.#timer);
    const stopWaiting = new AbortController();
    await Promise.race([
      this.#running,
      delay(STOP_WITHIN_MS, undefined, { signal: stopWaiting.signal, ref: false }).catch(() => undefined),
    ]);
    stopWaiting.abort();
  }

  /**
   * Works until nothing is due, also when the pump is not started: for a test that moves time itself.
   * @throws what a round throws
   */
  async runDue(): Promise<void> {
    await this.#running;
    let more = true;
    while (more) more = await this.#options.round();
  }

  #wake(): void {
    if (this.#running) return;
    clearTimeout(this.#timer);
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
      if (this.#started) this.#rest();
    });
  }

  async #work(): Promise<void> {
    const { round, logger, name } = this.#options;
    let more = true;
    while (this.#started && (more || this.#nudged)) {
      this.#nudged = false;
      try {
        more = await round();
        if (this.#failures > 0) logger.info({ pump: name, failures: this.#failures }, 'works again');
        this.#failures = 0;
      } catch (error) {
        this.#failures += 1;
        // Once when it begins and then now and then: a long outage must not fill the log.
        if (this.#failures === 1 || this.#failures % 20 === 0) {
          logger.warn({ pump: name, failures: this.#failures, err: messageOf(error) }, 'has to wait');
        }
        return;
      }
    }
  }

  #rest(): void {
    const { lookEveryMs, backoffMs = { first: 100, longest: 5_000 } } = this.#options;
    const waitMs =
      this.#failures === 0
        ? lookEveryMs
        : backoffWithJitterMs(this.#failures, backoffMs.first, backoffMs.longest);
    // A nudge that came while the last round ended must not wait for the next look.
    this.#timer = setTimeout(() => this.#wake(), this.#nudged && this.#failures === 0 ? 0 : waitMs);
    this.#timer.unref();
  }
}

/** Doubles with each failure up to the longest; half of it is chance, so that many do not come back at the same moment. */
export function backoffWithJitterMs(failures: number, firstMs: number, longestMs: number): number {
  const full = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return full / 2 + (full / 2) * Math.random();
}
