/**
 * Flies deliveries as an aircraft would, through the public drone endpoints, only without the time that flying takes: each
 * milestone is told as soon as the status before it can be read in the delivery's events.
 */
import { randomUUID } from 'node:crypto';
import type { Mission, MilestoneKind } from '../../services/drone/contract/index.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import { type DeliveryId, type DroneId, isId } from '../../shared/ids.ts';
import type { Location } from '../../shared/schemas.ts';
import type { BusinessClient, DroneClient } from '../system.ts';
import type { Fleet } from './fleet.ts';
import { type Pace, Timeline } from './timeline.ts';

const MISSION_WAIT_MS = 10_000;
const STATUS_TIMEOUT_MS = 120_000;

export interface PilotOptions {
  business: BusinessClient;
  drones: DroneClient;
  fleet: Fleet;
  pace: Pace;
}

export interface Flown {
  deliveryId: DeliveryId;
  /** From before the request was posted until `confirmed` was read, milliseconds. */
  confirmedMs: number;
  /** Until the delivery was settled: nothing follows. */
  settledMs: number;
  /** How often the events were asked for. */
  reads: number;
}

export class Pilot {
  readonly #options: PilotOptions;

  constructor(options: PilotOptions) {
    this.#options = options;
  }

  /** Posts a delivery and flies it home. Returns when it is settled and the drone is back and free. */
  async deliver(request: CreateDeliveryRequest): Promise<Flown> {
    const { business, pace } = this.#options;
    const startedAt = performance.now();
    const { id } = await business.createDelivery({ body: request }, { idempotencyKey: randomUUID() });
    const timeline = new Timeline({ business, deliveryId: id, pace, timeoutMs: STATUS_TIMEOUT_MS });
    const { data } = await timeline.until('delivery.confirmed');
    const confirmedMs = performance.now() - startedAt;
    const droneId = data['drone_id'];
    if (typeof droneId !== 'string' || !isId('drone', droneId)) {
      throw new Error(`${id} was confirmed without a drone: ${JSON.stringify(data)}`);
    }
    await this.#fly(await this.#mission(id, droneId), timeline);
    return { deliveryId: id, confirmedMs, settledMs: performance.now() - startedAt, reads: timeline.reads };
  }

  async #fly(mission: Mission, timeline: Timeline): Promise<void> {
    const { pickup, dropoff, base } = mission;
    const tell = this.#teller(mission);
    await tell('took_off', base);
    await timeline.until('delivery.enroute_to_pickup');
    await tell('arrived_at_pickup', pickup);
    await timeline.until('delivery.arrived_at_pickup');
    await tell('loaded', pickup, await this.#loadToken(mission));
    await timeline.until('delivery.picked_up');
    await tell('departed_pickup', pickup);
    await timeline.until('delivery.enroute_to_dropoff');
    await tell('arrived_at_dropoff', dropoff);
    await timeline.until('delivery.arrived_at_dropoff');
    await tell('released', dropoff);
    await timeline.until('delivery.delivered');
    await Promise.all([tell('landed', base), timeline.until('delivery.settled')]);
  }

  /** The mission of a delivery, which the drone waits for as an aircraft does. */
  async #mission(deliveryId: DeliveryId, droneId: DroneId): Promise<Mission> {
    const giveUpAt = performance.now() + STATUS_TIMEOUT_MS;
    for (;;) {
      const { mission } = await this.#options.drones.getMission(
        { params: { drone_id: droneId }, query: { wait_ms: MISSION_WAIT_MS } },
        { timeoutMs: 2 * MISSION_WAIT_MS },
      );
      if (mission?.delivery_id === deliveryId) return mission;
      if (performance.now() > giveUpAt) throw new Error(`${droneId} got no mission for ${deliveryId}`);
    }
  }

  async #loadToken({ drone_id, reservation_id, reservation_token }: Mission): Promise<string> {
    const answer = await this.#options.drones.requestLoadToken({
      params: { drone_id },
      body: { reservation_id, reservation_token },
    });
    if (answer.outcome === 'refused') throw new Error(`${drone_id} may not load: ${answer.reason}`);
    return answer.load_token;
  }

  #teller(mission: Mission) {
    const { drones, fleet } = this.#options;
    const { drone_id, reservation_id, reservation_token } = mission;
    let aircraft_sequence = 0;
    return async (kind: MilestoneKind, position: Location, load_token?: string): Promise<void> => {
      aircraft_sequence += 1;
      fleet.moved(drone_id, position, kind !== 'landed');
      const { outcome, reason } = await drones.postMilestone({
        params: { drone_id },
        body: {
          reservation_id,
          reservation_token,
          aircraft_sequence,
          kind,
          occurred_at: isoTime(Date.now()),
          position,
          ...(load_token !== undefined && { load_token }),
        },
      });
      if (outcome !== 'recorded') throw new Error(`${kind} of ${drone_id} was ${outcome}: ${reason ?? ''}`);
    };
  }
}
