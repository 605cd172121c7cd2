/**
 * What the reconciler asks people. The ids of its questions say that it is the reconciler who asks, so that an answer reaches it.
 * Most have no answer and close by themselves, when what they are about is settled.
 */
import { condition, setCurrentDetails } from '@temporalio/workflow';
import type { Examination } from '../../activities/examination.ts';
import type { DeliveryPatch } from '../../services/delivery/contract/index.ts';
import { isAskedByReconciler, reconcilersQuestion } from '../../services/delivery/contract/interventions.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { nameOf, type OperatorAnswer, type ResolveInterventionCommand } from '../messages.ts';
import { ACCEPTED, PendingAnswers } from '../delivery/answers.ts';
import { interventionLine } from '../delivery/details.ts';
import type { OpenedIntervention } from '../delivery/record.ts';
import { isAboutPackage } from './fate.ts';
import { orRefused, type Timeline } from './timeline.ts';

export type Question = Omit<OpenedIntervention, 'id'> & {
  /** What it is about: `package_on_ground`, `register_1`. */
  about: string;
  /** What the delivery says of itself while it is asked. */
  patch: DeliveryPatch;
};

const NOTHING_LEFT = 'nothing is left of what it was about';

export class Questions {
  private readonly deliveryId: DeliveryId;
  /** Those that it has asked, or found asked by an earlier run. */
  private readonly open = new Map<string, OpenedIntervention>();
  /** Those that it has closed: what was seen before may not show it. */
  private readonly closed = new Set<string>();
  private readonly answers = new PendingAnswers();
  private readonly areShown: boolean;

  /**
   * @param options.areShown in the Temporal UI; yes unless told
   * @param options.asked by the run before this one: an answer is taken before anything is looked at
   */
  constructor(
    deliveryId: DeliveryId,
    { areShown = true, asked = [] }: { areShown?: boolean; asked?: readonly OpenedIntervention[] } = {},
  ) {
    this.deliveryId = deliveryId;
    this.areShown = areShown;
    for (const one of asked) this.open.set(one.id, one);
  }

  /** For the run that goes on for this one. */
  get asked(): OpenedIntervention[] {
    return [...this.open.values()];
  }

  // For the update of the Temporal UI and the API, as a delivery has it.

  get state(): { openInterventions: string[] } {
    return { openInterventions: [...this.open.keys()] };
  }

  intervention(id: string): OpenedIntervention | undefined {
    return this.open.get(id);
  }

  /** Hands an answer over, and says whether it was this one that closed the question. */
  async answer(command: ResolveInterventionCommand): Promise<OperatorAnswer> {
    const pending = this.answers.put(command);
    if (!this.open.has(command.interventionId)) {
      this.answers.close(command.interventionId, 'it has just been closed');
    }
    await condition(() => pending.settled !== undefined);
    return { ...(pending.settled ?? ACCEPTED), request: command.request ?? null };
  }

  // For the reconciler.

  answerTo(about: string): ResolveInterventionCommand | undefined {
    return this.answers.to(this.idOf(about));
  }

  get hasAnswer(): boolean {
    return [...this.open.keys()].some((id) => this.answers.to(id) !== undefined);
  }

  /** What it is about has been asked, by whichever run. */
  isAsked(seen: Examination, about: string): boolean {
    return this.ownOf(seen).includes(this.idOf(about));
  }

  /** What all are about that have been asked, by whichever run. */
  askedAbout(seen: Examination): string[] {
    const before = this.idOf('');
    return this.ownOf(seen).map((id) => id.slice(before.length));
  }

  /** Asks it, unless it is asked already. A delivery that is complete stays so: its end has been told. */
  async ask(timeline: Timeline, seen: Examination, question: Question): Promise<void> {
    const { about, patch, ...asked } = question;
    const id = this.idOf(about);
    if (this.open.has(id)) return;
    const intervention = { id, ...asked };
    this.open.set(id, intervention);
    this.show();
    if (seen.interventions.includes(id)) return;
    this.closed.delete(id);
    const { kind } = asked;
    const isComplete = seen.delivery?.complete === true;
    await orRefused(async () => {
      await timeline.note(seen, {
        type: 'delivery.intervention_opened',
        data: { kind },
        ...(!isComplete && { patch }),
        open_intervention: intervention,
      });
      return true;
    });
  }

