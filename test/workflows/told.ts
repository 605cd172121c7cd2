/** Which workflows somebody has told something, or asked to do something: those are not as they were found before. */
import type { WorkflowClientInterceptor } from '@temporalio/client';

interface Addressed {
  workflowExecution: { workflowId?: string | null };
}

/** Sees every signal, update, cancellation and termination of one client. */
export class Told implements WorkflowClientInterceptor {
  private readonly ids = new Set<string>();

  /** Whether anybody has told it anything since this was last asked. */
  take(workflowId: string): boolean {
    return this.ids.delete(workflowId);
  }

  readonly signal: NonNullable<WorkflowClientInterceptor['signal']> = (input, next) => this.note(input, next);
  readonly startUpdate: NonNullable<WorkflowClientInterceptor['startUpdate']> = (input, next) =>
    this.note(input, next);
  readonly cancel: NonNullable<WorkflowClientInterceptor['cancel']> = (input, next) => this.note(input, next);
  readonly terminate: NonNullable<WorkflowClientInterceptor['terminate']> = (input, next) =>
    this.note(input, next);

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
