/** What is wrong with the event feed and with what its followers did: each event's effect exactly once. */
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { groupBy, of } from './dossier.ts';
import type { Fault, History, Subscriber } from './history.ts';

/** With these a delivery is complete. */
const COMPLETING = new Set(['delivery.settled', 'delivery.compensation_complete']);

type EventsOf = ReadonlyMap<string, readonly DeliveryEvent[]>;

/** Of the feed and of everybody who followed it. */
export function followerFaults({ feed, subscribers, events }: History): Fault[] {
  const eventsOf = groupBy(events, (event): string => event.delivery_id);
  return [
    ...feedFaults(feed, eventsOf),
    ...subscribers.flatMap((subscriber) => subscriberFaults(subscriber, eventsOf)),
  ];
}

/** The feed: places 1, 2, 3 …; every event once, a delivery's in their order. */
function feedFaults(feed: History['feed'], eventsOf: EventsOf): Fault[] {
  if (!feed) return [];
  const faults: Fault[] = [];
  feed.forEach(({ position }, index) => {
    const before = feed[index - 1]?.position ?? 0;
    if (position !== before + 1) {
      faults.push(of('feed', null, `after position ${before} comes ${position}`));
    }
  });
  const effects = feed.map(({ deliveryId, sequence }) => ({ deliveryId, sequence }));
  for (const what of effectFaults({ effects }, eventsOf)) faults.push({ ...what, kind: 'feed' });
  return faults;
}

function subscriberFaults(subscriber: Subscriber, eventsOf: EventsOf): Fault[] {
  return effectFaults(subscriber, eventsOf).map((fault) => ({
    ...fault,
    what: `${subscriber.name}: ${fault.what}`,
  }));
}

/** Each event's effect exactly once, a delivery's in the order of their numbers. */
function effectFaults(
  { effects, of: only, endsWithDelivery = false }: Omit<Subscriber, 'name'>,
  eventsOf: EventsOf,
): Fault[] {
  const faults: Fault[] = [];
  const known = new Set<string>();
  const due = new Set<string>();
  for (const id of only ?? eventsOf.keys()) {
    const events = eventsOf.get(id) ?? [];
    const end = endsWithDelivery ? events.find(({ type }) => COMPLETING.has(type)) : undefined;
    for (const { sequence } of events) {
      const key = `${id}/${sequence}`;
      known.add(key);
      if (end === undefined || sequence <= end.sequence) due.add(key);
    }
  }
  const done = new Set<string>();
  const last = new Map<string, number>();
  for (const { deliveryId, sequence } of effects) {
    const key = `${deliveryId}/${sequence}`;
    if (done.has(key)) faults.push(of('subscriber', deliveryId, `event ${sequence} took effect twice`));
    else if (!known.has(key)) {
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
