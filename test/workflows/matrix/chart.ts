/** What every journey calls and waits for when nothing disturbs it: where the cases of the matrix find their steps and waits. */
import type { Activity, Wait } from '../../../workflows/delivery/registry.ts';
import { JOURNEYS, type Journey } from './journeys.ts';
import type { Voyage, Waited } from './voyage.ts';

/** One journey, as data. */
export interface Charted {
  journey: string;
  /** The activities and steps that it calls, each once, in the order of their first calls: `reserveDrone reserve/2`. */
  calls: string[];
  waits: Waited[];
}

/** Where a step is called first. */
interface Place {
  journey: Journey;
  /** `reserve/2`; the activity's own name, when it has no key. */
  step: string;
  key: RegExp;
}

/** `reserve/2` of `del_…/reserve/2`. */
export const stepOf = (key: string): string => key.split('/').slice(1).join('/');

export class Chart {
  readonly charted: readonly Charted[];

  constructor(charted: readonly Charted[]) {
    this.charted = charted;
  }

  static of(voyages: readonly Voyage[]): Chart {
    return new Chart(
      voyages.map(({ plan, calls, waits }) => ({
        journey: plan.journey.name,
        calls: [...new Set(calls.map(({ activity, key }) => `${activity} ${stepOf(key)}`.trim()))],
        waits: waits.filter((one, at) => waits.findIndex((it) => sameWait(it, one)) === at),
      })),
    );
  }

  /**
   * Where an activity is called: each of the steps that it is in a delivery (an authorization, another one for a dearer dropoff), the
   * first time and the second, on the first journey that does. Events are many, and all alike: one of them.
   */
  callsOf(activity: Activity): Place[] {
    const found = new Map<string, Place>();
    for (const { journey, calls } of this.charted) {
      for (const call of calls) {
        const [called, step = ''] = call.split(' ');
        const isMore = Number(step.split('/')[1] ?? 1) > 2 || (activity === 'appendEvents' && found.size > 0);
        if (called !== activity || found.has(step) || isMore) continue;
        found.set(step, {
          journey: journeyCalled(journey),
          step: step === '' ? activity : step,
          key: step === '' ? /^$/ : new RegExp(`/${step}$`),
        });
      }
    }
    return [...found.values()];
  }

  /** The first journey that comes to a wait, and whether its time is bounded there. */
  wayTo(wait: Wait): { journey: Journey; isBounded: boolean } | undefined {
    const charted = this.charted.find(({ waits }) => waits.some(({ waitingFor }) => waitingFor === wait));
    if (!charted) return undefined;
    return {
      journey: journeyCalled(charted.journey),
      isBounded: charted.waits.some(({ waitingFor, isBounded }) => waitingFor === wait && isBounded),
    };
  }
}

const sameWait = (one: Waited, other: Waited): boolean =>
  one.waitingFor === other.waitingFor && one.isBounded === other.isBounded;

function journeyCalled(name: string): Journey {
  const journey = JOURNEYS.find((one) => one.name === name);
  if (!journey) throw new Error(`There is no journey “${name}”: run npm run docs:matrix.`);
  return journey;
}
