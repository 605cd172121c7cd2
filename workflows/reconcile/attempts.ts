/**
 * What the reconciler has under way, each for itself: one that fails, or whose service is down, holds up neither the others nor the
 * next look.
 */
import { CancellationScope, isCancellation } from '@temporalio/workflow';

/** What came of an attempt. `unanswered`: whoever has to answer has not; the next attempt goes on waiting for it. */
export type Progress = 'moved' | 'unmoved' | 'unanswered';

export class Attempts {
  /** By what they are about. */
  private readonly running = new Map<string, CancellationScope>();
  /** Since when what they are about has not succeeded, Unix milliseconds by the clock of the deliveries. */
  private readonly since = new Map<string, number>();
  /** What they were about that have ended since the last look began: it may not show what they have done. */
  private readonly unseen = new Set<string>();
  private hasMoved = false;
  private failure: unknown;

  /** Begins it, unless it is under way. */
  begin(about: string, nowMs: number, work: () => Promise<Progress>): void {
    if (this.running.has(about)) return;
    const scope = new CancellationScope({ cancellable: true });
    this.running.set(about, scope);
    if (!this.since.has(about)) this.since.set(about, nowMs);
    scope
      .run(work)
      .then((progress) => {
        this.hasMoved ||= progress === 'moved';
        if (progress !== 'unanswered') this.since.delete(about);
      })
      .catch((error: unknown) => {
        this.since.delete(about);
        if (!isCancellation(error)) this.failure ??= error;
      })
      .finally(() => {
        this.running.delete(about);
        this.unseen.add(about);
      });
  }

  /** A look begins: it shows what has been done so far. */
  looking(): void {
    this.unseen.clear();
  }

  /** One about this has ended after the last look began. */
  isUnseen(about: string): boolean {
    return this.unseen.has(about);
  }

  /** How many there are. */
  get underWay(): number {
    return this.running.size;
  }

  get areDone(): boolean {
    return this.running.size === 0 || this.failure !== undefined;
  }

  /** Begun at this time or before, and not answered since. */
  begunBefore(timeMs: number): string[] {
    return [...this.since].filter(([, sinceMs]) => sinceMs <= timeMs).map(([about]) => about);
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
    for (const scope of this.running.values()) scope.cancel();
  }
}
