/**
 * What undoes the saga's steps. A compensation is registered before its step, is a no-op when the step never ran, and runs in
 * reverse order, shielded from cancellation. One that keeps failing becomes an intervention and the others go on without it.
 */
import { CancellationScope, condition, isCancellation, patched } from '@temporalio/workflow';
import { leftAtOnce } from './cut-short.ts';
import type { DeliveryPatch } from '../../services/delivery/contract/index.ts';
import { lookAgainInMs } from './overdue.ts';
import type { DeliveryRecord } from './record.ts';
import type { UndoableStep, UndoneBy } from './registry.ts';
import { StepFailed, type StepInput, type StepOutput, undoableStep } from './steps.ts';
import { stillHeld, type Undo, undoneKey, type Undoer } from './undo.ts';

export interface Compensation {
  /** `void_authorization`, `release_drone/2`: what is undone, and for a repeated step which. */
  name: string;
  /** Plain words for the intervention: what is left when this never succeeds. */
  leaves: string;
  undo: Undo;
}

/** A step, and what undoes it: of the kind that the registry says. */
interface Undoable<K extends UndoableStep> {
  input: StepInput<K>;
  summary: string;
  undo: Undo & { kind: UndoneBy<K> };
  /** The compensation's name, where its step is repeated; its kind unless told. */
  name?: string;
  leaves: string;
}

interface Settlement {
  settled: 'undone' | 'by_hand' | undefined;
}

export class Compensations {
  private readonly registered: Compensation[];
  private readonly record: DeliveryRecord;
  private readonly stuckMs: number;
  private readonly undoer: Undoer;
  /** What is undone beside the saga, which goes on meanwhile. */
  private readonly aside: Promise<void>[] = [];
  private unfinishedAside = 0;
  /** Of those that are not settled, those about which a person has been asked: what they have answered may have been in vain. */
  private readonly askedAbout = new Set<string>();

  /** `stuckMs`: wall milliseconds after which a compensation that has not succeeded becomes an intervention. */
  constructor(record: DeliveryRecord, stuckMs: number, undoer: Undoer, registered: Compensation[] = []) {
    this.record = record;
    this.stuckMs = stuckMs;
    this.undoer = undoer;
    this.registered = [...registered];
  }

  /** What is registered, for the run that goes on. Only to be asked when nothing is undone beside. */
  carried(): Compensation[] {
    return [...this.registered];
  }

  /** Something is still being undone beside the saga. */
  get isUndoingAside(): boolean {
    return this.unfinishedAside > 0;
  }

  /** A person has been asked about something that is not undone yet, whether the question is open or they have it tried again. */
  get isStuck(): boolean {
    return this.askedAbout.size > 0;
  }

  /** Everything that was to be undone beside the saga is. */
  async asideDone(): Promise<void> {
    while (this.aside.length > 0) await Promise.all(this.aside.splice(0));
  }

  /** Registers what undoes a step, and makes the step ready to run. */
  prepare<K extends UndoableStep>(
    step: K,
    { input, summary, undo, name, leaves }: Undoable<K>,
  ): () => Promise<StepOutput<K>> {
    this.register({ name: name ?? undo.kind, leaves, undo });
    return () => undoableStep(step, input, summary);
  }

  /** To be called before what it undoes; for a step, `prepare` does it. */
  register(compensation: Compensation): void {
    this.registered.push(compensation);
  }

  /** The step stands, or has been undone otherwise: nothing to undo any more. */
  discharge(name: string): void {
    const index = this.registered.findIndex((one) => one.name === name);
    if (index >= 0) this.registered.splice(index, 1);
  }

  /** Everything stands, but for these: the delivery ended well. */
  keepOnly(names: readonly string[]): void {
    const kept = this.registered.filter((one) => names.includes(one.name));
    this.registered.splice(0, this.registered.length, ...kept);
  }

  /**
   * Undoes one step now, in the middle of the saga (a drone that failed is given back before the next is reserved).
   * @returns `asked`: it could not be undone and a person has been asked; it goes on being undone beside the saga, whose end waits for it
   */
  async undo(name: string): Promise<'undone' | 'asked'> {
    const compensation = this.registered.find((one) => one.name === name);
    if (!compensation) return 'undone';
    this.discharge(name);
    return this.settleInTurn([compensation], 'aside');
  }

