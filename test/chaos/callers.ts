/** Careful callers: each request is repeated with its key until it is answered, and cancelled where its kind says so. */
import { setTimeout as delay } from 'node:timers/promises';
import { publicContract } from '../../api/contract.ts';
import type { StackDescription } from '../../local/stack-file.ts';
import { type DeliveryEvent, isBeforePickup } from '../../services/delivery/contract/index.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import { messageOf, Problem } from '../../shared/errors.ts';
import { createClient } from '../../shared/http/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { controlContract, type OrderFailure } from '../../simulator/contract.ts';
import type { Location } from '../../shared/schemas.ts';
import { HOPS as HOPS_OF_FOUR_BASES, type PublicApi } from '../e2e/traffic.ts';
import type { AcceptedRequest } from '../checker/index.ts';
import type { PlannedRequest, RequestKind } from './plan.ts';

/** The whole fleet is wanted, so there are hops close to every base. */
const HOPS: readonly (readonly [Location, Location])[] = [
  ...HOPS_OF_FOUR_BASES,
  [
    { latitude: 47.5835, longitude: -122.331 },
    { latitude: 47.587, longitude: -122.328 },
  ],
  [
    { latitude: 47.5035, longitude: -122.2 },
    { latitude: 47.507, longitude: -122.197 },
  ],
];

const AGAIN_AFTER_MS = 250;
const CONNECTIONS = 64;
/** Every so many accepted requests are sent once more, as a caller does whose answer got lost. */
const REPEATED_EVERY = 5;
/** An order to the simulator is given up after this: it is down, and what it was to break flies on whole. */
const ORDER_WITHIN_MS = 20_000;

const FAILURE_OF: Partial<Record<RequestKind, OrderFailure>> = {
  undeliverable_return: { failure: 'dropoff_blocked' },
  undeliverable_leave: { failure: 'dropoff_blocked' },
  drone_fails_before_pickup: { failure: 'motor_failure', stage: 'to_pickup', at: 0.6 },
  drone_fails_with_package: { failure: 'motor_failure', stage: 'to_dropoff', at: 0.5 },
  link_lost: { failure: 'lost_link', stage: 'to_dropoff', at: 0.2, for_s: 60 },
  sender_absent: { failure: 'sender_absent' },
  recipient_absent: { failure: 'recipient_absent' },
};

/** Of so many requests, whatever else they show, the first few ask for a proof; a package that may be left cannot have a PIN. */
const PROVEN_ONE_IN = 10;
const PROOF_OF = ['pin', 'signature', 'photo'] as const;

interface Answers extends AcceptedRequest {
  answers: DeliveryId[];
  kind: RequestKind;
}

export class Callers {
  /** One for each request that got a 201. */
  readonly accepted: Answers[] = [];
  /** What was answered otherwise than a caller of this kind may expect. */
  readonly surprises: string[] = [];
  /** How often each status was answered. */
  readonly statuses = new Map<number, number>();
  #refused = 0;
  readonly #clients = new Map<string, PublicApi>();
  readonly #simulator;
  /** In-flight cancels by delivery. */
  readonly #toCancel = new Set<string>();
  readonly #cancels: Promise<void>[] = [];
  readonly #giveUp: AbortSignal;

  /** @param giveUp when nothing is repeated any more */
  constructor({ api_url: baseUrl, accounts, simulator_url }: StackDescription, giveUp: AbortSignal) {
    for (const [name, { key }] of Object.entries(accounts)) {
      const headers = { authorization: `Bearer ${key}` };
      this.#clients.set(name, createClient(publicContract, { baseUrl, headers, connections: CONNECTIONS }));
    }
    this.#simulator = createClient(controlContract, { baseUrl: simulator_url });
    this.#giveUp = giveUp;
  }

  /** Refusals that were right: of a suspended account. */
  get refused(): number {
    return this.#refused;
  }

