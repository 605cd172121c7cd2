/** On which journey each step and wait is met first, when nothing disturbs them: where the cases of the matrix are to be found. */
import type { Activity, Wait } from '../../../workflows/delivery/registry.ts';
import { JOURNEYS, type Journey } from './journeys.ts';
import type { Voyage } from './voyage.ts';

/** The chart as data. Journeys by their names. */
export interface Charted {
  /** By activity and step: `reserveDrone`, `reserve/2`. Where it has no key, the step is its own name. */
  steps: Partial<Record<string, Record<string, string>>>;
  waits: Partial<Record<string, { journey: string; isBounded: boolean }>>;
}

/** Where a step is called first. */
interface Place {
  journey: Journey;
  step: string;
  key: RegExp;
}

/** `reserve/2` of `del_…/reserve/2`. */
export const stepOf = (key: string): string => key.split('/').slice(1).join('/');

export class Chart {
  readonly charted: Charted;

  constructor(charted: Charted) {
    this.charted = charted;
  }

  /**
   * Of each activity every step that it is in a delivery (an authorization, another one for a dearer dropoff), the first time and the
   * second. Events are many, and all alike: one of them.
   */
  static of(voyages: readonly Voyage[]): Chart {
    const charted: Charted = { steps: {}, waits: {} };
    for (const { plan, calls, waits } of voyages) {
      const journey = plan.journey.name;
      for (const { activity, key } of calls) {
        const steps = (charted.steps[activity] ??= {});
        const isMore = Number(stepOf(key).split('/')[1] ?? 1) > 2;
        const isAnEvent = activity === 'appendEvents' && Object.keys(steps).length > 0;
        if (!isMore && !isAnEvent) steps[stepOf(key) || activity] ??= journey;
      }
      for (const { waitingFor } of waits) {
        const isBounded = waits.some((one) => one.waitingFor === waitingFor && one.isBounded);
        charted.waits[waitingFor] ??= { journey, isBounded };
      }
    }
    return new Chart(charted);
  }

  callsOf(activity: Activity): Place[] {
    return Object.entries(this.charted.steps[activity] ?? {}).map(([step, journey]) => ({
      journey: journeyCalled(journey),
      step,
      key: step === activity ? /^$/ : new RegExp(`/${step}$`),
    }));
  }

  /** The first journey that comes to a wait, and whether its time is bounded there. */
  wayTo(wait: Wait): { journey: Journey; isBounded: boolean } | undefined {
    const way = this.charted.waits[wait];
    return way && { journey: journeyCalled(way.journey), isBounded: way.isBounded };
  }
}

function journeyCalled(name: string): Journey {
  const journey = JOURNEYS.find((one) => one.name === name);
  if (!journey) throw new Error(`There is no journey “${name}”: run npm run docs:matrix.`);
  return journey;
}
