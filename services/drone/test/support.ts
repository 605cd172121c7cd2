/** The drone service as its tests use it: real Postgres, real HTTP, a clock that the test moves, and a workflow port that records. */
import type { FastifyInstance } from 'fastify';
import { vi } from 'vitest';
import { withClient } from '../../../prisma/provision.ts';
import { isoTime, LIVE_CLOCK } from '../../../shared/clock.ts';
import { destination } from '../../../shared/geodesy.ts';
import { type Client, createClient } from '../../../shared/http/client.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import {
  type BaseId,
  type DeliveryId,
  type DroneId,
  type ModelId,
  newId,
  type ReservationId,
} from '../../../shared/ids.ts';
import type { Location } from '../../../shared/schemas.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { silentLogger } from '../../../test/support/service.ts';
import { DRONE_MILESTONE_SIGNAL, type DroneMilestoneSignal } from '../../../workflows/messages.ts';
import {
  aircraftContract,
  droneContract,
  type DroneModel,
  type MilestoneKind,
  type TelemetrySample,
} from '../contract/index.ts';
import { buildDroneService, type DroneServiceOptions } from '../service.ts';

export const CITY: Location = { latitude: 47.6419, longitude: -122.1265 };
export const START_MS = Date.parse('2026-03-01T12:00:00Z');

export const MODEL: Omit<DroneModel, 'id'> = {
  name: 'Kestrel',
  empty_mass_kg: 6.3,
  max_payload_kg: 2.5,
  max_package_size: 'medium',
  bay_slots: 3,
  cruise_speed_mps: 18,
  climb_speed_mps: 4,
  descent_speed_mps: 3,
  cruise_altitude_m: 70,
  battery_capacity_wh: 550,
  hover_power_w: 600,
  cruise_power_w: 570,
  charge_power_w: 1_100,
  reserve_fraction: 0.3,
};

/** What would be a cluster: keeps what it is told, and can be down or slow. */
export class RecordedWorkflows implements Pick<DeliveryWorkflows, 'signal'> {
  readonly signals: { deliveryId: DeliveryId; name: string; payload: unknown }[] = [];
  readonly gone = new Set<DeliveryId>();
  down = false;
  attempts = 0;
  /** Awaited before a signal is taken. */
  delay: (() => Promise<void>) | undefined;

  async signal(deliveryId: DeliveryId, name: string, payload: unknown): Promise<'signalled' | 'gone'> {
    this.attempts += 1;
    await this.delay?.();
    if (this.down) throw new Error('no connection to the cluster');
    if (this.gone.has(deliveryId)) return 'gone';
    this.signals.push({ deliveryId, name, payload });
    return 'signalled';
  }

  reset(): void {
    this.signals.length = 0;
    this.gone.clear();
    this.down = false;
    this.attempts = 0;
    this.delay = undefined;
  }

  milestones(deliveryId: DeliveryId): DroneMilestoneSignal[] {
    return this.signals
      .filter((one) => one.deliveryId === deliveryId && one.name === DRONE_MILESTONE_SIGNAL)
      .map((one) => one.payload as DroneMilestoneSignal);
  }

  named(name: string): DeliveryId[] {
    return this.signals.filter((one) => one.name === name).map((one) => one.deliveryId);
  }
}

export interface Running {
  app: FastifyInstance;
  drone: Client<typeof droneContract>;
  aircraft: Client<typeof aircraftContract>;
  close(): Promise<void>;
}

export async function runService(
  options: Omit<DroneServiceOptions, 'logger'> & Partial<DroneServiceOptions>,
): Promise<Running> {
  const app = await buildDroneService({ logger: silentLogger, ...options });
  const baseUrl = await app.listen({ host: '127.0.0.1', port: 0 });
  const drone = createClient(droneContract, { baseUrl, timeoutMs: 30_000 });
  const aircraft = createClient(aircraftContract, { baseUrl, timeoutMs: 30_000 });
  return {
    app,
    drone,
    aircraft,
    close: async () => {
      await Promise.all([drone.close(), aircraft.close()]);
      await app.close();
    },
  };
}

