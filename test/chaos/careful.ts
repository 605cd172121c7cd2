/** How everybody here calls: again and again, until there is an answer that means something. */
import { setTimeout as delay } from 'node:timers/promises';
import { Problem } from '../../shared/errors.ts';

const FIRST_AGAIN_AFTER_MS = 250;
const LONGEST_AGAIN_AFTER_MS = 2_000;

export class Careful {
  /** How often each status was answered. */
  readonly statuses = new Map<number, number>();
  readonly #giveUp: AbortSignal;

  /** @param giveUp when nothing is repeated any more */
  constructor(giveUp: AbortSignal) {
    this.#giveUp = giveUp;
  }

  /** @throws {Problem} the first answer that a repetition would not change, or the last one when it is given up. */
  async untilAnswered<T>(call: () => Promise<T>): Promise<T> {
    for (let againAfterMs = FIRST_AGAIN_AFTER_MS; ; againAfterMs *= 2) {
      try {
        const answer = await call();
        this.#count(200);
        return answer;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.#count(error.status);
        if (!error.retryable || this.#giveUp.aborted) throw error;
        // Hundreds who all ask four times a second would be what keeps the system from coming up.
        await delay(Math.min(againAfterMs, LONGEST_AGAIN_AFTER_MS));
      }
    }
  }

  #count(status: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }
}
