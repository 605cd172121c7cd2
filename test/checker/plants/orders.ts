/** What was asked for after the accept, and came otherwise than whoever asked was told. */
import type { Order } from '../history.ts';
import { asked, type Plant, replace, told } from '../planting.ts';
import { at, interventionId, type Planted, window } from '../kept-delivery.ts';
import { CANCELLED } from '../sound-history.ts';

const by = (id: string) => (one: { id: string }) => one.id === id;

function order(of: string, name: string, says: RegExp, plant: Plant['plant']): Plant {
  return { name, plant, kind: 'order', of, says };
}

type Answer = Extract<Order, { kind: 'answer' }>;

/** An operator was told so of an answer to what was asked about this delivery. */
function answered(history: Planted, id: string, given: string, changes: Partial<Answer> = {}): void {
  const request = history.accepted.find(({ answers }) => answers.includes(id))!;
  const intervention = interventionId(id, 'drone_down');
  asked(history, id, {
    orders: [...(request.orders ?? []), { kind: 'answer', answer: 'done', intervention, given, ...changes }],
  });
}

/** A question, closed by a person with this answer, of a delivery that had none. */
function questioned(history: Planted, id: string, answer: string): void {
  replace(history.deliveries, by(id), {
    interventions: [
      {
        id: interventionId(id, 'drone_down'),
        kind: 'drone_down',
        reason: 'test',
        answers: [],
        opened_at: at(3),
        resolved_at: at(3),
        resolution: { answer, by: 'operator:key_1', why: 'test' },
      },
    ],
  });
  // In place of another note, so that only what it says is wrong.
  replace(history.events, (one) => one.delivery_id === (id as never) && /settled$/.test(one.type), {
    type: 'delivery.intervention_resolved',
    data: { kind: 'drone_down', answer, by: 'operator:key_1', why: 'test' },
  });
}

/** To a window of an hour. */
const RESCHEDULED = {
  kind: 'reschedule',
  window: window(1),
  answer: 'refused',
  reason: 'pickup_window.end',
} as const;

const unkept = (of: string, given: string, says: RegExp): Plant =>
  order(of, `an answer that was accepted and came to nothing: ${given}`, says, (history) => {
    questioned(history, of, given);
    answered(history, of, given);
  });

