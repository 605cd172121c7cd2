/** The cases of the matrix, made from the registry and from the journeys that reach what stands there. */
import {
  COMPENSATIONS,
  type CompensationKind,
  STEPS,
  type StepName,
  type Wait,
  WAITS,
} from '../../../workflows/delivery/registry.ts';
import type { Call } from '../faults.ts';
import { ORDERS } from './at-a-wait.ts';
import type { Chart } from './chart.ts';
import { JOURNEYS, type Journey } from './journeys.ts';
import type { Section } from './page.ts';
import { askTo } from './people.ts';
import type { Plan, Seen } from './voyage.ts';

export interface Case {
  /** Unique in the matrix: `reserve/2 · refused`. */
  id: string;
  plan: Plan;
}

export const casesOfJourneys = (): Case[] =>
  JOURNEYS.map((journey) => ({ id: `${journey.name} · nothing disturbs it`, plan: { journey } }));

/** What can happen to a step. */
export const FAULTS = [
  'refused before it acts',
  'acts, its answer is lost once',
  'acts, its answer is lost for good',
  'times out, and acts late',
  'cancelled before it acts, and acts late',
  'cancelled after it acted',
] as const;

/** The server's time goes on a little while an order is sent. */
const CLEAR_OF_AN_ATTEMPT_MS = 1_000;

export function casesOfStep(chart: Chart, activity: StepName): Case[] {
  return chart.callsOf(activity).flatMap(({ journey, step, key }) => {
    const attempts = STEPS[activity].how === 'short' ? 8 : 4;
    const isTried = (calls: readonly Call[]) =>
      calls.filter((call) => call.hit && call.activity === activity).length >= attempts;
    const cancelled = {
      // Between two attempts that are seconds apart, and well before the second: the time-skipping server skips no time any more
      // once an attempt that was under way has been cancelled.
      when: ({ calls, retriesInMs }: Seen) => isTried(calls) && retriesInMs > CLEAR_OF_AN_ATTEMPT_MS,
      act: (delivery: Parameters<typeof askTo>[1]) => askTo('cancel', delivery),
    };
    const at = { activity, key };
    const plans: Record<(typeof FAULTS)[number], Plan> = {
      'refused before it acts': { journey, faults: [{ ...at, how: 'refuse' }] },
      'acts, its answer is lost once': { journey, faults: [{ ...at, how: 'lose_answer', times: 1 }] },
      'acts, its answer is lost for good': { journey, faults: [{ ...at, how: 'act_then_refuse' }] },
      // The local attempts, and two of the plain activity.
      'times out, and acts late': { journey, faults: [{ ...at, how: 'late', times: 6 }] },
      'cancelled before it acts, and acts late': {
        journey,
        faults: [{ ...at, how: 'late', times: attempts + 2 }],
        onTheWay: [cancelled],
      },
      'cancelled after it acted': {
        journey,
        faults: [{ ...at, how: 'lose_answer', times: attempts + 2 }],
        onTheWay: [cancelled],
      },
    };
    return FAULTS.map((fault) => ({ id: `${step} · ${fault}`, plan: plans[fault] }));
  });
}

type Bound = NonNullable<(typeof WAITS)[Wait]['within']>;
/**
 * Times that are over long before what is waited for happens, and not before the wait is seen; seconds. Negative, where they are counted
 * from when it should happen.
 */
const SHORT_S: Partial<Record<Bound, number>> = {
  awaitDroneS: 30,
  pickupArrivalSlackS: -60,
  loadingS: 15,
  recallAnswerS: 30,
  dropoffArrivalSlackS: -100,
  confirmationS: 30,
  releaseS: 8,
  returnSlackS: -75,
  carrierSlackS: -600,
};
/** Over at once: the wait may end before it is seen. */
const OVER_S = -100_000;

export function casesOfWait(chart: Chart, wait: Wait): Case[] {
  const reached = chart.wayTo(wait);
  if (!reached) return [];
  const { journey, isBounded } = reached;
  return ORDERS.filter((order) => order !== 'deadline' || isBounded).map((order) => ({
    id: `${wait} · ${order}`,
    plan: { journey, atWait: { wait, order }, ...(order === 'deadline' && tooLong(journey, wait)) },
  }));
}