  /** Posts it until it is answered, and does what its kind asks for. */
  async send(planned: PlannedRequest): Promise<void> {
    const { kind, number } = planned;
    const key = `chaos-${number}`;
    const client = this.#client(accountOf(kind));
    const body = requestOf(planned);
    const post = () => this.#untilAnswered(() => client.createDelivery({ body }, { idempotencyKey: key }));
    let id: DeliveryId;
    try {
      ({ id } = await post());
    } catch (error) {
      if (error instanceof Problem && kind === 'suspended' && error.slug === 'account-suspended') {
        this.#refused += 1;
      } else this.surprises.push(`request ${number} (${kind}) was not accepted: ${messageOf(error)}`);
      return;
    }
    const accepted: Answers = { key, answers: [id], kind };
    this.accepted.push(accepted);
    const failure = FAILURE_OF[kind];
    if (failure) void this.#order({ ...failure, delivery_id: id });
    if (kind === 'cancelled_in_flight') this.#toCancel.add(id);
    if (kind === 'cancelled_at_once') await this.#cancel(id);
    if (number % REPEATED_EVERY === 0) {
      try {
        accepted.answers.push((await post()).id);
      } catch (error) {
        this.surprises.push(`request ${number} (${kind}) was accepted and then refused: ${messageOf(error)}`);
      }
    }
  }

  /** Told of each event of the feed. */
  onEvent({ delivery_id: id, status }: DeliveryEvent): void {
    if (status === 'created' || !this.#toCancel.has(id)) return;
    this.#toCancel.delete(id);
    if (isBeforePickup(status)) this.#cancels.push(this.#cancel(id));
  }

  /** Every cancel that was begun has its answer. */
  async cancelsAnswered(): Promise<void> {
    await Promise.all(this.#cancels);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values(), this.#simulator].map((client) => client.close()));
  }

  async #cancel(id: DeliveryId): Promise<void> {
    const client = this.#client('standard');
    try {
      await this.#untilAnswered(() => client.cancelDelivery({ params: { delivery_id: id }, body: {} }));
    } catch (error) {
      // Too late: the package is aboard, or the delivery has ended.
      if (!(error instanceof Problem) || error.slug !== 'conflict') {
        this.surprises.push(`the cancel of ${id} was not answered as it may be: ${messageOf(error)}`);
      }
    }
  }

  async #order(failure: OrderFailure): Promise<void> {
    const over = Date.now() + ORDER_WITHIN_MS;
    while (Date.now() < over && !this.#giveUp.aborted) {
      try {
        await this.#simulator.orderFailure({ body: failure });
        return;
      } catch {
        await delay(AGAIN_AFTER_MS);
      }
    }
  }

  async #untilAnswered<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const answer = await call();
        this.#count(200);
        return answer;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.#count(error.status);
        if (!error.retryable || this.#giveUp.aborted) throw error;
        await delay(AGAIN_AFTER_MS);
      }
    }
  }

  #count(status: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }

  #client(account: string): PublicApi {
    const client = this.#clients.get(account);
    if (!client) throw new Error(`The stack has no account ${account}`);
    return client;
  }
}

function accountOf(kind: RequestKind): string {
  if (kind === 'no_credit') return 'tinyCredit';
  return kind === 'suspended' ? 'suspended' : 'standard';
}

function requestOf({ kind, hop, number }: PlannedRequest): CreateDeliveryRequest {
  const [pickup, dropoff] = HOPS[hop % HOPS.length]!;
  const asked = kind === 'undeliverable_leave' ? undefined : PROOF_OF[number % PROVEN_ONE_IN];
  const confirmation = kind === 'recipient_absent' ? 'pin' : asked;
  const small = { size: 'small', weight_kg: 0.5 + (number % 3) * 0.5 } as const;
  return {
    pickup: { location: pickup },
    dropoff: { location: dropoff, contact: { email: 'recipient@example.com' } },
    packages:
      kind === 'heavy'
        ? [{ size: 'large', weight_kg: 7.5 }]
        : kind === 'two_packages'
          ? [small, { size: 'small', weight_kg: 0.4 }]
          : [small],
    external_id: `chaos-${number}`,
    ...(kind === 'undeliverable_leave' && { undeliverable_action: 'leave' as const }),
    ...(confirmation && { confirmation }),
    ...(number % 17 === 0 && { expedited: true }),
  };
}
