/**
 * Says what is wrong with a run. Pure, and without the saga: what should be follows from the state machine, the tariff and what
 * the services say they did, never from what the workflow meant to do.
 */
import { type Authorization, chargeFor, type ChargedOutcome } from '../../services/account/contract/index.ts';
import {
  canTransition,
  type Delivery,
  type DeliveryEvent,
  type DeliveryStatus,
  isFinal,
} from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import type { Fault, FaultKind, History, Subscriber } from './history.ts';

/** Events that a delivery has once at most. */
const ONCE = new Set([
  'delivery.created',
  'delivery.settled',
  'delivery.compensation_complete',
  'delivery.picked_up',
  'delivery.delivered',
  'delivery.returned',
  'delivery.cancelled',
  'delivery.failed',
]);

/** Everything that is wrong; empty when all is as it must be. */
export function judge(history: History): Fault[] {
  const accepted = new Set<string>(history.accepted.flatMap(({ answers }) => answers));
  return [
    ...acceptFaults(history),
    ...orphanFaults(history, accepted),
    ...dossiers(history, accepted).flatMap(deliveryFaults),
    ...droneFaults(history),
    ...feedFaults(history),
    ...history.subscribers.flatMap((subscriber) => subscriberFaults(subscriber, history.events)),
    ...history.held.map((what): Fault => ({ kind: 'held', deliveryId: null, what })),
  ];
}

/** For a person. */
export function describeFault({ kind, deliveryId, what }: Fault): string {
  return `${kind}: ${deliveryId === null ? '' : `${deliveryId}: `}${what}`;
}

/** Each request is one delivery, and each delivery one request's. */
function acceptFaults({ accepted, deliveries }: History): Fault[] {
  const faults: Fault[] = [];
  const keyOf = new Map<string, string>();
  const known = countBy<Delivery, string>(deliveries, ({ id }) => id);
  for (const { key, answers } of accepted) {
    const ids = [...new Set(answers)];
    if (ids.length > 1) {
      faults.push(
        of('double', ids[0], `the key ${key} was answered with ${ids.length} deliveries: ${ids.join(', ')}`),
      );
    }
    for (const id of ids) {
      const other = keyOf.get(id);
      if (other !== undefined) faults.push(of('double', id, `it is the answer to ${other} and to ${key}`));
      keyOf.set(id, key);
      if (!known.has(id)) faults.push(of('lost', id, 'accepted, and the delivery service does not know it'));
    }
  }
  for (const [id, count] of known) {
    if (count > 1) faults.push(of('double', id, `the delivery service has it ${count} times`));
  }
  for (const [externalId, ids] of groupBy(
    deliveries.filter(({ external_id }) => external_id !== null),
    ({ account_id, livemode, external_id }) => `${account_id}/${livemode}/${external_id}`,
  )) {
    if (ids.length > 1) {
      const all = ids.map(({ id }) => id);
      faults.push(of('double', all[0], `${all.length} deliveries of ${externalId}: ${all.join(', ')}`));
    }
  }
  return faults;
}

/** Nothing exists for a delivery that nobody was promised. */
function orphanFaults(history: History, accepted: ReadonlySet<string>): Fault[] {
  const found: [what: string, deliveryId: string][] = [
    ...history.deliveries.map(({ id }): [string, string] => ['it', id]),
    ...history.events.map((one): [string, string] => [`event ${one.sequence}`, one.delivery_id]),
    ...history.reservations.map((one): [string, string] => [`reservation ${one.id}`, one.delivery_id]),
    ...history.authorizations.map((one): [string, string] => [`authorization ${one.id}`, one.delivery_id]),
    ...history.bookings.map((one): [string, string] => [`booking ${one.id}`, one.delivery_id]),
    ...history.packages.map((one): [string, string] => [`package ${one.id}`, one.delivery_id]),
    ...(history.workflows ?? []).map((one): [string, string] => [
      `workflow ${one.workflowId}`,
      one.deliveryId,
    ]),
  ];
  return found
    .filter(([, deliveryId]) => !accepted.has(deliveryId))
    .map(([what, deliveryId]) => of('orphan', deliveryId, `${what} exists, and nobody got a 201 for it`));
}

/** All that is known of one delivery. */
interface Dossier {
  delivery: Delivery;
  events: DeliveryEvent[];
  reservations: Reservation[];
  history: History;
  authorizations: Authorization[];
  packages: History['packages'];
  workflows: History['workflows'];
}