/** What has its time be over. One that comes by itself comes. */
function tooLong({ delays = {} }: Journey, wait: Wait): Pick<Plan, 'policy' | 'onTheWay'> {
  const delay = delays[wait];
  if (delay) return { onTheWay: [delay] };
  const { within } = WAITS[wait];
  if (within === null) return {};
  return { policy: { [within]: SHORT_S[within] ?? OVER_S } };
}

/** What can happen to a compensation. */
export const TROUBLES = ['fails 3 times, then works', 'fails for good', 'keeps failing'] as const;

/** What needs it: the step that it undoes acts, and is refused. What an ending makes due is needed wherever it is called. */
export function casesOfCompensation(chart: Chart, kind: CompensationKind): Case[] {
  const activity = COMPENSATIONS[kind];
  const causes = stepsUndoneBy(kind);
  const needed: { journey: Journey; step: string; faults: Plan['faults'] & object; after?: StepName }[] =
    kind === 'capture_charge'
      ? chart.callsOf('capture').map((call) => ({
          ...call,
          after: 'capture',
          faults: [{ activity, key: call.key, how: 'refuse' as const, times: 1 }],
        }))
      : causes.length === 0
        ? chart.callsOf(activity).map((call) => ({ ...call, faults: [] }))
        : causes.flatMap((cause) =>
            chart.callsOf(cause).map((call) => ({
              ...call,
              after: cause,
              faults: [{ activity: cause, key: call.key, how: 'act_then_refuse' as const }],
            })),
          );
  return needed.flatMap(({ journey, step, faults, after }) => {
    const later = after === undefined ? {} : { after };
    const plans: Record<(typeof TROUBLES)[number], Plan> = {
      'fails 3 times, then works': {
        journey,
        faults: [...faults, { activity, how: 'down', times: 3, ...later }],
      },
      'fails for good': { journey, faults: [...faults, { activity, how: 'refuse', ...later }] },
      'keeps failing': { journey, faults: [...faults, { activity, how: 'down', ...later }] },
    };
    return TROUBLES.map((trouble) => ({ id: `${kind} of ${step} · ${trouble}`, plan: plans[trouble] }));
  });
}

const stepsUndoneBy = (kind: CompensationKind): StepName[] =>
  (Object.keys(STEPS) as StepName[]).filter((step) => (STEPS[step].undoneBy as string | null) === kind);

/** One compensation that the saga registers: of which step. */
export interface Mutation {
  kind: CompensationKind;
  /** `reserve/2`; every one, when it is not of a step. */
  step: string | null;
  /** The case of the matrix in which it is needed. */
  needs: Case;
  section: Section;
  /** No later one of its kind can make up for it. */
  isLast: boolean;
}

/** Every compensation that is registered on any journey; each of them is needed when its step acts and is refused. */
export function mutations(chart: Chart): Mutation[] {
  return (Object.keys(COMPENSATIONS) as CompensationKind[]).flatMap((kind): Mutation[] => {
    const causes = stepsUndoneBy(kind);
    if (kind !== 'capture_charge' && causes.length === 0) {
      // What an ending makes due: on the journey that ends so.
      const journeys = chart.callsOf(COMPENSATIONS[kind]).map(({ journey }) => journey);
      return casesOfJourneys()
        .filter(({ plan }) => journeys.includes(plan.journey))
        .map((needs) => ({ kind, step: null, needs, section: 'journeys', isLast: true }));
    }
    // A charge that is refused is made good.
    const [activities, fault] =
      kind === 'capture_charge' ? ([['capture'], FAULTS[0]] as const) : ([causes, FAULTS[2]] as const);
    const places = activities.flatMap((activity) =>
      chart.callsOf(activity).map(({ step }) => {
        const needs = casesOfStep(chart, activity).find(({ id }) => id === `${step} · ${fault}`);
        if (!needs) throw new Error(`no case for ${kind} of ${step}`);
        return { kind, step, needs, section: 'steps' as const };
      }),
    );
    return places.map((place, at) => ({ ...place, isLast: at === places.length - 1 }));
  });
}

/** The same, sailed by a saga that does not have that compensation; see workflows.ts. */
export const withoutIt = ({ needs: { plan }, kind, step }: Mutation): Plan => ({
  ...plan,
  // A recall names the reservation, whose ordinal is the dispatch's.
  externalId: `without:${kind}:${(kind === 'recall_drone' ? step?.replace('dispatch', 'reserve') : step) ?? '*'}`,
});
