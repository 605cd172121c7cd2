/** What the reconciler writes into a delivery's timeline, each event under a key of its own. */
import type { Examination } from '../../activities/examination.ts';
import type { NewDeliveryEvent } from '../../services/delivery/contract/index.ts';
import { plainStep, StepFailed } from '../delivery/steps.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Keys } from './undoing.ts';

export type Note = Omit<NewDeliveryEvent, 'occurred_at'>;

export class Timeline {
  private readonly deliveryId: DeliveryId;
  private readonly key: Keys;

  constructor(deliveryId: DeliveryId, key: Keys) {
    this.deliveryId = deliveryId;
    this.key = key;
  }

  /** @param key of an event that is written once, whoever notices it */
  async note({ delivery, now }: Examination, note: Note, key = this.key('event')): Promise<void> {
    if (!delivery) return;
    const events = [{ ...note, occurred_at: now }];
    await plainStep('appendEvents', { key, deliveryId: this.deliveryId, events }, `record: ${note.type}`);
  }

  /** Whose act it was is kept once, whatever the delivery had come to. */
  async tellOfTermination(seen: Examination): Promise<void> {
    const { termination, workflow } = seen;
    if (termination?.runId === undefined) return;
    const { by, why, at, runId } = termination;
    const note = { type: 'delivery.workflow_terminated', data: { workflow, by, why, at } };
    await this.note(seen, note, `${this.deliveryId}/event_workflow_terminated/${runId}`);
  }

  /**
   * What becomes of the delivery: only if nobody has written anything since it was looked at.
   * @returns whether it is written
   */
  async decide({ delivery, now }: Examination, notes: readonly Note[]): Promise<boolean> {
    if (!delivery) return false;
    const step = {
      key: this.key('event'),
      deliveryId: this.deliveryId,
      events: notes.map((note) => ({ ...note, occurred_at: now })),
      afterSequence: delivery.sequence,
    };
    return orRefused(async () => {
      await plainStep('appendEvents', step, `record: ${notes.at(-1)?.type ?? 'nothing'}`);
      return true;
    });
  }
}

/** False when it is refused for good: another look will tell why. */
export async function orRefused(write: () => Promise<boolean>): Promise<boolean> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof StepFailed) return false;
    throw error;
  }
}
