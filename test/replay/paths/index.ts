/** Every path of which there is a golden history, by name; those that only the real server can record apart. */
import { CANCELS } from './cancels.ts';
import { DROPOFFS } from './dropoffs.ts';
import { FAILURES } from './failures.ts';
import { FLIGHTS } from './flights.ts';
import { HANDOVERS } from './handovers.ts';
import { JOURNEYS } from './journeys.ts';
import { ORDERS } from './orders.ts';
import { RESETS } from './resets.ts';
import { SLOW_STEPS } from './slow-steps.ts';
import { TAKEOVERS } from './takeovers.ts';
import { TERMINATED } from './terminated.ts';

export const PATHS_OF_THE_GROUND = { ...JOURNEYS, ...HANDOVERS, ...FAILURES };
export const PATHS_OF_THE_SKY = { ...FLIGHTS, ...TAKEOVERS, ...ORDERS, ...CANCELS, ...DROPOFFS };
export const PATHS_ON_THE_REAL_SERVER = { ...TERMINATED, ...RESETS, ...SLOW_STEPS };

export const PATH_NAMES: readonly string[] = Object.keys({
  ...PATHS_OF_THE_GROUND,
  ...PATHS_OF_THE_SKY,
  ...PATHS_ON_THE_REAL_SERVER,
});
