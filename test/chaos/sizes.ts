/**
 * How big a run is unless told otherwise: what continuous integration can afford, about four minutes on two busy cores. 300
 * deliveries and 40 kills take five there.
 */
import type { ChaosOptions } from './run.ts';

export const CI_SIZE = {
  deliveries: 220,
  kills: 30,
  ratePerS: 4,
  clockRate: 30,
  settleWithinMs: 300_000,
} as const satisfies Partial<ChaosOptions>;
