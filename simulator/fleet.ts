/**
 * All aircraft of the simulator. It does nothing by itself: `simulator/runner.ts` drives it on the wall's time, a scripted
 * pilot in virtual time.
 */
import { clockTimeMs } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import type { DroneId } from '../shared/ids.ts';
import type { Drone, Mission } from '../services/drone/contract/index.ts';
import { type Aircraft, wakeAircraft } from './aircraft.ts';
import { type Fault, isWorthRepeating, LinkedAircraft, type LinkOptions } from './linked-aircraft.ts';

export type { DroneEndpoints, Fault, LinkOptions } from './linked-aircraft.ts';

const DRONES_PER_BATCH = 200;
const SAMPLES_PER_BATCH = 3_000;
const MISSIONS_AT_ONCE = 16;

export class Fleet {
  readonly #options: LinkOptions;
  readonly #members = new Map<DroneId, LinkedAircraft>();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Every aircraft as it was at its last event, with whether it knows what it is doing. */
  aircraft(): { aircraft: Aircraft; nowMs: number }[] {
    return this.#all().map((member) => ({ aircraft: member.aircraft, nowMs: member.nowMs() }));
  }

  /** Aircraft that could not yet learn what they were doing: `discover` tries again. */
  get asleep(): number {
    return this.#all().filter((member) => !member.isAwake).length;
  }

  /**
   * Takes on every drone of the registry that it does not have yet, where and how it was last known, with the mission it was
   * on; and brings back those that an operator has cleared. Throws when the endpoints cannot be reached.
   */
  async discover(): Promise<void> {
    const { endpoints, clock, memory, wall } = this.#options;
    const [drones, models, bases] = await Promise.all([
      this.#registered(),
      endpoints.listModels({}),
      endpoints.listBases({}),
    ]);
    const modelOf = new Map(models.data.map((model) => [model.id, model]));
    const baseOf = new Map(bases.data.map((base) => [base.id, base]));
    for (const drone of drones) {
      const known = this.#members.get(drone.id);
      const model = modelOf.get(drone.model_id);
      const base = baseOf.get(drone.base_id);
      if (known) {
        const isCleared = drone.state === 'idle' || drone.state === 'charging';
        if (isCleared && drone.reservation_id === null) known.recover();
      } else if (model && base) {
        const unsaid = memory.unsaid(drone.id);
        const aircraft = wakeAircraft(drone, model, base, clockTimeMs(clock, wall()), unsaid);
        this.#members.set(drone.id, new LinkedAircraft(aircraft, this.#options));
      }
      // Without model or base it was registered after these were read: next time.
    }
    const asleep = this.#all().filter((member) => !member.isAwake);
    for (let from = 0; from < asleep.length; from += MISSIONS_AT_ONCE) {
      await Promise.all(asleep.slice(from, from + MISSIONS_AT_ONCE).map((member) => member.fetchMission()));
    }
  }

  async #registered(): Promise<Drone[]> {
    const drones: Drone[] = [];
    let cursor: string | null = null;
    do {
      const page: { data: Drone[]; next_cursor: string | null } = await this.#options.endpoints.listDrones({
        query: { limit: 200, ...(cursor !== null && { cursor }) },
      });
      drones.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return drones;
  }

  /** When the next thing happens to any of them by itself (wall, Unix milliseconds); `null`: nothing until told. */
  nextEventWallMs(): number | null {
    let earliest: number | null = null;
    for (const member of this.#members.values()) {
      const wallMs = member.nextEventWallMs();
      if (wallMs !== null && (earliest === null || wallMs < earliest)) earliest = wallMs;
    }
    return earliest;
  }

  /** Lets everything happen that is due, and begins to hand over what there is to say. */
  advance(): void {
    for (const member of this.#members.values()) member.advance();
  }

  /** Resolves when none is in the middle of an exchange. */
  async settled(): Promise<void> {
    for (;;) {
      const busy = this.#all()
        .map((member) => member.busy())
        .filter((one) => one !== null);
      if (busy.length === 0) return;
      await Promise.all(busy);
    }
  }

  /** Every aircraft notes where it is; those with a link radio it, and hear of newer missions. */
  async radio(): Promise<void> {
    for (const member of this.#members.values()) member.sample();
    const reporting = this.#all().filter((member) => member.isAwake && member.hasLink);
    await Promise.all(batches(reporting).map((batch) => this.#radioBatch(batch)));
  }

  async #radioBatch(batch: LinkedAircraft[]): Promise<void> {
    const { endpoints, logger } = this.#options;
    const sent = batch.map((member) => ({ member, samples: member.takeSamples() }));
    try {
      const { missions } = await endpoints.postTelemetry({
        body: { drones: sent.map(({ member, samples }) => ({ drone_id: member.aircraft.id, samples })) },
      });
      const newest = new Map(missions.map((one) => [one.drone_id, one]));
      for (const { member } of sent) member.hearNewest(newest.get(member.aircraft.id));
    } catch (error) {
      // What is refused for what it says would be refused again, and hold up all that follows.
      const isRefused = !isWorthRepeating(error);
      if (!isRefused) for (const { member, samples } of sent) member.putSamplesBack(samples);
      logger[isRefused ? 'error' : 'warn'](
        { reason: messageOf(error), drones: batch.length, dropped: isRefused },
        'telemetry was not taken',
      );
    }
  }

  /** Arms a fault on the first aircraft on a mission that matches. Answers whether there was one. */
  armInFlight(fault: Fault, matches: (aircraft: Aircraft, mission: Mission) => boolean): boolean {
    for (const member of this.#members.values()) {
      const { mission } = member.aircraft;
      if (mission === null || !matches(member.aircraft, mission)) continue;
      member.arm(fault);
      return true;
    }
    return false;
  }

  /** Takes an armed fault back. */
  disarm(faultId: string): void {
    for (const member of this.#members.values()) member.disarm(faultId);
  }

  #all(): LinkedAircraft[] {
    return [...this.#members.values()];
  }
}

function batches(members: LinkedAircraft[]): LinkedAircraft[][] {
  const all: LinkedAircraft[][] = [];
  let samples = 0;
  for (const member of members) {
    const last = all.at(-1);
    samples += member.samples;
    if (last === undefined || last.length === DRONES_PER_BATCH || samples > SAMPLES_PER_BATCH) {
      all.push([member]);
      samples = member.samples;
    } else {
      last.push(member);
    }
  }
  return all;
}
