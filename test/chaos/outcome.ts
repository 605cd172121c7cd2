/** What a run of chaos is asked for, and what it came to. */
import type { OnStep } from '../../local/progress.ts';
import type { Fault, History } from '../checker/index.ts';
import type { Operator } from './operator.ts';
import type { Plan, Victim } from './plan.ts';
import type { Replayed } from './replayed.ts';
import type { Strikes } from './strikes.ts';

export interface ChaosOptions {
  seed: string;
  deliveries: number;
  kills: number;
  /** Requests a second. */
  ratePerS: number;
  /** Clock seconds per second. */
  clockRate: number;
  /** Who is neither killed nor stopped. */
  spared: readonly Victim[];
  /** How long the system may take to settle after the last act, wall milliseconds. */
  settleWithinMs: number;
  /** Where the stack keeps its data: what an earlier run left there is removed. */
  directory: string;
  say: (what: string) => void;
  onStep?: OnStep;
  signal?: AbortSignal;
}

export interface ChaosReport {
  options: ChaosOptions;
  plan: Plan;
  history: History;
  /** What is wrong; empty as it must be. */
  faults: Fault[];
  /** What a caller was answered and should not have been. */
  surprises: string[];
  /** Roles that ended by themselves, which nobody had asked for. */
  crashes: string[];
  strikes: Strikes;
  /** How often each HTTP status was answered to the callers. */
  statuses: Record<number, number>;
  refused: number;
  streamBreaks: number;
  operator: Operator['done'];
  /** What was missing when it did not settle in time; undefined when it did. */
  unsettled: string | undefined;
  /** What the workflows that have not ended wait for, one text for each. */
  waiting: string[];
  replayed: Replayed;
  postingMs: number;
  settlingMs: number;
  totalMs: number;
  logs: string;
}
