/** Which workflows somebody has told something, or asked to do something: those are not as they were found before. */
import type { WorkflowClientInterceptor } from '@temporalio/client';

interface Addressed {
  workflowExecution: { workflowId?: string | null };
}

/** An update that was sent and is not answered. */
interface Asking {
  workflowId: string;
  updateId: string | undefined;
  sinceMs: number;
}

/** The server has an update so soon, milliseconds: one that was accepted in an earlier run is not seen in the history of this one. */
const ARRIVES_WITHIN_MS = 1_000;
/** The same for one without an id of its own, which cannot be found in the history. */
const NAMELESS_ARRIVES_WITHIN_MS = 20;

/** Sees every signal, update, cancellation and termination of one client. */
export class Told implements WorkflowClientInterceptor {
  private readonly ids = new Set<string>();
  private readonly asking = new Set<Asking>();

  /** Whether anybody has told it anything since this was last asked, or waits for its answer. */
  take(workflowId: string): boolean {
    const isAsked = [...this.asking].some((one) => one.workflowId === workflowId);
    return this.ids.delete(workflowId) || isAsked;
  }

  /** Updates that may still be on their way to the server. */
  onTheWayTo(workflowId: string, accepted: ReadonlySet<string>): boolean {
    return [...this.asking].some(({ workflowId: id, updateId, sinceMs }) => {
      if (id !== workflowId || (updateId !== undefined && accepted.has(updateId))) return false;
      const withinMs = updateId === undefined ? NAMELESS_ARRIVES_WITHIN_MS : ARRIVES_WITHIN_MS;
      return performance.now() - sinceMs < withinMs;
    });
  }

  readonly signal: NonNullable<WorkflowClientInterceptor['signal']> = (input, next) => this.note(input, next);
  readonly cancel: NonNullable<WorkflowClientInterceptor['cancel']> = (input, next) => this.note(input, next);
  readonly terminate: NonNullable<WorkflowClientInterceptor['terminate']> = (input, next) =>
    this.note(input, next);
  readonly startUpdate: NonNullable<WorkflowClientInterceptor['startUpdate']> = async (input, next) => {
    const one: Asking = {
      workflowId: input.workflowExecution.workflowId,
      updateId: input.options.updateId,
      sinceMs: performance.now(),
    };
    this.asking.add(one);
    try {
      return await this.note(input, next);
    } finally {
      this.asking.delete(one);
    }
  };

  private async note<I extends Addressed, O>(input: I, next: (input: I) => Promise<O>): Promise<O> {
    const { workflowId } = input.workflowExecution;
    // Before it is sent, as the server may act before it answers; and again, for who looked before the server acted.
    this.ids.add(workflowId ?? '');
    try {
      return await next(input);
    } finally {
      this.ids.add(workflowId ?? '');
    }
  }
}
