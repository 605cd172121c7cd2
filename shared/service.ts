/** What every service is built from, whether it runs alone, beside others in one process, or in a test. */
import type { ClockSettings, WallClock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface ServiceOptions {
  /** Postgres, as the service's runtime role. */
  databaseUrl: string;
  /** Connections it may hold; the default is its line of prisma/connection-budget.ts. */
  poolSize?: number;
  logger: Logger;
  /** The stack's clock: what time it is for things that belong to no delivery. Live unless told. */
  clock?: ClockSettings;
  /** Source of wall time; `Date.now` unless a test has its own. */
  wall?: WallClock;
}