export const ORDER_PLANTS: Plant[] = [
  order('del_1', 'a refusal without a reason', /the cancel was refused without a reason/, (history) =>
    told(history, 'del_1', { kind: 'cancel', answer: 'refused' }),
  ),
  order(
    'del_3',
    'a cancel that was refused for picked up, when nobody had loaded it',
    /the cancel was refused as picked up, and nobody had loaded it/,
    (history) => told(history, 'del_3', { kind: 'cancel', answer: 'refused', reason: 'already_picked_up' }),
  ),
  order(
    'del_1',
    'a cancel that was refused for something that never was',
    /the cancel was refused as already_returned, which it never was/,
    (history) => told(history, 'del_1', { kind: 'cancel', answer: 'refused', reason: 'already_returned' }),
  ),
  order(
    'del_1',
    'another window, refused as it would be over, when it is to come',
    /the reschedule was refused as to a window that is over, which it was not/,
    (history) => told(history, 'del_1', { ...RESCHEDULED, answeredAt: at(5) }),
  ),
  order(
    'del_3',
    'a cancel that the aircraft was to settle, and nobody did',
    /cancelled unless it is loaded, and neither came to pass/,
    (history) => told(history, 'del_3', { kind: 'cancel', answer: 'pending' }),
  ),
  order(
    'del_2',
    'a cancel by an operator that only its sender asked for',
    /nobody asked for it to be cancelled \(requested_by_operator\)/,
    (history) => replace(history.deliveries, by('del_2'), { cancellation_reason: 'requested_by_operator' }),
  ),
  order(
    'del_2',
    'a cancel by its sender that only an operator asked for',
    /nobody asked for it to be cancelled \(requested_by_sender\)/,
    (history) => told(history, 'del_2', { kind: 'abort', answer: 'done', returning: false }),
  ),
  order(
    'del_1',
    'a cancel by Temporal’s own button that nothing came of',
    /its workflow was cancelled, and it was delivered as if nothing had been asked/,
    (history) => told(history, 'del_1', { kind: 'native_cancel', answer: 'done', answeredAt: at(1.5) }),
  ),
  order(
    'del_lost',
    'an answer that was accepted, and another one took effect',
    /told that returned was accepted, and int_del_lost_drone_down was closed with lost/,
    (history) => {
      asked(history, 'del_lost', { orders: [] });
      answered(history, 'del_lost', 'returned');
    },
  ),
  order(
    'del_1',
    'an answer that was accepted to a question that was never asked',
    /told that carry_on was accepted, and int_del_1_drone_down was closed with nothing/,
    (history) => {
      answered(history, 'del_1', 'carry_on');
    },
  ),
  unkept('del_1', 'lost', /operator's lost was accepted, and it was delivered/),
  unkept('del_back', 'delivered', /operator's delivered was accepted, and it was returned/),
  unkept('del_1', 'returned', /operator's returned was accepted, and it was delivered/),
  unkept('del_1', 'another_drone', /another_drone was accepted, and no other drone was sent for it/),
  unkept('del_2', 'abort', /operator's abort was accepted, and it was cancelled/),
  unkept('del_2', 'carry_on', /operator's carry_on was accepted, and it was cancelled/),
  order(
    'del_lost',
    'an answer that was refused, and closed the question all the same',
    /operator's lost was refused, and closed int_del_lost_drone_down all the same/,
    (history) => {
      asked(history, 'del_lost', { orders: [] });
      answered(history, 'del_lost', 'lost', { answer: 'refused', reason: 'intervention_not_open' });
    },
  ),
  order(
    'del_lost',
    'two answers that were both accepted to one question',
    /lost was accepted 2 times, and took effect 1 times/,
    (history) => {
      answered(history, 'del_lost', 'lost');
    },
  ),
  order(
    'del_lost',
    'an answer that took effect twice',
    /lost took effect 2 times, and was asked for 1 times/,
    (history) => {
      const resolved = history.events.find(({ type }) => type === 'delivery.intervention_resolved')!;
      history.events.push({ ...resolved, id: 'evt_again' as never });
    },
  ),
  order(
    'del_lost',
    'an answer that nobody gave',
    /lost took effect 1 times, and was asked for 0 times/,
    (history) => asked(history, 'del_lost', { orders: [] }),
  ),
  {
    name: 'a reset that Temporal took, and no other run',
    plant: (history) => told(history, 'del_1', { kind: 'reset', answer: 'done' }),
    kind: 'workflow',
    of: 'del_1',
    says: /it was reset, and has 1 runs/,
  },
  {
    name: 'a reset with three runs',
    plant: (history) => {
      reset(history, 'del_1');
      history.workflows!.push({ ...history.workflows![0]!, runId: 'run-again' });
    },
    kind: 'workflow',
    of: 'del_1',
    says: /2 runs of its workflow/,
  },
  {
    name: 'a reset whose new run failed',
    plant: (history) => {
      reset(history, 'del_1');
      replace(history.workflows!, ({ runId }) => runId === 'run-del_1', { status: 'FAILED' });
    },
    kind: 'workflow',
    of: 'del_1',
    says: /its workflow is FAILED/,
  },
];

/** As Temporal does it: the run that there was is terminated, and a new one completes. */
function reset(history: Planted, id: string): void {
  told(history, id, { kind: 'reset', answer: 'done' });
  const run = history.workflows!.find(({ workflowId }) => workflowId === id)!;
  history.workflows!.push({ ...run, runId: 'run-before', status: 'TERMINATED' });
}

/** What was asked for, and came as it was answered: each must leave the judge silent. */
export const KEPT_ORDERS: { name: string; change: (history: Planted) => void }[] = [
  { name: 'a workflow that was reset', change: (history) => reset(history, 'del_1') },
  {
    name: 'a workflow that was reset just after it had completed',
    change: (history) => {
      reset(history, 'del_1');
      replace(history.workflows!, ({ status }) => status === 'TERMINATED', { status: 'COMPLETED' });
    },
  },
  {
    name: 'a cancel that came after the pickup',
    change: (history) =>
      told(history, 'del_1', { kind: 'cancel', answer: 'refused', reason: 'already_picked_up' }),
  },
  {
    name: 'a cancel that the aircraft had the last word on, loaded',
    change: (history) => told(history, 'del_1', { kind: 'cancel', answer: 'pending' }),
  },
  {
    name: 'a cancel that the aircraft had the last word on, empty',
    change: (history) => told(history, 'del_2', { kind: 'cancel', answer: 'pending' }),
  },
  {
    name: 'a cancel by Temporal’s own button, of which its workflow heard when the package had been let go',
    change: (history) =>
      told(history, 'del_1', { kind: 'native_cancel', answer: 'done', answeredAt: at(2.5) }),
  },
  {
    name: 'a cancel by Temporal’s own button before the pickup',
    change: (history) => {
      told(history, 'del_2', { kind: 'native_cancel', answer: 'done', answeredAt: at(1.5) });
      replace(history.deliveries, by('del_2'), { cancellation_reason: 'requested_by_operator' });
    },
  },
  {
    name: 'another window, refused as it was over when the request came through',
    change: (history) => told(history, 'del_1', { ...RESCHEDULED, answeredAt: at(61.5) }),
  },
  {
    name: 'a second answer to one question, refused',
    change: (history) => {
      answered(history, 'del_lost', 'returned', { answer: 'refused', reason: 'intervention_not_open' });
    },
  },
  {
    name: 'an answer whose asker heard nothing, and took effect',
    change: (history) => {
      asked(history, 'del_lost', { orders: [] });
      answered(history, 'del_lost', 'lost', { answer: 'unknown' });
    },
  },
  {
    name: 'a cancel that two asked for',
    change: (history) => {
      told(history, 'del_2', ...CANCELLED, { kind: 'abort', answer: 'done', returning: false });
    },
  },
];