  /** Closes it by a person's answer, which is accepted with that. */
  async answered(timeline: Timeline, seen: Examination, command: ResolveInterventionCommand): Promise<void> {
    const { interventionId, answer, why, actor } = command;
    await this.close(timeline, seen, interventionId, { answer, why, by: nameOf(actor) });
    this.answers.close(interventionId, 'it has been answered', command);
  }

  /** What is asked and need not be any more is closed. @param why in words, unless nothing is left of what it was about */
  async keepOnly(
    timeline: Timeline,
    seen: Examination,
    needed: readonly string[],
    why = NOTHING_LEFT,
  ): Promise<void> {
    const ids = needed.map((about) => this.idOf(about));
    for (const id of this.ownOf(seen)) {
      if (ids.includes(id)) continue;
      await this.close(timeline, seen, id, { answer: 'reconciled', by: 'reconciler', why });
      this.answers.close(id, why);
    }
  }

  /** Closes what the delivery's own workflow had asked: nobody is left there to take an answer. */
  async closeForeign(timeline: Timeline, seen: Examination): Promise<void> {
    const foreign = seen.interventions.filter((id) => !isAskedByReconciler(id));
    const why = 'its workflow is gone: what still needs an answer is asked by the reconciler';
    for (const id of foreign) {
      await this.close(timeline, seen, id, { answer: 'asked_anew', by: 'reconciler', why });
    }
  }

  /** Nobody is left who could take an answer. */
  end(): void {
    this.answers.refuseAll('the reconciler has done its work');
  }

  private async close(
    timeline: Timeline,
    seen: Examination,
    id: string,
    resolution: { answer: string; by: string; why: string },
  ): Promise<void> {
    const kind = this.open.get(id)?.kind;
    this.open.delete(id);
    this.closed.add(id);
    this.show();
    const patch = this.nobodyIsAsked(seen, id);
    // Somebody else may have closed it.
    await orRefused(async () => {
      await timeline.note(seen, {
        type: 'delivery.intervention_resolved',
        data: { ...(kind !== undefined && { kind }), ...resolution },
        ...(patch && { patch }),
        resolve_intervention: { id, ...resolution },
      });
      return true;
    });
  }

  /** The last of those about what is held is closed: what the delivery says of its compensation. @param id that has just been closed */
  private nobodyIsAsked(seen: Examination, id: string): DeliveryPatch | undefined {
    const { delivery } = seen;
    if (!delivery || delivery.complete) return undefined;
    const isOwn = isAskedByReconciler(id);
    const was = isOwn ? !this.isAboutPackage(id) : delivery.compensation === 'needs_intervention';
    const left = [...seen.interventions, ...this.open.keys()].filter((one) => !this.closed.has(one));
    // Of what its own workflow asks, reset in this moment, it is not known here what it is about.
    const isLeft = left.some((one) => (isAskedByReconciler(one) ? !this.isAboutPackage(one) : isOwn));
    return was && !isLeft ? { compensation: 'pending' } : undefined;
  }

  private isAboutPackage(id: string): boolean {
    return isAboutPackage(id.slice(this.idOf('').length));
  }

  private ownOf(seen: Examination): string[] {
    return [...new Set([...seen.interventions.filter(isAskedByReconciler), ...this.open.keys()])];
  }

  private idOf(about: string): string {
    return reconcilersQuestion(this.deliveryId, about);
  }

  /** What an operator reads in the Temporal UI. */
  private show(): void {
    if (!this.areShown) return;
    const lines = [...this.open.values()].map(interventionLine);
    setCurrentDetails(lines.join('\n\n'));
  }
}
