/** How far a flight is with the package, what is waited for next, and until when. */
import type { Ending } from './endings.ts';
import { SHORTEST_WAIT_MS } from './overdue.ts';
import { type BoundedWait, type Wait, WAITS } from './registry.ts';
import type { DeliveryRun } from './run.ts';

/** How a flight went on after one happening: it goes on, the delivery ends, or another drone is needed. */
export type Next = 'on' | 'replace_drone' | 'another_drone' | Ending;

/** Where it is with the package: before it is loaded, the drone can still be called back. */
export type Stage = 'to_pickup' | 'at_pickup' | 'loaded';

export class FlightProgress {
  stage: Stage = 'to_pickup';
  waitingFor: Wait;
  /** By the delivery's clock, Unix milliseconds; infinite: no time is set. */
  untilMs: number;
  /** How often it was found late since what is waited for now. */
  overdue = 0;
  private readonly run: DeliveryRun;

  /** It is waited for at the pickup, `fromMs`. */
  constructor(run: DeliveryRun, fromMs: number) {
    this.run = run;
    this.waitingFor = 'the drone at the pickup';
    this.untilMs = this.deadline('the drone at the pickup', fromMs);
  }

  /** Waits for the next milestone until so long after `fromMs` (now unless told) as the policy says, by the delivery's clock. */
  expect(waitingFor: BoundedWait, fromMs = this.run.record.nowMs()): 'on' {
    this.waitingFor = waitingFor;
    this.untilMs = this.deadline(waitingFor, fromMs);
    this.overdue = 0;
    return 'on';
  }

  /** It lies there with the package, or beside it: how that goes on is a person's to say, in their own time. */
  expectAPerson(): void {
    this.waitingFor = 'a person’s word on the package';
    this.untilMs = Number.POSITIVE_INFINITY;
  }

  /** Never in the past: nothing may go round without time passing. */
  private deadline(wait: BoundedWait, fromMs: number): number {
    const { policy, record } = this.run;
    return Math.max(fromMs + policy[WAITS[wait].within] * 1000, record.nowMs() + SHORTEST_WAIT_MS);
  }
}
