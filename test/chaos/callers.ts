/**
 * Careful callers: each request is repeated with its key until it is answered, and what its kind asks for afterwards is asked
 * for; what is to break in the air is ordered of the simulator.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client as TemporalClient } from '@temporalio/client';
import { publicContract } from '../../api/contract.ts';
import type { StackDescription } from '../../local/stack-file.ts';
import type { carrierContract } from '../../services/carrier/contract/index.ts';
import { type DeliveryEvent, isFinal } from '../../services/delivery/contract/index.ts';
import { type Clock, runningClock } from '../../shared/clock.ts';
import { messageOf, Problem } from '../../shared/errors.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { controlContract, type OrderFailure } from '../../simulator/contract.ts';
import type { AcceptedRequest, Order } from '../checker/index.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import type { Careful } from './careful.ts';
import { FollowUps } from './follow-ups.ts';
import type { PlannedRequest } from './plan.ts';
import { accountOf, failureOf, requestedBy, requestOf } from './requests.ts';

const LOOK_EVERY_MS = 500;
const CONNECTIONS = 64;
/** Every so many accepted requests are sent once more, as a caller does whose answer got lost. */
const REPEATED_EVERY = 5;

interface Answers extends AcceptedRequest {
  answers: DeliveryId[];
  orders: Order[];
  planned: PlannedRequest;
}

/** A failure that an aircraft is to have, and the id under which the simulator knows of it. */
interface Ordered {
  failure: OrderFailure;
  command: string | undefined;
}

export interface CallersOptions {
  description: StackDescription;
  temporal: TemporalClient;
  carrier: Pick<Client<typeof carrierContract>, 'setSimulation'>;
  careful: Careful;
  /** When nothing is repeated any more. */
  giveUp: AbortSignal;
  /** Told of each request that was accepted, once. */
  onAccepted: (deliveryId: DeliveryId, planned: PlannedRequest) => void;
}

export class Callers {
  /** One for each request that got a 201. */
  readonly accepted: Answers[] = [];
  /** What was answered otherwise than a caller of this kind may expect. */
  readonly surprises: string[] = [];
  #refused = 0;
  readonly #clients = new Map<string, PublicApi>();
  readonly #operator: PublicApi;
  readonly #simulator;
  readonly #carrier: CallersOptions['carrier'];
  readonly #clock: Clock;
  readonly #clockRate: number;
  readonly #careful: Careful;
  readonly #followUps: FollowUps;
  readonly #onAccepted: CallersOptions['onAccepted'];
  readonly #known = new Map<DeliveryId, Answers>();
  /** By delivery, while it is under way. */
  readonly #failures = new Map<string, Ordered>();
  readonly #ended = new Set<string>();
  readonly #ordering: Promise<void>;
  #letting: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor({ description, temporal, carrier, careful, giveUp, onAccepted }: CallersOptions) {
    const { api_url: baseUrl, accounts, operator_key, simulator_url, clock } = description;
    const as = (key: string): PublicApi =>
      createClient(publicContract, {
        baseUrl,
        headers: { authorization: `Bearer ${key}` },
        connections: CONNECTIONS,
      });
    for (const [name, { key }] of Object.entries(accounts)) this.#clients.set(name, as(key));
    this.#operator = as(operator_key);
    this.#simulator = createClient(controlContract, { baseUrl: simulator_url });
    this.#carrier = carrier;
    this.#clock = runningClock(clock);
    this.#clockRate = clock.rate;
    this.#careful = careful;
    this.#onAccepted = onAccepted;
    this.#followUps = new FollowUps({
      operator: this.#operator,
      temporal,
      clock: this.#clock,
      careful: this.#careful,
      giveUp,
      onSurprise: (what) => this.surprises.push(what),
    });
    this.#ordering = this.#orderFailures();
  }

  /** Refusals that were right: of a suspended account. */
  get refused(): number {
    return this.#refused;
  }

  /** How many deliveries have ended, as far as the feed has told. */
  get ended(): number {
    return this.#ended.size;
  }

  /** What was posted, and what was asked for since, of a delivery that got a 201. */
  known(deliveryId: DeliveryId): Answers | undefined {
    return this.#known.get(deliveryId);
  }

  /** Posts it until it is answered, and does what its kind asks for. */
  async send(planned: PlannedRequest): Promise<void> {
    const { kind, number } = planned;
    const key = `chaos-${number}`;
    const sender = this.#client(accountOf(kind));
    const body = requestOf(planned, this.#clock);
    const post = () =>
      this.#careful.untilAnswered(() => sender.createDelivery({ body }, { idempotencyKey: key }));
    if (kind === 'carrier_fails') await this.#letACarrierFail();
    let id: DeliveryId;
    try {
      ({ id } = await post());
    } catch (error) {
      if (error instanceof Problem && kind === 'suspended' && error.slug === 'account-suspended') {
        this.#refused += 1;
      } else this.surprises.push(`request ${number} (${kind}) was not accepted: ${messageOf(error)}`);
      return;
    }
    const requested = requestedBy(body);
    const accepted: Answers = { key, answers: [id], requested, orders: [], planned };
    this.accepted.push(accepted);
    this.#known.set(id, accepted);
    this.#onAccepted(id, planned);
    const failure = failureOf(kind, this.#clockRate);
    if (failure && !this.#ended.has(id)) {
      this.#failures.set(id, { failure: { ...failure, delivery_id: id }, command: undefined });
    }
    await this.#followUps.accepted({ planned, id, requested, sender, orders: accepted.orders });
    if (number % REPEATED_EVERY === 0) {
      try {
        accepted.answers.push((await post()).id);
      } catch (error) {
        this.surprises.push(`request ${number} (${kind}) was accepted and then refused: ${messageOf(error)}`);
      }
    }
  }

  /** Told of each event of the feed. */
  onEvent(event: DeliveryEvent): void {
    this.#followUps.onEvent(event);
    if (!isFinal(event.status)) return;
    this.#ended.add(event.delivery_id);
    this.#failures.delete(event.delivery_id);
  }

  /** Everything that was asked for has its answer. */
  async answered(): Promise<void> {
    await this.#followUps.answered();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#ordering;
    const clients = [...this.#clients.values(), this.#operator, this.#simulator];
    await Promise.all(clients.map((client) => client.close()));
  }

  /** One more of the next bookings, whosever they are, breaks down with its package. */
  #letACarrierFail(): Promise<void> {
    const set = (fail_next_after_pickup?: number) =>
      this.#careful.untilAnswered(() =>
        this.#carrier.setSimulation({
          body: { ...(fail_next_after_pickup !== undefined && { fail_next_after_pickup }) },
        }),
      );
    // One after the other, so that none is counted once for two.
    this.#letting = this.#letting.then(async () => {
      await set((await set()).fail_next_after_pickup + 1);
    });
    return this.#letting;
  }

  /** Orders what is to break; again, when the simulator was killed before it happened, which does not remember it. */
  async #orderFailures(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (this.#failures.size > 0) {
        try {
          const { data } = await this.#simulator.listCommands({});
          const known = new Set(data.map(({ id }) => id));
          for (const ordered of this.#failures.values()) {
            if (ordered.command !== undefined && known.has(ordered.command)) continue;
            ordered.command = (await this.#simulator.orderFailure({ body: ordered.failure })).id;
          }
        } catch {
          // It is one of those that are killed.
        }
      }
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #client(account: string): PublicApi {
    const client = this.#clients.get(account);
    if (!client) throw new Error(`The stack has no account ${account}`);
    return client;
  }
}
