/**
 * An order to bring the package back that the drone service has taken and the aircraft has not. Until it says that it has turned
 * back it may yet let go of the package where it is, so whoever ordered it waits for its word: a bounded time, then the answer
 * is `pending` and an event tells how it went.
 */
import type { DroneMilestoneSignal } from '../messages.ts';
import { RETURNING } from './native-cancel.ts';
import { type Answer, refused } from './orders.ts';
import type { DeliveryRun } from './run.ts';

/** Wall seconds, as it is a person who waits: less than ingestion waits for an answer (`cancelWaitMs`), so that there is one. */
const ANSWER_WITHIN_S = 5;

/** Until when whoever asks something of an aircraft waits for its word, Unix milliseconds by the delivery's clock. */
export function callerWaitsUntilMs({ record, input }: DeliveryRun): number {
  return record.nowMs() + ANSWER_WITHIN_S * 1000 * input.clock.rate;
}

export class Turning {
  /** Until when whoever ordered it waits for the aircraft, Unix milliseconds by the delivery's clock. */
  answerByMs = Number.POSITIVE_INFINITY;
  private readonly run: DeliveryRun;
  private isAwaited = false;

  constructor(run: DeliveryRun) {
    this.run = run;
  }

  begin(): void {
    this.isAwaited = true;
    this.answerByMs = callerWaitsUntilMs(this.run);
  }

  /** Whoever ordered it has waited long enough. */
  onTime(): void {
    const { record, happenings } = this.run;
    if (record.nowMs() < this.answerByMs) return;
    this.answerByMs = Number.POSITIVE_INFINITY;
    happenings.orders.answerAbort(UNHEARD);
  }

  /** What the aircraft did first is the answer. */
  onMilestone({ kind }: Pick<DroneMilestoneSignal, 'kind'>): void {
    const answer = ANSWERS[kind];
    if (!this.isAwaited || answer === undefined) return;
    this.isAwaited = false;
    this.answerByMs = Number.POSITIVE_INFINITY;
    this.run.happenings.orders.answerAbort(answer);
  }
}

export const ALREADY_RELEASED = refused(
  'already_released',
  'The drone has let go of the package; an event will tell where.',
);
const DOWN = refused(
  'drone_down',
  'The drone has come down with the package before it had turned round. An intervention asks what is to be done.',
);
const UNHEARD: Answer = {
  outcome: 'pending',
  reason: 'aircraft_unreachable',
  detail: 'The drone has not said yet that it turns round. An event will tell how it went.',
};

const ANSWERS: Partial<Record<DroneMilestoneSignal['kind'], Answer>> = {
  turned_back: RETURNING,
  released: ALREADY_RELEASED,
  failed: DOWN,
  set_down: DOWN,
};
