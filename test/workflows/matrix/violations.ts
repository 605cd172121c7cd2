/**
 * What may never be, whatever a delivery met: judged by its calls, its events, and the services' doors and tables, not by what the saga
 * says.
 */
import type { DeliveryEvent } from '../../../services/delivery/contract/index.ts';
import type { HeldRow } from '../../checker/held-rows.ts';
import type { Call } from '../faults.ts';
import { UNDOING } from './naming.ts';
import { requestViolations } from './requests.ts';
import type { Voyage } from './voyage.ts';

/** What is judged of an event. */
export type Told = Pick<DeliveryEvent, 'sequence' | 'type'>;
export type Judged = Omit<Voyage, 'plan' | 'waits' | 'cameOfIt' | 'violations'>;

/** A drone hovers, and lowers its package, as exactly as this. */
const ON_THE_MARK_M = 30;

export function violationsOf(voyage: Judged, events: readonly Told[]): string[] {
  return [
    ...voyage.heldAtItsEnd.map((row) => `left at its end: ${shown(row)}`),
    ...voyage.heldSinceLate.map((row) => `taken by a call that came late: ${shown(row)}`),
    ...voyage.held.map((row) => `left: ${shown(row)}`),
    ...openViolations(voyage),
    ...voyage.asked.flatMap(({ kind, unnamed }) => unnamed.map((one) => `intervention ${kind}: ${one}`)),
    ...chargeViolations(voyage),
    ...(voyage.offTheMarkM > ON_THE_MARK_M
      ? [`set down ${Math.round(voyage.offTheMarkM)} m from where it was to be`]
      : []),
    ...creditViolations(voyage),
    ...keyViolations(voyage),
    ...requestViolations(voyage.calls, voyage.requests, voyage.tasksLost),
    ...orderViolations(voyage.calls),
    ...eventViolations(voyage, events),
  ];
}

const shown = ({ kind, stepKey, what }: HeldRow): string => `${kind} of ${stepKey} (${what})`;

/** When its workflow has completed nobody is left who would hear an answer. */
function openViolations({ outcome, openInterventions }: Judged): string[] {
  return outcome ? openInterventions.map((kind) => `intervention ${kind}: still open`) : [];
}

function chargeViolations({ charged: { amount, told } }: Judged): string[] {
  return amount === told ? [] : [`${amount} captured, and ${String(told)} told`];
}

/** What is lost is credited, once, and nothing else is. */
function creditViolations({ end, creditNotes }: Judged): string[] {
  const due = end === 'failed (package_lost)' ? 1 : 0;
  return creditNotes === due ? [] : [`left at its end: ${creditNotes} credit notes, and ${due} are due`];
}

/** `del_…/<step>/<ordinal>`: one activity for each, and the ordinals of a step rise as it is repeated. */
function keyViolations({ deliveryId, calls }: Judged): string[] {
  const activityOf = new Map<string, string>();
  const lastOf = new Map<string, number>();
  return calls
    .filter(({ key }) => key !== '')
    .flatMap(({ key, activity }) => {
      const known = activityOf.get(key);
      if (known !== undefined) return known === activity ? [] : [`${key} is of ${known} and of ${activity}`];
      activityOf.set(key, activity);
      const match = /^(del_\w+)\/(\w+)\/(\d+)$/.exec(key);
      if (match?.[1] !== deliveryId) return [`${activity} was called with the key ${key}`];
      const [step, ordinal] = [match[2] ?? '', Number(match[3])];
      const last = lastOf.get(step) ?? 0;
      lastOf.set(step, ordinal);
      return ordinal > last ? [] : [`${key} came after ${step}/${last}`];
    });
}

/** Of what is undone one after the other, the last step comes first. */
function orderViolations(calls: readonly Call[]): string[] {
  const order = [...new Set(calls.map(({ key }) => key))];
  const undoing = calls.filter(({ activity, refersTo }) => UNDOING.has(activity) && refersTo !== null);
  const decided = calls.findIndex(({ key }) => /\/event_(cancelled|failed)\//.test(key));
  // What was begun before goes on beside the rest.
  const isBegun = ({ activity, refersTo }: Call) =>
    undoing.some(
      (one) => one.activity === activity && one.refersTo === refersTo && calls.indexOf(one) < decided,
    );
  const atTheEnd =
    decided < 0 ? [] : undoing.filter((call) => calls.indexOf(call) > decided && !isBegun(call));
  // A step that was interrupted before its first attempt was the last one.
  const placeOf = (key: string) => (order.includes(key) ? order.indexOf(key) : order.length);
  // Its first attempt counts: a person has it tried again when the others have gone on.
  const places = [
    ...new Map(
      atTheEnd.map(({ activity, refersTo }) => [`${activity} ${String(refersTo)}`, placeOf(refersTo ?? '')]),
    ).values(),
  ];
  const rises = places.some((place, at) => place > (places[at - 1] ?? Number.POSITIVE_INFINITY));
  return rises
    ? [`undone in another order than last step first: ${atTheEnd.map(({ key }) => key).join(', ')}`]
    : [];
}

function eventViolations({ end, outcome }: Judged, events: readonly Told[]): string[] {
  const gap = events.findIndex(({ sequence }, at) => sequence !== at + 1);
  const endings = events.filter(({ type }) => ENDINGS.has(type));
  return [
    ...(gap < 0 ? [] : [`after event ${gap} comes ${events[gap]?.sequence ?? 0}`]),
    ...(endings.length === 1
      ? []
      : [`${endings.length} endings: ${endings.map(({ type }) => type).join(', ')}`]),
    ...(outcome === undefined || end.startsWith(outcome.status)
      ? []
      : [`its workflow says ${outcome.status}, its record ${end}`]),
    ...(outcome === undefined || ['none', 'complete'].includes(outcome.compensation)
      ? []
      : [`its compensation is ${outcome.compensation}`]),
  ];
}

const ENDINGS: ReadonlySet<string> = new Set(
  ['delivered', 'returned', 'cancelled', 'failed'].map((status) => `delivery.${status}`),
);
