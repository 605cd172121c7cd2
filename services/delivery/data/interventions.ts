/** The list of interventions, which a trigger keeps to what the deliveries say. */
import type { Prisma, PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import type { Intervention, ListedIntervention } from '../contract/index.ts';

export interface InterventionFilter {
  open?: boolean;
  /** What the kind begins with. */
  kind?: string;
  delivery_id?: string;
  account_id?: string;
  livemode?: boolean;
  opened_after?: Date;
  opened_before?: Date;
}

/** Newest first; at most `limit`, and only those that come after the place `before` in that order. */
export async function findInterventions(
  database: PrismaClient,
  filter: InterventionFilter,
  { before, limit }: { before: { openedAt: Date; id: string } | undefined; limit: number },
): Promise<ListedIntervention[]> {
  const rows = await database.listedIntervention.findMany({
    where: whereOf(filter, before),
    orderBy: [{ openedAt: 'desc' }, { id: 'desc' }],
    take: limit,
  });
  return rows.map(({ deliveryId, accountId, livemode, document }) => ({
    object: 'intervention',
    delivery_id: deliveryId as ListedIntervention['delivery_id'],
    account_id: accountId as ListedIntervention['account_id'],
    livemode,
    ...(document as unknown as Intervention),
  }));
}

function whereOf(
  filter: InterventionFilter,
  before: { openedAt: Date; id: string } | undefined,
): Prisma.ListedInterventionWhereInput {
  const { open, kind, opened_after: after, opened_before: until } = filter;
  return {
    ...(open !== undefined && { resolvedAt: open ? null : { not: null } }),
    ...(kind !== undefined && { kind: { startsWith: kind } }),
    ...(filter.delivery_id !== undefined && { deliveryId: filter.delivery_id }),
    ...(filter.account_id !== undefined && { accountId: filter.account_id }),
    ...(filter.livemode !== undefined && { livemode: filter.livemode }),
    ...((after || until) && { openedAt: { ...(after && { gt: after }), ...(until && { lt: until }) } }),
    ...(before && {
      OR: [{ openedAt: { lt: before.openedAt } }, { openedAt: before.openedAt, id: { lt: before.id } }],
    }),
  };
}
