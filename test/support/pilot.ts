/**
 * A pilot for tests that move time themselves: the simulator's own aircraft, flown against the drone service in virtual time.
 * Everything an aircraft does happens at its exact time, however far time jumps; nothing depends on how fast the test runs.
 */
import { LIVE_CLOCK } from '../../shared/clock.ts';
import type { Client } from '../../shared/http/client.ts';
import type { DeliveryId, DroneId } from '../../shared/ids.ts';
import { createLogger } from '../../shared/logger.ts';
import type { deliveryContract } from '../../services/delivery/contract/index.ts';
import type {
  aircraftContract,
  Base,
  Drone,
  droneContract,
  DroneModel,
} from '../../services/drone/contract/index.ts';
import { FORGETFUL } from '../../simulator/memory.ts';
import { type Aircraft, type Failure, type Stage, wakeAircraft } from '../../simulator/aircraft.ts';
import { type DroneEndpoints, LinkedAircraft } from '../../simulator/linked-aircraft.ts';

export interface PilotOptions {
  drone: Pick<Client<typeof droneContract>, 'getDrone' | 'listDrones' | 'listModels' | 'listBases'>;
  aircraft: Pick<
    Client<typeof aircraftContract>,
    'postTelemetry' | 'getMission' | 'requestLoadToken' | 'postMilestone'
  >;
  /** Where photos go; a test without any needs none. */
  delivery?: Pick<Client<typeof deliveryContract>, 'keepPhoto'>;
}

/** A drone as the service has it. */
export interface Registered {
  drone: Drone;
  model: DroneModel;
  base: Base;
}

/** A failure in the script: on the mission that the drone flies, or else on its next. */
export interface ScriptedFailure {
  failure: Failure;
  /** `to_pickup` unless told; of no matter to `sender_absent` and `dropoff_blocked`, which have their own. */
  stage?: Stage;
  /** How far into the stage, 0–1; half-way unless told. */
  at?: number;
  /** How long a link is lost, seconds; a quarter of an hour unless told: longer than anybody waits for it. */
  forS?: number;
}

export class Pilot {
  readonly #drone: PilotOptions['drone'];
  readonly #endpoints: DroneEndpoints;
  readonly #aircraft = new Map<DroneId, LinkedAircraft>();
  readonly #script = new Map<DroneId, ScriptedFailure[]>();
  /** Who has ever had a delivery's package in the bay, whether anybody heard of it or not. */
  readonly #carriers = new Map<DeliveryId, Set<DroneId>>();
  readonly #logger = createLogger({ role: 'pilot', level: process.env['LOG_LEVEL'] ?? 'error' });
  #wallMs = 0;
  /** Something was said or heard that others may react to. */
  #moved = false;

