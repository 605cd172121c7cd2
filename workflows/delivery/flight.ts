/** Steps 5 to 7 with a drone: confirmed, dispatched, then its milestones, each with its own deadline. */
import { patched } from '@temporalio/workflow';
import {
  canTransition,
  type DeliveryStatus,
  isBeforePickup,
  type UndeliverableReason,
} from '../../services/delivery/contract/status.ts';
import { isoTime } from '../../shared/clock.ts';
import type { Location } from '../../shared/schemas.ts';
import type {
  AbortCommand,
  CommandActor,
  DroneMilestoneSignal,
  ReassignDroneCommand,
  ResolveInterventionCommand,
} from '../messages.ts';
import {
  backTimeMs,
  confirm,
  dispatch,
  etaBack,
  giveBack,
  giveBackUndispatched,
  REASSIGN_CROSSES,
  REASSIGNED,
  recall,
  returnUnloaded,
} from './assigned-drone.ts';
import { Handover } from './confirmation.ts';
import { type Ending, failed } from './endings.ts';
import { refusal } from './happenings.ts';
import { cancelQuestion, isCancelQuestion, RETURNING, TURN_ROUND } from './native-cancel.ts';
import { authorizeReturn } from './money.ts';
import { type Answer, refused } from './orders.ts';
import { lookAgainInMs, SHORTEST_WAIT_MS } from './overdue.ts';
import { ANOTHER_DRONE, answersAbout, placeOf, settledByHand } from './questions.ts';
import { type BoundedWait, type Wait, WAITS } from './registry.ts';
import type { EventDetails } from './record.ts';
import { Reroute } from './reroute.ts';
import { type DeliveryRun, type DroneAssignment, nameOf, NEWLY_ON_GROUND } from './run.ts';
import { untilTakeOff } from './schedule.ts';
import { plainStep, StepFailed, type StepInput } from './steps.ts';
import { ALREADY_RELEASED, Turning } from './turning.ts';

/** How a flight went on after one happening: it goes on, the delivery ends, or another drone is needed. */
type Next = 'on' | 'replace_drone' | 'another_drone' | Ending;

/** @returns the ending; `another_drone` when it has set the package down, which lies where `run.packageOnGround` says; `replace_drone` when this drone failed before the pickup, `rescheduled` when that was moved before it was sent */
export async function flyWithDrone(
  run: DeliveryRun,
  drone: DroneAssignment,
): Promise<Ending | 'replace_drone' | 'another_drone' | 'rescheduled'> {
  await confirm(run, drone);
  const waited = await untilTakeOff(run, drone);
  if (waited === 'moved') return 'rescheduled';
  if (waited === 'lost') return giveBack(run, drone, 'the drone failed before it was sent');
  if (waited !== 'take_off') return giveBack(run, drone, REASSIGNED, waited);
  const refused = await dispatch(run, drone);
  if (refused) return giveBackUndispatched(run, drone, refused);
  return new Flight(run, drone).follow();
}

/** Where it is with the package: before it is loaded, the drone can still be called back. */
type Stage = 'to_pickup' | 'at_pickup' | 'loaded';

/** `at 47.63, -122.11 (departed pickup, 2027-01-15T10:04:00.000Z)`; undefined: the milestone does not say where. */
function whereaboutsOf({ position, kind, occurredAt }: DroneMilestoneSignal): string | undefined {
  return position === null
    ? undefined
    : `at ${placeOf(position)} (${kind.replaceAll('_', ' ')}, ${occurredAt})`;
}

export class Flight {
  private readonly run: DeliveryRun;
  private readonly drone: DroneAssignment;
  /** It flies to where another drone has set the package down. */
  private readonly takesOver: boolean;
  private stage: Stage = 'to_pickup';
  /** When it came to the pickup, Unix milliseconds by the delivery's clock. */
  private atPickupMs: number | undefined;
  private untilMs: number;
  private waitingFor: Wait;
  /** A recall was asked for and the aircraft, which may load, has not said: for whom is it. */
  private recalling: 'cancel' | 'sender_absent' | 'overdue' | 'reassign' | undefined;
  private reassignCommand: ReassignDroneCommand | undefined;
  /** When a drone that was told to turn round should be back, Unix milliseconds of the delivery's clock. */
  private backAtMs: number | undefined;
  /** Another dropoff that it was offered. */
  private readonly reroute: Reroute;
  private readonly turning: Turning;
  private overdue = 0;
  /** Where its last milestone was, in words for a person who has to look for it. */
  private lastKnown = 'at a place unknown';
  private leaving = false;
  private hasTurnedBack = false;
  private readonly handover: Handover;
  private intervention: string | undefined;
  /** It is on the ground with the package aboard, and has not been heard to go on. */
  private isDown = false;
  /** It has landed safely and set the package down: there. */
  private setDownAt: Location | undefined;

