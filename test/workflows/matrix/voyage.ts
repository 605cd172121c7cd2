/**
 * Deliveries on their journeys, driven together: time passes for all of them until each one has come to its end. What is seen of a
 * delivery is seen from outside: its read model, its `state` query, the calls of its activities, and the services' doors and tables.
 */
import type { DeliveryOutcome, DeliveryState } from '../../../workflows/messages.ts';
import type { HeldRow, Tables } from '../../checker/held-rows.ts';
import type { Call, Fault, ServiceRequest } from '../faults.ts';
import type { Lab } from '../lab.ts';
import type { DeliveryOptions } from '../scene.ts';
import type { AtWait } from './at-a-wait.ts';
import type { Intervenes, Journey } from './journeys.ts';
import { Vessel } from './vessel.ts';

/** A journey, and what disturbs it. */
export interface Plan {
  journey: Journey;
  faults?: Omit<Fault, 'of'>[];
  policy?: DeliveryOptions['policy'];
  onTheWay?: Intervenes[];
  /** What happens to it at one of its waits. */
  atWait?: AtWait;
  externalId?: string;
  /** What a service with a bug does when the delivery has ended, before the calls arrive that were taken for dead. */
  beforeWhatIsLate?: (deliveryId: string) => Promise<void>;
}

export interface Seen {
  status: DeliveryState['status'];
  waitingFor: string | null;
  /** How long it has been seen to wait for that. */
  waitedMs: number;
  /** Until the step that is being repeated is tried again, milliseconds; infinite when none is. */
  retriesInMs: number;
  /** The drone may be loading, and cannot be reached. */
  isLoadingInSilence: boolean;
  calls: readonly Call[];
}

/** A person was asked, and answered. */
export interface Asked {
  kind: string;
  answer: string;
  /** What was held and not named by any open intervention, and what was named and not held. */
  unnamed: string[];
}

/** It has waited for that. */
export interface Waited {
  waitingFor: string;
  /** Its time was bounded. */
  isBounded: boolean;
}

/** What came of it. */
export interface Voyage {
  plan: Plan;
  deliveryId: string;
  /** `delivered`, `failed (step_failed)`. */
  end: string;
  outcome: DeliveryOutcome | undefined;
  charged: { amount: number; told: number | null };
  calls: readonly Call[];
  requests: readonly ServiceRequest[];
  /** In their order; only of one that is watched. */
  waits: Waited[];
  asked: Asked[];
  /** What came at once of what happened at one of its waits. */
  cameOfIt: string;
  offTheMarkM: number;
  /** Its workflow tasks that had to be done anew; only known where that explains a repetition. */
  tasksLost: number;
  creditNotes: number;
  /** Of the interventions that nobody has closed. */
  openInterventions: string[];
  /** Held when its workflow had ended, but for drones that only have to come home. */
  heldAtItsEnd: HeldRow[];
  /** Held when the calls that were taken for dead had arrived, and not before they did. */
  heldSinceLate: HeldRow[];
  /** Still held when everything had had time to come home. */
  held: HeldRow[];
  /** What is wrong with it, whatever was expected. */
  violations: string[];
}

/** The longest that a delivery of these journeys takes, with a drone that is late and comes home; wall milliseconds. */
const LONGEST_MS = 3 * 60 * 60 * 1000;

/** Where deliveries sail: a lab, and a look into the tables of its services. */
export interface Sea {
  lab: Lab;
  tables: Tables;
}

/**
 * Sails all of them at once. `withinMs`: wall milliseconds after which who has not arrived is reported as it is. `watched`: the
 * voyages tell all that they have waited for.
 */
export async function sail(
  sea: Sea,
  plans: readonly Plan[],
  { withinMs = LONGEST_MS, watched = false } = {},
): Promise<Voyage[]> {
  const { lab } = sea;
  const ready: (() => Promise<Vessel>)[] = [];
  for (const plan of plans) ready.push(await Vessel.prepare(sea, plan, watched));
  // All drones have been heard before the first of them is asked for.
  await lab.settle();
  const vessels: Vessel[] = [];
  for (const launch of ready) vessels.push(await launch());
  const untilMs = lab.wallNowMs + withinMs;
  try {
    await lab.until(
      'every delivery has come to its end',
      async () => {
        for (;;) {
          const arrived = await Promise.all(vessels.map((one) => one.goOn()));
          if (!vessels.map((one) => one.hasActed()).includes(true)) return arrived.every((one) => one);
          // What was ordered now is done, and seen by all, before time passes.
          await lab.settle();
        }
      },
      { withinMs },
    );
  } catch (error) {
    // Who has not arrived in time says so itself.
    if (lab.wallNowMs <= untilMs) throw error;
  }
  return Promise.all(vessels.map((one) => one.report()));
}
