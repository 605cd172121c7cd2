/**
 * Reads every service of a stack and says what is wrong with deliveries that should have ended: one lost or doubled, an event
 * missing, a status that the state machine forbids, two drones that loaded for one, a charge that nobody decided, anything held.
 */
import type { Client as TemporalClient } from '@temporalio/client';
import { type Authorization, chargeFor } from '../../services/account/contract/index.ts';
import {
  canTransition,
  type Delivery,
  type DeliveryEvent,
  type DeliveryStatus,
  isFinal,
} from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import { whatIsHeld } from '../../local/held.ts';
import { everyItem, type ServiceClients } from '../../local/service-clients.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { deliveryWorkflowId } from '../../workflows/messages.ts';

export interface Checked {
  services: ServiceClients;
  /** To look whether a workflow failed or still runs; without it that is not checked. */
  temporal?: TemporalClient;
  /** Every delivery that got a 201 since the stack was new. */
  accepted: readonly DeliveryId[];
  /** Drones may still be on their way home, and what only their landing ends may be open. */
  ignoreFlightsHome?: boolean;
}

/** Everything that is wrong, one line each; empty when all is as it must be. */
export async function findFaults({
  services,
  temporal,
  accepted,
  ignoreFlightsHome,
}: Checked): Promise<string[]> {
  const [perDelivery, known, held] = await Promise.all([
    Promise.all(accepted.map((id) => faultsOf(id, services, temporal))),
    everyItem((page) => services.delivery.listDeliveries({ query: page })),
    whatIsHeld(services),
  ]);
  const expected = new Set<string>(accepted);
  return [
    ...perDelivery.flat(),
    ...known
      .filter(({ id }) => !expected.has(id))
      .map(({ id }) => `${id} exists, and nobody got a 201 for it`),
    ...held.filter((what) => !ignoreFlightsHome || !/^(reservation|drone) /.test(what)),
  ];
}

async function faultsOf(
  id: DeliveryId,
  services: ServiceClients,
  temporal: TemporalClient | undefined,
): Promise<string[]> {
  const params = { delivery_id: id };
  const delivery = await services.delivery.getDelivery({ params }).catch(() => undefined);
  if (!delivery) return [`${id} is lost: accepted, and the delivery service does not know it`];
  const [events, reservations, authorizations, packages, workflow] = await Promise.all([
    everyItem((page) => services.delivery.listEvents({ params, query: page })),
    everyItem((page) => services.drone.listReservations({ query: { ...page, delivery_id: id } })),
    everyItem((page) => services.account.listAuthorizations({ query: { ...page, delivery_id: id } })),
    services.package.listPackages({ query: { delivery_id: id } }),
    temporal?.workflow.getHandle(deliveryWorkflowId(id)).describe(),
  ]);
  const faults = [
    ...(workflow && workflow.status.name !== 'COMPLETED' ? [`its workflow is ${workflow.status.name}`] : []),
    ...endFaults(delivery),
    ...eventFaults(delivery, events),
    ...flightFaults(delivery, reservations),
    ...chargeFaults(delivery, authorizations),
    ...packageFaults(delivery, packages.data),
  ];
  return faults.map((fault) => `${id} (${delivery.status}): ${fault}`);
}

function endFaults(delivery: Delivery): string[] {
  return [
    ...(isFinal(delivery.status) ? [] : ['it has not ended']),
    ...(delivery.complete ? [] : ['it is not complete']),
    ...(delivery.compensation === 'pending' ? ['its compensation is pending'] : []),
    ...delivery.interventions
      .filter((one) => one.resolved_at === null)
      .map((one) => `open intervention ${one.kind}`),
    ...(delivery.status === 'cancelled' && delivery.cancellation_reason === null
      ? ['cancelled without a reason']
      : []),
    ...(delivery.status === 'failed' && delivery.failure_reason === null ? ['failed without a reason'] : []),
  ];
}

/** Numbers without a gap, one beginning, one end, and every step one that the state machine allows. */
export function eventFaults(
  delivery: Pick<Delivery, 'status' | 'sequence'>,
  events: readonly DeliveryEvent[],
): string[] {
  const faults: string[] = [];
  events.forEach(({ sequence }, index) => {
    if (sequence !== index + 1) faults.push(`event ${index + 1} has the number ${sequence}`);
  });
  if (events.length !== delivery.sequence) {
    faults.push(`it says ${delivery.sequence} events, and there are ${events.length}`);
  }
  if (events[0]?.status !== 'created') faults.push('its first event is not its creation');
  let status: DeliveryStatus = 'created';
  for (const event of events) {
    if (event.status !== status && !canTransition(status, event.status)) {
      faults.push(`event ${event.sequence} goes from ${status} to ${event.status}`);
    }
    status = event.status;
  }
  if (status !== delivery.status) faults.push(`its events end with ${status}`);
  for (const type of [
    'delivery.created',
    'delivery.settled',
    'delivery.compensation_complete',
    'delivery.picked_up',
  ]) {
    const count = events.filter((event) => event.type === type).length;
    if (count > 1) faults.push(`${type} happened ${count} times`);
  }
  return faults;
}

function flightFaults(delivery: Delivery, reservations: readonly Reservation[]): string[] {
  const loaded = reservations.filter(({ loading }) => loading === 'loaded');
  const byDrone = delivery.fulfilment === 'drone' && ['delivered', 'returned'].includes(delivery.status);
  return [
    ...(loaded.length > 1 ? [`${loaded.length} drones loaded for it`] : []),
    ...(byDrone && loaded.length === 0 ? ['it was flown, and no drone loaded'] : []),
    ...(delivery.fulfilment === 'carrier' && loaded.length > 0 ? ['a drone loaded what a carrier took'] : []),
  ];
}

function chargeFaults(delivery: Delivery, authorizations: readonly Authorization[]): string[] {
  const faults: string[] = [];
  if (authorizations.length > 1) faults.push(`${authorizations.length} authorizations`);
  const captured = authorizations.reduce((sum, one) => sum + (one.captured?.amount ?? 0), 0);
  const charged = delivery.charge?.amount ?? 0;
  if (captured !== charged) faults.push(`${captured} captured, and the delivery says ${charged}`);
  const isFull = delivery.status === 'delivered' || delivery.status === 'returned';
  if (
    isFull &&
    charged !== chargeFor(delivery.status === 'delivered' ? 'delivered' : 'returned', delivery.price).amount
  ) {
    faults.push(`charged ${charged} of ${delivery.price.amount}`);
  }
  return faults;
}

function packageFaults(delivery: Delivery, packages: readonly { state: string }[]): string[] {
  const carried = delivery.status === 'delivered' || delivery.status === 'returned';
  if (packages.length > delivery.packages.length) return [`${packages.length} packages are registered`];
  const wrong = packages.filter(({ state }) => state !== (carried ? 'registered' : 'void'));
  return wrong.map(({ state }) => `a package is ${state}`);
}
