/**
 * A drone that is late, takes no order, or has come down with the package: people are asked what becomes of that. There is one
 * question at a time about a drone, and it closes by itself when the drone is heard to go on.
 */
import { patched } from '@temporalio/workflow';
import type { DeliveryPatch } from '../../services/delivery/contract/index.ts';
import { isBeforePickup } from '../../services/delivery/contract/status.ts';
import { isoTime } from '../../shared/clock.ts';
import type { Location } from '../../shared/schemas.ts';
import { nameOf, type DroneMilestoneSignal, type ResolveInterventionCommand } from '../messages.ts';
import { REASSIGN_CROSSES } from './assigned-drone.ts';
import type { FlightProgress, Next } from './flight-progress.ts';
import { lookAgainInMs } from './overdue.ts';
import { ANOTHER_DRONE, answersAbout, placeOf, settledByHand } from './questions.ts';
import { type DeliveryRun, type DroneAssignment, NEWLY_ON_GROUND } from './run.ts';

export class DroneTrouble {
  private readonly run: DeliveryRun;
  private readonly drone: DroneAssignment;
  private readonly progress: FlightProgress;
  /** Where its last milestone was, in words for a person who has to look for it. */
  private lastKnown = 'at a place unknown';
  /** What a person is asked about it. */
  private intervention: string | undefined;
  private isOnGround = false;
  /** It has landed safely and set the package down: there. */
  private setDownAt: Location | undefined;

  constructor(run: DeliveryRun, drone: DroneAssignment, progress: FlightProgress) {
    this.run = run;
    this.drone = drone;
    this.progress = progress;
  }

  /** It is on the ground with the package aboard, and has not been heard to go on. */
  get isDown(): boolean {
    return this.isOnGround;
  }

  /** The id of what a person is asked about it. */
  get question(): string | undefined {
    return this.intervention;
  }

  /** Takes note of where it is. */
  lastSeen(milestone: DroneMilestoneSignal): void {
    this.lastKnown = whereaboutsOf(milestone) ?? this.lastKnown;
  }

  /** One that was given up for silent or late goes on: there is nothing left for a person to settle. */
  async heardAgain(kind: DroneMilestoneSignal['kind']): Promise<void> {
    if (this.intervention === undefined) return;
    const id = this.intervention;
    this.intervention = undefined;
    this.isOnGround = false;
    await this.run.record.resolveIntervention(
      id,
      'goes_on',
      'system',
      `the drone goes on: ${kind.replaceAll('_', ' ')}`,
    );
  }

  /** Late with, perhaps, the package aboard: said at once; if it goes on, a person must look. */
  async onStillOverdue(): Promise<Next> {
    const { record, policy } = this.run;
    const { progress } = this;
    progress.overdue += 1;
    const expectedBy = isoTime(progress.untilMs);
    progress.untilMs = record.nowMs() + lookAgainInMs(policy.dropoffArrivalSlackS, progress.overdue);
    if (progress.overdue === 1) {
      await record.note('overdue', {
        patch: { delayed: true },
        data: { waiting_for: progress.waitingFor, expected_by: expectedBy },
      });
    } else if (this.intervention === undefined) {
      await this.ask(
        'overdue',
        `Drone ${this.drone.droneId} is overdue since ${expectedBy}, last known ${this.lastKnown}.`,
      );
    }
    return 'on';
  }

  /**
   * It has landed safely and let go of the package, which lies there: another drone may take it over.
   * @param patch what else the event changes
   */
  async onSetDown(
    { position, droneId, occurredAt, detail }: DroneMilestoneSignal,
    patch: DeliveryPatch,
  ): Promise<Next> {
    const { record } = this.run;
    if (this.intervention !== undefined) {
      const why = 'the package has been set down: asked anew';
      await record.resolveIntervention(this.intervention, 'asked_anew', 'system', why);
      this.intervention = undefined;
    }
    await record.note('package_set_down', {
      occurredAtMs: Date.parse(occurredAt),
      data: { drone_id: droneId, position, by: detail['by'] === 'operator' ? 'operator' : 'drone' },
      patch: { delayed: true, delay_reason: 'drone_failed', ...patch },
    });
    this.setDownAt = position ?? undefined;
    await this.ask(
      'package_set_down',
      `Drone ${droneId} is down and has set the package down, which lies at ${placeOf(position)}.`,
    );
    return 'on';
  }

  /** @param about `package_set_down`: a drone that is down, and another one may take over */
  async ask(
    about: 'overdue' | 'drone_down' | 'drone_refused' | 'package_set_down',
    reason: string,
  ): Promise<void> {
    const { record } = this.run;
    const kind = about === 'package_set_down' ? 'drone_down' : about;
    const id = record.interventionId(`${about}_${record.state.attempt}`);
    const replaced = this.intervention;
    this.intervention = id;
    this.isOnGround = kind === 'drone_down';
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

  /** @throws {Ended} failed, when the package is given up for lost */
  async onAnswer(command: ResolveInterventionCommand): Promise<Next> {
    const { interventionId, answer, actor, why } = command;
    const { record } = this.run;
    if (interventionId !== this.intervention) {
      // One that was replaced before questions were closed with that.
      record.answers.close(interventionId, `answer ${this.intervention ?? 'the newest one'} instead`);
      return 'on';
    }
    this.intervention = undefined;
    await record.answered(command);
    if (answer === ANOTHER_DRONE && this.setDownAt) return this.handOn(this.setDownAt);
    return (await settledByHand(record, answer, nameOf(actor), why)) ?? 'on';
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
}

/** `at 47.63, -122.11 (departed pickup, 2027-01-15T10:04:00.000Z)`; undefined: the milestone does not say where. */
function whereaboutsOf({ position, kind, occurredAt }: DroneMilestoneSignal): string | undefined {
  return position === null
    ? undefined
    : `at ${placeOf(position)} (${kind.replaceAll('_', ' ')}, ${occurredAt})`;
}
