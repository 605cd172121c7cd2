/**
 * The handover at the dropoff. Where somebody has to confirm it, the drone hovers with the package until the workflow, which
 * reads what was given, tells it to let go; it waits no longer than the battery allows.
 */
import { patched } from '@temporalio/workflow';
import { needsRecipient } from '../../services/delivery/contract/confirmation.ts';
import type { DeliveryPatch } from '../../services/delivery/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { DroneMilestoneSignal } from '../messages.ts';
import { type Answer, refused } from './orders.ts';
import type { EventDetails } from './record.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { plainStep, shortStep, StepFailed } from './steps.ts';

/** What was given so far. */
type Given = 'confirmed' | 'too_often_wrong' | 'nothing';

/**
 * What a look led to. `left`: the drone had turned back before the order to let go reached it, or refuses it. `down`: it has come down,
 * which its milestone will say. `waiting`: nothing was given yet, or no drone is there. The others are why it cannot be handed over.
 */
export interface Settled {
  settled: 'lowering' | 'left' | 'down' | 'waiting' | 'recipient_absent' | 'confirmation_failed';
  answer: Answer;
}

const LOWERING: Answer = {
  outcome: 'accepted',
  reason: null,
  detail: 'It is confirmed: the drone lowers the package.',
};

/** The drone is down, or the one that takes over is not there yet. It says nothing of what was given, which need not be read for it. */
export const KEPT: Answer = {
  outcome: 'pending',
  reason: 'drone_down',
  detail:
    'The drone has come down with the package. What is given for it is kept, and counts for the drone that takes over.',
};

/** Deliveries from before said of a recipient whose drone lay there that they were absent. */
const WHILE_DOWN = 'handover-waits-while-down';
export const waitsWhileDown = () => patched(WHILE_DOWN);

export class Handover {
  private readonly run: DeliveryRun;
  private readonly drone: DroneAssignment;
  /** `suspended`: the drone is down with the package. */
  private state: 'not_there' | 'awaited' | 'lowering' | 'suspended' | 'over' = 'not_there';

  constructor(run: DeliveryRun, drone: DroneAssignment) {
    this.run = run;
    this.drone = drone;
  }

  /** The drone waits for the recipient. */
  get isAwaited(): boolean {
    return this.state === 'awaited';
  }

  private get kind() {
    return this.run.input.confirmation ?? 'none';
  }

  /** The drone is at the dropoff: what the event of its arrival says of the confirmation. */
  begin(occurredAtMs: number): Pick<EventDetails, 'patch'> {
    if (!needsRecipient(this.kind)) return {};
    this.state = 'awaited';
    const dueAt = isoTime(occurredAtMs + this.run.policy.confirmationS * 1000);
    return { patch: { confirmation_status: 'awaited', confirmation_due_at: dueAt } };
  }

  /** The drone has come down: nobody can be handed anything before another one is there. Whether anything was to be handed over. */
  suspend(): boolean {
    const isUnderWay = this.state !== 'not_there' && this.state !== 'over';
    if (!isUnderWay || !waitsWhileDown()) return false;
    this.state = 'suspended';
    return true;
  }

  /** The drone has turned back: what the event of that says, when it was tired of the wait. An order to let go came too late. */
  end({ detail }: DroneMilestoneSignal): Pick<EventDetails, 'patch'> {
    this.state = 'over';
    if (detail['reason'] !== 'recipient_absent') return {};
    return {
      patch: {
        confirmation_status: 'not_given',
        confirmation_due_at: null,
        undeliverable_reason: 'recipient_absent',
      },
    };
  }

  /**
   * Looks what was given. Confirmed: the drone is told to let go.
   * @param isOver the recipient has had all the time there was
   */
  async settle(isOver: boolean): Promise<Settled> {
    if (this.state === 'lowering') return { settled: 'lowering', answer: LOWERING };
    // Of one that takes over the delivery says that it is at the dropoff before it is.
    if (this.state === 'suspended' || (this.state === 'not_there' && needsRecipient(this.kind))) {
      return { settled: 'waiting', answer: KEPT };
    }
    if (this.state !== 'awaited') {
      const detail = 'Nobody has to confirm it, or it is on its way back already.';
      return { settled: 'waiting', answer: refused('not_awaited', detail) };
    }
    switch (await readGiven(this.run.input.deliveryId)) {
      case 'confirmed':
        return this.lower();
      case 'too_often_wrong':
        this.state = 'over';
        return {
          settled: 'confirmation_failed',
          answer: refused('attempts_exhausted', 'It was tried wrongly too often: the package goes back.'),
        };
      case 'nothing':
        if (isOver) this.state = 'over';
        return {
          settled: isOver ? 'recipient_absent' : 'waiting',
          answer: refused('not_given', 'Nothing was given that would confirm it.'),
        };
    }
  }

  /** After the release: what the event says of a photo, which the drone hands in before it tells of the release. */
  async proven(): Promise<DeliveryPatch> {
    if (this.kind !== 'photo') return {};
    const given = await readGiven(this.run.input.deliveryId);
    return given === 'confirmed' ? { confirmation_status: 'confirmed' } : {};
  }

  private async lower(): Promise<Settled> {
    const { record, input } = this.run;
    const outcome = await this.askToLower();
    if ((outcome === 'not_there' || outcome === 'not_loaded') && waitsWhileDown()) {
      this.state = 'suspended';
      return { settled: 'down', answer: KEPT };
    }
    if (outcome !== 'lowering' && outcome !== 'ended') {
      this.state = 'over';
      await record.note('confirmed_too_late', { data: { drone_id: this.drone.droneId, outcome } });
      const detail = 'It was confirmed, but the drone had turned back: the package goes back to the sender.';
      return { settled: 'left', answer: refused('too_late', detail) };
    }
    this.state = 'lowering';
    await record.note('recipient_confirmed', {
      data: { confirmation: input.confirmation },
      patch: { confirmation_status: 'confirmed', confirmation_due_at: null },
    });
    return { settled: 'lowering', answer: LOWERING };
  }

  /** A drone service that says no for good does not end a delivery that is in the air. */
  private async askToLower() {
    const { record, input } = this.run;
    try {
      const answer = await plainStep(
        'lowerPackage',
        {
          key: record.key('lower'),
          reserve_key: this.drone.reserveKey,
          delivery_id: input.deliveryId,
        },
        'confirmed: let the package go',
      );
      return answer.outcome;
    } catch (error) {
      if (error instanceof StepFailed) return 'refused';
      throw error;
    }
  }
}

/** What was given so far. A delivery service that says no for good has nothing. */
export async function readGiven(deliveryId: DeliveryId): Promise<Given> {
  try {
    const answer = await shortStep('readConfirmation', { deliveryId }, 'read what was given as proof');
    if (answer.confirmed_at !== null) return 'confirmed';
    return answer.attempts_left === 0 ? 'too_often_wrong' : 'nothing';
  } catch (error) {
    if (error instanceof StepFailed) return 'nothing';
    throw error;
  }
}
