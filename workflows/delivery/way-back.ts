/** A package that cannot be handed over, or is not to be: its drone leaves it at the dropoff, or brings it back to the sender. */
import type { DeliveryStatus, UndeliverableReason } from '../../services/delivery/contract/status.ts';
import { nameOf, type OperatorCommand } from '../messages.ts';
import type { DroneTrouble } from './drone-trouble.ts';
import type { FlightProgress, Next } from './flight-progress.ts';
import { RETURNING } from './native-cancel.ts';
import { type Answer, refused } from './orders.ts';
import type { EventDetails } from './record.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { plainStep, StepFailed, type StepInput } from './steps.ts';
import { ALREADY_RELEASED } from './turning.ts';

export class WayBack {
  private readonly run: DeliveryRun;
  private readonly drone: DroneAssignment;
  private readonly progress: FlightProgress;
  private readonly trouble: DroneTrouble;
  /** It was told to set the package down at the dropoff, with nobody there to take it. */
  isLeaving = false;
  hasTurnedBack = false;
  /** When a drone that was told to turn round should be back, Unix milliseconds of the delivery's clock. */
  private backAtMs: number | undefined;

  constructor(
    run: DeliveryRun,
    drone: DroneAssignment,
    { progress, trouble }: { progress: FlightProgress; trouble: DroneTrouble },
  ) {
    this.run = run;
    this.drone = drone;
    this.progress = progress;
    this.trouble = trouble;
  }

  /** When it should be back, as far as has been heard. */
  get expectedAtMs(): number | undefined {
    return this.backAtMs;
  }

  expectBack(atMs: number): 'on' {
    this.backAtMs = atMs;
    return this.progress.expect('the drone back at the sender', atMs);
  }

  /** It cannot be handed over there: what the sender asked for in that case is done. */
  async undeliverable(
    why: UndeliverableReason,
    { occurredAtMs, data }: Pick<EventDetails, 'occurredAtMs' | 'data'>,
  ): Promise<Next> {
    const { record, input } = this.run;
    await record.note(why, {
      ...(occurredAtMs !== undefined && { occurredAtMs }),
      data: { ...data, undeliverable_action: input.undeliverableAction },
      patch: {
        delayed: true,
        delay_reason: why,
        undeliverable_reason: why,
        confirmation_due_at: null,
      },
    });
    const step = { reserve_key: this.drone.reserveKey, delivery_id: input.deliveryId, reason: why };
    try {
      if (input.undeliverableAction === 'leave') {
        const key = record.key('leave');
        await plainStep('leaveUnattended', { key, ...step }, 'leave the package unattended');
        this.isLeaving = true;
        return this.progress.expect('the package to be set down');
      }
      const key = record.key('return');
      const answer = await plainStep('returnToSender', { key, ...step }, 'return to the sender');
      return this.expectBack(
        answer.eta_return_at === null ? record.nowMs() : Date.parse(answer.eta_return_at),
      );
    } catch (error) {
      // It is in the air with the package, so that cannot be the delivery's end.
      if (!(error instanceof StepFailed)) throw error;
      await this.trouble.ask(
        'drone_refused',
        `Drone ${this.drone.droneId} cannot release the package at the dropoff, and takes no order: ${error.message}.`,
      );
      return this.progress.expect('the release at the dropoff');
    }
  }

  /** Brings the package back to the sender. Refused when the drone cannot do it: the delivery goes on as it was. */
  async turnRound(order: OperatorCommand): Promise<Answer> {
    const { record, input } = this.run;
    if (isReturning(record.status)) return RETURNING;
    if (this.trouble.isDown) {
      return refused(
        'drone_down',
        `Drone ${this.drone.droneId} is down. Intervention ${this.trouble.question ?? ''} asks what is to be done.`,
      );
    }
    if (this.progress.stage !== 'loaded') {
      return refused(
        'not_aboard',
        `Drone ${this.drone.droneId} flies to where the package was set down. Once that is aboard it can be brought back.`,
      );
    }
    const answer = await this.askToReturn(
      {
        key: record.key('return'),
        reserve_key: this.drone.reserveKey,
        delivery_id: input.deliveryId,
        reason: 'aborted',
      },
      'abort: turn the drone round',
    );
    if (answer instanceof StepFailed) return refused('drone_refused', answer.message);
    const { outcome, eta_return_at: backAt } = answer;
    this.run.orderLog.tell(order);
    await record.note('abort_requested', { data: { by: nameOf(order.actor), why: order.why, outcome } });
    switch (outcome) {
      case 'returning':
      case 'already_returning':
        this.expectBack(backAt === null ? (this.backAtMs ?? record.nowMs()) : Date.parse(backAt));
        return RETURNING;
      case 'ended':
        return ALREADY_RELEASED;
      case 'not_loaded':
        return refused('not_aboard', 'The drone says that nothing is aboard.');
    }
  }

  /** The drone before was on its way back to the sender: so is this one, now that it has the package. */
  async bringBack(): Promise<void> {
    const { record, input } = this.run;
    const answer = await this.askToReturn(
      {
        key: record.key('return'),
        reserve_key: this.drone.reserveKey,
        delivery_id: input.deliveryId,
        reason: 'it was on its way back',
      },
      'bring it back to the sender',
    );
    if (answer instanceof StepFailed) {
      await this.trouble.ask(
        'drone_refused',
        `Drone ${this.drone.droneId} is to bring the package back, and takes no order: ${answer.message}.`,
      );
    } else if (answer.eta_return_at !== null) this.expectBack(Date.parse(answer.eta_return_at));
  }

  /** A drone service that says no for good does not end a delivery that is in the air. */
  private async askToReturn(step: StepInput<'returnToSender'>, summary: string) {
    try {
      return await plainStep('returnToSender', step, summary);
    } catch (error) {
      if (error instanceof StepFailed) return error;
      throw error;
    }
  }
}

export const isReturning = (status: DeliveryStatus) =>
  status === 'enroute_to_return' || status === 'arrived_at_return';
