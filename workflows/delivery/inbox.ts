/**
 * Milestones of one flight (or booking) in the order they happened: numbered 1, 2, 3 …, duplicates dropped, a gap held until
 * it is filled, another flight's ignored. Pure.
 */

export interface Numbered {
  sequence: number;
}

export class OrderedInbox<M extends Numbered> {
  private readonly held = new Map<number, M>();
  private applied = 0;

  /** Takes note of a milestone; one that was applied before, or is held already, changes nothing. */
  add(milestone: M): void {
    if (milestone.sequence > this.applied && !this.held.has(milestone.sequence)) {
      this.held.set(milestone.sequence, milestone);
    }
  }

  /** The next milestone in order, or undefined while it has not come. */
  take(): M | undefined {
    const next = this.held.get(this.applied + 1);
    if (next === undefined) return undefined;
    this.held.delete(next.sequence);
    this.applied = next.sequence;
    return next;
  }

  get hasNext(): boolean {
    return this.held.has(this.applied + 1);
  }

  /** Later ones came but the next did not: it must be fetched. */
  get hasGap(): boolean {
    return this.held.size > 0 && !this.hasNext;
  }

  /** Number of the last milestone taken. */
  get lastSequence(): number {
    return this.applied;
  }
}
