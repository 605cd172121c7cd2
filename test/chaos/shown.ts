/** What came to pass in a run, by name: a run in which nothing of it did proves nothing of it. */
import type { Delivery } from '../../services/delivery/contract/index.ts';
import type { AcceptedRequest, FlownMilestone, History, Order } from '../checker/index.ts';

export interface Shown {
  what: string;
  times: number;
  /**
   * A run of continuous integration's size can not miss it: so much of it is planned that the scheduler of no machine, and no
   * outage, takes all of it away.
   */
  isCertain: boolean;
}

export function shownIn(history: History): Shown[] {
  const { deliveries, accepted, milestones, bookings, creditNotes, reservations } = history;
  const count = <T>(items: readonly T[], is: (item: T) => boolean) => items.filter(is).length;
  const certain = (what: string, times: number): Shown => ({ what, times, isCertain: true });
  const possible = (what: string, times: number): Shown => ({ what, times, isCertain: false });
  const ended = (is: (one: Delivery) => boolean) => count(deliveries, is);
  const failed = (reason: Delivery['failure_reason']) => ended((one) => one.failure_reason === reason);
  const orders = accepted.flatMap(({ orders: given = [] }) => given);
  const asked = (kind: Order['kind'], is: (order: Order) => boolean = isDone) =>
    count(orders, (one) => one.kind === kind && is(one));
  const proven = (kind: Delivery['confirmation']) =>
    ended((one) => one.confirmation === kind && one.confirmation_status === 'confirmed');
  const credited = new Set<string>(creditNotes.map(({ delivery_id }) => delivery_id));
  const lost = milestones.filter(isLostLink);
  const tookOver = takenOver(milestones);
  const resolved = (answer: string) =>
    count(
      deliveries.flatMap(({ interventions }) => interventions),
      ({ resolution }) => resolution?.answer === answer,
    );
  return [
    certain(
      'delivered',
      ended(({ status }) => status === 'delivered'),
    ),
    certain(
      'flown back',
      ended(({ status }) => status === 'returned'),
    ),
    certain(
      'cancelled',
      ended(({ status }) => status === 'cancelled'),
    ),
    certain(
      'left unattended',
      ended((one) => one.left_unattended),
    ),
    certain('failed for want of credit', failed('credit_exceeded')),
    certain('failed because its sender was absent', failed('sender_absent')),
    certain(
      'lost, and credited',
      ended((one) => one.failure_reason === 'package_lost' && credited.has(one.id)),
    ),
    certain('terminated, and reconciled', settledAfter('terminate', accepted, deliveries)),
    possible('failed for want of a drone', failed('no_drone_available')),
    certain(
      'delivered by a carrier',
      count(bookings, ({ state }) => state === 'delivered'),
    ),
    certain(
      'a carrier gave it up',
      count(bookings, ({ state }) => ['failed', 'lost'].includes(state)),
    ),
    certain(
      'more than one drone',
      ended(({ attempt }) => attempt > 1),
    ),
    certain('confirmed by PIN', proven('pin')),
    certain('confirmed by signature', proven('signature')),
    certain('confirmed by photo', proven('photo')),
    certain(
      'lost by link before the pickup',
      count(lost, ({ detail }) => detail['aboard'] === false),
    ),
    certain('replaced because its link was lost', replacedForLink(history)),
    certain('barred for its silence, and heard again', heardAgain(milestones, lost)),
    possible(
      'lost by link with its load token',
      count(lost, ({ detail }) => detail['aboard_certain'] === false),
    ),
    certain(
      'lost by link with the package, or its token',
      count(lost, ({ detail }) => detail['aboard'] === true),
    ),
    possible('heard again after people were asked', resolved('goes_on')),
    certain(
      'set down on the way',
      count(milestones, ({ kind }) => kind === 'set_down'),
    ),
    certain('taken over by another drone', tookOver),
    certain(
      'cancelled before the pickup',
      asked('cancel', (one) => isDone(one) && one.askedIn !== 'created'),
    ),
    certain('a cancel refused', asked('cancel', isRefused)),
    certain(
      'a cancel in the pickup race',
      asked('cancel', ({ askedIn }) => askedIn === 'arrived_at_pickup'),
    ),
    possible(
      'a cancel that the aircraft settled',
      asked('cancel', ({ answer }) => answer === 'pending'),
    ),
    possible(
      'recalled empty while it might load',
      count(milestones, ({ kind }) => kind === 'recalled_empty'),
    ),
    certain('cancelled natively', asked('native_cancel')),
    certain('cancelled natively with the package aboard', cancelQuestions(deliveries)),
    certain('another window', asked('reschedule')),
    certain('another dropoff', asked('change_dropoff')),
    certain(
      'a dropoff out of range',
      asked('change_dropoff', ({ reason }) => reason === 'out_of_range'),
    ),
    certain('reassigned', asked('reassign')),
    certain(
      'aborted before the pickup',
      asked('abort', (one) => isDone(one) && !isReturning(one)),
    ),
    certain(
      'aborted with the package aboard',
      asked('abort', (one) => isDone(one) && isReturning(one)),
    ),
    certain('reset, and ended', settledAfter('reset', accepted, deliveries)),
    certain('answers of people', asked('answer')),
    certain('two answers at once, one of them refused', answeredTwice(orders)),
    possible('a compensation retried', resolved('retry')),
    possible('drones promised', reservations.length),
  ];
}

