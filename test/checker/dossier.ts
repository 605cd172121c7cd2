/** What is known of a run, sorted by delivery, as the parts of the judge want it. */
import type { Authorization, CreditNote } from '../../services/account/contract/index.ts';
import type { Booking } from '../../services/carrier/contract/index.ts';
import type { Delivery, DeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import { timeMsOf } from '../../shared/clock.ts';
import type {
  AcceptedRequest,
  CarrierAnswer,
  Fault,
  FaultKind,
  FlownMilestone,
  History,
  Order,
  Proof,
} from './history.ts';

/** A package lies within this of where it was to be let go. An aircraft calls itself there within a metre, and drifts. */
export const LET_GO_WITHIN_M = 25;

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
  carrierAnswers: CarrierAnswer[];
  proofs: Proof[];
  authorizations: Authorization[];
  /** Everything that its account ever had set aside, for whichever delivery; minor units. */
  everAuthorized: number;
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
  const everAuthorized = new Map(
    [...groupBy(history.authorizations, ({ account_id }) => account_id)].map(([account, all]) => [
      account,
      all.reduce((sum, { amount }) => sum + amount.amount, 0),
    ]),
  );
  const creditNotes = byDelivery(history.creditNotes);
  const packages = byDelivery(history.packages);
  const milestones = groupBy(history.milestones, ({ deliveryId }) => deliveryId);
  const carrierAnswers = groupBy(history.carrierAnswers, ({ deliveryId }) => deliveryId);
  const proofs = groupBy(history.proofs, ({ deliveryId }) => deliveryId);
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
      carrierAnswers: carrierAnswers.get(delivery.id) ?? [],
      proofs: proofs.get(delivery.id) ?? [],
      authorizations: authorizations.get(delivery.id) ?? [],
      everAuthorized: everAuthorized.get(delivery.account_id) ?? 0,
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

/** What people answered about it, each with when: no more than one to each intervention. */
export function answersOf({ interventions }: Delivery): { answer: string; atMs: number }[] {
  return interventions.flatMap(({ resolution, resolved_at: at }) =>
    resolution && at !== null && resolution.by.startsWith('operator:')
      ? [{ answer: resolution.answer, atMs: timeMsOf(at) }]
      : [],
  );
}

/** Somebody other than the aircraft said how it ended. */
export function isEndedByHand(delivery: Delivery): boolean {
  return answersOf(delivery).some(({ answer }) => ['delivered', 'returned', 'lost'].includes(answer));
}

/** Somebody ended its workflow: what it had not done is the reconciler's. */
export function isTerminated(dossier: Dossier): boolean {
  return ordersOf(dossier, 'terminate').some(({ answer }) => answer !== 'refused');
}

/** The event with which it came into its last status; undefined: it has none. */
export function endOf({ delivery, events }: Dossier): DeliveryEvent | undefined {
  return events.find(({ status }) => status === delivery.status);
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