  constructor({ drone, aircraft, delivery }: PilotOptions) {
    this.#drone = drone;
    this.#endpoints = {
      listDrones: drone.listDrones,
      listModels: drone.listModels,
      listBases: drone.listBases,
      postTelemetry: aircraft.postTelemetry,
      postPhoto: async ({ params, body: { photo, taken_at, position } }) => {
        const delivery_id = this.#linked(params.drone_id).aircraft.mission?.delivery_id;
        if (!delivery || !delivery_id) throw new Error('Nobody takes photos here');
        const body = { photo, taken_at, position };
        return { ...(await delivery.keepPhoto({ params: { delivery_id }, body })), reason: null };
      },
      getMission: aircraft.getMission,
      requestLoadToken: (input, options) => {
        this.#moved = true;
        return aircraft.requestLoadToken(input, options);
      },
      postMilestone: (input, options) => {
        this.#moved = true;
        return aircraft.postMilestone(input, options);
      },
    };
  }

  /** Takes a registered drone aboard, as the service knows it now. `registered`: what it has just been told. */
  async board(droneId: DroneId, nowMs: number, registered?: Registered): Promise<void> {
    this.#wallMs = Math.max(this.#wallMs, nowMs);
    const { drone, model, base } = registered ?? (await this.#lookUp(droneId));
    const linked = new LinkedAircraft(wakeAircraft(drone, model, base, this.#wallMs), {
      endpoints: this.#endpoints,
      clock: LIVE_CLOCK,
      wall: () => this.#wallMs,
      logger: this.#logger,
      memory: FORGETFUL,
      faultsFor: () => (this.#script.get(droneId)?.splice(0) ?? []).map(faultOf),
    });
    this.#aircraft.set(droneId, linked);
    await linked.fetchMission();
  }

  async #lookUp(droneId: DroneId): Promise<Registered> {
    const [drone, models, bases] = await Promise.all([
      this.#drone.getDrone({ params: { drone_id: droneId } }),
      this.#drone.listModels({}),
      this.#drone.listBases({}),
    ]);
    const model = models.data.find((one) => one.id === drone.model_id);
    const base = bases.data.find((one) => one.id === drone.base_id);
    if (!model || !base) throw new Error(`${droneId} has no model or base`);
    return { drone, model, base };
  }

  has(droneId: DroneId): boolean {
    return this.#aircraft.has(droneId);
  }

  /** It flies these no more: the test that needed them is over. */
  leave(droneIds: readonly DroneId[]): void {
    for (const droneId of droneIds) this.#aircraft.delete(droneId);
  }

  /** Puts a failure in the script. */
  arm(droneId: DroneId, failure: ScriptedFailure): void {
    const linked = this.#linked(droneId);
    if (linked.aircraft.mission !== null) linked.arm(faultOf(failure));
    else this.#script.set(droneId, [...(this.#script.get(droneId) ?? []), failure]);
  }

  /** Nothing goes wrong with it any more. */
  disarm(droneId: DroneId): void {
    this.#script.delete(droneId);
    const linked = this.#linked(droneId);
    for (const fault of linked.aircraft.faults) linked.disarm(fault.id);
  }

  /** The aircraft as it really is. */
  look(droneId: DroneId): Aircraft {
    return this.#linked(droneId).aircraft;
  }

  /** The aircraft that have ever had this delivery's package in the bay. */
  carriersOf(deliveryId: DeliveryId): DroneId[] {
    return [...(this.#carriers.get(deliveryId) ?? [])];
  }

  /** When something will next happen to one of its aircraft by itself (Unix milliseconds). */
  nextEventAtMs(): number | undefined {
    const times = [...this.#aircraft.values()].map((linked) => linked.nextEventWallMs());
    const known = times.filter((one) => one !== null);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  /** It is on a mission, and will be heard of again. */
  isOnMission(droneId: DroneId): boolean {
    const aircraft = this.#aircraft.get(droneId)?.aircraft;
    return aircraft !== undefined && aircraft.mission !== null && aircraft.activity.kind !== 'down';
  }

  /** All of its aircraft are in reach, and nothing is going to go wrong with any. */
  areAllWell(): boolean {
    return [...this.#aircraft].every(
      ([id, { isAwake, hasLink, aircraft }]) =>
        isAwake && hasLink && aircraft.faults.length === 0 && !this.#script.get(id)?.length,
    );
  }

  /**
   * Lets everything happen until this moment, each event at its own time, and says and hears what there is to say and hear.
   * Answers whether a milestone or a wish to load was posted or a mission was heard, so that others may have to react.
   * `mayHearNews`: asked once all has happened; if not, nothing is radioed, as it would be what was radioed before.
   */
  async flyUntil(nowMs: number, mayHearNews: () => boolean = () => true): Promise<boolean> {
    this.#moved = false;
    let atThisMoment = 0;
    for (;;) {
      const nextMs = this.nextEventAtMs();
      if (nextMs === undefined || nextMs > nowMs) break;
      atThisMoment = nextMs > this.#wallMs ? 0 : atThisMoment + 1;
      if (atThisMoment > MOST_AT_ONE_MOMENT) throw new Error(`Whatever is due at ${nextMs} does not happen.`);
      await this.#goOnTo(nextMs);
    }
    await this.#goOnTo(nowMs);
    if (mayHearNews()) await this.#radio();
    return this.#moved;
  }

  async #goOnTo(wallMs: number): Promise<void> {
    this.#wallMs = Math.max(this.#wallMs, wallMs);
    for (const linked of this.#aircraft.values()) {
      linked.advance();
      this.#noteCargo(linked.aircraft);
    }
    await this.#settled();
  }

  #noteCargo({ id, mission, payloadKg }: Aircraft): void {
    if (mission === null || payloadKg === 0) return;
    const carriers = this.#carriers.get(mission.delivery_id) ?? new Set();
    this.#carriers.set(mission.delivery_id, carriers.add(id));
  }

  async #radio(): Promise<void> {
    const reporting = [...this.#aircraft.values()].filter((linked) => linked.isAwake && linked.hasLink);
    if (reporting.length === 0) return;
    for (const linked of reporting) linked.sample();
    const before = new Map(reporting.map((linked) => [linked, linked.aircraft.mission]));
    const { missions } = await this.#endpoints.postTelemetry({
      body: {
        drones: reporting.map((linked) => ({
          drone_id: linked.aircraft.id,
          samples: linked.takeSamples(),
        })),
      },
    });
    const newest = new Map(missions.map((one) => [one.drone_id, one]));
    for (const linked of reporting) linked.hearNewest(newest.get(linked.aircraft.id));
    await this.#settled();
    this.#moved ||= reporting.some((linked) => linked.aircraft.mission !== before.get(linked));
  }

  async #settled(): Promise<void> {
    for (;;) {
      const busy = [...this.#aircraft.values()].map((linked) => linked.busy()).filter((one) => one !== null);
      if (busy.length === 0) return;
      await Promise.all(busy);
    }
  }

  #linked(droneId: DroneId): LinkedAircraft {
    const linked = this.#aircraft.get(droneId);
    if (!linked) throw new Error(`${droneId} is not aboard`);
    return linked;
  }
}

/** More than ever happens to a fleet at one time: a test would go round for ever, where no time limit of a test reaches it. */
const MOST_AT_ONE_MOMENT = 10_000;
const LONGER_THAN_ANYBODY_WAITS_S = 900;

function faultOf({ failure, stage, at, forS }: ScriptedFailure) {
  const ownStage = {
    sender_absent: 'at_pickup',
    dropoff_blocked: 'at_dropoff',
    recipient_absent: 'at_dropoff',
  } as const;
  return {
    id: `script/${failure}`,
    failure,
    stage:
      failure === 'sender_absent' || failure === 'dropoff_blocked' || failure === 'recipient_absent'
        ? ownStage[failure]
        : (stage ?? ('to_pickup' as const)),
    at: at ?? 0.5,
    forS: forS ?? LONGER_THAN_ANYBODY_WAITS_S,
  };
}
