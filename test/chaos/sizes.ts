/** How big a run is unless told otherwise: what continuous integration can afford. */
import type { ChaosOptions } from './run.ts';

export const CI_SIZE = {
  deliveries: 300,
  kills: 40,
  ratePerS: 4,
  clockRate: 40,
  settleWithinMs: 300_000,
} as const satisfies Partial<ChaosOptions>;
