/**
 * One run of chaos: the whole stack as separate processes, deliveries through the public API, and everything that can break
 * broken by a plan. Then the system is left alone until it has settled, and judged.
 */
import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataConverter } from '@temporalio/common';
import { publicContract } from '../../api/contract.ts';
import { connectServices, type ServiceClients } from '../../local/service-clients.ts';
import { removeData } from '../../local/data.ts';
import { type Stack, startStack } from '../../local/stack.ts';
import { ACCOUNTS } from '../../local/seed/index.ts';
import { createClient } from '../../shared/http/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { connectTemporal, type TemporalClient } from '../../shared/temporal/client.ts';
import { parsePayloadKeys } from '../../shared/temporal/codec.ts';
import { createDataConverter } from '../../shared/temporal/data-converter.ts';
import { collect, describeFault, judge } from '../checker/index.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import { Callers } from './callers.ts';
import { Careful } from './careful.ts';
import { Network } from './network.ts';
import { Operator } from './operator.ts';
import type { ChaosOptions, ChaosReport } from './outcome.ts';
import { describePlan, makePlan, type Plan, type PlannedRequest } from './plan.ts';
import { Progress } from './progress.ts';
import { accountOf, LINK_LOSS_GRACE_MS } from './requests.ts';
import { replayAll } from './replayed.ts';
import { settled } from './settling.ts';
import { noStrikes, type Strikes, strike, untilThereIsWork } from './strikes.ts';
import { atTheirTimes } from './timetable.ts';
import { whatTheyWaitFor } from './unended.ts';
import { CargoWatch, FeedFollower, StreamFollower } from './witnesses.ts';

