/**
 * The reconciler: undoes what a delivery left whose workflow is gone, and says so in its timeline. It trusts no memory of that
 * workflow: it looks at what the services know, settles where the package is before it ends the delivery, undoes the rest by the keys
 * of the steps that took it, and looks again until nothing is left. So it may be begun at any time, repeated, or run for a delivery
 * that turns out to be well. Nothing in it waits for a service that is down: each thing is attempted for itself.
 */
import { allHandlersFinished, condition, patched, sleep, workflowInfo } from '@temporalio/workflow';
import type { Examination } from '../../activities/examination.ts';
import { isFinal } from '../../services/delivery/contract/status.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Money } from '../../shared/schemas.ts';
import { DEFAULT_POLICY } from '../delivery/policy.ts';
import { plainStep, StepFailed } from '../delivery/steps.ts';
import type { ReconcileOutcome } from '../messages.ts';
import { Attempts, type Progress } from './attempts.ts';
import {
  aboutCredit,
  aboutDrone,
  aboutOf,
  aboutService,
  aboutUndoing,
  CREDIT_NOTE,
  isAboutService,
} from './cases.ts';
import { type Fate, fateBy, IN_DRONE, isAboutPackage, knownFate, notesOf, questionAbout } from './fate.ts';
import { examineDelivery, FIRST_LOOK_MS, LONGEST_LOOK_MS } from './look.ts';
import type { Question, Questions } from './questions.ts';
import { Timeline } from './timeline.ts';
import { type ExaminedDelivery, type Holding, Undoing } from './undoing.ts';

export interface ReconciliationOptions {
  deliveryId: DeliveryId;
  seen: Examination;
  questions: Questions;
  /** The delivery's own workflow does it, after it was reset: it lives, and has the delivery. */
  byItself?: boolean;
  /** Whether it also says that nothing is left; yes unless told. */
  completes?: boolean;
}

/** A round waits at most so long for what is under way, wall milliseconds. */
const ROUND_MS = 10_000;
/** What has not succeeded for so long is a person's to look at, milliseconds by the clock of the deliveries: as in the delivery's workflow. */
const STUCK_MS = DEFAULT_POLICY.compensationStuckS * 1000;

export class Reconciliation {
  private readonly options: ReconciliationOptions;
  private readonly undone: string[] = [];
  private readonly undoing: Undoing;
  private readonly timeline: Timeline;
  private readonly attempts = new Attempts();
  /** Since when services do not answer, Unix milliseconds by the clock of the deliveries. */
  private readonly unreadSince = new Map<string, number>();
  private seen: Examination;
  /** Not of a reconciliation that began before it did: that goes on as it began. */
  private looksFirst = false;
  private ordinal = 0;
  private credited: Money | undefined;

  constructor(options: ReconciliationOptions) {
    this.options = options;
    this.seen = options.seen;
    const { deliveryId, byItself = false, seen } = options;
    // The delivery's own workflow numbers its steps from 1, and an earlier reconciliation began at another event.
    const begunAt = seen.delivery?.sequence ?? 0;
    const by = byItself ? 'reset' : 'reconcile';
    const key = (step: string) => `${deliveryId}/${by}_${step}/${begunAt}.${(this.ordinal += 1)}`;
    this.timeline = new Timeline(deliveryId, key);
    this.undoing = new Undoing(key, isPackageSettled);
    this.key = key;
  }

  private readonly key: (step: string) => string;

