/**
 * Which tasks a worker has, from when the server gives it one until the server has its answer. The SDK's own status counts only while
 * workflow code or an activity runs, which a task of several local activities leaves again and again.
 */
import type {
  ActivitySlotInfo,
  CustomSlotSupplier,
  SlotInfo,
  SlotPermit,
  TunerHolder,
  WorkflowSlotInfo,
} from '@temporalio/worker';

const PERMIT: SlotPermit = {};

/** Hands out as many slots as are asked for. */
class CountedSlots<I extends SlotInfo> implements CustomSlotSupplier<I> {
  readonly type = 'custom';
  used = 0;

  reserveSlot(): Promise<SlotPermit> {
    return Promise.resolve(PERMIT);
  }

  tryReserveSlot(): SlotPermit {
    return PERMIT;
  }

  markSlotUsed(): void {
    this.used += 1;
  }

  releaseSlot({ slotInfo }: { slotInfo?: I }): void {
    // Otherwise it was reserved for a task that has not come.
    if (slotInfo !== undefined) this.used -= 1;
  }
}

/** A worker's tuner that knows. */
export class CountedTasks implements TunerHolder {
  readonly workflowTaskSlotSupplier = new CountedSlots<WorkflowSlotInfo>();
  readonly activityTaskSlotSupplier = new CountedSlots<ActivitySlotInfo>();
  readonly localActivityTaskSlotSupplier = { type: 'fixed-size', numSlots: 80 } as const;
  readonly nexusTaskSlotSupplier = { type: 'fixed-size', numSlots: 1 } as const;

  get workflows(): number {
    return this.workflowTaskSlotSupplier.used;
  }

  get activities(): number {
    return this.activityTaskSlotSupplier.used;
  }
}
