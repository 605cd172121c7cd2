/** How big a run is unless told otherwise: what continuous integration can afford, about five minutes on two busy cores. */
import type { ChaosOptions } from './outcome.ts';

export const CI_SIZE = {
  deliveries: 300,
  kills: 40,
  ratePerS: 4,
  clockRate: 30,
  settleWithinMs: 300_000,
} as const satisfies Partial<ChaosOptions>;
