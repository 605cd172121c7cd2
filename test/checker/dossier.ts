/** What is known of a run, sorted by delivery, as the parts of the judge want it. */
import type { Authorization, CreditNote } from '../../services/account/contract/index.ts';
import type { Booking } from '../../services/carrier/contract/index.ts';
import type { Delivery, DeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import type { AcceptedRequest, Fault, FaultKind, FlownMilestone, History, Order } from './history.ts';

/** All that is known of one delivery. */
export interface Dossier {
  delivery: Delivery;
  /** The request that it is the answer to. */
  asked: AcceptedRequest;
  /** In the order of their numbers. */
  events: DeliveryEvent[];
  /** In the order of their tokens. */
  reservations: Reservation[];
  /** In the order in which they happened. */
  milestones: FlownMilestone[];
  bookings: Booking[];
  authorizations: Authorization[];
  creditNotes: CreditNote[];
  packages: History['packages'];
  workflows: History['workflows'];
  history: History;
}

/** Of every delivery that somebody was promised. */
export function dossiers(history: History): Dossier[] {
  const byDelivery = <T extends { delivery_id: string }>(items: readonly T[]) =>
    groupBy(items, ({ delivery_id }) => delivery_id);
  const askedFor = new Map(history.accepted.flatMap((one) => one.answers.map((id) => [id, one] as const)));
  const events = byDelivery(history.events);
  const reservations = byDelivery(history.reservations);
  const bookings = byDelivery(history.bookings);
  const authorizations = byDelivery(history.authorizations);
  const creditNotes = byDelivery(history.creditNotes);
  const packages = byDelivery(history.packages);
  const milestones = groupBy(history.milestones, ({ deliveryId }) => deliveryId);
  const workflows = groupBy(history.workflows ?? [], ({ deliveryId }) => deliveryId);
  return history.deliveries.flatMap((delivery) => {
    const asked = askedFor.get(delivery.id);
    if (asked === undefined) return [];
    return {
      delivery,
      asked,
      history,
      events: (events.get(delivery.id) ?? []).toSorted((a, b) => a.sequence - b.sequence),
      reservations: (reservations.get(delivery.id) ?? []).toSorted((a, b) => a.token - b.token),
      milestones: (milestones.get(delivery.id) ?? []).toSorted(
        (a, b) => Date.parse(a.occurredAt) - Date.parse(b.occurredAt),
      ),
      bookings: bookings.get(delivery.id) ?? [],
      authorizations: authorizations.get(delivery.id) ?? [],
      creditNotes: creditNotes.get(delivery.id) ?? [],
      packages: packages.get(delivery.id) ?? [],
      workflows: history.workflows && (workflows.get(delivery.id) ?? []),
    };
  });
}

/** The orders of this kind that were given for it. */
export function ordersOf<K extends Order['kind']>(
  { asked }: Dossier,
  kind: K,
): Extract<Order, { kind: K }>[] {
  return (asked.orders ?? []).filter((one): one is Extract<Order, { kind: K }> => one.kind === kind);
}

/** Somebody other than the aircraft said how it ended. */
export function isEndedByHand({ interventions }: Delivery): boolean {
  return interventions.some(({ resolution }) =>
    ['delivered', 'returned', 'lost'].includes(resolution?.answer ?? ''),
  );
}

/** It was carried to one of its ends. */
export function isCarried({ status }: Delivery): boolean {
  return status === 'delivered' || status === 'returned';
}

export function of(kind: FaultKind, deliveryId: string | null | undefined, what: string): Fault {
  return { kind, deliveryId: deliveryId ?? null, what };
}

export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

export function countBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, number> {
  return new Map([...groupBy(items, keyOf)].map(([key, group]) => [key, group.length]));
}