/** Whatever one key asks for a minute, and more: limits are not what is tested here. */
const UNLIMITED = { API_RATE_LIMIT_PER_MINUTE: '100000000', API_TELEMETRY_LIMIT_PER_MINUTE: '100000000' };
/** What a terminated workflow left is found within the run. */
const RECONCILE_EVERY_S = '15';
/** One in so many deliveries is followed by a stream. */
const STREAMED_EVERY = 10;
const SAY_EVERY_MS = 20_000;
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
      env: {
        ...process.env,
        LOG_LEVEL: 'warn',
        RECONCILE_EVERY_S,
        LINK_LOSS_GRACE_MS: String(LINK_LOSS_GRACE_MS),
        ...UNLIMITED,
      },
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
  readonly #operatorApi: PublicApi;
  readonly #careful: Careful;
  readonly #callers: Callers;
  readonly #operator: Operator;
  readonly #feed: FeedFollower;
  readonly #cargo: CargoWatch;
  readonly #streams: StreamFollower[] = [];
  readonly #temporal: Temporal;
  #accepted = 0;

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
    this.#careful = new Careful(this.#signal);
    this.#callers = new Callers({
      description,
      temporal: temporal.client,
      carrier: this.#services.carrier,
      careful: this.#careful,
      giveUp: this.#signal,
      onAccepted: (deliveryId, planned) => this.#streamSome(deliveryId, planned),
    });
    this.#feed = new FeedFollower(this.#services, (event) => this.#callers.onEvent(event));
    this.#cargo = new CargoWatch(description.simulator_url);
    this.#operatorApi = createClient(publicContract, {
      baseUrl: description.api_url,
      headers: { authorization: `Bearer ${description.operator_key}` },
    });
    this.#operator = new Operator({
      operator: this.#operatorApi,
      careful: this.#careful,
      aircraft: (droneId) => this.#cargo.aircraft(droneId),
      isAboard: (droneId, deliveryId) => this.#cargo.hasSeen(droneId, deliveryId),
      takesOut: (deliveryId) => this.#callers.known(deliveryId)?.planned.answer === 'another_drone',
      known: (deliveryId) => this.#callers.known(deliveryId),
      onSurprise: (what) => this.#callers.surprises.push(what),
    });
  }

  async play(): Promise<Omit<ChaosReport, 'crashes' | 'totalMs'>> {
    const { seed, deliveries, kills, ratePerS, spared, say } = this.#options;
    const plan = makePlan({ seed, deliveries, kills, ratePerS, spared, links: this.#network.links });
    say(describePlan(plan));
    await this.#giveCredit();
    const strikes = noStrikes();
    const progress = new Progress({ everyMs: SAY_EVERY_MS, say, count: () => this.#counts(plan, strikes) });
    try {
      return await this.#play(plan, strikes, progress);
    } finally {
      progress.stop();
    }
  }

  async #play(
    plan: Plan,
    strikes: Strikes,
    progress: Progress,
  ): Promise<Omit<ChaosReport, 'crashes' | 'totalMs'>> {
    const begunMs = Date.now();
    const during = { begunMs, signal: this.#signal };
    const say = (what: string) => progress.say(what);
    const underWay = () => this.#callers.accepted.length - this.#callers.ended;
    const posting = atTheirTimes(plan.requests, during, (request) => this.#callers.send(request));
    const striking = untilThereIsWork(underWay, posting, this.#signal).then(() =>
      strike({
        begunMs: Date.now(),
        signal: this.#signal,
        stack: this.#stack,
        network: this.#network,
        acts: plan.acts,
        say,
        strikes,
        underWay,
      }),
    );
    await Promise.all([posting, striking]);
    const postingMs = Date.now() - begunMs;
    say('all acts are over, and every request is answered; now it may settle');
    const unsettled = await settled({
      services: this.#services,
      feed: this.#feed,
      streams: () => this.#streams,
      answered: () => Promise.all([this.#callers.answered(), this.#operator.answered()]),
      withinMs: this.#options.settleWithinMs,
      signal: this.#signal,
      onMissing: (what) => progress.missing(what),
    });
    const settlingMs = Date.now() - begunMs - postingMs;
    progress.missing('it is over');
    say(unsettled === undefined ? 'it has settled' : `it has not settled: ${unsettled}`);
    const waiting = unsettled === undefined ? [] : await whatTheyWaitFor(this.#temporal.client);
    const history = await collect({
      services: this.#services,
      temporal: this.#temporal.client,
      postgresUrl: this.#stack.description.postgres_url,
      accepted: this.#callers.accepted,
      subscribers: [this.#feed.subscriber(), ...this.#streams.map((one) => one.subscriber())],
      seenAboard: this.#cargo.seen,
      onProgress: (what) => say(`read: ${what}`),
    });
    const faults = judge(history);
    say(`judged: ${faults.length} faults; now every history is replayed`);
    // Of thousands that takes long: whoever wants to look at a fault need not wait for it.
    for (const fault of faults) say(`✗ ${describeFault(fault)}`);
    const { client, dataConverter } = this.#temporal;
    return {
      options: this.#options,
      plan,
      history,
      faults,
      surprises: this.#callers.surprises,
      strikes,
      statuses: Object.fromEntries(this.#careful.statuses),
      refused: this.#callers.refused,
      streamBreaks: this.#streams.reduce((sum, one) => sum + one.breaks, 0),
      operator: this.#operator.done,
      unsettled,
      waiting,
      replayed: await replayAll(client, dataConverter, history.workflows ?? [], say),
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
      this.#operator.stop(),
      ...this.#streams.map((one) => one.stop()),
    ]);
    await Promise.all([
      this.#callers.close(),
      this.#operatorApi.close(),
      this.#services.close(),
      this.#temporal.close(),
    ]);
  }

  #counts(plan: Plan, { done }: Strikes) {
    return {
      planned: plan.requests.length,
      accepted: this.#callers.accepted.length,
      refused: this.#callers.refused,
      ended: this.#callers.ended,
      acts: plan.acts.length,
      actsDone: Object.values(done).reduce((sum, one) => sum + one, 0),
      ...this.#operator.done,
    };
  }

  /** Nobody is refused for want of credit who is not meant to be. */
  async #giveCredit(): Promise<void> {
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
  }

  #streamSome(deliveryId: DeliveryId, { kind }: PlannedRequest): void {
    this.#accepted += 1;
    if (this.#accepted % STREAMED_EVERY !== 1) return;
    const { api_url: apiUrl, accounts } = this.#stack.description;
    const key = accounts[accountOf(kind)]?.key ?? '';
    this.#streams.push(new StreamFollower({ apiUrl, key, deliveryId }));
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
