/** Which failures strike which mission: those that were ordered, and those that chance brings, the same for the same seed. */
import { createHash, randomUUID } from 'node:crypto';
import { isoTime } from '../shared/clock.ts';
import { Problem } from '../shared/errors.ts';
import type { Mission } from '../services/drone/contract/index.ts';
import { DEFAULT_LINK_LOSS_S, type Failure, FAILURES, type Stage } from './aircraft/faults.ts';
import type { Aircraft } from './aircraft.ts';
import type { FailureCommand, OrderFailure } from './contract.ts';
import type { Fault } from './fleet.ts';

/** How likely each failure is on one mission, 0–1. */
export type Chances = Record<Failure, number>;

export class Failures {
  readonly #seed: string;
  readonly #chances: Chances;
  #commands: FailureCommand[] = [];

  constructor({ seed, chances }: { seed: string; chances: Chances }) {
    this.#seed = seed;
    this.#chances = chances;
  }

  /**
   * Orders a failure.
   * @throws {Problem} `invalid-request` when it is not for exactly one target, or at a stage where it cannot happen.
   */
  order(order: OrderFailure, nowMs: number): FailureCommand {
    const { failure, drone_id, delivery_id, next } = order;
    if (
      [drone_id, delivery_id, next === true ? true : undefined].filter((one) => one !== undefined).length !==
      1
    )
      throw invalid('drone_id', 'exactly one of drone_id, delivery_id and next: true must be given');
    const ownStage = OWN_STAGE[failure];
    if (ownStage !== undefined && order.stage !== undefined && order.stage !== ownStage)
      throw invalid('stage', `must be ${ownStage} for ${failure}`);
    const command: FailureCommand = {
      id: randomUUID(),
      failure,
      drone_id: drone_id ?? null,
      delivery_id: delivery_id ?? null,
      next: next ?? false,
      stage: ownStage ?? order.stage ?? 'to_pickup',
      at: order.at ?? 0.5,
      for_s: order.for_s ?? DEFAULT_LINK_LOSS_S,
      state: 'armed',
      assigned_to: null,
      created_at: isoTime(nowMs),
    };
    this.#commands.push(command);
    return command;
  }

  /** Whether a command is meant for this mission. */
  static matches(command: FailureCommand, aircraft: Aircraft, mission: Mission): boolean {
    return command.next || command.drone_id === aircraft.id || command.delivery_id === mission.delivery_id;
  }

  static faultOf({ id, failure, stage, at, for_s }: FailureCommand): Fault {
    return { id, failure, stage, at, forS: for_s };
  }

  /** What strikes a mission that this aircraft takes on. Commands that match are used up by it. */
  faultsFor(aircraft: Aircraft, mission: Mission): Fault[] {
    const ordered = this.#commands.filter(
      (command) => command.state === 'armed' && Failures.matches(command, aircraft, mission),
    );
    for (const command of ordered) this.assign(command, aircraft);
    return [...ordered.map((command) => Failures.faultOf(command)), ...this.#byChance(mission)];
  }

  assign(command: FailureCommand, { id }: Aircraft): void {
    command.state = 'assigned';
    command.assigned_to = id;
  }

  #byChance({ reservation_id }: Mission): Fault[] {
    const draw = (what: string) => uniform(`${this.#seed}/${reservation_id}/${what}`);
    return FAILURES.filter((failure) => draw(failure) < this.#chances[failure]).map((failure) => ({
      id: `chance/${reservation_id}/${failure}`,
      failure,
      stage: OWN_STAGE[failure] ?? (draw(`${failure}/stage`) < 0.5 ? 'to_pickup' : 'to_dropoff'),
      at: draw(`${failure}/at`),
      forS: DEFAULT_LINK_LOSS_S,
    }));
  }

  /** The commands with what has become of them by now, oldest first. */
  list(fleet: readonly Aircraft[]): FailureCommand[] {
    const happened = new Set(fleet.flatMap((aircraft) => aircraft.happened));
    for (const command of this.#commands) if (happened.has(command.id)) command.state = 'happened';
    return this.#commands;
  }

  /** @throws {Problem} `not-found`; `conflict` when it has happened. */
  clear(id: string, fleet: readonly Aircraft[]): FailureCommand {
    const command = this.list(fleet).find((one) => one.id === id);
    if (command === undefined) throw new Problem('not-found', { detail: `There is no command ${id}.` });
    if (command.state === 'happened')
      throw new Problem('conflict', { reason: 'already_happened', detail: 'The failure has happened.' });
    this.#commands = this.#commands.filter((one) => one !== command);
    return command;
  }

  /** Forgets all commands; answers which they were. */
  clearAll(): FailureCommand[] {
    const cleared = this.#commands;
    this.#commands = [];
    return cleared;
  }
}

const OWN_STAGE: Partial<Record<Failure, Stage>> = {
  sender_absent: 'at_pickup',
  dropoff_blocked: 'at_dropoff',
  recipient_absent: 'at_dropoff',
};

/** A number in [0, 1) that depends on the text alone: no order of events, and no restart, changes what chance brings. */
function uniform(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}

function invalid(field: string, message: string): Problem {
  return new Problem('invalid-request', { detail: `${field}: ${message}.`, errors: [{ field, message }] });
}
