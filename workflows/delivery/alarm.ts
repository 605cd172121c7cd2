/** The one timer of a delivery that waits: it fires when the time of what is waited for is over. */
import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { DeliveryRecord } from './record.ts';

export class Alarm {
  private readonly record: DeliveryRecord;
  private armed: { atMs: number; scope: CancellationScope } | undefined;

  constructor(record: DeliveryRecord) {
    this.record = record;
  }

  /**
   * Makes sure that a timer fires no later than at `untilMs` (Unix milliseconds by the delivery's clock; null: no time). One that is
   * armed for an earlier time is left alone, and armed anew when it fires: each timer is billed, and in a normal delivery the
   * deadlines move later and later.
   * @returns whether the one that is armed now has fired
   */
  arm(untilMs: number | null): () => boolean {
    if (untilMs !== null && !(this.armed && this.armed.atMs <= untilMs)) this.armFor(untilMs);
    const { armed } = this;
    return () => armed !== undefined && this.armed !== armed;
  }

  private armFor(untilMs: number): void {
    this.armed?.scope.cancel();
    const scope = new CancellationScope({ cancellable: true });
    const armed = { atMs: untilMs, scope };
    this.armed = armed;
    const summary = `deadline: ${this.record.state.waitingFor ?? 'next step'}`;
    scope
      .run(() => sleep(Math.ceil(this.record.wallUntilMs(untilMs)), { summary }))
      .then(() => {
        if (this.armed === armed) this.armed = undefined;
      })
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
  }

  /** No deadline is left: an armed timer must not keep a finished workflow from its end. */
  disarm(): void {
    this.armed?.scope.cancel();
    this.armed = undefined;
  }
}
