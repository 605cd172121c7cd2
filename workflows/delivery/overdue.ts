/** When to look again for what is late. A person may take days to answer: less and less often, so that the history stays short. */

/** Between two looks, and from a wait's begin to its deadline, at least: nothing may go round without time passing. */
export const SHORTEST_WAIT_MS = 1_000;
const LONGEST_LOOK_MS = 6 * 60 * 60 * 1000;

/** Milliseconds of the delivery's clock until the next look. `looks`: how often it was found late. */
export function lookAgainInMs(slackS: number, looks: number): number {
  const firstMs = Math.max(slackS * 1000, SHORTEST_WAIT_MS);
  return Math.min(firstMs * 2 ** Math.max(0, looks - 2), LONGEST_LOOK_MS);
}