function dossiers(history: History, accepted: ReadonlySet<string>): Dossier[] {
  const byDelivery = <T extends { delivery_id: string }>(items: readonly T[]) =>
    groupBy(items, ({ delivery_id }) => delivery_id);
  const events = byDelivery(history.events);
  const reservations = byDelivery(history.reservations);
  const authorizations = byDelivery(history.authorizations);
  const packages = byDelivery(history.packages);
  const workflows = groupBy(history.workflows ?? [], ({ deliveryId }) => deliveryId);
  return history.deliveries
    .filter(({ id }) => accepted.has(id))
    .map((delivery) => ({
      delivery,
      history,
      events: (events.get(delivery.id) ?? []).toSorted((a, b) => a.sequence - b.sequence),
      reservations: (reservations.get(delivery.id) ?? []).toSorted((a, b) => a.token - b.token),
      authorizations: authorizations.get(delivery.id) ?? [],
      packages: packages.get(delivery.id) ?? [],
      workflows: history.workflows && (workflows.get(delivery.id) ?? []),
    }));
}

function deliveryFaults(dossier: Dossier): Fault[] {
  const { delivery } = dossier;
  const found: [FaultKind, string[]][] = [
    ['unfinished', endFaults(delivery)],
    ['workflow', workflowFaults(dossier)],
    ['events', eventFaults(delivery, dossier.events)],
    ['double_load', loadFaults(dossier)],
    ['flight', flightFaults(dossier)],
    ['proof', proofFaults(delivery)],
    ['charge', chargeFaults(dossier)],
    ['package', packageFaults(dossier)],
  ];
  return found.flatMap(([kind, whats]) =>
    whats.map((what) => of(kind, delivery.id, `${what} (${delivery.status})`)),
  );
}

function endFaults(delivery: Delivery): string[] {
  return [
    ...(isFinal(delivery.status) ? [] : ['it has not ended']),
    ...(delivery.complete ? [] : ['it is not complete']),
    ...(delivery.compensation === 'pending' || delivery.compensation === 'needs_intervention'
      ? [`its compensation is ${delivery.compensation}`]
      : []),
    ...delivery.interventions
      .filter((one) => one.resolved_at === null)
      .map((one) => `open intervention ${one.kind}`),
    ...(delivery.status === 'cancelled' && delivery.cancellation_reason === null
      ? ['cancelled without a reason']
      : []),
    ...(delivery.status === 'failed' && delivery.failure_reason === null ? ['failed without a reason'] : []),
  ];
}

/** A delivery is one workflow that completed; one that was cancelled before its start is none. */
function workflowFaults({ workflows, delivery, events }: Dossier): string[] {
  if (!workflows) return [];
  const ended = workflows.filter(({ status }) => status !== 'CONTINUED_AS_NEW');
  const beforeStart =
    delivery.status === 'cancelled' &&
    events.every(({ status }) => ['created', 'cancelled'].includes(status));
  return [
    ...(ended.length === 0 && !beforeStart ? ['it has no workflow'] : []),
    ...(ended.length > 1 ? [`${ended.length} runs of its workflow`] : []),
    ...ended
      .filter(({ status }) => status !== 'COMPLETED')
      .map(({ status, runId }) => `its workflow is ${status} (run ${runId})`),
  ];
}

/** Numbers without a gap or a repeat, one beginning, one end, and every step one that the state machine allows. */
export function eventFaults(
  delivery: Pick<Delivery, 'status' | 'sequence'>,
  events: readonly DeliveryEvent[],
): string[] {
  const faults: string[] = [];
  events.forEach(({ sequence }, index) => {
    const expected = (events[index - 1]?.sequence ?? 0) + 1;
    if (sequence < expected) faults.push(`the number ${sequence} is there twice`);
    else if (sequence > expected) faults.push(`after event ${expected - 1} comes ${sequence}`);
  });
  for (const [id, same] of countBy(events, (event) => event.id)) {
    if (same > 1) faults.push(`${same} events have the id ${id}`);
  }
  if (events.length !== delivery.sequence) {
    faults.push(`it says ${delivery.sequence} events, and there are ${events.length}`);
  }
  if (events[0]?.type !== 'delivery.created') faults.push('its first event is not its creation');
  let status: DeliveryStatus = 'created';
  for (const event of events) {
    if (event.status !== status && !canTransition(status, event.status)) {
      faults.push(`event ${event.sequence} goes from ${status} to ${event.status}`);
    }
    status = event.status;
  }
  if (status !== delivery.status) faults.push(`its events end with ${status}`);
  for (const [type, count] of countBy(events, (event) => event.type)) {
    if (count > 1 && ONCE.has(type)) faults.push(`${type} happened ${count} times`);
  }
  return faults;
}