  constructor(run: DeliveryRun, drone: DroneAssignment, { takesOver = false } = {}) {
    this.run = run;
    this.drone = drone;
    this.takesOver = takesOver;
    this.handover = new Handover(run, drone);
    this.reroute = new Reroute(run, drone);
    this.turning = new Turning(run);
    this.waitingFor = 'the drone at the pickup';
    this.untilMs = this.deadline('the drone at the pickup', drone.pickupEtaMs);
  }

  async follow(): Promise<Exclude<Next, 'on'>> {
    const { happenings } = this.run;
    for (;;) {
      const untilMs = Math.min(this.untilMs, this.reroute.answerByMs, this.turning.answerByMs);
      const happening = await happenings.next(this.waitingFor, untilMs);
      let next: Next = 'on';
      switch (happening.kind) {
        case 'drone':
          next = await this.onMilestone(happening.milestone);
          break;
        case 'cancel':
          next = await this.onCancel();
          break;
        case 'deadline':
          await this.reroute.onTime();
          this.turning.onTime();
          if (this.run.record.nowMs() >= this.untilMs) next = await this.onDeadline();
          break;
        case 'answered':
          next = await this.onAnswer(happening.command);
          break;
        case 'reassign':
          next = await this.onReassign(happening.command);
          break;
        case 'abort':
          await this.onAbort(happening.command);
          break;
        case 'confirm':
          happenings.orders.answerConfirm(await this.onConfirm());
          break;
        case 'native_cancel':
          await cancelQuestion(this.run.record, 'drone');
          break;
        case 'dropoff':
          await this.reroute.begin(happening.asked);
          break;
        case 'drone_available':
        case 'reschedule':
        case 'carrier':
          break;
      }
      if (next === 'replace_drone' || next === 'another_drone') this.reroute.putBack();
      if (next !== 'on') return next;
    }
  }

  /** Waits for the next milestone until so long after `fromMs` (now unless told) as the policy says, by the delivery's clock. */
  private expect(waitingFor: BoundedWait, fromMs = this.run.record.nowMs()): 'on' {
    this.waitingFor = waitingFor;
    this.untilMs = this.deadline(waitingFor, fromMs);
    this.overdue = 0;
    return 'on';
  }

  /** Never in the past: nothing may go round without time passing. */
  private deadline(wait: BoundedWait, fromMs: number): number {
    const { policy, record } = this.run;
    return Math.max(fromMs + policy[WAITS[wait].within] * 1000, record.nowMs() + SHORTEST_WAIT_MS);
  }