  /** @returns `history_is_long`: it is to be gone on with by a new run, or the reconciler, which finds everything as it is */
  async run(): Promise<ReconcileOutcome | 'history_is_long'> {
    const { questions, byItself = false, completes = true } = this.options;
    this.looksFirst = patched('looks-before-it-acts');
    await this.beginning();
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_LOOK_MS)) {
      if (this.isCarried()) return this.leave();
      const hasEnded = this.hasEnded;
      if (hasEnded) this.undoAll();
      else if (this.seen.delivery) await this.settlePackage(this.seen.delivery);
      await condition(() => this.attempts.areDone, ROUND_MS);
      if (this.attempts.takeMoved()) waitMs = FIRST_LOOK_MS;
      const foundMore = await this.lookAgain();
      // What became of it has been written, or a service that was down answers: there is something to be done at once.
      if (this.isCarried() || this.hasEnded !== hasEnded || foundMore) continue;
      if (this.nothingIsLeft) break;
      await this.ask();
      const isLong = workflowInfo().continueAsNewSuggested && (this.looksFirst || !byItself);
      if (isLong && allHandlersFinished()) return 'history_is_long';
      // An answer is taken at once; one that could not be, with the next look. What ends meanwhile may be the last of it.
      const { underWay } = this.attempts;
      if (questions.hasAnswer) await sleep(this.isPackageUnknown ? waitMs : FIRST_LOOK_MS);
      else await condition(() => questions.hasAnswer || this.attempts.underWay < underWay, waitMs);
      // It may have been reset meanwhile; and what has been done is not done again.
      if (this.looksFirst) await this.lookAgain();
    }
    if (this.looksFirst) await questions.keepOnly(this.timeline, this.seen, []);
    if (completes) await this.complete();
    if (!this.looksFirst) await questions.keepOnly(this.timeline, this.seen, []);
    questions.end();
    return { outcome: 'reconciled', undone: this.undone };
  }

  /** Whose act it was is kept; nobody is left to take an answer to what its workflow asked. */
  private async beginning(): Promise<void> {
    const { byItself = false, questions } = this.options;
    if (byItself || this.isCarried()) return;
    await this.recallQuestions();
    await this.timeline.tellOfTermination(this.seen);
    await questions.closeForeign(this.timeline, this.seen);
    // What is decided comes after these.
    await this.lookAgain();
    await this.recallQuestions();
  }

  /** What an earlier run has asked takes its answer at once. */
  private async recallQuestions(): Promise<void> {
    const { questions } = this.options;
    if (this.seen.isCarried) return;
    for (const question of this.questionsNow()) {
      if (questions.isAsked(this.seen, question.about))
        await questions.ask(this.timeline, this.seen, question);
    }
  }

  /** Answers whether more is held than was seen before. */
  private async lookAgain(): Promise<boolean> {
    const { deliveryId, byItself } = this.options;
    const before = new Set(this.seen.held.map(aboutOf));
    this.attempts.looking();
    this.seen = await examineDelivery({ deliveryId, ...(byItself === true && { byItself }) });
    const nowMs = Date.parse(this.seen.now);
    const unread = this.seen.unread ?? [];
    for (const service of unread) {
      if (!this.unreadSince.has(service)) this.unreadSince.set(service, nowMs);
    }
    for (const service of [...this.unreadSince.keys()]) {
      if (!unread.some((one) => one === service)) this.unreadSince.delete(service);
    }
    return this.seen.held.some((one) => !before.has(aboutOf(one)));
  }

  private isCarried(): boolean {
    return this.seen.isCarried;
  }

  /** A person has reset the delivery's workflow meanwhile: the delivery is its again. */
  private async leave(): Promise<ReconcileOutcome> {
    const { questions } = this.options;
    this.attempts.leave();
    await questions.keepOnly(this.timeline, this.seen, [], 'its workflow has been reset, and asks itself');
    questions.end();
    return { outcome: 'carried', undone: this.undone };
  }

  /** What is held may be undone: it is settled what becomes of the delivery. One that nobody knows has nothing to settle. */
  private get hasEnded(): boolean {
    const { delivery } = this.seen;
    return delivery === null || isFinal(delivery.status) || this.options.byItself === true;
  }

  private get nothingIsLeft(): boolean {
    const { owed, unread = [] } = this.seen;
    const isKnown = unread.length === 0;
    return this.hasEnded && this.leftToUndo.length === 0 && !owed && isKnown && this.attempts.areDone;
  }

  /** Without a drone that has to be fetched with the package in it, when a person has said what has become of that. */
  private get leftToUndo(): Holding[] {
    const { held, delivery } = this.seen;
    if (!delivery || !isPackageSettled(delivery)) return held;
    return held.filter((one) => !this.isDown(one));
  }

  private isDown(held: Holding): boolean {
    return 'droneId' in held && this.seen.downDroneIds.includes(held.droneId);
  }

  private get nowMs(): number {
    return Date.parse(this.seen.now);
  }

  /**
   * The outcome is written before anything is undone, as a delivery's own workflow does it; and before the outcome it is settled where
   * the package is, by its drone, its carrier or a person. Until then nothing is undone but who might still take it up.
   */
  private async settlePackage(delivery: ExaminedDelivery): Promise<void> {
    const { questions } = this.options;
    const question = questionAbout(this.seen);
    const answer = question && questions.answerTo(question.about);
    if (answer) {
      if (await this.decide(fateBy(answer), delivery)) {
        await questions.answered(this.timeline, this.seen, answer);
      }
      return;
    }
    // One of which the drone service does not say what it holds may still be taken up.
    const mayBeTakenUp = this.looksFirst && this.seen.unread?.includes('drone') === true;
    const fate = mayBeTakenUp ? undefined : knownFate(this.seen);
    if (fate) {
      await this.decide(fate, delivery);
      return;
    }
    for (const held of this.seen.held) {
      if ('droneId' in held || held.kind === 'booking') this.begin(held);
    }
  }

  private async decide(fate: Fate, delivery: ExaminedDelivery): Promise<boolean> {
    return this.timeline.decide(this.seen, notesOf(fate, delivery, this.seen));
  }

  private undoAll(): void {
    for (const held of this.leftToUndo) this.begin(held);
    if (this.seen.owed) this.attempt(CREDIT_NOTE, () => this.credit());
  }

  private begin(held: Holding): void {
    this.attempt(aboutOf(held), () => this.undo(held));
  }

  private attempt(about: string, work: () => Promise<Progress>): void {
    // The next look shows what came of the last one.
    if (this.looksFirst && this.attempts.isUnseen(about)) return;
    this.attempts.begin(about, this.nowMs, work);
  }

  /** What needs a flight, or a person, is looked at again later. */
  private async undo(held: Holding): Promise<Progress> {
    try {
      const outcome = await this.undoing.undo(held, this.seen);
      if (outcome === undefined) {
        return this.looksFirst && this.undoing.isUnanswered(held) ? 'unanswered' : 'unmoved';
      }
      const step = `${held.kind} ${held.stepKey.slice(held.stepKey.indexOf('/') + 1)}`;
      this.undone.push(`${step}: ${outcome}`);
      const data = { step, outcome, by: 'reconciler' };
      await this.timeline.note(this.seen, { type: 'delivery.compensated', data });
      return 'moved';
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      const why = `failed for good (${error.message})`;
      await this.options.questions.ask(this.timeline, this.seen, aboutUndoing(held, why));
      return 'unmoved';
    }
  }

  /** Issues the credit note that its workflow did not get to. */
  private async credit(): Promise<Progress> {
    const { owed } = this.seen;
    if (!owed) return 'unmoved';
    try {
      const step = { key: this.key(CREDIT_NOTE), ...owed, reason: 'package_lost' as const };
      const { outcome } = await plainStep('issueCreditNote', step, 'credit the account for what was lost');
      this.credited = owed.amount;
      this.undone.push(`credit_note: ${outcome}`);
      return 'moved';
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      const why = `failed for good (${error.message})`;
      await this.options.questions.ask(this.timeline, this.seen, aboutCredit(owed.amount, why));
      return 'unmoved';
    }
  }

  /** People are asked what only they can settle, and not asked any more what is settled. */
  private async ask(): Promise<void> {
    const { questions } = this.options;
    const { held, owed } = this.seen;
    const needed = this.questionsNow();
    // One about what is still held stands: it is tried again and again.
    const standing = [
      ...needed.map(({ about }) => about),
      ...held.map(aboutOf),
      ...(owed ? [CREDIT_NOTE] : []),
      ...[...this.unreadSince.keys()].map((service) => aboutService(service).about),
      ...(this.looksFirst ? questions.askedAbout(this.seen).filter((about) => this.isUndecided(about)) : []),
    ];
    await questions.keepOnly(this.timeline, this.seen, standing);
    for (const question of needed) await questions.ask(this.timeline, this.seen, question);
  }

  /** Whether it still needs to be asked only a service knows that does not answer. */
  private isUndecided(about: string): boolean {
    if (isAboutPackage(about)) return this.isPackageUnknown;
    return !isAboutService(about) && this.unreadSince.size > 0;
  }

  /** A service that knows where the package is does not answer. */
  private get isPackageUnknown(): boolean {
    return this.looksFirst && !this.hasEnded && !this.seen.whereabouts;
  }

  private questionsNow(): Question[] {
    const { held, owed } = this.seen;
    const stuck = new Set(this.attempts.begunBefore(this.nowMs - STUCK_MS));
    const late = 'has not succeeded so far';
    const about = this.hasEnded ? undefined : questionAbout(this.seen);
    const isInDrone =
      about?.about === IN_DRONE ||
      (this.isPackageUnknown && this.options.questions.isAsked(this.seen, IN_DRONE));
    return [
      ...(about ? [about] : []),
      ...held
        .filter((one) => stuck.has(aboutOf(one)) && !(this.looksFirst && this.isDown(one)))
        .map((one) => aboutUndoing(one, late)),
      ...(owed && stuck.has(CREDIT_NOTE) ? [aboutCredit(owed.amount, late)] : []),
      ...(isInDrone ? [] : held.filter((one) => this.isDown(one)).map(aboutDrone)),
      ...[...this.unreadSince]
        .filter(([, sinceMs]) => sinceMs <= this.nowMs - STUCK_MS)
        .map(([service]) => aboutService(service)),
    ];
  }

  private async complete(): Promise<void> {
    const { delivery, captured } = this.seen;
    if (!delivery || delivery.complete) return;
    const isCarriedOut = delivery.status === 'delivered' || delivery.status === 'returned';
    const charge = captured ?? { amount: 0, currency: delivery.price.currency };
    if (!this.looksFirst) await this.options.questions.keepOnly(this.timeline, this.seen, []);
    await this.timeline.note(this.seen, {
      type: isCarriedOut ? 'delivery.settled' : 'delivery.compensation_complete',
      data: { by: 'reconciler', ...(this.credited && { credit: this.credited }) },
      patch: {
        compensation: isCarriedOut && delivery.compensation === 'none' ? 'none' : 'complete',
        charge,
        complete: true,
      },
    });
  }
}

/** It is known what has become of the package: nobody waits for the drone that has it, or for the carrier's word. */
const isPackageSettled = ({ status, failure_reason }: ExaminedDelivery) =>
  failure_reason === 'package_lost' || status === 'delivered' || status === 'returned';