/** Never two aircraft with the package of one delivery: by the reservations, by what was flown, and by what was seen. */
function loadFaults({ delivery, reservations, history }: Dossier): string[] {
  const isOurs = (one: { deliveryId: string }) => one.deliveryId === delivery.id;
  const loadedFor = reservations
    .filter(({ loading }) => loading === 'loaded')
    .map(({ drone_id }) => drone_id);
  const told = history.milestones.filter((one) => isOurs(one) && one.kind === 'loaded');
  const seen = new Set(history.seenAboard.filter(isOurs).map(({ droneId }) => droneId));
  return [
    ...(loadedFor.length > 1 ? [`${loadedFor.length} drones loaded for it: ${loadedFor.join(', ')}`] : []),
    ...(told.length > 1
      ? [`it was loaded ${told.length} times: ${told.map(({ droneId }) => droneId).join(', ')}`]
      : []),
    ...(seen.size > 1 ? [`its package was seen in ${seen.size} drones: ${[...seen].join(', ')}`] : []),
    ...[...seen]
      .filter((droneId) => !loadedFor.includes(droneId as Reservation['drone_id']))
      .map((droneId) => `its package was seen in ${droneId}, which never loaded`),
  ];
}

function flightFaults({ delivery, reservations }: Dossier): string[] {
  const loaded = reservations.filter(({ loading }) => loading === 'loaded').length;
  const byDrone = delivery.fulfilment === 'drone' && isCarried(delivery);
  const tokens = reservations.map(({ token }) => token);
  return [
    ...(byDrone && loaded === 0 ? ['it was flown, and no drone loaded'] : []),
    ...(delivery.fulfilment === 'carrier' && loaded > 0 ? ['a drone loaded what a carrier took'] : []),
    ...(delivery.status === 'cancelled' && loaded > 0 ? ['it was cancelled, and a drone loaded'] : []),
    ...(new Set(tokens).size < tokens.length ? [`a token was given twice: ${tokens.join(', ')}`] : []),
  ];
}

/** What is due by the tariff, as its end and its flights say; not by the words of the saga. */
function chargeFaults(dossier: Dossier): string[] {
  const { delivery, authorizations } = dossier;
  const captures = authorizations.filter(({ captured }) => (captured?.amount ?? 0) > 0);
  const captured = captures.reduce((sum, one) => sum + (one.captured?.amount ?? 0), 0);
  const charged = delivery.charge?.amount ?? 0;
  const outcome = outcomeOf(dossier);
  const due = outcome === undefined ? 0 : chargeFor(outcome, delivery.price, delivery.return_price).amount;
  // What was raised for another dropoff or a flight back is captured beside the first authorization.
  const first = captures.filter(({ step_key }) => !step_key.includes('/reauthorize/'));
  return [
    ...(first.length > 1 ? [`charged ${first.length} times`] : []),
    ...(captured !== charged ? [`${captured} captured, and the delivery says ${charged}`] : []),
    ...(outcome !== undefined && captured !== due
      ? [`charged ${captured} of ${delivery.price.amount}; by the tariff it is ${due}, ${outcome}`]
      : []),
    ...authorizations
      .filter(({ state }) => state === 'authorized')
      .map(({ id, amount }) => `${amount.amount} still authorized (${id})`),
  ];
}

function outcomeOf({ delivery, events, reservations, history }: Dossier): ChargedOutcome | undefined {
  switch (delivery.status) {
    case 'delivered':
      return 'delivered';
    case 'returned':
      return 'returned';
    case 'failed':
      if (delivery.failure_reason === 'sender_absent') return 'sender_absent';
      return delivery.failure_reason === 'package_lost' ? 'lost' : 'our_failure';
    case 'cancelled': {
      const end = events.findIndex(({ status }) => status === 'cancelled');
      const before = events[end - 1]?.status;
      // Where it waited for another drone, or had none yet, nothing was on its way to it.
      if (before !== 'confirmed' && before !== 'enroute_to_pickup' && before !== 'arrived_at_pickup') {
        return 'cancelled_before_dispatch';
      }
      const drone = reservations.at(-1);
      const wasSent =
        delivery.fulfilment === 'carrier' || (drone !== undefined && history.dispatched.has(drone.id));
      return wasSent ? 'cancelled_after_dispatch' : 'cancelled_before_dispatch';
    }
    default:
      return undefined;
  }
}

/** What had to be confirmed was not let go before it was, unless a person says that it was handed over. */
function proofFaults({
  status,
  fulfilment,
  confirmation,
  confirmation_status,
  interventions,
}: Delivery): string[] {
  const isOwed = status === 'delivered' && fulfilment === 'drone' && confirmation !== 'none';
  const byHand = interventions.some(({ resolution }) => resolution?.answer === 'delivered');
  if (!isOwed || byHand || confirmation_status === 'confirmed') return [];
  return [`handed over without its ${confirmation}: ${confirmation_status}`];
}

