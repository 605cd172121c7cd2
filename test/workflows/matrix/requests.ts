/** What the services were asked, judged by what the activities were called with: no activity and no client has a say in it. */
import type { Call, ServiceRequest } from '../faults.ts';

/**
 * `calls` and `requests` of one delivery. `tasksLost`: of its workflow tasks, those that a worker had to do anew, with all that had been
 * done locally in them, as something came to the workflow meanwhile.
 */
export function requestViolations(
  calls: readonly Call[],
  requests: readonly ServiceRequest[],
  tasksLost: number,
): string[] {
  return [
    ...requests.flatMap(keyViolation),
    ...repetitionViolations(requests, tasksLost),
    ...arrivalViolations(calls, requests),
  ];
}

const nameOf = ({ service, operation }: ServiceRequest) => `${service}.${operation}`;
const isRead = ({ method }: ServiceRequest) => method === 'GET';

/** A write carries the key of its activity, what only reads or asks carries none. */
function keyViolation(request: ServiceRequest): string[] {
  const { call, key } = request;
  if (!call) return [`${nameOf(request)} was asked with the key ${String(key)} by nobody who was called`];
  const due = isRead(request) || call.key === '' ? undefined : call.key;
  if (key === due) return [];
  return [
    `${call.activity} of ${call.key} asked ${nameOf(request)} with the key ${String(key)} instead of ${String(due)}`,
  ];
}

/** Whether it would have to be known of the delivery that it has lost a workflow task. */
export function isLikeAfterLostTask(requests: readonly ServiceRequest[]): boolean {
  return repetitionViolations(requests, 1).length < repetitionViolations(requests, 0).length;
}

/**
 * One key is one operation with one body, however often it is repeated. What was lost with a workflow task is asked anew, at another time:
 * the services go by the key.
 */
function repetitionViolations(requests: readonly ServiceRequest[], tasksLost: number): string[] {
  const first = new Map<string, ServiceRequest>();
  return requests.flatMap((request) => {
    const { key, body } = request;
    if (key === undefined) return [];
    const known = first.get(key) ?? request;
    first.set(key, known);
    if (nameOf(known) !== nameOf(request))
      return [`${key} was used for ${nameOf(known)} and for ${nameOf(request)}`];
    if (tasksLost > 0 && isAskedAnew(known, request)) return [];
    return known.body === body ? [] : [`${key} was repeated with another body: ${known.body}, then ${body}`];
  });
}

const isAskedAnew = (known: ServiceRequest, request: ServiceRequest): boolean =>
  known.call !== request.call &&
  known.call?.isLocal === true &&
  request.call?.isLocal === true &&
  timeless(known.body) === timeless(request.body);

const timeless = (body: string): string => body.replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"…"');

/**
 * The writes arrive in the order of their calls, one for each; of calls that go on at the same time, in any. One that failed may have
 * been cut off before it got there.
 */
function arrivalViolations(calls: readonly Call[], requests: readonly ServiceRequest[]): string[] {
  const arrived = requests.filter(({ key }) => key !== undefined).map(({ key }) => key ?? '');
  const came = new Set(requests.map(({ call }) => call));
  let at = 0;
  for (const made of atTheSameTime(calls.filter((call) => call.acted || came.has(call)))) {
    const here = arrived.slice(at, at + made.length);
    at += made.length;
    const due = made.map(({ key }) => key);
    if ([...here].sort().join() !== [...due].sort().join())
      return [
        `after ${arrived[at - made.length - 1] ?? 'nothing'} came ${here.join(', ') || 'nothing'} instead of ${due.join(', ')}`,
      ];
  }
  return at === arrived.length ? [] : [`nobody was called for ${arrived.slice(at).join(', ')}`];
}

/** The calls that went to a service to change something, in their order, those together of which one began before another was over. */
function atTheSameTime(calls: readonly Call[]): Call[][] {
  const groups: Call[][] = [];
  let overAt = 0;
  const went = calls.filter(({ key, began }) => key !== '' && began !== null);
  for (const call of went.sort((one, other) => (one.began ?? 0) - (other.began ?? 0))) {
    const group = groups.at(-1);
    if (group && (call.began ?? 0) < overAt) group.push(call);
    else groups.push([call]);
    overAt = Math.max(overAt, call.ended ?? Number.POSITIVE_INFINITY);
  }
  return groups;
}