  /** Undoes steps, the first name first, while the saga goes on: what has to be followed in the air waits for nobody. */
  undoAside(...names: string[]): void {
    const compensations = names.flatMap((name) => this.registered.find((one) => one.name === name) ?? []);
    for (const { name } of compensations) this.discharge(name);
    if (compensations.length > 0) this.goOnAside(this.settleInTurn(compensations), compensations);
  }

  /** What cannot even be written down is undone again at the end: that changes nothing where it has been undone. */
  private goOnAside(undoing: Promise<unknown>, compensations: readonly Compensation[]): void {
    this.unfinishedAside += 1;
    const finished = () => {
      this.unfinishedAside -= 1;
    };
    undoing.then(finished, finished);
    this.aside.push(this.orAgainAtTheEnd(undoing, compensations));
  }

  private async orAgainAtTheEnd(
    undoing: Promise<unknown>,
    compensations: readonly Compensation[],
  ): Promise<void> {
    try {
      await undoing;
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      this.registered.push(...compensations);
    }
  }

  /** Undoes everything, last step first. Returns when all is undone, or closed by hand. */
  async undoAll(): Promise<void> {
    do {
      const inReverse = this.registered.splice(0).reverse();
      await this.settleInTurn(inReverse);
      await this.asideDone();
    } while (this.registered.length > 0);
  }

  /** @param stuck what becomes of those about which a person was asked: the caller waits for them too, or goes on */
  private async settleInTurn(
    compensations: Compensation[],
    stuck: 'awaited' | 'aside' = 'awaited',
  ): Promise<'undone' | 'asked'> {
    const left: Promise<void>[] = [];
    let outcome: 'undone' | 'asked' = 'undone';
    for (const compensation of compensations) {
      const settlement: Settlement = { settled: undefined };
      const settling = this.settle(compensation, settlement);
      // The next one waits for this one, but not for ever.
      const inTime = await condition(
        () => settlement.settled !== undefined || this.isAskedAbout(compensation),
        this.stuckMs,
      );
      if (!inTime && !(await this.isInTimeAfterAll(compensation, settlement))) {
        left.push(this.openIntervention(compensation, STILL_RETRIED));
      }
      const isStuck = settlement.settled === undefined;
      if (isStuck && stuck === 'aside' && patched('saga-goes-on-without-stuck')) {
        this.goOnAside(settling, [compensation]);
        outcome = 'asked';
      } else {
        left.push(settling);
      }
    }
    await Promise.all(left);
    return outcome;
  }

  /**
   * Where no worker was there for a while, its answer and the end of its time come in one, and the time is heard first: the answer
   * may be the older one.
   */
  private async isInTimeAfterAll(compensation: Compensation, settlement: Settlement): Promise<boolean> {
    if (!patched('stuck-after-another-look')) return false;
    return condition(() => settlement.settled !== undefined || this.isAskedAbout(compensation), LAST_LOOK_MS);
  }

  /** Runs one compensation until it succeeds or a person closes it; a person may have it tried again at once. */
  private async settle(compensation: Compensation, settlement: Settlement): Promise<void> {
    const { name } = compensation;
    /** Asks again whoever has had it tried again; the first time, that is for the one who waits for it to do. */
    let asking: Promise<void> | undefined;
    for (let looks = 1; ; looks += 1) {
      const attempt = await this.attempt(compensation);
      const held = attempt.result === 'undone' ? stillHeld(compensation.undo, attempt.outcome) : undefined;
      // Deliveries from before took such an answer for done.
      const isHeld = held !== undefined && patched(HELD_IS_NOT_UNDONE);
      if (attempt.result === 'undone' && !isHeld) {
        settlement.settled = 'undone';
        this.askedAbout.delete(name);
        if (this.isAskedAbout(compensation)) {
          await this.record.resolveIntervention(
            this.interventionId(name),
            'succeeded',
            'system',
            'a later attempt succeeded',
          );
        }
        await this.record.note('compensated', {
          data: { step: name, outcome: attempt.outcome },
          ...this.nobodyIsAsked(),
        });
        if (asking) await asking;
        return;
      }
      if (attempt.result === 'failed' && !this.isAskedAbout(compensation)) {
        await this.openIntervention(compensation, `failed for good (${attempt.outcome})`);
      }
      const id = this.interventionId(name);
      const isAnswered = () => this.record.answers.to(id) !== undefined;
      if (isHeld) {
        if (held === 'a_person' && !this.isAskedAbout(compensation)) {
          await this.openIntervention(
            compensation,
            `found it still held (${attempt.outcome}); it is tried again`,
          );
        }
        // It may be let go of without anybody's help.
        if (!(await condition(isAnswered, lookAgainInMs(HELD_LOOK_S, looks)))) continue;
      } else {
        await condition(isAnswered);
      }
      const given = this.record.answers.to(id);
      if (!given) continue;
      const isDone = given.answer === 'done';
      // Deliveries from before asked nobody any more.
      const asksAnew = !isDone && patched(ASKED_ANEW);
      if (!asksAnew) this.askedAbout.delete(name);
      await this.record.answered(given);
      if (isDone) {
        settlement.settled = 'by_hand';
        await this.record.note('compensated', {
          data: { step: name, outcome: 'closed_by_hand' },
          ...this.nobodyIsAsked(),
        });
        if (asking) await asking;
        return;
      }
      if (!asksAnew) continue;
      asking = this.askAnew(compensation, settlement);
      // What cannot be written down fails this one in the end, and nothing else.
      asking.catch(() => undefined);
      looks = 0;
    }
  }

