/** What an aircraft could not radio yet. Bounded: when it is full, every other sample goes; the older, the sparser. */
import type { TelemetrySample } from '../services/drone/contract/index.ts';

const CAPACITY = 120;

export class TelemetryBuffer {
  #samples: TelemetrySample[] = [];

  get size(): number {
    return this.#samples.length;
  }

  add(sample: TelemetrySample): void {
    this.#samples.push(sample);
    this.#thin();
  }

  /** Takes out all, oldest first. */
  take(): TelemetrySample[] {
    const taken = this.#samples;
    this.#samples = [];
    return taken;
  }

  /** Puts back what could not be sent, before what was added since. */
  putBack(samples: readonly TelemetrySample[]): void {
    this.#samples = [...samples, ...this.#samples];
    this.#thin();
  }

  /** The oldest and the newest are always kept: where it was, and where it is. */
  #thin(): void {
    while (this.#samples.length > CAPACITY) {
      const newest = this.#samples.length - 1;
      this.#samples = this.#samples.filter((_, index) => index === 0 || (newest - index) % 2 === 0);
    }
  }
}