/** A service on a database of its own, with time that stands still until it is moved. */
export class World {
  readonly database: ServiceDatabase;
  readonly workflows = new RecordedWorkflows();
  modelId: ModelId = newId('model');
  baseId: BaseId = newId('base');
  nowMs = START_MS;
  readonly #options: Partial<DroneServiceOptions>;
  #service: Running | undefined;
  #others: Running[] = [];

  private constructor(database: ServiceDatabase, options: Partial<DroneServiceOptions>) {
    this.database = database;
    this.#options = options;
  }

  static async open(options: Partial<DroneServiceOptions> = {}): Promise<World> {
    const world = new World(await createServiceDatabase('drone'), options);
    world.#service = await world.#run();
    await world.#furnish();
    return world;
  }

  async #furnish(): Promise<void> {
    this.modelId = newId('model');
    this.baseId = newId('base');
    await this.ensureBase(this.baseId, CITY);
    await this.ensureModel(this.modelId);
  }

  /** An empty fleet, no deliveries, one process: as it was opened, only later. */
  async reset(): Promise<void> {
    await Promise.all(this.#others.map((one) => one.close()));
    this.#others = [];
    // The pumps may be looking: between two looks the tables can be had.
    await vi.waitFor(
      () =>
        withClient(this.database.ownerUrl, (owner) =>
          owner.query(
            `TRUNCATE drone.models, drone.bases, drone.drones, drone.drone_state_changes, drone.positions, drone.telemetry,
               drone.assignments, drone.reservations, drone.missions, drone.reroutes, drone.milestones, drone.waiting_list`,
          ),
        ),
      { timeout: 30_000 },
    );
    this.workflows.reset();
    await this.#furnish();
  }

  async #run(options: Partial<DroneServiceOptions> = {}): Promise<Running> {
    return runService({
      databaseUrl: this.database.url,
      workflows: this.workflows,
      wall: () => this.nowMs,
      ...this.#options,
      ...options,
    });
  }

  get service(): Running {
    if (!this.#service) throw new Error('The world is not open');
    return this.#service;
  }

  get drone(): Running['drone'] {
    return this.service.drone;
  }

  get aircraft(): Running['aircraft'] {
    return this.service.aircraft;
  }

  /** A second process on the same database. */
  async another(options: Partial<DroneServiceOptions> = {}): Promise<Running> {
    const other = await this.#run(options);
    this.#others.push(other);
    return other;
  }

  async close(): Promise<void> {
    await Promise.all([this.service, ...this.#others].map((one) => one.close()));
    await this.database.drop();
  }

  /** The process ends, and begins again after this long. */
  async restart(awayMs: number): Promise<void> {
    await this.service.close();
    this.nowMs += awayMs;
    this.#service = await this.#run();
  }

  /** Lets wall time pass, and whatever is due by then happen. */
  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.runDue();
  }

  async runDue(): Promise<void> {
    await this.service.app.dronePumps.runDue();
  }

  async ensureBase(id: BaseId, location: Location): Promise<void> {
    const body = { id, name: 'Base', location, pads: 20 };
    await this.drone.ensureBase({ params: { base_id: id }, body });
  }

  async ensureModel(id: ModelId, change: Partial<DroneModel> = {}): Promise<void> {
    await this.drone.ensureModel({ params: { model_id: id }, body: { ...MODEL, ...change, id } });
  }

  async addDrone(place: { at?: Location; modelId?: ModelId; battery?: number } = {}): Promise<DroneId> {
    const droneId = newId('drone');
    let { baseId } = this;
    if (place.at) {
      baseId = newId('base');
      await this.ensureBase(baseId, place.at);
    }
    const body = { name: droneId, model_id: place.modelId ?? this.modelId, base_id: baseId };
    await this.drone.ensureDrone({ params: { drone_id: droneId }, body });
    if (place.battery !== undefined)
      await this.radio(droneId, { battery: place.battery, position: place.at ?? CITY });
    return droneId;
  }

  async addDrones(count: number): Promise<DroneId[]> {
    return Promise.all(Array.from({ length: count }, () => this.addDrone()));
  }

  async radio(droneId: DroneId, sample: Partial<TelemetrySample> = {}) {
    return this.aircraft.postTelemetry({
      body: {
        drones: [
          {
            drone_id: droneId,
            samples: [
              {
                recorded_at: isoTime(this.nowMs),
                position: CITY,
                altitude_m: 0,
                speed_mps: 0,
                battery: 1,
                flight_mode: 'parked',
                ...sample,
              },
            ],
          },
        ],
      },
    });
  }

  job(change: Partial<Job> = {}): TestDelivery {
    return new TestDelivery(this, change);
  }

  /** A delivery with a drone on its way. */
  async dispatched(change: Partial<Job> = {}): Promise<TestDelivery> {
    const delivery = this.job(change);
    await delivery.mustReserve();
    await delivery.dispatch();
    return delivery;
  }
}

type Job = Omit<BodyOf<typeof droneContract, 'reserve'>, 'delivery_id' | 'account_id' | 'livemode'>;
type Reserved = Extract<Output<(typeof droneContract)['reserve']>, { outcome: 'reserved' }>;

export class TestDelivery {
  readonly id: DeliveryId = newId('delivery');
  readonly world: World;
  readonly body: Job;
  reserved: Reserved | undefined;
  #aircraftSequence = 0;
  #loadToken: string | undefined;

  constructor(world: World, change: Partial<Job>) {
    this.world = world;
    this.body = {
      pickup: destination(CITY, 90, 1_500),
      dropoff: destination(CITY, 45, 3_000),
      payload_kg: 1.2,
      package_sizes: ['small'],
      clock: LIVE_CLOCK,
      expedited: false,
      wait: true,
      exclude_drone_ids: [],
      ...change,
    };
  }

  key(step: string, ordinal = 1): string {
    return `${this.id}/${step}/${ordinal}`;
  }

  async reserve(ordinal = 1, drone = this.world.drone, change: Partial<Job> = {}) {
    const body = {
      ...this.body,
      ...change,
      delivery_id: this.id,
      account_id: ACCOUNT_ID,
      livemode: false,
    };
    const answer = await drone.reserve({ body }, { idempotencyKey: this.key('reserve', ordinal) });
    if (answer.outcome === 'reserved') {
      if (answer.reservation_id !== this.reserved?.reservation_id) this.#aircraftSequence = 0;
      this.reserved = answer;
    }
    return answer;
  }

  async mustReserve(ordinal = 1): Promise<Reserved> {
    const answer = await this.reserve(ordinal);
    if (answer.outcome !== 'reserved') throw new Error(`Not reserved: ${JSON.stringify(answer)}`);
    return answer;
  }

  get held(): Reserved {
    if (!this.reserved) throw new Error('Nothing is reserved yet');
    return this.reserved;
  }

  get droneId(): DroneId {
    return this.held.drone_id;
  }

  get reservationId(): ReservationId {
    return this.held.reservation_id;
  }

  #named(ordinal: number) {
    return { reserve_key: this.key('reserve', ordinal), delivery_id: this.id };
  }

  dispatch(
    ordinal = 1,
    drone = this.world.drone,
    change: Partial<BodyOf<typeof droneContract, 'dispatch'>> = {},
  ) {
    const body = {
      ...this.#named(ordinal),
      reservation_token: this.held.reservation_token,
      pickup_wait_s: 600,
      dropoff_hover_s: 120,
      ...change,
    };
    return drone.dispatch({ body }, { idempotencyKey: this.key('dispatch', ordinal) });
  }

  release(ordinal = 1, repetition = 1) {
    const body = { ...this.#named(ordinal), reason: 'test' };
    return this.world.drone.release({ body }, { idempotencyKey: this.key('release', repetition) });
  }

  recall(ordinal = 1, repetition = 1, drone = this.world.drone) {
    const body = { ...this.#named(ordinal), reason: 'test' };
    return drone.recall({ body }, { idempotencyKey: this.key('recall', repetition) });
  }

  returnToSender(repetition = 1) {
    const body = { ...this.#named(1), reason: 'test' };
    return this.world.drone.returnToSender({ body }, { idempotencyKey: this.key('return', repetition) });
  }

  leave(repetition = 1) {
    const body = { ...this.#named(1), reason: 'test' };
    return this.world.drone.leaveUnattended({ body }, { idempotencyKey: this.key('leave', repetition) });
  }

  reroute(
    dropoff: Location,
    step = 1,
    limits: Pick<BodyOf<typeof droneContract, 'reroute'>, 'deadline' | 'take_off_at'> = {},
  ) {
    const body = { ...this.#named(1), dropoff, ...limits };
    return this.world.drone.reroute({ body }, { idempotencyKey: this.key('reroute', step) });
  }

  undoReroute(step = 1) {
    const body = { ...this.#named(1), reroute_key: this.key('reroute', step) };
    return this.world.drone.undoReroute({ body }, { idempotencyKey: this.key('undo_reroute', step) });
  }

  requestLoadToken(aircraft = this.world.aircraft) {
    return aircraft.requestLoadToken({
      params: { drone_id: this.droneId },
      body: {
        reservation_id: this.reservationId,
        reservation_token: this.held.reservation_token,
      },
    });
  }

  /** Tells a milestone at the place where it belongs. */
  async tell(
    kind: MilestoneKind,
    change: Partial<BodyOf<typeof aircraftContract, 'postMilestone'>> = {},
    aircraft = this.world.aircraft,
  ) {
    if (change.aircraft_sequence === undefined) this.#aircraftSequence += 1;
    return aircraft.postMilestone({
      params: { drone_id: this.droneId },
      body: {
        reservation_id: this.reservationId,
        reservation_token: this.held.reservation_token,
        aircraft_sequence: this.#aircraftSequence,
        kind,
        occurred_at: isoTime(this.world.nowMs),
        position: this.#placeOf(kind),
        ...(kind === 'loaded' && this.#loadToken !== undefined && { load_token: this.#loadToken }),
        ...change,
      },
    });
  }

  #placeOf(kind: MilestoneKind): Location {
    switch (kind) {
      case 'arrived_at_pickup':
      case 'loaded':
      case 'departed_pickup':
      case 'arrived_at_return':
        return this.body.pickup;
      case 'arrived_at_dropoff':
      case 'dropoff_blocked':
      case 'released':
      case 'turned_back':
        return this.body.dropoff;
      default:
        return CITY;
    }
  }

  /** Tells everything up to this milestone of an undisturbed delivery. */
  async flyTo(last: MilestoneKind): Promise<void> {
    const kinds: MilestoneKind[] = [
      'took_off',
      'arrived_at_pickup',
      'loaded',
      'departed_pickup',
      'arrived_at_dropoff',
      'released',
      'landed',
    ];
    for (const kind of kinds.slice(this.#aircraftSequence, kinds.indexOf(last) + 1)) {
      if (kind === 'loaded') await this.getLoadToken();
      const answer = await this.tell(kind);
      if (answer.outcome !== 'recorded') throw new Error(`${kind}: ${JSON.stringify(answer)}`);
    }
  }

  async getLoadToken(): Promise<string> {
    const answer = await this.requestLoadToken();
    if (answer.outcome !== 'granted') throw new Error(`No load token: ${answer.reason}`);
    this.#loadToken = answer.load_token;
    return answer.load_token;
  }

  reservation() {
    return this.world.drone.getReservation({ params: { reservation_id: this.reservationId } });
  }

  droneState() {
    return this.world.drone.getDrone({ params: { drone_id: this.droneId } });
  }

  mission() {
    return this.world.aircraft.getMission({ params: { drone_id: this.droneId }, query: {} });
  }

  signalled(): string[] {
    return this.world.workflows.milestones(this.id).map((one) => one.kind);
  }
}

export const ACCOUNT_ID = newId('account');
