/**
 * Says what is wrong with a run. Pure, and without the saga: what should be follows from the state machine, the tariff and what
 * the services say they did, never from what the workflow meant to do.
 */
import {
  canTransition,
  type Delivery,
  type DeliveryEvent,
  type DeliveryStatus,
  isFinal,
} from '../../services/delivery/contract/index.ts';
import { bookingFaults } from './bookings.ts';
import { chargeFaults } from './charge.ts';
import {
  countBy,
  type Dossier,
  dossiers,
  groupBy,
  isCarried,
  isTerminated,
  of,
  ordersOf,
} from './dossier.ts';
import { failureFaults } from './failures.ts';
import { droneFaults, flightFaults, loadFaults } from './flights.ts';
import { followerFaults } from './followers.ts';
import type { Fault, FaultKind, History } from './history.ts';
import { orderFaults } from './orders.ts';
import { proofFaults } from './proofs.ts';
import { returnFaults } from './returns.ts';

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
  const seen = groupBy(history.seenAboard, ({ deliveryId }) => deliveryId);
  return [
    ...acceptFaults(history),
    ...orphanFaults(history, accepted),
    ...dossiers(history).flatMap((dossier) => deliveryFaults(dossier, seen.get(dossier.delivery.id) ?? [])),
    ...droneFaults(history),
    ...followerFaults(history),
    ...history.held.map((what): Fault => ({ kind: 'held', deliveryId: null, what })),
    ...(history.audit ?? []).map(({ kind, id, what, workflow, deliveryId }) =>
      of('audit', deliveryId, `${kind.replaceAll('_', ' ')} ${id}: ${what}; its workflow is ${workflow}`),
    ),
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
    ...history.creditNotes.map((one): [string, string] => [`credit note ${one.id}`, one.delivery_id]),
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

function deliveryFaults(dossier: Dossier, seenAboard: History['seenAboard']): Fault[] {
  const { delivery } = dossier;
  const found: [FaultKind, string[]][] = [
    ['unfinished', endFaults(delivery)],
    ['workflow', workflowFaults(dossier)],
    ['events', eventFaults(delivery, dossier.events)],
    ['double_load', loadFaults(dossier, seenAboard)],
    ['flight', flightFaults(dossier)],
    ['booking', bookingFaults(dossier)],
    ['failure', [...failureFaults(dossier), ...returnFaults(dossier)]],
    ['order', orderFaults(dossier)],
    ['proof', proofFaults(dossier)],
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

/**
 * A delivery is one workflow that completed, or that somebody terminated; one that was cancelled before its start is none. A reset
 * ends the run that there is and begins another one.
 */
function workflowFaults(dossier: Dossier): string[] {
  const { workflows, delivery, events } = dossier;
  if (!workflows) return [];
  const runs = workflows.filter(({ status }) => status !== 'CONTINUED_AS_NEW');
  const resets = ordersOf(dossier, 'reset').filter(({ answer }) => answer !== 'refused');
  // Temporal has one open run at a time: what a reset has followed was terminated by it, or had just completed.
  const followed = [
    ...runs.filter(({ status }) => status === 'TERMINATED'),
    ...runs.filter(({ status }) => status === 'COMPLETED'),
  ].slice(0, Math.min(resets.length, runs.length - 1));
  const ended = runs.filter((run) => !followed.includes(run));
  const beforeStart =
    delivery.status === 'cancelled' &&
    events.every(({ status }) => ['created', 'cancelled'].includes(status));
  const rightEnds = isTerminated(dossier) ? ['COMPLETED', 'TERMINATED'] : ['COMPLETED'];
  const wasTerminated = ended.some(({ status }) => status === 'TERMINATED');
  return [
    ...(ended.length === 0 && !beforeStart ? ['it has no workflow'] : []),
    ...(ended.length > 1 ? [`${ended.length} runs of its workflow`] : []),
    ...ended
      .filter(({ status }) => !rightEnds.includes(status))
      .map(({ status, runId }) => `its workflow is ${status} (run ${runId})`),
    ...(delivery.failure_reason === 'workflow_terminated' && !wasTerminated
      ? ['its workflow is said to have been terminated, and was not']
      : []),
    ...(followed.length < resets.filter(({ answer }) => answer === 'done').length
      ? [`it was reset, and has ${runs.length} runs`]
      : []),
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
