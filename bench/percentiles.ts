/** Latencies, and what they come to. Kept in a histogram of three significant digits, so that a long run takes no more room. */
import { build, type Histogram } from 'hdr-histogram-js';

/** All in milliseconds. */
export interface LatencySummary {
  samples: number;
  meanMs: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
}

const MICROSECONDS_PER_MS = 1000;
const LONGEST_MS = 600_000;

export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_MS * MICROSECONDS_PER_MS,
    numberOfSignificantValueDigits: 3,
  });

  /** One sample, milliseconds. What is longer than ten minutes counts as ten minutes. */
  record(ms: number): void {
    this.#histogram.recordValue(Math.round(Math.min(Math.max(ms, 0), LONGEST_MS) * MICROSECONDS_PER_MS));
  }

  get samples(): number {
    return this.#histogram.totalCount;
  }

  summary(): LatencySummary {
    const at = (percent: number) => this.#histogram.getValueAtPercentile(percent) / MICROSECONDS_PER_MS;
    return {
      samples: this.samples,
      meanMs: this.samples === 0 ? 0 : this.#histogram.mean / MICROSECONDS_PER_MS,
      p50Ms: at(50),
      p95Ms: at(95),
      p99Ms: at(99),
      maxMs: this.#histogram.maxValue / MICROSECONDS_PER_MS,
    };
  }
}
