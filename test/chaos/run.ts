/**
 * One run of chaos: the whole stack as separate processes, deliveries through the public API, and everything that can break
 * broken by a plan. Then the system is left alone until it has settled, and judged.
 */
import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataConverter } from '@temporalio/common';
import { connectServices, type ServiceClients } from '../../local/service-clients.ts';
import { removeData } from '../../local/data.ts';
import { whatIsHeld } from '../../local/held.ts';
import { type Stack, startStack } from '../../local/stack.ts';
import { ACCOUNTS } from '../../local/seed/index.ts';
import type { OnStep } from '../../local/progress.ts';
import { messageOf } from '../../shared/errors.ts';
import { connectTemporal, type TemporalClient } from '../../shared/temporal/client.ts';
import { parsePayloadKeys } from '../../shared/temporal/codec.ts';
import { createDataConverter } from '../../shared/temporal/data-converter.ts';
import { collect, type Fault, type History, judge } from '../checker/index.ts';
import { Callers } from './callers.ts';
import { Network } from './network.ts';
import { Operator } from './operator.ts';
import { describePlan, makePlan, type Plan, type Victim } from './plan.ts';
import { accountOf } from './requests.ts';
import { type Replayed, replayAll } from './replayed.ts';
import { type Strikes, strike } from './strikes.ts';
import { whatTheyWaitFor } from './unended.ts';
import { CargoWatch, FeedFollower, StreamFollower } from './witnesses.ts';

export interface ChaosOptions {
  seed: string;
  deliveries: number;
  kills: number;
  /** Requests a second. */
  ratePerS: number;
  /** Clock seconds per second. */
  clockRate: number;
  /** Who is neither killed nor stopped. */
  spared: readonly Victim[];
  /** How long the system may take to settle after the last act, wall milliseconds. */
  settleWithinMs: number;
  /** Where the stack keeps its data: what an earlier run left there is removed. */
  directory: string;
  say: (what: string) => void;
  onStep?: OnStep;
  signal?: AbortSignal;
}

export interface ChaosReport {
  options: ChaosOptions;
  plan: Plan;
  history: History;
  /** What is wrong; empty as it must be. */
  faults: Fault[];
  /** What a caller was answered and should not have been. */
  surprises: string[];
  /** Roles that ended by themselves, which nobody had asked for. */
  crashes: string[];
  strikes: Strikes;
  /** How often each HTTP status was answered to the callers. */
  statuses: Record<number, number>;
  refused: number;
  streamBreaks: number;
  operator: Operator['done'];
  /** What was missing when it did not settle in time; undefined when it did. */
  unsettled: string | undefined;
  /** What the workflows that have not ended wait for, one text for each. */
  waiting: string[];
  replayed: Replayed;
  postingMs: number;
  settlingMs: number;
  totalMs: number;
  logs: string;
}

/** Whatever one key asks for a minute, and more: limits are not what is tested here. */
const UNLIMITED = { API_RATE_LIMIT_PER_MINUTE: '100000000', API_TELEMETRY_LIMIT_PER_MINUTE: '100000000' };
/** What a terminated workflow left is found within the run. */
const RECONCILE_EVERY_S = '15';
/** One in so many deliveries is followed by a stream. */
const STREAMED_EVERY = 10;
const LOOK_EVERY_MS = 1_000;
const SAY_EVERY_MS = 10_000;
/** More than any delivery costs. */
const CREDIT_PER_DELIVERY_CENTS = 10_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { directory, say } = options;
  const begunMs = Date.now();
  const network = new Network();
  const crashes: string[] = [];
  const signal = options.signal ?? new AbortController().signal;
  // Hundreds of requests and acts wait for their time at once, each of them for this signal too.
  setMaxListeners(0, signal);
  let stack: Stack | undefined;
  try {
    stack = await startStack({
      directory,
      layout: 'separate',
      ports: 'free',
      clockRate: options.clockRate,
      // Somebody would start it again; that it ended is reported.
      restartCrashed: true,
      env: { ...process.env, LOG_LEVEL: 'warn', RECONCILE_EVERY_S, ...UNLIMITED },
      beforeStart: () => removeData(directory),
      roleEnv: network.roleEnv,
      onEvent: (event) => {
        if (event.kind !== 'crashed') return;
        crashes.push(
          `${event.name} ended by itself (${event.exit.signal ?? `exit code ${event.exit.code}`})`,
        );
        say(crashes.at(-1) ?? '');
      },
      ...(options.onStep && { onStep: options.onStep }),
      signal,
    });
    const run = new Run(options, stack, await connectToTemporal(stack), network, signal);
    try {
      return { ...(await run.play()), crashes, totalMs: Date.now() - begunMs };
    } finally {
      await run.close();
    }
  } finally {
    // Nothing stays stopped or cut off from what it must tell while it ends.
    network.mendAll();
    await stack?.stop();
    await network.close();
  }
}

