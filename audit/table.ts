/** What is orphaned, for a terminal. */
import Table from 'cli-table3';
import type { Orphan } from './orphans.ts';

/** `colour`: for a terminal. */
export function orphanTable(orphans: readonly Orphan[], { colour }: { colour: boolean }): string {
  const table = new Table({
    head: ['what', 'id', 'since', 'delivery', 'account', 'workflow'],
    style: { head: colour ? ['bold'] : [], border: colour ? ['grey'] : [], 'padding-left': 0 },
  });
  for (const one of orphans) {
    table.push([
      `${one.kind.replaceAll('_', ' ')}\n${one.what}`,
      one.id,
      one.since,
      one.kind === 'delivery' ? '' : `${one.deliveryId}\n${one.status ?? 'unknown'}`,
      one.accountId,
      one.isBeingRepaired ? `${one.workflow}\nbeing repaired` : one.workflow.replaceAll('_', ' '),
    ]);
  }
  return table.toString();
}
