/**
 * What the reconciler asks people. The ids of its questions say that it is the reconciler who asks, so that an answer reaches it.
 * Most have no answer and close by themselves, when what they are about is settled.
 */
import { condition, setCurrentDetails } from '@temporalio/workflow';
import type { Examination } from '../../activities/examination.ts';
import type { DeliveryPatch } from '../../services/delivery/contract/index.ts';
import { isAskedByReconciler, reconcilersQuestion } from '../../services/delivery/contract/interventions.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { OperatorAnswer, ResolveInterventionCommand } from '../messages.ts';
import { ACCEPTED, PendingAnswers } from '../delivery/answers.ts';
import type { OpenedIntervention } from '../delivery/record.ts';
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
  private readonly answers = new PendingAnswers();
  private readonly areShown: boolean;

  /** @param options.areShown in the Temporal UI; yes unless told */
  constructor(deliveryId: DeliveryId, { areShown = true } = {}) {
    this.deliveryId = deliveryId;
    this.areShown = areShown;
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

  /** Asks it, unless it is asked already. */
  async ask(timeline: Timeline, seen: Examination, question: Question): Promise<void> {
    const { about, patch, ...asked } = question;
    const id = this.idOf(about);
    if (this.open.has(id)) return;
    const intervention = { id, ...asked };
    this.open.set(id, intervention);
    this.show();
    if (seen.interventions.includes(id)) return;
    const { kind } = asked;
    await orRefused(async () => {
      await timeline.note(seen, {
        type: 'delivery.intervention_opened',
        data: { kind },
        patch,
        open_intervention: intervention,
      });
      return true;
    });
  }

  /** Closes it by a person's answer, which is accepted with that. */
  async answered(timeline: Timeline, seen: Examination, command: ResolveInterventionCommand): Promise<void> {
    const { interventionId, answer, why, actor } = command;
    await this.close(timeline, seen, interventionId, { answer, why, by: `${actor.role}:${actor.id}` });
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
    const own = seen.interventions.filter((id) => isAskedByReconciler(id));
    for (const id of new Set([...own, ...this.open.keys()])) {
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
    this.show();
    // Somebody else may have closed it.
    await orRefused(async () => {
      await timeline.note(seen, {
        type: 'delivery.intervention_resolved',
        data: { ...(kind !== undefined && { kind }), ...resolution },
        resolve_intervention: { id, ...resolution },
      });
      return true;
    });
  }

  private idOf(about: string): string {
    return reconcilersQuestion(this.deliveryId, about);
  }

  /** What an operator reads in the Temporal UI. */
  private show(): void {
    if (!this.areShown) return;
    const lines = [...this.open.values()].map(
      ({ id, reason, answers }) =>
        `⚠ Intervention \`${id}\`: ${reason}` +
        (answers.length === 0
          ? ''
          : ` Answers: ${answers.map((one) => `\`${one.answer}\` (${one.effect})`).join(', ')}`),
    );
    setCurrentDetails(lines.join('\n\n'));
  }
}
