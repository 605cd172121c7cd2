/** A drone service with the public drone endpoints before it, on a fast clock, for tests of the simulator. */
import { expect } from 'vitest';
import { droneOperations } from '../../api/contract/drones.ts';
import type { MilestoneKind } from '../../services/drone/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import { destination } from '../../shared/geodesy.ts';
import { CITY, type TestDelivery, World } from '../../services/drone/test/support.ts';
import { standIn, type StandIn } from '../support/stand-in.ts';

/** Longer than anything here takes, also on a busy machine. */
export const WITHIN = { timeout: 60_000, interval: 50 };
export const TEST_TIMEOUT_MS = 120_000;

/** What the workflow hears of an undisturbed delivery. */
export const HAPPY = [
  'took_off',
  'arrived_at_pickup',
  'loaded',
  'departed_pickup',
  'arrived_at_dropoff',
  'released',
];

export class City {
  readonly world: World;
  readonly clock: { rate: number; anchorWallMs: number; anchorMs: number };
  /** How many drones each telemetry message was about. */
  readonly batchSizes: number[];
  /** Milestones that nobody takes for now. */
  readonly unheard: Set<MilestoneKind>;
  readonly #door: StandIn<typeof droneOperations>;
  #isShut = false;
  #areas = 0;

  private constructor(
    world: World,
    door: StandIn<typeof droneOperations>,
    clock: City['clock'],
    batchSizes: number[],
    unheard: Set<MilestoneKind>,
  ) {
    this.world = world;
    this.clock = clock;
    this.batchSizes = batchSizes;
    this.unheard = unheard;
    this.#door = door;
  }

  /** @param rate how many seconds of flight a second takes */
  static async open(rate: number): Promise<City> {
    const clock = { rate, anchorWallMs: Date.now(), anchorMs: Date.now() };
    // However long a process takes to start here, its drones do not count as lost.
    const linkLoss = { silenceS: 60, telemetryIntervalMs: 120_000 };
    const world = await World.open({ wall: Date.now, clock, linkLoss });
    const { drone, aircraft } = world;
    const batchSizes: number[] = [];
    const unheard = new Set<MilestoneKind>();
    const door = await standIn(droneOperations, {
      listDrones: drone.listDrones,
      listModels: () => drone.listModels({}),
      listBases: () => drone.listBases({}),
      getDrone: ({ params }) => drone.getDrone({ params }),
      postTelemetry: ({ body }) => {
        batchSizes.push(body.drones.length);
        return aircraft.postTelemetry({ body });
      },
      getMission: ({ params, query }) => aircraft.getMission({ params, query }),
      requestLoadToken: ({ params, body }) => aircraft.requestLoadToken({ params, body }),
      postMilestone: ({ params, body }) => {
        if (unheard.has(body.kind)) throw new Problem('unavailable', { detail: 'Nobody listens' });
        return aircraft.postMilestone({ params, body });
      },
    });
    return new City(world, door, clock, batchSizes, unheard);
  }

  /** The simulator's environment. */
  environment() {
    return {
      API_URL: this.#door.url,
      DRONE_KEY: 'dd_test_drone_key',
      PORT: '0',
      TELEMETRY_INTERVAL_MS: '100',
      CLOCK_RATE: String(this.clock.rate),
      CLOCK_ANCHOR_WALL_MS: String(this.clock.anchorWallMs),
      CLOCK_ANCHOR_MS: String(this.clock.anchorMs),
    };
  }

  /** Nobody gets through any more. */
  async shut(): Promise<void> {
    if (!this.#isShut) await this.#door.cut();
    this.#isShut = true;
  }

  async reopen(): Promise<void> {
    if (this.#isShut) await this.#door.mend();
    this.#isShut = false;
  }

  async close(): Promise<void> {
    await this.#door.close();
    await this.world.close();
  }

  /** A drone at a base of its own, and a way to send it to a delivery nearby. */
  async droneAlone() {
    const home = destination(CITY, this.#areas * 40, 200_000 + 60_000 * this.#areas);
    this.#areas += 1;
    const droneId = await this.world.addDrone({ at: home });
    const dispatch = async (): Promise<TestDelivery> => {
      const delivery = await this.world.dispatched({
        pickup: destination(home, 90, 1_000),
        dropoff: destination(home, 45, 2_500),
        clock: this.clock,
      });
      expect(delivery.droneId).toBe(droneId);
      return delivery;
    };
    return { droneId, dispatch };
  }

  /** What the workflow has heard of it, in order. */
  async told(delivery: TestDelivery): Promise<string[]> {
    const { data } = await this.world.drone.readMilestones({
      params: { reservation_id: delivery.reservationId },
      query: { after_sequence: 0 },
    });
    return data.map((one) => one.kind);
  }

  untilTold(delivery: TestDelivery, kind: string): Promise<void> {
    return expect.poll(() => this.told(delivery), WITHIN).toContain(kind);
  }

  /** The drone is home and empty. */
  untilEnded(delivery: TestDelivery): Promise<void> {
    return expect.poll(async () => (await delivery.reservation()).state, WITHIN).toBe('ended');
  }
}
