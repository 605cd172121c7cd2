/**
 * Updates that were handled, with their answers. Temporal answers a repeated update id itself, but only within one run: after a
 * continue-as-new it would run again.
 */
import { CancellationScope, currentUpdateInfo, patched } from '@temporalio/workflow';

/** Answers by update name and id, the oldest first. Plain data: it outlives a continue-as-new. */
export type HandledAnswers = [update: string, answer: unknown][];

/** The oldest are forgotten beyond this many; a caller repeats an update within minutes, not after hundreds of others. */
const MAX_REMEMBERED = 500;

export class HandledUpdates {
  private readonly answers: Map<string, unknown>;

  constructor(answers: HandledAnswers = []) {
    this.answers = new Map(answers);
  }

  /** The update under way was handled in an earlier run: its validator has nothing to say any more. */
  knows(): boolean {
    const key = updateKey();
    return key !== undefined && this.answers.has(key);
  }

  /**
   * Runs the handler of the update under way, or answers what it answered in an earlier run.
   * @param answered called with what is answered, unless an earlier run has answered it
   */
  async once<A>(handle: () => A | Promise<A>, answered: (answer: A) => void = () => undefined): Promise<A> {
    const key = updateKey();
    // What is kept under an update's name and id is the answer of this very handler.
    if (key !== undefined && this.answers.has(key)) return this.answers.get(key) as A;
    // *Cancel* in the Temporal UI cancels the scope that handlers begin in: the delivery goes on, and so do they, also those that wait.
    const isShielded =
      patched('handlers-outlive-a-cancel') ||
      (CancellationScope.current().consideredCancelled && patched('orders-outlive-a-cancel'));
    const answer = await (isShielded ? CancellationScope.nonCancellable(async () => handle()) : handle());
    answered(answer);
    if (key !== undefined) this.remember(key, answer);
    return answer;
  }

  carried(): HandledAnswers {
    return [...this.answers];
  }

  private remember(key: string, answer: unknown): void {
    this.answers.set(key, answer);
    const [oldest] = this.answers.keys();
    if (oldest !== undefined && this.answers.size > MAX_REMEMBERED) this.answers.delete(oldest);
  }
}

function updateKey(): string | undefined {
  const update = currentUpdateInfo();
  return update && `${update.name}/${update.id}`;
}