class Run {
  readonly #options: ChaosOptions;
  readonly #stack: Stack;
  readonly #network: Network;
  readonly #signal: AbortSignal;
  readonly #giveUp = new AbortController();
  readonly #services: ServiceClients;
  readonly #callers: Callers;
  readonly #feed: FeedFollower;
  readonly #cargo: CargoWatch;
  readonly #streams = new Map<string, StreamFollower>();
  readonly #temporal: Temporal;
  #operator: Operator | undefined;

  constructor(
    options: ChaosOptions,
    stack: Stack,
    temporal: Temporal,
    network: Network,
    signal: AbortSignal,
  ) {
    const { description } = stack;
    this.#temporal = temporal;
    this.#options = options;
    this.#stack = stack;
    this.#network = network;
    // When one part fails, nothing is posted, killed or started any more behind the back of who stops the stack.
    this.#signal = AbortSignal.any([signal, this.#giveUp.signal]);
    setMaxListeners(0, this.#signal);
    this.#services = connectServices(description);
    this.#callers = new Callers({
      description,
      temporal: temporal.client,
      carrier: this.#services.carrier,
      giveUp: this.#signal,
    });
    this.#feed = new FeedFollower(this.#services, (event) => this.#callers.onEvent(event));
    this.#cargo = new CargoWatch(description.simulator_url);
  }

  async play(): Promise<Omit<ChaosReport, 'crashes' | 'totalMs'>> {
    const { seed, deliveries, kills, ratePerS, spared, say } = this.#options;
    const plan = makePlan({ seed, deliveries, kills, ratePerS, spared, links: this.#network.links });
    say(describePlan(plan));
    const operator = await this.#prepare();
    const begunMs = Date.now();
    const [strikes] = await Promise.all([
      strike({
        stack: this.#stack,
        network: this.#network,
        acts: plan.acts,
        begunMs,
        signal: this.#signal,
        say: (what) => say(`${seconds(Date.now() - begunMs)}  ${what}`),
      }),
      ...plan.requests.map(async (request) => {
        await delay(Math.max(0, begunMs + request.atMs - Date.now()), undefined, { signal: this.#signal });
        await this.#callers.send(request);
        this.#streamSome();
      }),
    ]);
    const postingMs = Date.now() - begunMs;
    say(`${seconds(postingMs)}  all acts are over, and every request is answered; now it may settle`);
    const unsettled = await this.#settle();
    const settlingMs = Date.now() - begunMs - postingMs;
    const waiting = unsettled === undefined ? [] : await whatTheyWaitFor(this.#temporal.client);
    const history = await collect({
      services: this.#services,
      temporal: this.#temporal.client,
      postgresUrl: this.#stack.description.postgres_url,
      accepted: this.#callers.accepted,
      subscribers: [this.#feed.subscriber(), ...[...this.#streams.values()].map((one) => one.subscriber())],
      seenAboard: this.#cargo.seen,
    });
    return {
      options: this.#options,
      plan,
      history,
      faults: judge(history),
      surprises: this.#callers.surprises,
      strikes,
      statuses: Object.fromEntries(this.#callers.statuses),
      refused: this.#callers.refused,
      streamBreaks: [...this.#streams.values()].reduce((sum, one) => sum + one.breaks, 0),
      operator: operator.done,
      unsettled,
      waiting,
      replayed: await replayAll(this.#temporal.client, this.#temporal.dataConverter),
      postingMs,
      settlingMs,
      logs: join(this.#stack.directory, 'logs'),
    };
  }

  async close(): Promise<void> {
    this.#giveUp.abort();
    await Promise.all([
      this.#feed.stop(),
      this.#cargo.stop(),
      this.#operator?.stop(),
      ...[...this.#streams.values()].map((one) => one.stop()),
    ]);
    await Promise.all([this.#callers.close(), this.#services.close(), this.#temporal.close()]);
  }

  async #prepare(): Promise<Operator> {
    // Nobody is refused for want of credit who is not meant to be.
    for (const { id, ...account } of [ACCOUNTS.standard, ACCOUNTS.carrierFallback]) {
      await this.#services.account.ensureAccount({
        params: { account_id: id },
        body: {
          ...account,
          credit_limit: {
            ...account.credit_limit,
            amount: this.#options.deliveries * CREDIT_PER_DELIVERY_CENTS,
          },
        },
      });
    }
    this.#operator = new Operator(this.#services, this.#temporal.client, (droneId, deliveryId) =>
      this.#cargo.hasSeen(droneId, deliveryId),
    );
    return this.#operator;
  }

  #streamSome(): void {
    const { api_url: apiUrl, accounts } = this.#stack.description;
    this.#callers.accepted.forEach(({ answers: [deliveryId], kind }, index) => {
      if (index % STREAMED_EVERY !== 0 || deliveryId === undefined || this.#streams.has(deliveryId)) return;
      const key = accounts[accountOf(kind)]?.key ?? '';
      this.#streams.set(deliveryId, new StreamFollower({ apiUrl, key, deliveryId }));
    });
  }

  /** Waits until all has ended and nothing is held, and everybody has been told. Answers what was missing at the end of the time. */
  async #settle(): Promise<string | undefined> {
    const deadline = Date.now() + this.#options.settleWithinMs;
    let saidMs = Date.now();
    for (;;) {
      const missing = await this.#missing().catch((error: unknown) => messageOf(error));
      if (missing === undefined) return undefined;
      if (Date.now() > deadline) return missing;
      if (Date.now() - saidMs > SAY_EVERY_MS) {
        saidMs = Date.now();
        this.#options.say(`settling: ${missing}`);
      }
      await delay(LOOK_EVERY_MS, undefined, { signal: this.#signal });
    }
  }

  async #missing(): Promise<string | undefined> {
    const isAnswered = await Promise.race([
      this.#callers.answered().then(() => true),
      delay(LOOK_EVERY_MS).then(() => false),
    ]);
    if (!isAnswered) return 'something that was asked for has no answer';
    const open = await this.#services.delivery.listDeliveries({ query: { complete: false, limit: 200 } });
    if (open.data.length > 0) {
      const some = open.data
        .slice(0, 5)
        .map(({ id, status, delayed }) => `${id} ${status}${delayed ? ', delayed' : ''}`);
      return `${open.data.length}${open.next_cursor === null ? '' : ' or more'} are open: ${some.join('; ')}`;
    }
    const held = await whatIsHeld(this.#services);
    if (held.length > 0) return `${held.length} are held: ${held.slice(0, 5).join('; ')}`;
    if (this.#feed.behind > 0) return `the follower of the feed is ${this.#feed.behind} behind`;
    const streams = [...this.#streams.values()].filter((one) => !one.isComplete);
    return streams.length > 0 ? `${streams.length} streams are not complete` : undefined;
  }
}

type Temporal = TemporalClient & { dataConverter: DataConverter };

async function connectToTemporal({ description, directory }: Stack): Promise<Temporal> {
  const { payloadKeys } = JSON.parse(await readFile(join(directory, 'secrets.json'), 'utf8')) as {
    payloadKeys: string;
  };
  const dataConverter = createDataConverter(parsePayloadKeys(payloadKeys));
  const client = connectTemporal({
    address: description.temporal_address,
    namespace: description.temporal_namespace,
    dataConverter,
  });
  return { ...client, dataConverter };
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1).padStart(6)} s`;
