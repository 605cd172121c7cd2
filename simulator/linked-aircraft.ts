/**
 * One aircraft and its talk with the drone service: it fetches its mission, and hands over what it has to say in order, each
 * until it is acknowledged. Nothing is lost while the link or the api is down, and nothing is said twice with another number.
 */
import type { droneOperations } from '../api/contract/drones.ts';
import { type ClockSettings, clockTimeMs, firstWallMs, type WallClock } from '../shared/clock.ts';
import { messageOf, Problem } from '../shared/errors.ts';
import type { Client } from '../shared/http/client.ts';
import type { Logger } from '../shared/logger.ts';
import type {
  aircraftContract,
  droneContract,
  Mission,
  TelemetrySample,
} from '../services/drone/contract/index.ts';
import {
  advance,
  type Aircraft,
  arm,
  type ArmedFault,
  hasLink,
  hearLoadAnswer,
  hearMission,
  nextEventAtMs,
  type Orders,
  type Outgoing,
  recover,
  telemetrySample,
  unsaidFacts,
} from './aircraft.ts';
import type { Memory } from './memory.ts';
import { simulatedPhoto } from './pictures.ts';
import { TelemetryBuffer } from './telemetry-buffer.ts';

/** The drone endpoints, public (through the api) or the drone service's own: the same operations. */
export type DroneEndpoints = Pick<
  Client<typeof aircraftContract>,
  'postTelemetry' | 'getMission' | 'requestLoadToken' | 'postMilestone'
> &
  Pick<Client<typeof droneContract>, 'listDrones' | 'listModels' | 'listBases'> &
  Pick<Client<typeof droneOperations>, 'postPhoto'>;

export type Fault = Omit<ArmedFault, 'dueMs'>;

export interface LinkOptions {
  endpoints: DroneEndpoints;
  /** What it flies by between deliveries; on one, it flies by the delivery's. */
  clock: ClockSettings;
  wall: WallClock;
  logger: Logger;
  /** What will go wrong on a mission that an aircraft takes on. */
  faultsFor: (aircraft: Aircraft, mission: Mission) => readonly Fault[];
  /** What outlives its computer. */
  memory: Memory;
}

const RETRY_FIRST_MS = 200;
const RETRY_LONGEST_MS = 5_000;

export class LinkedAircraft {
  readonly #options: LinkOptions;
  readonly #telemetry = new TelemetryBuffer();
  #aircraft: Aircraft;
  #clock: ClockSettings;
  #talking: Promise<void> | null = null;
  #fetching: Promise<void> | null = null;
  #failures = 0;
  /** After a failed try, not before this (wall). */
  #retryAtWallMs = 0;
  #awake = false;

  constructor(aircraft: Aircraft, options: LinkOptions) {
    this.#aircraft = aircraft;
    this.#clock = options.clock;
    this.#options = options;
  }

  /** What it has done is written down before anybody can see it. */
  set #now(aircraft: Aircraft) {
    const before = unsaidFacts(this.#aircraft);
    this.#aircraft = aircraft;
    const unsaid = unsaidFacts(aircraft);
    const isSame = unsaid.length === before.length && unsaid.every((one, index) => one === before[index]);
    if (!isSame) this.#options.memory.keep(aircraft.id, unsaid);
  }

  /** How it was at its last event or word. */
  get aircraft(): Aircraft {
    return this.#aircraft;
  }

  /** It has learnt what it was doing. Before that it does nothing. */
  get isAwake(): boolean {
    return this.#awake;
  }