  private async onMilestone(milestone: DroneMilestoneSignal): Promise<Next> {
    const { record, happenings, compensations } = this.run;
    const occurredAtMs = Date.parse(milestone.occurredAt);
    const details = { occurredAtMs, data: { drone_id: milestone.droneId, milestone: milestone.kind } };
    this.lastKnown = whereaboutsOf(milestone) ?? this.lastKnown;
    if (milestone.kind !== 'failed' && milestone.kind !== 'set_down') await this.heardAgain(milestone.kind);
    await this.reroute.onMilestone(milestone);
    this.turning.onMilestone(milestone);
    switch (milestone.kind) {
      case 'took_off':
        await this.advance('enroute_to_pickup', milestone, details);
        return 'on';

      case 'arrived_at_pickup':
        await this.advance('arrived_at_pickup', milestone, details);
        this.stage = 'at_pickup';
        this.atPickupMs = occurredAtMs;
        return this.takesOver
          ? this.expect('the package to be loaded')
          : this.expect('the sender to load', this.loadingBeginsMs());

      case 'loaded': {
        // The pickup race is over. Nothing may give this drone back any more but its own landing.
        compensations.discharge(this.drone.recall);
        compensations.discharge(this.drone.release);
        this.recalling = undefined;
        this.stage = 'loaded';
        this.run.packageOnGround = null;
        await this.advance('picked_up', milestone, details);
        if (happenings.cancelIsUnsettled) happenings.answerCancel(refusal('already_picked_up'));
        happenings.answerLate();
        const lateMs = Math.max(0, record.nowMs() - this.drone.pickupEtaMs);
        this.expect('the drone at the dropoff', this.drone.dropoffEtaMs + lateMs);
        if (isReturning(record.status)) await this.bringBack();
        return 'on';
      }

      case 'departed_pickup':
        // Flying again, it is late no longer: the new ETA is what counts.
        await this.advance('enroute_to_dropoff', milestone, {
          ...details,
          ...(this.takesOver && { patch: { delayed: false, delay_reason: null } }),
        });
        return 'on';

      case 'arrived_at_dropoff':
        await this.advance('arrived_at_dropoff', milestone, {
          ...details,
          ...this.handover.begin(occurredAtMs),
        });
        if (!this.handover.isAwaited) return this.expect('the release at the dropoff');
        this.expect('the recipient’s confirmation', occurredAtMs);
        // It may have been given while the drone before waited there.
        if (this.takesOver) await this.onConfirm();
        return 'on';

      case 'dropoff_blocked':
        return this.onBlocked(milestone);

      case 'released':
        return this.onReleased(details, milestone);

      case 'turned_back': {
        const backAtMs = backTimeMs(milestone) ?? this.backAtMs;
        const { patch, ...ended } = this.handover.end(milestone);
        await this.advance('enroute_to_return', milestone, {
          ...details,
          ...ended,
          patch: { ...patch, eta: etaBack(backAtMs) },
        });
        this.leaving = false;
        this.hasTurnedBack = true;
        if (this.run.returnPrice === null) await authorizeReturn(this.run, milestone.position);
        return this.expectBack(backAtMs ?? record.nowMs());
      }

      case 'arrived_at_return':
        await this.advance('arrived_at_return', milestone, details);
        return this.expect('the release at the sender');

      case 'recalled_empty':
        return this.onRecalledEmpty();

      case 'failed':
        return this.onFailed(milestone);

      case 'set_down':
        return this.onSetDown(milestone);

      case 'rerouted':
        // From where it was when it took the other dropoff: as late as it was promised then.
        if (this.stage === 'loaded') this.expectAtDropoff();
        return 'on';

      case 'reroute_refused':
      case 'landed':
        return 'on';
    }
  }

  /** The status as the milestone has it. A drone that takes over walks again where the delivery was before: an event says so. */
  private advance(to: DeliveryStatus, { kind }: DroneMilestoneSignal, details: EventDetails): Promise<void> {
    const { record } = this.run;
    const isAgain = this.takesOver && !canTransition(record.status, to);
    return isAgain ? record.note(`drone_${kind}`, details) : record.change(to, details);
  }

