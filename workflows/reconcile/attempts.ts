/**
 * What the reconciler has under way, each for itself: one that fails, or whose service is down, holds up neither the others nor the
 * next look.
 */
import { CancellationScope, isCancellation } from '@temporalio/workflow';

export class Attempts {
  /** By what they are about; since when, Unix milliseconds by the clock of the deliveries. */
  private readonly running = new Map<string, { scope: CancellationScope; sinceMs: number }>();
  private hasMoved = false;
  private failure: unknown;

  /** Begins it, unless it is under way. @param work answers whether it changed anything */
  begin(about: string, nowMs: number, work: () => Promise<boolean>): void {
    if (this.running.has(about)) return;
    const scope = new CancellationScope({ cancellable: true });
    this.running.set(about, { scope, sinceMs: nowMs });
    scope
      .run(work)
      .then((moved) => {
        this.hasMoved ||= moved;
      })
      .catch((error: unknown) => {
        if (!isCancellation(error)) this.failure ??= error;
      })
      .finally(() => this.running.delete(about));
  }

  /** How many there are. */
  get underWay(): number {
    return this.running.size;
  }

  get areDone(): boolean {
    return this.running.size === 0 || this.failure !== undefined;
  }

  /** Begun at this time or before, and not over. */
  begunBefore(timeMs: number): string[] {
    return [...this.running].filter(([, { sinceMs }]) => sinceMs <= timeMs).map(([about]) => about);
  }

  /** Whether anything has changed since this was last asked. @throws what no service's refusal explains */
  takeMoved(): boolean {
    if (this.failure !== undefined) throw this.failure as Error;
    const { hasMoved } = this;
    this.hasMoved = false;
    return hasMoved;
  }

  /** Somebody else has the delivery: nothing more is done for it. */
  leave(): void {
    for (const { scope } of this.running.values()) scope.cancel();
  }
}
