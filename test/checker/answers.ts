/** Operators' answers to interventions: each that was accepted closed one, once, and came to what it says; no refused one did. */
import { countBy, type Dossier, isTerminated, ordersOf } from './dossier.ts';
import type { Order } from './history.ts';

type Answer = Extract<Order, { kind: 'answer' }>;

export function answerFaults(dossier: Dossier): string[] {
  if (dossier.asked.orders === undefined) return [];
  const answers = ordersOf(dossier, 'answer');
  return [
    ...answers.flatMap((one) => (one.answer === 'done' ? acceptedFaults(dossier, one) : [])),
    ...answers.flatMap((one) => (one.answer === 'refused' ? refusedFaults(dossier, one, answers) : [])),
    ...countFaults(dossier, answers),
  ];
}

function acceptedFaults(dossier: Dossier, { intervention, given }: Answer): string[] {
  const { interventions } = dossier.delivery;
  const resolution = interventions.find(({ id }) => id === intervention)?.resolution;
  if (resolution?.answer !== given && !MAY_COME_UP_AGAIN.has(given)) {
    return [
      `an operator was told that ${given} was accepted, and ${intervention} was closed with ${resolution?.answer ?? 'nothing'}`,
    ];
  }
  const why = isTerminated(dossier) ? undefined : EFFECTS[given]?.(dossier);
  return why === undefined ? [] : [`an operator's ${given} was accepted, and ${why}`];
}

/** An intervention with the same id may be opened anew after these. */
const MAY_COME_UP_AGAIN: ReadonlySet<string> = new Set(['retry', 'wait']);

/** What must be, if an answer was accepted: what is instead; undefined when all is well. */
const EFFECTS: Readonly<Record<string, (dossier: Dossier) => string | undefined>> = {
  // A carrier that has ended meanwhile has the last word.
  lost: ({ delivery }) =>
    delivery.status === 'failed' || delivery.fulfilment === 'carrier'
      ? undefined
      : `it was ${delivery.status}`,
  delivered: ({ delivery }) => (delivery.status === 'delivered' ? undefined : `it was ${delivery.status}`),
  returned: ({ delivery }) => (delivery.status === 'returned' ? undefined : `it was ${delivery.status}`),
  another_drone: ({ reservations, delivery, events }) => {
    // None may have been free; then people are asked again, and say how it ends.
    const asked = events.filter(({ type }) => type === 'delivery.intervention_opened').length;
    const isTried = reservations.length > 1 || asked > 1;
    return isTried ? undefined : `no other drone was sent for it (${delivery.attempt})`;
  },
  abort: ({ delivery }) => (delivery.status === 'cancelled' ? 'it was cancelled' : undefined),
  carry_on: ({ delivery }) => (delivery.status === 'cancelled' ? 'it was cancelled' : undefined),
};

/** The only one who gave this answer was refused, and yet a person is said to have closed it so. */
function refusedFaults(
  { delivery }: Dossier,
  { intervention, given }: Answer,
  all: readonly Answer[],
): string[] {
  const isOthers = all.some(
    (one) => one.intervention === intervention && one.given === given && one.answer !== 'refused',
  );
  const resolution = delivery.interventions.find(({ id }) => id === intervention)?.resolution;
  return !isOthers && resolution?.answer === given && resolution.by.startsWith('operator:')
    ? [`an operator's ${given} was refused, and closed ${intervention} all the same`]
    : [];
}

/** What people are said to have answered is what they did: as often as they were told so, and no more than they asked. */
function countFaults({ events }: Dossier, answers: readonly Answer[]): string[] {
  const closed = countBy(
    events.filter(
      ({ type, data }) =>
        type === 'delivery.intervention_resolved' && String(data['by']).startsWith('operator:'),
    ),
    ({ data }) => String(data['answer']),
  );
  const accepted = countBy(
    answers.filter(({ answer }) => answer === 'done'),
    ({ given }) => given,
  );
  const mayBe = countBy(
    answers.filter(({ answer }) => answer !== 'refused'),
    ({ given }) => given,
  );
  return [...new Set([...closed.keys(), ...mayBe.keys()])].flatMap((given) => {
    const times = closed.get(given) ?? 0;
    const atLeast = accepted.get(given) ?? 0;
    const atMost = mayBe.get(given) ?? 0;
    if (times < atLeast) return [`${given} was accepted ${atLeast} times, and took effect ${times} times`];
    return times > atMost ? [`${given} took effect ${times} times, and was asked for ${atMost} times`] : [];
  });
}
