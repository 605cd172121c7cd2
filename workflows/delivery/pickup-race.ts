/**
 * Before the package is aboard, a drone can be called back: for a cancel, for an operator who wants another one, because it is late,
 * has failed, or nobody loads it. Loading and recall compete; what the drone service answers, or in the end the aircraft, decides.
 */
import { patched } from '@temporalio/workflow';
import { isBeforePickup } from '../../services/delivery/contract/status.ts';
import { isoTime } from '../../shared/clock.ts';
import { nameOf, type ReassignDroneCommand } from '../messages.ts';
import { giveBack, REASSIGNED, recall, returnUnloaded } from './assigned-drone.ts';
import { refusal } from './cancels.ts';
import { failed } from './endings.ts';
import type { FlightProgress, Next } from './flight-progress.ts';
import { BEING_CANCELLED, refused } from './orders.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';

const LATE = 'the drone did not arrive at the pickup in time';

export class PickupRace {
  private readonly run: DeliveryRun;
  private readonly drone: DroneAssignment;
  private readonly progress: FlightProgress;
  /** It flies to where another drone has set the package down. */
  private readonly takesOver: boolean;
  /** A recall was asked for and the aircraft, which may load, has not said: for whom is it. */
  private recalling: 'cancel' | 'sender_absent' | 'overdue' | 'reassign' | undefined;
  private reassignCommand: ReassignDroneCommand | undefined;
  /** When it came to the pickup, Unix milliseconds by the delivery's clock. */
  private atPickupMs: number | undefined;

  constructor(
    run: DeliveryRun,
    drone: DroneAssignment,
    { progress, takesOver }: { progress: FlightProgress; takesOver: boolean },
  ) {
    this.run = run;
    this.drone = drone;
    this.progress = progress;
    this.takesOver = takesOver;
  }

  arrivedAtPickup(atMs: number): void {
    this.atPickupMs = atMs;
  }

  /** It is over: nothing may give this drone back any more but its own landing. */
  won(): void {
    const { compensations } = this.run;
    compensations.discharge(this.drone.recall);
    compensations.discharge(this.drone.release);
    this.recalling = undefined;
  }

  /** @throws {Ended} cancelled */
  async onCancel(): Promise<Next> {
    const { happenings, record } = this.run;
    if (!isBeforePickup(record.status)) {
      happenings.answerCancel(refusal('already_picked_up'));
      return 'on';
    }
    switch (await recall(this.run, this.drone, 'cancelled')) {
      case 'recalled':
        throw this.run.cancelled('cancelled_after_dispatch');
      case 'never_dispatched':
        throw this.run.cancelled('cancelled_before_dispatch');
      case 'loaded':
        // Its milestone that says so is on the way.
        happenings.answerCancel(refusal('already_picked_up'));
        return 'on';
      case 'pending':
        happenings.answerCancel({
          outcome: 'pending',
          reason: 'aircraft_unreachable',
          detail: 'The drone may be loading and has not answered. An event will tell how it went.',
        });
        this.recalling = 'cancel';
        return this.progress.expect('the drone’s answer to the recall');
    }
  }

  /** An operator wants another drone for it: the pickup race decides whether that can still be. */
  async onReassign(command: ReassignDroneCommand): Promise<Next> {
    const { happenings, record } = this.run;
    if (this.cancelGoesFirst()) {
      happenings.orders.answerReassign(BEING_CANCELLED);
      return 'on';
    }
    switch (await recall(this.run, this.drone, 'reassigned by an operator')) {
      case 'recalled':
      case 'never_dispatched':
        return this.giveBack(REASSIGNED, command);
      case 'loaded':
        // Its milestone that says so is on the way.
        happenings.orders.answerReassign(
          refused('already_picked_up', 'The package is aboard: the drone can no longer be replaced.'),
        );
        return 'on';
      case 'pending':
        this.run.orderLog.tell(command);
        await record.note('reassign_requested', {
          data: { by: nameOf(command.actor), why: command.why, drone_id: this.drone.droneId },
        });
        this.recalling = 'reassign';
        this.reassignCommand = command;
        happenings.orders.answerReassign({
          outcome: 'pending',
          reason: 'aircraft_unreachable',
          detail: 'The drone may be loading and has not answered. An event will tell how it went.',
        });
        return this.progress.expect('the drone’s answer to the recall');
    }
  }