  get hasLink(): boolean {
    return hasLink(this.#aircraft);
  }

  /** On its clock, Unix milliseconds. */
  nowMs(): number {
    return clockTimeMs(this.#clock, this.#options.wall());
  }

  /** When the next thing happens to it by itself, or it tries again to say something (wall, Unix milliseconds). */
  nextEventWallMs(): number | null {
    if (!this.#awake) return null;
    const eventMs = nextEventAtMs(this.#aircraft);
    const hasNews = this.#aircraft.outbox.length > 0 && this.hasLink && this.#talking === null;
    const times = [
      ...(eventMs === null ? [] : [firstWallMs(this.#clock, eventMs)]),
      ...(hasNews ? [this.#retryAtWallMs] : []),
    ];
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Lets everything happen that is due, and begins to hand over what there is to say. */
  advance(): void {
    if (!this.#awake) return;
    this.#now = advance(this.#aircraft, this.nowMs());
    this.#talk();
  }

  /** What it is in the middle of, if anything. */
  busy(): Promise<void> | null {
    return this.#talking ?? this.#fetching;
  }

  /** Notes where it is, to be radioed. */
  sample(): void {
    if (this.#awake) this.#telemetry.add(telemetrySample(this.#aircraft, this.nowMs()));
  }

  get samples(): number {
    return this.#telemetry.size;
  }

  takeSamples(): TelemetrySample[] {
    return this.#telemetry.take();
  }

  putSamplesBack(samples: readonly TelemetrySample[]): void {
    this.#telemetry.putBack(samples);
  }

  /** Hears which mission is newest, and fetches it when it is news. */
  hearNewest(newest: { mission_id: string; version: number } | undefined): void {
    const { mission } = this.#aircraft;
    const isNews =
      newest === undefined
        ? mission !== null
        : mission === null || newest.mission_id !== mission.id || newest.version > mission.version;
    if (isNews) void this.fetchMission();
  }

  /** Fetches what it is to fly now. A failed try is repeated by whoever notices that there is news. */
  fetchMission(): Promise<void> {
    this.#fetching ??= this.#fetchAndHear().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetchAndHear(): Promise<void> {
    const { endpoints, logger, faultsFor } = this.#options;
    const drone_id = this.#aircraft.id;
    // What it has to say goes first: the answer tells how far the service knows it to be.
    await this.#talking;
    let orders: Orders;
    try {
      orders = await endpoints.getMission({ params: { drone_id }, query: {} });
    } catch (error) {
      logger.warn({ drone_id, reason: messageOf(error) }, 'could not fetch the mission');
      return;
    }
    const before = this.#aircraft.mission;
    this.#setTime(orders.mission?.clock ?? this.#clock);
    this.#now = hearMission(this.#aircraft, orders, this.nowMs(), (mission) =>
      faultsFor(this.#aircraft, mission).map((fault) => ({ ...fault, dueMs: null })),
    );
    this.#awake = true;
    const { mission } = this.#aircraft;
    if (mission !== null && (mission.id !== before?.id || mission.version !== before.version)) {
      const { delivery_id, reservation_id, version, command } = mission;
      logger.info({ drone_id, delivery_id, reservation_id, version, command }, 'hears a mission');
    }
    this.#talk();
  }

  /** Brings it to now; from here on its time is that of this clock. */
  #setTime(clock: ClockSettings): void {
    if (this.#awake) this.#now = advance(this.#aircraft, this.nowMs());
    const beforeMs = this.#awake ? this.nowMs() : this.#aircraft.since.atMs;
    this.#clock = clock;
    this.#now = shifted(this.#aircraft, this.nowMs() - beforeMs);
  }

  #talk(): void {
    const mayTalk = this.#talking === null && this.#options.wall() >= this.#retryAtWallMs;
    if (!mayTalk || this.#aircraft.outbox.length === 0 || !this.hasLink) return;
    this.#talking = this.#handOver().finally(() => {
      this.#talking = null;
    });
  }

  async #handOver(): Promise<void> {
    for (let next = this.#nextMessage(); next; next = this.#nextMessage()) {
      if (await this.#tryToTell(next)) {
        this.#failures = 0;
      } else {
        const waitMs = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures);
        this.#failures += 1;
        this.#retryAtWallMs = this.#options.wall() + waitMs;
        return;
      }
    }
  }

  #nextMessage(): Outgoing | undefined {
    return this.hasLink ? this.#aircraft.outbox[0] : undefined;
  }

  /** Tells one thing. Answers whether it is settled; else it is to be tried again later. */
  async #tryToTell(message: Outgoing): Promise<boolean> {
    const { logger } = this.#options;
    const drone_id = this.#aircraft.id;
    try {
      return await this.#tell(message);
    } catch (error) {
      if (isWorthRepeating(error)) {
        logger.warn({ drone_id, reason: messageOf(error) }, 'could not be heard');
        return false;
      }
      logger.error({ err: error, drone_id, message }, 'the drone service does not understand this');
      this.#settle(message);
      return true;
    }
  }

  async #tell(message: Outgoing): Promise<boolean> {
    const { endpoints, logger } = this.#options;
    const params = { drone_id: this.#aircraft.id };
    const { reservation_id } = message.body;
    if (message.kind === 'milestone') {
      const answer = await endpoints.postMilestone({ params, body: message.body });
      if (!this.hasLink) return false;
      const level = answer.outcome === 'refused' ? 'warn' : 'info';
      logger[level]({ ...params, reservation_id, kind: message.body.kind, ...answer }, 'milestone');
      this.#settle(message);
      return true;
    }
    if (message.kind === 'photo') {
      const { outcome, reason } = await endpoints.postPhoto({
        params,
        body: { ...message.body, photo: simulatedPhoto(reservation_id) },
      });
      if (!this.hasLink) return false;
      logger.info({ ...params, reservation_id, outcome, reason }, 'photo');
      this.#settle(message);
      return true;
    }
    const answer = await endpoints.requestLoadToken({ params, body: message.body });
    if (!this.hasLink) return false;
    const { outcome } = answer;
    const reason = outcome === 'refused' ? answer.reason : null;
    logger.info({ ...params, reservation_id, outcome, reason }, 'asked to load');
    if (reason === 'not_at_pickup') return false;
    const atMs = this.nowMs();
    this.#now = advance(this.#aircraft, atMs);
    this.#settle(message);
    this.#now = hearLoadAnswer(this.#aircraft, answer, reservation_id, atMs);
    return true;
  }

  #settle(message: Outgoing): void {
    this.#now = {
      ...this.#aircraft,
      outbox: this.#aircraft.outbox.filter((one) => one !== message),
    };
  }

  arm(fault: Fault): void {
    const atMs = this.nowMs();
    this.#now = arm(advance(this.#aircraft, atMs), fault, atMs);
  }

  disarm(faultId: string): void {
    this.#now = {
      ...this.#aircraft,
      faults: this.#aircraft.faults.filter((fault) => fault.id !== faultId),
    };
  }

  /** An operator has cleared it. */
  recover(): void {
    this.#now = recover(this.#aircraft, this.nowMs());
  }
}

/** The other side is down, overloaded, or not yet told of our key: it may take it later. */
export function isWorthRepeating(error: unknown): boolean {
  return !(error instanceof Problem) || error.retryable || error.status === 401 || error.status === 403;
}

/** The aircraft on a clock that shows so much more. */
function shifted(aircraft: Aircraft, shiftMs: number): Aircraft {
  if (shiftMs === 0) return aircraft;
  const { linkLostUntilMs } = aircraft;
  return {
    ...aircraft,
    since: { ...aircraft.since, atMs: aircraft.since.atMs + shiftMs },
    linkLostUntilMs: linkLostUntilMs === null ? null : linkLostUntilMs + shiftMs,
    faults: aircraft.faults.map((fault) => ({
      ...fault,
      dueMs: fault.dueMs === null ? null : fault.dueMs + shiftMs,
    })),
  };
}
