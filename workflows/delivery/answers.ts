/**
 * Answers to interventions that are under way. An answer is held until the one who asked takes it, or until the intervention closes
 * otherwise: the one that closed it is accepted and recorded with who and why, every other one is refused and hears what came first.
 */
import { REJECTED, type ResolveInterventionCommand } from '../messages.ts';
import { type Answer, refused } from './orders.ts';

export interface PendingAnswer {
  command: ResolveInterventionCommand;
  /** What became of it; undefined while it is held. */
  settled: Answer | undefined;
}

export const ACCEPTED: Answer = { outcome: 'accepted', reason: null, detail: null };

export class PendingAnswers {
  private held: PendingAnswer[] = [];

  put(command: ResolveInterventionCommand): PendingAnswer {
    const pending: PendingAnswer = { command, settled: undefined };
    this.held.push(pending);
    return pending;
  }

  /** The first one that is held for this intervention. */
  to(interventionId: string): ResolveInterventionCommand | undefined {
    return this.held.find((one) => one.command.interventionId === interventionId)?.command;
  }

  /**
   * The intervention is closed.
   * @param by the answer that closed it; undefined: it closed itself
   * @param what closed it, for those who come too late
   */
  close(interventionId: string, what: string, by?: ResolveInterventionCommand): void {
    for (const one of this.held) {
      const { command } = one;
      if (command.interventionId !== interventionId) continue;
      one.settled = command === by ? ACCEPTED : tooLate(interventionId, what);
    }
    this.forgetSettled();
  }

  /** Nobody is left who could take one. */
  refuseAll(what: string): void {
    for (const one of this.held) one.settled = tooLate(one.command.interventionId, what);
    this.forgetSettled();
  }

  private forgetSettled(): void {
    this.held = this.held.filter((one) => one.settled === undefined);
  }
}

/** As the validator rejects one that comes later still. */
const tooLate = (interventionId: string, what: string): Answer =>
  refused(REJECTED.notOpen, `${interventionId} is not open any more: ${what}.`);