export function describeShown(shown: readonly Shown[]): string {
  return shown.map(({ what, times }) => `${times} ${what}`).join(', ');
}

const isDone = ({ answer }: Order) => answer === 'done';
const isRefused = ({ answer }: Order) => answer === 'refused';
const isReturning = (one: Order) => one.kind === 'abort' && one.returning;

/** Said by the drone service, which had not heard of it for too long. */
const isLostLink = ({ kind, detail, byAircraft }: FlownMilestone) =>
  kind === 'failed' && !byAircraft && detail['cause'] === 'link_lost';

/** Drones that were lost on the way to the pickup, and landed. */
function heardAgain(milestones: readonly FlownMilestone[], lost: readonly FlownMilestone[]): number {
  const barred = new Set(
    lost.filter(({ detail }) => detail['aboard'] === false).map(({ reservationId }) => reservationId),
  );
  return milestones.filter(
    ({ kind, byAircraft, reservationId }) => kind === 'landed' && byAircraft && barred.has(reservationId),
  ).length;
}

/** Deliveries whose package was loaded by another drone after it had been set down. */
function takenOver(milestones: readonly FlownMilestone[]): number {
  const loaded = new Map<string, Set<string>>();
  for (const { kind, deliveryId, droneId } of milestones) {
    if (kind !== 'loaded') continue;
    loaded.set(deliveryId, (loaded.get(deliveryId) ?? new Set()).add(droneId));
  }
  return [...loaded.values()].filter((drones) => drones.size > 1).length;
}

function replacedForLink({ deliveries, events }: History): number {
  const replaced = new Set<string>(deliveries.filter(({ attempt }) => attempt > 1).map(({ id }) => id));
  const forLink = events.filter(
    ({ delivery_id, type, data }) =>
      type === 'delivery.awaiting_drone' &&
      replaced.has(delivery_id) &&
      String(data['detail']).includes('link_lost'),
  );
  return new Set(forLink.map(({ delivery_id }) => delivery_id)).size;
}

const cancelQuestions = (deliveries: readonly Delivery[]) =>
  deliveries.filter(({ interventions }) =>
    interventions.some(({ kind, resolution }) => kind === 'cancel_requested' && resolution !== null),
  ).length;

/** Interventions of which one answer was taken, and another one refused. */
function answeredTwice(orders: readonly Order[]): number {
  const answeredWith = (answer: Order['answer']) =>
    new Set(
      orders.flatMap((one) => (one.kind === 'answer' && one.answer === answer ? one.intervention : [])),
    );
  const refused = answeredWith('refused');
  return [...answeredWith('done')].filter((id) => refused.has(id)).length;
}

/** Whose workflow somebody has interfered with, and that are complete. */
function settledAfter(
  kind: 'reset' | 'terminate',
  accepted: readonly AcceptedRequest[],
  deliveries: readonly Delivery[],
): number {
  const ended = new Set<string>(deliveries.filter(({ complete }) => complete).map(({ id }) => id));
  return accepted.filter(
    ({ answers, orders = [] }) =>
      answers.some((id) => ended.has(id)) && orders.some((one) => one.kind === kind && isDone(one)),
  ).length;
}
