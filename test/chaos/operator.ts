/** The people who look after the fleet: they fetch drones that came down, and settle what only a person can settle. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { everyItem, type ServiceClients } from '../../local/service-clients.ts';
import type { Drone } from '../../services/drone/contract/index.ts';
import { messageOf, Problem } from '../../shared/errors.ts';
import type { DeliveryId, DroneId } from '../../shared/ids.ts';
import {
  deliveryWorkflowId,
  RESOLVE_INTERVENTION_UPDATE,
  type ResolveInterventionCommand,
} from '../../workflows/messages.ts';

const LOOK_EVERY_MS = 1_000;
const BY = 'chaos operator';
/** What is answered to each kind of intervention, by the beginning of its name; the others settle themselves. */
const ANSWERS: readonly [kind: string, answer: string][] = [
  ['drone_down', 'lost'],
  ['carrier_failed', 'lost'],
  ['compensation:', 'retry'],
];

export class Operator {
  readonly #services: ServiceClients;
  readonly #temporal: Client;
  readonly #isAboard: (droneId: DroneId, deliveryId: DeliveryId) => boolean;
  readonly #stopping = new AbortController();
  readonly #working: Promise<void>;
  /** Deliveries whose drone came down and was fetched: nobody else will tell how they ended. */
  readonly #stranded = new Set<string>();
  readonly #refusals = new Map<string, number>();
  #fetched = 0;
  #settled = 0;

  /** @param isAboard whether the delivery's package is in the drone's bay, for whoever stands before it */
  constructor(
    services: ServiceClients,
    temporal: Client,
    isAboard: (droneId: DroneId, deliveryId: DeliveryId) => boolean,
  ) {
    this.#services = services;
    this.#temporal = temporal;
    this.#isAboard = isAboard;
    this.#working = this.#work();
  }

  /** What they had to do, and what they were told when they could not, each answer with how often. */
  get done(): { fetched: number; settled: number; refusals: ReadonlyMap<string, number> } {
    return { fetched: this.#fetched, settled: this.#settled, refusals: this.#refusals };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
  }

  /** Who is down is asked again; a refusal is told in the report. */
  readonly #keep = (error: unknown): void => {
    if (error instanceof Problem && error.retryable) return;
    const what = error instanceof Problem ? (error.reason ?? error.slug) : messageOf(error);
    this.#refusals.set(what, (this.#refusals.get(what) ?? 0) + 1);
  };

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Whatever does not answer now is asked again: it may be one of those that were killed.
      await this.#fetchDrones().catch(this.#keep);
      await this.#settleInterventions().catch(this.#keep);
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A crew fetches the drone and what is in it; then it is mended and flies again. */
  async #fetchDrones(): Promise<void> {
    const { drone } = this.#services;
    const down = await everyItem((page) =>
      drone.listDrones({ query: { ...page, state: ['grounded', 'lost', 'maintenance'] } }),
    );
    // One that cannot be had now, because its flight is not over, must not keep the others waiting.
    await Promise.all(down.map((one) => this.#fetchDrone(one).catch(this.#keep)));
  }

  async #fetchDrone({ id, delivery_id }: Drone): Promise<void> {
    if (delivery_id !== null) this.#stranded.add(delivery_id);
    const set = (body: { state: 'maintenance' | 'idle'; package_aboard?: boolean }) =>
      this.#services.drone.setDroneState({
        params: { drone_id: id },
        body: { ...body, reason: 'Fetched and mended', by: BY },
      });
    await set({
      state: 'maintenance',
      ...(delivery_id !== null && { package_aboard: this.#isAboard(id, delivery_id) }),
    });
    await set({ state: 'idle' });
    this.#fetched += 1;
  }

  async #settleInterventions(): Promise<void> {
    const { delivery } = this.#services;
    const open = await everyItem((page) =>
      delivery.listDeliveries({ query: { ...page, has_intervention: true } }),
    );
    for (const { id, interventions } of open) {
      for (const { id: interventionId, kind, resolved_at } of interventions) {
        const answer =
          kind === 'overdue' && this.#stranded.has(id)
            ? 'lost'
            : ANSWERS.find(([beginning]) => kind.startsWith(beginning))?.[1];
        if (resolved_at !== null || answer === undefined) continue;
        await this.#resolve(id, interventionId, answer).catch(this.#keep);
      }
    }
  }

  async #resolve(deliveryId: DeliveryId, interventionId: string, answer: string): Promise<void> {
    const command: ResolveInterventionCommand = {
      interventionId,
      answer,
      why: 'chaos',
      actor: { role: 'operator', id: BY },
    };
    await this.#temporal.withDeadline(Date.now() + 5_000, () =>
      this.#temporal.workflow
        .getHandle(deliveryWorkflowId(deliveryId))
        .executeUpdate(RESOLVE_INTERVENTION_UPDATE, { args: [command] }),
    );
    this.#settled += 1;
  }
}
