/** The builds of a worker deployment, for a terminal. */
import Table from 'cli-table3';
import type { Build } from './builds.ts';

/** `colour`: for a terminal. */
export function buildTable(builds: readonly Build[], { colour }: { colour: boolean }): string {
  const table = new Table({
    head: ['build', 'status', 'since', 'open', 'pinned'],
    style: { head: colour ? ['bold'] : [], border: colour ? ['grey'] : [], 'padding-left': 0 },
  });
  for (const { buildId, status, rampPercent, since, open, pinned } of builds) {
    table.push([
      buildId,
      rampPercent === null ? status : `${status} ${rampPercent} %`,
      since ?? '',
      open,
      pinned,
    ]);
  }
  return table.toString();
}