  /** A person is asked again, should it come to nothing for as long again. */
  private async askAnew(compensation: Compensation, settlement: Settlement): Promise<void> {
    const isOver = () => settlement.settled !== undefined || this.isAskedAbout(compensation);
    if (await condition(isOver, this.stuckMs)) return;
    if (await this.isInTimeAfterAll(compensation, settlement)) return;
    await this.openIntervention(compensation, STILL_RETRIED);
  }

  private async attempt(
    compensation: Compensation,
  ): Promise<{ result: 'undone' | 'failed' | 'interrupted'; outcome: string }> {
    const scope = new CancellationScope({ cancellable: true });
    const progress = { finished: false };
    const running = scope
      .run(() => this.undoer(compensation.undo))
      .then((outcome) => ({ result: 'undone' as const, outcome }))
      .catch((error: unknown) => ({
        result: isCancellation(error) ? ('interrupted' as const) : ('failed' as const),
        outcome: error instanceof Error ? error.message : String(error),
      }))
      .finally(() => {
        progress.finished = true;
      });
    const id = this.interventionId(compensation.name);
    await condition(() => progress.finished || this.record.answers.to(id) !== undefined);
    if (progress.finished) return running;
    scope.cancel();
    return leftAtOnce() ? { result: 'interrupted', outcome: 'left for another attempt' } : running;
  }

  /** The last of those about which a person was asked is settled: what the delivery says of its compensation. */
  private nobodyIsAsked(): { patch?: DeliveryPatch } {
    const { state, isAskedAboutCompensation } = this.record;
    if (state.compensation !== 'needs_intervention' || isAskedAboutCompensation) return {};
    const isUnderWay = state.status === 'cancelled' || state.status === 'failed';
    state.compensation = isUnderWay ? 'pending' : 'complete';
    return { patch: { compensation: state.compensation } };
  }

  /** The question about it is open. */
  private isAskedAbout({ name }: Compensation): boolean {
    return this.record.intervention(this.interventionId(name)) !== undefined;
  }

  private interventionId(name: string): string {
    return this.record.interventionId(name);
  }

  private async openIntervention({ name, leaves, undo }: Compensation, what: string): Promise<void> {
    this.record.state.compensation = 'needs_intervention';
    this.askedAbout.add(name);
    await this.record.openIntervention(
      {
        id: this.interventionId(name),
        kind: COMPENSATION_KIND + name,
        reason: `Undoing ${name} ${what}. ${leaves} It is step ${undoneKey(undo)}.`,
        answers: [
          { answer: 'retry', effect: 'tries again at once' },
          { answer: 'done', effect: 'closes it as done by hand' },
        ],
      },
      { compensation: 'needs_intervention' },
    );
  }
}

/** Wall milliseconds: a timer's least, as another workflow task is all that it takes. */
const LAST_LOOK_MS = 1;

/** Between the first looks at what is still held, wall seconds; then longer and longer. */
const HELD_LOOK_S = 5;
const HELD_IS_NOT_UNDONE = 'held-is-not-undone';
const ASKED_ANEW = 'asked-anew-after-a-retry-in-vain';
const STILL_RETRIED = 'has not succeeded so far; it is still being retried';

/** What the kind of a compensation's intervention begins with; its name follows. */
export const COMPENSATION_KIND = 'compensation:';
