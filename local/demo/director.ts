/**
 * Plays the scenarios through the public API: requests each delivery, tells the simulator what is to go wrong, cancels as a
 * sender would, sends a crew for the drone that came down, and waits until all is over and everybody is home.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { publicContract } from '../../api/contract.ts';
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { clockTimeMs, isoTime } from '../../shared/clock.ts';
import { messageOf, Problem } from '../../shared/errors.ts';
import { createClient } from '../../shared/http/client.ts';
import type { DroneId } from '../../shared/ids.ts';
import { controlContract } from '../../simulator/contract.ts';
import { type Held, whatIsHeld } from '../held.ts';
import { DRONES } from '../seed/index.ts';
import { connectServices } from '../service-clients.ts';
import type { StackDescription } from '../stack-file.ts';
import type { Display } from './display.ts';
import { isOver, type Play } from './play.ts';
import { HEAVY_LIFTER, type Scenario } from './scenarios.ts';
import { type Followed, type PublicApi, Watch } from './watch.ts';

/** Between two requests: a person sees them come in one after the other. */
const REQUEST_EVERY_MS = 600;
const UNDECIDED_POLL_MS = 50;
const HELD_POLL_MS = 500;

export interface DirectorOptions {
  stack: StackDescription;
  scenarios: readonly Scenario[];
  display: Display;
  /** Everything must be over by then, wall milliseconds after the first request. */
  withinMs: number;
  signal: AbortSignal;
}

export interface Played {
  plays: Play[];
  /** What is still held at the end; empty as it must be. */
  held: Held[];
  elapsedMs: number;
}

export async function direct(options: DirectorOptions): Promise<Played> {
  const director = new Director(options);
  try {
    return await director.play();
  } finally {
    await director.close();
  }
}

class Director {
  readonly #options: DirectorOptions;
  readonly #operator: PublicApi;
  readonly #senders = new Map<string, PublicApi>();
  readonly #services;
  readonly #simulator;
  readonly #watch: Watch;
  readonly #plays: Play[];
  /** Drones that the operator has taken out of service. */
  readonly #outOfService: DroneId[] = [];