function packageFaults({ delivery, packages }: Dossier): string[] {
  if (!isFinal(delivery.status)) return [];
  const ids = new Set<string>(delivery.packages.map(({ id }) => id));
  const due = isCarried(delivery) ? 'registered' : 'void';
  return [
    ...(isCarried(delivery) && packages.length < ids.size
      ? [`${packages.length} of its ${ids.size} packages are registered`]
      : []),
    ...(packages.length > ids.size ? [`${packages.length} packages are registered, of ${ids.size}`] : []),
    ...packages.filter(({ id }) => !ids.has(id)).map(({ id }) => `package ${id} is not its own`),
    ...packages.filter(({ state }) => state !== due).map(({ id, state }) => `package ${id} is ${state}`),
  ];
}

/** No drone promised to two at once, and none in the air for two. */
function droneFaults({ reservations, milestones }: History): Fault[] {
  const faults: Fault[] = [];
  for (const [droneId, promised] of groupBy(reservations, ({ drone_id }) => drone_id)) {
    const inOrder = promised.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
    inOrder.forEach((one, index) => {
      const before = inOrder[index - 1];
      if (!before) return;
      const freeAtMs = before.ended_at === null ? Infinity : Date.parse(before.ended_at);
      if (Date.parse(one.created_at) < freeAtMs) {
        const what = `drone ${droneId} was promised to it while it was ${before.delivery_id}'s`;
        faults.push(of('double_flight', one.delivery_id, what));
      }
    });
  }
  for (const [droneId, flown] of groupBy(milestones, (one) => one.droneId)) {
    const seen = new Map<string, number>();
    let current: string | undefined;
    const inOrder = flown.toSorted((a, b) => Date.parse(a.occurredAt) - Date.parse(b.occurredAt));
    inOrder.forEach(({ reservationId, deliveryId }, index) => {
      // Back to an earlier flight after another one: both were flown at once.
      if (reservationId !== current && seen.has(reservationId)) {
        faults.push(of('double_flight', deliveryId, `drone ${droneId} flew for it and for another in turns`));
      }
      seen.set(reservationId, index);
      current = reservationId;
    });
  }
  return faults;
}

/** The feed: places 1, 2, 3 …; every event once, a delivery's in their order. */
function feedFaults({ feed, events }: History): Fault[] {
  if (!feed) return [];
  const faults: Fault[] = [];
  feed.forEach(({ position }, index) => {
    const before = feed[index - 1]?.position ?? 0;
    if (position !== before + 1) {
      faults.push(of('feed', null, `after position ${before} comes ${position}`));
    }
  });
  const effects = feed.map(({ deliveryId, sequence }) => ({ deliveryId, sequence }));
  for (const what of effectFaults({ effects }, events)) faults.push({ ...what, kind: 'feed' });
  return faults;
}

function subscriberFaults(subscriber: Subscriber, events: readonly DeliveryEvent[]): Fault[] {
  return effectFaults(subscriber, events).map((fault) => ({
    ...fault,
    what: `${subscriber.name}: ${fault.what}`,
  }));
}

/** Each event's effect exactly once, a delivery's in the order of their numbers. */
function effectFaults(
  { effects, of: only }: Omit<Subscriber, 'name'>,
  events: readonly DeliveryEvent[],
): Fault[] {
  const faults: Fault[] = [];
  const wanted = only && new Set(only);
  const due = new Set(
    events
      .filter((event) => wanted?.has(event.delivery_id) ?? true)
      .map((event) => `${event.delivery_id}/${event.sequence}`),
  );
  const done = new Set<string>();
  const last = new Map<string, number>();
  for (const { deliveryId, sequence } of effects) {
    const key = `${deliveryId}/${sequence}`;
    if (done.has(key)) faults.push(of('subscriber', deliveryId, `event ${sequence} took effect twice`));
    else if (!due.has(key)) {
      faults.push(of('subscriber', deliveryId, `event ${sequence} took effect, and there is none`));
    } else if (sequence < (last.get(deliveryId) ?? 0)) {
      faults.push(of('subscriber', deliveryId, `event ${sequence} came after ${last.get(deliveryId) ?? 0}`));
    }
    done.add(key);
    last.set(deliveryId, Math.max(sequence, last.get(deliveryId) ?? 0));
  }
  for (const key of due) {
    if (done.has(key)) continue;
    const [deliveryId = '', sequence = ''] = key.split('/');
    faults.push(of('subscriber', deliveryId, `event ${sequence} had no effect`));
  }
  return faults;
}

function isCarried({ status }: Delivery): boolean {
  return status === 'delivered' || status === 'returned';
}

function of(kind: FaultKind, deliveryId: string | null | undefined, what: string): Fault {
  return { kind, deliveryId: deliveryId ?? null, what };
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

function countBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, number> {
  return new Map([...groupBy(items, keyOf)].map(([key, group]) => [key, group.length]));
}
