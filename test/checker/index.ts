/**
 * The one checker of whole-stack runs: `collect` reads what every service holds, `judge` says what is wrong with it. It imports
 * nothing of the saga.
 */
import type { DeliveryId } from '../../shared/ids.ts';
import { type Collected, collect } from './collect.ts';
import { describeFault, judge } from './judge.ts';

export { collect, type Collected } from './collect.ts';
export type * from './history.ts';
export { describeFault, judge } from './judge.ts';

export interface Checked extends Pick<Collected, 'services' | 'temporal' | 'postgresUrl'> {
  /** Every delivery that got a 201 since the stack was new. */
  accepted: readonly DeliveryId[];
  /** Drones may still be on their way home, and what only their landing ends may be open. */
  ignoreFlightsHome?: boolean;
}

/** Everything that is wrong, one line each; empty when all is as it must be. */
export async function findFaults({ accepted, ignoreFlightsHome, ...rest }: Checked): Promise<string[]> {
  const requests = accepted.map((id) => ({ key: id, answers: [id] }));
  const history = await collect({ ...rest, accepted: requests });
  const held = history.held.filter((what) => !ignoreFlightsHome || !/^(reservation|drone) /.test(what));
  return judge({ ...history, held }).map(describeFault);
}