  constructor(options: DirectorOptions) {
    const { stack } = options;
    this.#options = options;
    this.#operator = api(stack, stack.operator_key);
    for (const [name, { key }] of Object.entries(stack.accounts)) this.#senders.set(name, api(stack, key));
    this.#services = connectServices(stack);
    this.#simulator = createClient(controlContract, { baseUrl: stack.simulator_url });
    this.#watch = new Watch(this.#operator);
    this.#plays = options.scenarios.map((scenario, index) => {
      const play: Play = {
        index,
        scenario,
        followed: undefined,
        refusal: undefined,
        cancelAsked: false,
        firstPromise: null,
        droneName: () => this.#watch.droneName(play.followed?.delivery.drone_id ?? null),
      };
      return play;
    });
  }

  async play(): Promise<Played> {
    const begunMs = performance.now();
    const over = AbortSignal.timeout(this.#options.withinMs);
    const signal = AbortSignal.any([over, this.#options.signal]);
    let held: Held[];
    try {
      const watching = this.#watch.run({
        onNews: (news) => this.#onNews(news),
        isOver: () => this.#plays.every(isOver),
        signal,
      });
      // A failure while the requests are made must not be an unhandled one.
      watching.catch(() => undefined);
      await this.#inspectHeavyLifters();
      for (const play of this.#plays) {
        await this.#request(play);
        await delay(REQUEST_EVERY_MS, undefined, { signal });
        // Who has a drone has it before the next one asks for the same.
        while (isUndecided(play)) await delay(UNDECIDED_POLL_MS, undefined, { signal });
      }
      await watching;
      this.#options.display.say('All deliveries have ended. Waiting until every drone is home.');
      held = await this.#untilNothingIsHeld(signal);
      await this.#clearDrones();
    } catch (error) {
      if (!over.aborted) throw error;
      held = await whatIsHeld(this.#services).catch((cause: unknown) => [`unknown: ${messageOf(cause)}`]);
    }
    return { plays: this.#plays, held, elapsedMs: performance.now() - begunMs };
  }

  async close(): Promise<void> {
    const clients = [this.#operator, ...this.#senders.values(), this.#services, this.#simulator];
    await Promise.all(clients.map((client: { close(): Promise<void> }) => client.close()));
  }

  async #request(play: Play): Promise<void> {
    const { account, request, fault, deadlineInMin } = play.scenario;
    const deadline =
      deadlineInMin === undefined ? undefined : isoTime(this.#nowMs() + deadlineInMin * 60_000);
    try {
      const delivery = await this.#sender(account).createDelivery(
        { body: { ...request, ...(deadline !== undefined && { deadline }) } },
        { idempotencyKey: crypto.randomUUID() },
      );
      play.followed = this.#watch.follow(delivery);
      if (fault) await this.#simulator.orderFailure({ body: { ...fault, delivery_id: delivery.id } });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      play.refusal = error;
      this.#options.display.say(
        `          ${play.index + 1} ${play.scenario.name}: refused, ${error.message}`,
      );
    }
    this.#options.display.redraw(this.#plays);
  }

  async #onNews(news: { followed: Followed; event: DeliveryEvent }[]): Promise<void> {
    for (const { followed, event } of news) {
      const play = this.#plays.find((one) => one.followed === followed);
      if (!play) continue;
      this.#options.display.event(play, event);
      if (event.type === 'delivery.confirmed') play.firstPromise ??= followed.delivery.eta.dropoff_at;
      if (event.type === 'delivery.drone_failed') await this.#fetchDrone(event.data['drone_id']);
    }
    for (const play of this.#plays) await this.#cancelWhenDue(play);
    this.#options.display.redraw(this.#plays);
  }

  async #cancelWhenDue(play: Play): Promise<void> {
    const { scenario, followed, cancelAsked } = play;
    if (cancelAsked || !followed || followed.delivery.status !== scenario.cancelAt) return;
    play.cancelAsked = true;
    try {
      await this.#sender(scenario.account).cancelDelivery({
        params: { delivery_id: followed.delivery.id },
        body: { reason: 'requested_by_sender' },
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#options.display.say(`${scenario.name}: the cancel was refused, ${error.message}`);
    }
  }

  /** What an operator does about a drone that came down: a crew fetches it, and it is out of service until it is mended. */
  async #fetchDrone(droneId: unknown): Promise<void> {
    try {
      const drone = await this.#operator.setDroneState({
        params: { drone_id: droneId as DroneId },
        body: { state: 'maintenance', reason: 'Fetched by the crew, motor to be replaced' },
      });
      this.#outOfService.push(drone.id);
      this.#options.display.say(`          the operator sends a crew that fetches ${drone.name}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // What is left at the end says whether it came home by itself.
      this.#options.display.say(`          the drone that failed: ${error.message}`);
    }
  }

  async #untilNothingIsHeld(signal: AbortSignal): Promise<Held[]> {
    for (;;) {
      const held = await whatIsHeld(this.#services);
      if (held.length === 0) return held;
      signal.throwIfAborted();
      await delay(HELD_POLL_MS, undefined, { signal });
    }
  }

  /** All of a kind but one are out of service. */
  async #inspectHeavyLifters(): Promise<void> {
    for (const { id, name } of DRONES) {
      if (!name.startsWith(HEAVY_LIFTER.model) || name === HEAVY_LIFTER.flying) continue;
      await this.#operator.setDroneState({
        params: { drone_id: id },
        body: { state: 'maintenance', reason: 'Rotor inspection' },
      });
      this.#outOfService.push(id);
    }
  }

  /** Whatever was taken out of service flies again. */
  async #clearDrones(): Promise<void> {
    for (const droneId of this.#outOfService.splice(0)) {
      await this.#operator.setDroneState({
        params: { drone_id: droneId },
        body: { state: 'idle', reason: 'Inspected and cleared' },
      });
    }
  }

  #nowMs(): number {
    return clockTimeMs(this.#options.stack.clock, Date.now());
  }

  #sender(account: string): PublicApi {
    const sender = this.#senders.get(account);
    if (!sender) throw new Error(`The stack has no account ${account}`);
    return sender;
  }
}

function isUndecided({ followed }: Play): boolean {
  return followed?.delivery.status === 'created';
}

function api(stack: StackDescription, key: string): PublicApi {
  return createClient(publicContract, {
    baseUrl: stack.api_url,
    headers: { authorization: `Bearer ${key}` },
  });
}
