/**
 * The audit: what the services hold for deliveries that have ended or that no living workflow carries, and deliveries that
 * are open in the read model though their workflow is gone. Needed because a person may terminate a workflow, which then has
 * no chance to undo anything. The same check finds what the reconciler repairs.
 */
import type { ServiceClients } from '../activities/index.ts';
import type { Delivery, DeliveryStatus } from '../services/delivery/contract/index.ts';
import { Problem } from '../shared/errors.ts';
import { everyItem } from '../shared/every-item.ts';
import type { AccountId, DeliveryId, DroneId } from '../shared/ids.ts';
import type { Carriers, WorkflowState } from './carriers.ts';
import { heldPackages, type Holding, type HoldingKind, holdingsOf, openHoldings } from './holdings.ts';

/** One thing that nobody will ever undo. */
export interface Orphan {
  kind: HoldingKind | 'delivery';
  id: string;
  /** In words. */
  what: string;
  /** RFC 3339. */
  since: string;
  deliveryId: DeliveryId;
  accountId: AccountId;
  /** Null: the delivery service does not know the delivery. */
  status: DeliveryStatus | null;
  workflow: WorkflowState;
  /** The reconciler is at it. */
  isBeingRepaired: boolean;
  /** `start`: nothing was done for it, so that it can still be. */
  remedy: 'undo' | 'start';
}

/** Temporal is asked about so many deliveries at a time. */
const AT_ONCE = 16;

/**
 * @param endedSince only for packages of deliveries that were cancelled or failed, of which there are ever more: those
 *   accepted since then, RFC 3339; all unless told. Everything else that is open is looked at in any case.
 */
export async function findOrphans(
  services: ServiceClients,
  carriers: Carriers,
  { endedSince }: { endedSince?: string } = {},
): Promise<Orphan[]> {
  const [holdings, open, unsuccessful] = await Promise.all([
    openHoldings(services),
    everyItem((page) => services.delivery.listDeliveries({ query: { ...page, complete: false } })),
    everyItem((page) =>
      services.delivery.listDeliveries({
        query: {
          ...page,
          status: ['cancelled', 'failed'],
          complete: true,
          ...(endedSince !== undefined && { created_after: endedSince }),
        },
      }),
    ),
  ]);
  const packages = await heldPackages(services, unsuccessful);
  const suspects = new Set<DeliveryId>([
    ...[...holdings, ...packages].map(({ deliveryId }) => deliveryId),
    ...open.map(({ id }) => id),
  ]);
  const orphans = await eachOf([...suspects], (id) => orphansOf(services, carriers, id));
  return orphans.flat().sort((a, b) => (a.since < b.since ? -1 : 1));
}

/**
 * The orphans of one delivery; none while its workflow lives. What is held is read after the workflow was seen to be gone: it
 * may have given it back in its last moment.
 */
export async function orphansOf(
  services: ServiceClients,
  carriers: Carriers,
  deliveryId: DeliveryId,
): Promise<Orphan[]> {
  const workflow = await carriers.ofDelivery(deliveryId);
  if (workflow === 'running') return [];
  const { delivery, held } = await heldBy(services, deliveryId);
  // With more than its accept in the timeline it has begun, and is not started again.
  const isNew =
    workflow === 'missing' && delivery?.status === 'created' && delivery.sequence === 1 && held.length === 0;
  const start = isNew ? await carriers.startOf(deliveryId) : 'started';
  // What waits for its start in ingestion is told of there; what was started has been lost before its first step.
  if (start === 'waiting') return [];
  // Or it has been started in this moment.
  if (isNew && (await carriers.ofDelivery(deliveryId)) !== 'missing') return [];
  if (isNew && start === 'started') {
    const lost = { ...deliveryOrphan(delivery), what: 'accepted and started, and nothing was done for it' };
    const { status } = delivery;
    return [{ ...lost, deliveryId, status, workflow, isBeingRepaired: false, remedy: 'start' }];
  }
  const orphans = [
    ...(delivery && !delivery.complete ? [deliveryOrphan(delivery)] : []),
    ...held.map(({ kind, id, what, since, accountId }) => ({ kind, id, what, since, accountId })),
  ];
  if (orphans.length === 0) return [];
  const isBeingRepaired = (await carriers.reconcilerOf(deliveryId)) === 'running';
  const status = delivery?.status ?? null;
  return orphans.map((one) => ({
    ...one,
    deliveryId,
    status,
    workflow,
    isBeingRepaired,
    remedy: 'undo' as const,
  }));
}

function deliveryOrphan({ id, account_id: accountId, status, compensation, ...rest }: Delivery) {
  const undone = compensation === 'none' ? '' : `, compensation ${compensation}`;
  const what = `open: ${status}${undone}`;
  return { kind: 'delivery' as const, id, what, since: rest.updated_at, accountId };
}

/** What is held for a delivery whose workflow is gone, without what only a person can bring back. */
export async function heldBy(
  services: ServiceClients,
  deliveryId: DeliveryId,
): Promise<{ delivery: Delivery | null; held: Holding[] }> {
  const delivery = await deliveryOf(services, deliveryId);
  const held = await holdingsOf(services, { id: deliveryId, status: delivery?.status ?? null });
  return { delivery, held: await withoutLostDrones(services, delivery, held) };
}

/** Null: the delivery service does not know it. */
export async function deliveryOf(services: ServiceClients, deliveryId: DeliveryId): Promise<Delivery | null> {
  try {
    return await services.delivery.getDelivery({ params: { delivery_id: deliveryId } });
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

/** A delivery that was settled while its drone is down with the package: the fleet's list shows it until it is recovered. */
export async function withoutLostDrones(
  services: ServiceClients,
  delivery: Delivery | null,
  held: Holding[],
): Promise<Holding[]> {
  if (delivery?.complete !== true) return held;
  const isDown = await eachOf(
    held,
    async (one) => 'droneId' in one && (await droneIsDown(services, one.droneId)),
  );
  return held.filter((_, index) => isDown[index] !== true);
}

/** It flies no more until a person has brought it back. */
export async function droneIsDown({ drone }: ServiceClients, droneId: DroneId): Promise<boolean> {
  const { state } = await drone.getDrone({ params: { drone_id: droneId } });
  return state === 'lost' || state === 'grounded';
}

async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(from, from + AT_ONCE).map(work))));
  }
  return results;
}