  /** The drone before was on its way back to the sender: so is this one, now that it has the package. */
  private async bringBack(): Promise<void> {
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
      await this.askAPerson(
        'drone_refused',
        `Drone ${this.drone.droneId} is to bring the package back, and takes no order: ${answer.message}.`,
      );
    } else if (answer.eta_return_at !== null) this.expectBack(Date.parse(answer.eta_return_at));
  }

  private expectAtDropoff(): 'on' {
    const lateMs = Math.max(0, this.run.record.nowMs() - this.drone.dropoffEtaMs);
    return this.expect('the drone at the dropoff', this.drone.dropoffEtaMs + lateMs);
  }

  /** A sender who named a window need not be there before it. */
  private loadingBeginsMs(): number {
    const { pickupWindow, record } = this.run;
    return Math.max(record.nowMs(), pickupWindow === null ? 0 : Date.parse(pickupWindow.start));
  }

  /** A drone that was given up for silent or late goes on: there is nothing left for a person to settle. */
  private async heardAgain(kind: string): Promise<void> {
    if (this.intervention === undefined) return;
    const id = this.intervention;
    this.intervention = undefined;
    this.isDown = false;
    await this.run.record.resolveIntervention(
      id,
      'goes_on',
      'system',
      `the drone goes on: ${kind.replaceAll('_', ' ')}`,
    );
  }

  private async onReleased(
    details: { occurredAtMs: number; data: Record<string, unknown> },
    { detail }: DroneMilestoneSignal,
  ): Promise<Next> {
    const { record } = this.run;
    if (record.status === 'arrived_at_return') {
      await record.change('returned', details);
      return { status: 'returned', charged: 'returned' };
    }
    if (isReturning(record.status) && !this.hasTurnedBack) {
      await this.askAPerson(
        'drone_refused',
        `Drone ${this.drone.droneId} was to bring the package back, and has let go of it at the dropoff.`,
      );
      return 'on';
    }
    await record.change('delivered', {
      ...details,
      // A drone that did not wait for the recipient, although it was told to.
      ...(detail['unconfirmed'] === true && { data: { ...details.data, unconfirmed: true } }),
      patch: { ...(this.leaving && { left_unattended: true }), ...(await this.handover.proven()) },
    });
    return { status: 'delivered', charged: 'delivered' };
  }

  private onBlocked({ occurredAt, detail }: DroneMilestoneSignal): Promise<Next> {
    return this.undeliverable('dropoff_blocked', { occurredAtMs: Date.parse(occurredAt), data: detail });
  }

  /** The recipient has given something, or the time for it is over. */
  private async onConfirm(isOver = false): Promise<Answer> {
    const { settled, answer } = await this.handover.settle(isOver);
    if (settled === 'lowering') this.expect('the release at the dropoff');
    else if (settled === 'left') this.expect('the drone to turn back');
    else if (settled !== 'waiting') await this.undeliverable(settled, {});
    return answer;
  }

  /** It cannot be handed over there: what the sender asked for in that case is done. */
  private async undeliverable(
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
        this.leaving = true;
        return this.expect('the package to be set down');
      }
      const key = record.key('return');
      const answer = await plainStep('returnToSender', { key, ...step }, 'return to the sender');
      return this.expectBack(
        answer.eta_return_at === null ? record.nowMs() : Date.parse(answer.eta_return_at),
      );
    } catch (error) {
      // It is in the air with the package, so that cannot be the delivery's end.
      if (!(error instanceof StepFailed)) throw error;
      await this.askAPerson(
        'drone_refused',
        `Drone ${this.drone.droneId} cannot release the package at the dropoff, and takes no order: ${error.message}.`,
      );
      return this.expect('the release at the dropoff');
    }
  }

  private expectBack(atMs: number): 'on' {
    this.backAtMs = atMs;
    return this.expect('the drone back at the sender', atMs);
  }

  /** An operator wants another drone for it: the pickup race decides whether that can still be. */
  private async onReassign(command: ReassignDroneCommand): Promise<Next> {
    const { happenings, record } = this.run;
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
        return this.expect('the drone’s answer to the recall');
    }
  }

  private async onAbort(command: AbortCommand): Promise<void> {
    const wasReturning = isReturning(this.run.record.status);
    const answer = await this.turnRound(command);
    if (answer === RETURNING && !wasReturning && patched('an-abort-hears-the-aircraft')) this.turning.begin();
    else this.run.happenings.orders.answerAbort(answer);
  }

  /** Brings the package back to the sender. Refused when the drone cannot do it: the delivery goes on as it was. */
  private async turnRound({ actor, why }: { actor: CommandActor; why: string }): Promise<Answer> {
    const { record, input } = this.run;
    if (isReturning(record.status)) return RETURNING;
    if (this.isDown) {
      return refused(
        'drone_down',
        `Drone ${this.drone.droneId} is down. Intervention ${this.intervention ?? ''} asks what is to be done.`,
      );
    }
    if (this.stage !== 'loaded') {
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
    await record.note('abort_requested', { data: { by: nameOf(actor), why, outcome } });
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

  /** A drone service that says no for good does not end a delivery that is in the air. */
  private async askToReturn(step: StepInput<'returnToSender'>, summary: string) {
    try {
      return await plainStep('returnToSender', step, summary);
    } catch (error) {
      if (error instanceof StepFailed) return error;
      throw error;
    }
  }

  private async onCancel(): Promise<Next> {
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
        return this.expect('the drone’s answer to the recall');
    }
  }

  /** The aircraft answered a pending recall: nothing is aboard, and nothing will be. */
  private async onRecalledEmpty(): Promise<Next> {
    if (this.recalling === 'cancel' || this.run.happenings.cancelIsUnsettled) {
      throw this.run.cancelled('cancelled_after_dispatch');
    }
    if (this.recalling === 'reassign') {
      return this.giveBack(REASSIGNED, this.reassignCommand);
    }
    if (this.recalling === 'overdue') {
      return this.giveBack('the drone did not arrive at the pickup in time');
    }
    return this.onNobodyThere();
  }

  /** It is given back, and another one is found. */
  private giveBack(why: string, order?: ReassignDroneCommand): Promise<'replace_drone'> {
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

  private async onDeadline(): Promise<Next> {
    switch (this.stage) {
      case 'to_pickup':
        return this.onLateForPickup();
      case 'at_pickup':
        return this.recalling === undefined ? this.onNothingLoaded() : this.onStillOverdue();
      case 'loaded':
        if (!this.handover.isAwaited) return this.onStillOverdue();
        this.run.happenings.orders.answerConfirm(await this.onConfirm(true));
        return 'on';
    }
  }

  /** It should long be there: another drone takes over, unless this one turns out to be loading. */
  private async onLateForPickup(): Promise<Next> {
    const answer = await recall(this.run, this.drone, 'overdue at the pickup');
    if (answer === 'recalled' || answer === 'never_dispatched') {
      return this.giveBack('the drone did not arrive at the pickup in time');
    }
    if (answer === 'pending') this.recalling ??= 'overdue';
    return this.expect('the drone’s answer to the recall');
  }

  private async onNothingLoaded(): Promise<Next> {
    switch (await recall(this.run, this.drone, 'sender absent')) {
      case 'recalled':
      case 'never_dispatched':
        return this.onNobodyThere();
      case 'loaded':
        return this.expect('the news that it is loaded');
      case 'pending':
        this.recalling = 'sender_absent';
        return this.expect('the drone’s answer to the recall');
    }
  }

  /** Late with, perhaps, the package aboard: said at once; if it goes on, a person must look. */
  private async onStillOverdue(): Promise<Next> {
    const { record, policy } = this.run;
    this.overdue += 1;
    const expectedBy = isoTime(this.untilMs);
    this.untilMs = record.nowMs() + lookAgainInMs(policy.dropoffArrivalSlackS, this.overdue);
    if (this.overdue === 1) {
      await record.note('overdue', {
        patch: { delayed: true },
        data: { waiting_for: this.waitingFor, expected_by: expectedBy },
      });
    } else if (this.intervention === undefined) {
      await this.askAPerson(
        'overdue',
        `Drone ${this.drone.droneId} is overdue since ${expectedBy}, last known ${this.lastKnown}.`,
      );
    }
    return 'on';
  }

  private async onFailed({ detail, position, droneId, occurredAt }: DroneMilestoneSignal): Promise<Next> {
    const { record } = this.run;
    const cause = typeof detail['cause'] === 'string' ? detail['cause'] : 'unknown';
    await record.note('drone_failed', {
      occurredAtMs: Date.parse(occurredAt),
      data: { drone_id: droneId, cause, position },
      patch: { delayed: true, delay_reason: 'drone_failed' },
    });
    // Found with the package by whoever fetched it: no word of its own will say that it had loaded.
    const isAboard = detail['aboard'] === true && detail['aboard_certain'] !== false;
    if (this.stage !== 'loaded' && !isAboard) return this.onFailedBeforePickup(cause);
    await this.askAPerson(
      'drone_down',
      `Drone ${droneId} is down (${cause}) with the package aboard, last known at ${placeOf(position)}. ` +
        'Another drone can take it over when this one says that it has landed safely and set it down, or whoever fetches it does.',
    );
    return 'on';
  }

  /** It has landed safely and let go of the package, which lies there: another drone may take it over. */
  private async onSetDown({ position, droneId, occurredAt, detail }: DroneMilestoneSignal): Promise<Next> {
    const { record } = this.run;
    if (this.intervention !== undefined) {
      const why = 'the package has been set down: asked anew';
      await record.resolveIntervention(this.intervention, 'asked_anew', 'system', why);
      this.intervention = undefined;
    }
    await record.note('package_set_down', {
      occurredAtMs: Date.parse(occurredAt),
      data: { drone_id: droneId, position, by: detail['by'] === 'operator' ? 'operator' : 'drone' },
      patch: { delayed: true, delay_reason: 'drone_failed' },
    });
    this.setDownAt = position ?? undefined;
    await this.askAPerson(
      'package_set_down',
      `Drone ${droneId} is down and has set the package down, which lies at ${placeOf(position)}.`,
    );
    return 'on';
  }

  /** A person wants another drone to take the package up: this one, which is down and empty, is let go. */
  private async handOn(location: Location): Promise<'another_drone'> {
    const { run, drone } = this;
    const { record, compensations } = run;
    run.failedDrones.push(drone.droneId);
    run.packageOnGround = { ...NEWLY_ON_GROUND, location };
    record.state.droneId = null;
    run.happenings.unfollow();
    // Whatever it said before it failed: it had the package.
    if (isBeforePickup(record.status)) await record.walkTo('picked_up', {});
    const { orders } = run.happenings;
    if (orders.reassignIsPending && patched(REASSIGN_CROSSES)) orders.answerLate();
    compensations.discharge(drone.recall);
    compensations.discharge(drone.release);
    compensations.register({
      name: drone.release,
      leaves: `Drone ${drone.droneId} may still be reserved for it.`,
      undo: { kind: 'release_drone', reserveKey: drone.reserveKey },
    });
    await compensations.undo(drone.release);
    return 'another_drone';
  }

  /** Replaced, if it is certain that it has not loaded: one that was loading and fell silent may have. */
  private async onFailedBeforePickup(cause: string): Promise<Next> {
    switch (await recall(this.run, this.drone, `failed: ${cause}`)) {
      case 'recalled':
      case 'never_dispatched':
        if (this.recalling === 'cancel') throw this.run.cancelled('cancelled_after_dispatch');
        return this.giveBack(`the drone failed before the pickup: ${cause}`);
      case 'loaded':
        return this.expect('the news that it is loaded');
      case 'pending':
        this.recalling ??= 'overdue';
        return this.expect('word from the drone, which may have loaded');
    }
  }

  /** @param about `package_set_down`: a drone that is down, and another one may take over */
  private async askAPerson(
    about: 'overdue' | 'drone_down' | 'drone_refused' | 'package_set_down',
    reason: string,
  ): Promise<void> {
    const { record } = this.run;
    const kind = about === 'package_set_down' ? 'drone_down' : about;
    const id = record.interventionId(`${about}_${record.state.attempt}`);
    const replaced = this.intervention;
    this.intervention = id;
    this.isDown = kind === 'drone_down';
    await record.openIntervention(
      {
        id,
        kind,
        reason,
        answers: answersAbout(record.status, {
          anotherDrone: this.setDownAt !== undefined,
          wait: kind !== 'drone_down',
        }),
      },
      { delayed: true, delay_reason: 'drone_failed' },
    );
    if (replaced !== undefined && replaced !== id && patched('flight-closes-replaced-question')) {
      await record.resolveIntervention(replaced, 'replaced', 'system', `replaced by ${id}`);
    }
  }

  private async onAnswer(command: ResolveInterventionCommand): Promise<Next> {
    const { interventionId, answer, actor, why } = command;
    const { record } = this.run;
    const by = nameOf(actor);
    if (isCancelQuestion(record, interventionId)) {
      await record.answered(command);
      if (answer === TURN_ROUND) await this.turnRound({ actor, why });
      return 'on';
    }
    if (interventionId !== this.intervention) {
      // One that was replaced before questions were closed with that.
      record.answers.close(interventionId, `answer ${this.intervention ?? 'the newest one'} instead`);
      return 'on';
    }
    this.intervention = undefined;
    await record.answered(command);
    if (answer === ANOTHER_DRONE && this.setDownAt) return this.handOn(this.setDownAt);
    return (await settledByHand(record, answer, by, why)) ?? 'on';
  }
}

const isReturning = (status: DeliveryStatus) =>
  status === 'enroute_to_return' || status === 'arrived_at_return';
