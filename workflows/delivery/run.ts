/** One delivery under way: its input, policy, record, compensations and happenings, as the saga's parts share them. */
import type { Preferences } from '../../services/account/contract/index.ts';
import { wallDurationMs } from '../../shared/clock.ts';
import type { AuthorizationId, BaseId, DroneId, ReservationId } from '../../shared/ids.ts';
import type { DeliveryInput, DeliveryPolicy } from '../messages.ts';
import { Compensations } from './compensation.ts';
import { type Ending, Ended } from './endings.ts';
import { Happenings } from './happenings.ts';
import { DEFAULT_POLICY } from './policy.ts';
import { DeliveryRecord } from './record.ts';

/** The authorization that is captured, or voided, at the end. */
export interface Authorized {
  key: string;
  authorizationId: AuthorizationId;
  preferences: Preferences;
}

export interface DroneAssignment {
  by: 'drone';
  reserveKey: string;
  /** Names of the compensations that give this drone back. */
  release: string;
  recall: string;
  reservationId: ReservationId;
  reservationToken: number;
  droneId: DroneId;
  baseId: BaseId;
  /** By the delivery's clock, Unix milliseconds. */
  pickupEtaMs: number;
  dropoffEtaMs: number;
}

export class DeliveryRun {
  readonly input: DeliveryInput;
  readonly policy: DeliveryPolicy;
  readonly record: DeliveryRecord;
  readonly happenings: Happenings;
  readonly compensations: Compensations;
  authorized: Authorized | undefined;
  /** Drones that failed on this delivery: they are not asked again. */
  readonly failedDrones: DroneId[] = [];

  constructor(input: DeliveryInput) {
    this.input = input;
    this.policy = { ...DEFAULT_POLICY, ...input.policy };
    this.record = new DeliveryRecord(input);
    this.happenings = new Happenings(this.record);
    const stuckMs = wallDurationMs(input.clock, this.policy.compensationStuckS * 1000);
    this.compensations = new Compensations(this.record, stuckMs);
  }

  /** What every service wants to know of whom a step is for. */
  get ids() {
    const { accountId, deliveryId, livemode } = this.input;
    return { account_id: accountId, delivery_id: deliveryId, livemode };
  }

  get payloadKg(): number {
    return this.input.packages.reduce((sum, one) => sum + one.weight_kg, 0);
  }

  /** The ending that the pending cancel asked for. */
  cancelled(charged: Ending['charged']): Ended {
    const command = this.happenings.cancelCommand;
    return new Ended({
      status: 'cancelled',
      charged,
      reason: command?.reason ?? 'other',
      by: command ? `${command.actor.role}:${command.actor.id}` : 'unknown',
    });
  }

  /** Runs a step before dispatch: a cancel interrupts it and ends the delivery. */
  async beforeDispatch<T>(step: () => Promise<T>): Promise<T> {
    const result = await this.happenings.interruptible(step);
    if (result === 'interrupted') throw this.cancelled('cancelled_before_dispatch');
    return result;
  }
}