  /** The aircraft answered a pending recall: nothing is aboard, and nothing will be. @throws {Ended} cancelled; failed */
  async onRecalledEmpty(): Promise<Next> {
    if (this.recalling === 'cancel' || this.run.happenings.cancelIsUnsettled) {
      throw this.run.cancelled('cancelled_after_dispatch');
    }
    if (this.recalling === 'reassign') {
      return this.giveBack(REASSIGNED, this.reassignCommand);
    }
    if (this.recalling === 'overdue') {
      return this.giveBack(LATE);
    }
    return this.onNobodyThere();
  }

  /** It should long be there: another drone takes over, unless this one turns out to be loading. */
  async onLateForPickup(): Promise<Next> {
    const answer = await recall(this.run, this.drone, 'overdue at the pickup');
    if (answer === 'recalled' || answer === 'never_dispatched') {
      return this.giveBack(LATE);
    }
    if (answer === 'pending') this.recalling ??= 'overdue';
    return this.progress.expect('the drone’s answer to the recall');
  }

  /** A recall has been asked for, and is not answered. */
  get isUndecided(): boolean {
    return this.recalling !== undefined;
  }

  /** @throws {Ended} failed: the sender is absent, or need not be there any more */
  async onNothingLoaded(): Promise<Next> {
    switch (await recall(this.run, this.drone, 'sender absent')) {
      case 'recalled':
      case 'never_dispatched':
        return this.onNobodyThere();
      case 'loaded':
        return this.progress.expect('the news that it is loaded');
      case 'pending':
        this.recalling = 'sender_absent';
        return this.progress.expect('the drone’s answer to the recall');
    }
  }

  /** Replaced, if it is certain that it has not loaded: one that was loading and fell silent may have. @throws {Ended} cancelled */
  async onFailed(cause: string): Promise<Next> {
    switch (await recall(this.run, this.drone, `failed: ${cause}`)) {
      case 'recalled':
      case 'never_dispatched':
        if (this.recalling === 'cancel') throw this.run.cancelled('cancelled_after_dispatch');
        return this.giveBack(`the drone failed before the pickup: ${cause}`);
      case 'loaded':
        return this.progress.expect('the news that it is loaded');
      case 'pending':
        this.recalling ??= 'overdue';
        return this.progress.expect('word from the drone, which may have loaded');
    }
  }

  /** A cancel waits for the aircraft's word: whatever that is found empty for, it is cancelled. */
  private cancelGoesFirst(): boolean {
    return this.run.happenings.cancelIsUnsettled && patched('a-pending-cancel-goes-first');
  }

  /** It is given back, and another one is found. @throws {Ended} cancelled */
  private giveBack(why: string, order?: ReassignDroneCommand): Promise<'replace_drone'> {
    if (this.cancelGoesFirst()) throw this.run.cancelled('cancelled_after_dispatch');
    return this.takesOver
      ? returnUnloaded(this.run, this.drone, why)
      : giveBack(this.run, this.drone, why, order);
  }

  /** Nobody has loaded it, and it has been called back empty: the sender's absence. Where a package was set down, people are asked. */
  private onNobodyThere(): Promise<Next> {
    const { loadingS } = this.run.policy;
    const { packageOnGround } = this.run;
    if (this.takesOver && packageOnGround) {
      const why = `nobody put the package into drone ${this.drone.droneId} within ${loadingS} s`;
      packageOnGround.ask = `It has landed beside the package, but ${why}.`;
      return returnUnloaded(this.run, this.drone, why, { blamed: false });
    }
    if (this.cameTooLate() && patched('late-for-the-window-is-no-absence')) {
      const { end = '' } = this.run.pickupWindow ?? {};
      throw failed(
        'pickup_window_missed',
        `The drone came at ${isoTime(this.atPickupMs ?? 0)}, after the pickup window had ended at ${end}; nothing was loaded within ${loadingS} s.`,
      );
    }
    throw failed(
      'sender_absent',
      `Nothing was loaded within ${loadingS} s of the drone’s arrival.`,
      'sender_absent',
    );
  }

  /** The sender need not be there any more when it comes. */
  private cameTooLate(): boolean {
    const { pickupWindow } = this.run;
    return pickupWindow !== null && (this.atPickupMs ?? 0) > Date.parse(pickupWindow.end);
  }
}
