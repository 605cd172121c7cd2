/**
 * A laboratory for delivery workflows: the time-skipping server, a real worker with the real activities, the real services on
 * a real database over HTTP, and a pilot that flies the drones. All of it follows the test server's virtual time.
 */
import { Client as TemporalClient, type WorkflowStartInput } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { google } from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker, type WorkflowBundle, type WorkerOptions } from '@temporalio/worker';
import type { FastifyInstance } from 'fastify';
import { createActivities, createServiceClients, type ServiceClients } from '../../activities/index.ts';
import { reconcileActivities } from '../../activities/reconcile.ts';
import { resetActivities } from '../../activities/reset.ts';
import { buildAccountService } from '../../services/account/service.ts';
import { buildCarrierService } from '../../services/carrier/service.ts';
import type {
  ConfirmationKind,
  Delivery,
  DeliveryEvent,
  GivenConfirmation,
} from '../../services/delivery/contract/index.ts';
import { interventionIdOf } from '../../services/delivery/contract/interventions.ts';
import { buildDeliveryService } from '../../services/delivery/service.ts';
import { aircraftContract, type DroneModel } from '../../services/drone/contract/index.ts';
import { DEFAULT_LINK_LOSS } from '../../services/drone/domain/link-loss.ts';
import { buildDroneService } from '../../services/drone/service.ts';
import { buildPackageService } from '../../services/package/service.ts';
import { clockTimeMs, isoTime, runningClock } from '../../shared/clock.ts';
import { destination } from '../../shared/geodesy.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import {
  type AccountId,
  type BaseId,
  type DeliveryId,
  type DroneId,
  type ModelId,
  newId,
} from '../../shared/ids.ts';
import { createLogger } from '../../shared/logger.ts';
import type { Location, Money, PickupWindow } from '../../shared/schemas.ts';
import { generatePayloadKey, parsePayloadKeys } from '../../shared/temporal/codec.ts';
import { createDataConverter } from '../../shared/temporal/data-converter.ts';
import {
  type DeliveryWorkflows,
  temporalDeliveryWorkflows,
} from '../../shared/temporal/delivery-workflows.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { createDeliveryWorker, type DeploymentVersion } from '../../workers/worker.ts';
import type {
  DeliveryInput,
  DeliveryOutcome,
  DeliveryPolicy,
  OperatorAnswer,
  OperatorCommands,
} from '../../workflows/messages.ts';
import { replayEach, type ReplayErrors } from '../replay/replay.ts';
import { createServiceDatabase } from '../support/postgres.ts';
import { Pilot, type ScriptedFailure } from '../support/pilot.ts';
import { Faults } from './faults.ts';
import { Handover } from './handover.ts';
import { type Quiet, quietUntilMs, untilQuiet } from './quiet.ts';
import { noticeChanges, recordRequests } from './recorder.ts';
import { type LabServer, realServer, timeSkippingServer } from './servers.ts';
import { Told } from './told.ts';

// Once per process. Tests make activities fail by the thousand: that is no news, and takes long to print.
const printer = new DefaultLogger('WARN');
Runtime.install({
  logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
    if (message !== 'Activity failed') printer.log(level, message, meta);
  }),
});

export interface LabOptions {
  /** On the real server, so many clock seconds per second; in virtual time unless told. */
  realTimeAtRate?: number;
  /** Keys of its payloads, as in `PAYLOAD_KEYS`; one of its own unless told. */
  payloadKeys?: string;
  /** What its first worker is; the code as it is, without a version, unless told. Null: nobody works yet. */
  build?: Build | null;
}

/** What a worker runs: another bundle than the code as it is, and as which version of a deployment. */
export interface Build {
  bundle?: WorkflowBundle;
  /** Other workflows than the project's own, to be bundled. */
  workflowsPath?: string;
  version?: DeploymentVersion;
  /** No workflows, only activities: what those have led to waits. */
  activitiesOnly?: boolean;
}

/** One worker of the lab. Whatever it has not finished when it stops is the others'. */
export interface LabWorker {
  stop(): Promise<void>;
}

export interface DeliveryOptions {
  account?: Partial<{
    state: 'active' | 'suspended' | 'closed';
    creditCents: number;
    carrier: boolean;
    carrierCapCents: number;
  }>;
  /** Drones at the base beside the pickup; 1 unless told. */
  drones?: number;
  weightKg?: number;
  /** From the base to the pickup, and from there to the dropoff, metres. */
  toPickupM?: number;
  toDropoffM?: number;
  undeliverableAction?: 'return' | 'leave';
  confirmation?: ConfirmationKind;
  /** Seconds from now. */
  deadlineInS?: number;
  expedited?: boolean;
  /** The pickup window, seconds from now. */
  pickup?: { fromS: number; toS: number };
  /** What its package is declared to be worth; nothing unless told. */
  declaredCents?: number;
  /** 1234 unless told, whatever the distance. */
  priceCents?: number;
  policy?: Partial<DeliveryPolicy>;
  /** Its id, for who has to know it before it starts. */
  id?: DeliveryId;
  /** What its workflow tasks may take: short steps that take longer than 80 % of it go on in another one. Temporal's own unless told. */
  taskTimeoutMs?: number;
  externalId?: string;
}

/** Between the places of two tests: more than any drone flies, 100 km and more. */
const REGION_DEGREES = 3;
const REGIONS_TO_NORTH = 40;
/**
 * Steps of virtual time when no drone, timer or retry is known to be due: a drone whose radio is silent for longer, as nobody lets
 * it speak in between, is taken for lost.
 */
const IDLE_STEP_MS = DEFAULT_LINK_LOSS.silenceS * 1000;
const GIVE_UP_AFTER_MS = 24 * 60 * 60 * 1000;
const REAL_STEP_MS = 20;
const GIVE_UP_IN_REAL_TIME_MS = 60_000;
/**
 * How late a timer may be: as late as the workflow task that set it took, which on a busy machine is seconds. It is never early.
 * Milliseconds.
 */
export const EXACT_MS = 20_000;
/** Of its worker and client in the histories, where the SDK would put the machine's name. */
export const IDENTITY = 'lab';

/** Who has to look at a service again, as it was asked for a change since they last began to look. */
interface News {
  /** The aircraft, at their missions. */
  aircraft: boolean;
  dronePumps: boolean;
  carrierPump: boolean;
}

const NO_CONTENT_LOGGER = createLogger({ role: 'test', level: 'error' });

/** Those that the files of this process share, by the workflows that their workers have. */
const shared = new Map<string, Promise<Lab>>();

export class Lab {
  readonly server: LabServer;
  readonly taskQueue: string;
  /** What a worker, or the audit, of this lab would have in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly temporal: TemporalClient;
  readonly clients: ServiceClients;
  readonly faults: Faults;
  readonly handover: Handover;
  readonly pilot: Pilot;
  readonly workflows: DeliveryWorkflows;
  /** The superuser's URL of the database of all services. */
  readonly databaseUrl: string;
  private readonly time: { ms: number };
  private readonly apps: Record<'carrier' | 'drone', FastifyInstance>;
  private readonly news: News;
  /** When the carrier service has something to do by itself, as far as is known; wall, null: never. */
  private carrierDueMs: number | null = null;
  private readonly told: Told;
  /** Milliseconds, of those workflows that have not Temporal's own. */
  readonly taskTimeouts: Map<string, number>;
  /** A worker of it does something now: then no workflow needs to be asked whether it is quiet. */
  private readonly isBusy: () => boolean;
  private readonly stop: () => Promise<void>;
  /** One more worker of another build, beside those that work. */
  readonly employ: (build: Build) => Promise<LabWorker>;
  private region = 0;
  private isShared = false;
  /** Whose tests were over before their workflows were. */
  private readonly abandoned: LabDelivery[] = [];
  private readonly boarded: DroneId[] = [];
  /** The deliveries whose workflows have not ended, and how each was found when it was last quiet. */
  private readonly open = new Map<LabDelivery, Quiet | undefined>();

  private constructor(parts: {
    server: LabServer;
    taskQueue: string;
    environment: Record<string, string>;
    temporal: TemporalClient;
    clients: ServiceClients;
    faults: Faults;
    handover: Handover;
    pilot: Pilot;
    workflows: DeliveryWorkflows;
    databaseUrl: string;
    time: { ms: number };
    apps: Record<'carrier' | 'drone', FastifyInstance>;
    news: News;
    told: Told;
    taskTimeouts: Map<string, number>;
    isBusy: () => boolean;
    stop: () => Promise<void>;
    employ: (build: Build) => Promise<LabWorker>;
  }) {
    this.server = parts.server;
    this.taskQueue = parts.taskQueue;
    this.environment = parts.environment;
    this.temporal = parts.temporal;
    this.clients = parts.clients;
    this.faults = parts.faults;
    this.handover = parts.handover;
    this.pilot = parts.pilot;
    this.workflows = parts.workflows;
    this.databaseUrl = parts.databaseUrl;
    this.time = parts.time;
    this.apps = parts.apps;
    this.news = parts.news;
    this.told = parts.told;
    this.taskTimeouts = parts.taskTimeouts;
    this.isBusy = parts.isBusy;
    this.stop = parts.stop;
    this.employ = parts.employ;
  }

  static async open({
    realTimeAtRate,
    payloadKeys = generatePayloadKey('test'),
    build = {},
  }: LabOptions = {}): Promise<Lab> {
    const dataConverter = createDataConverter(parsePayloadKeys(payloadKeys));
    const [server, database] = await Promise.all([
      realTimeAtRate === undefined ? timeSkippingServer(dataConverter) : realServer(realTimeAtRate),
      createServiceDatabase('delivery'),
    ]);
    const { connection, namespace, clock } = server;
    const time = { ms: await server.wallMs() };
    const wall = server.virtual ? () => time.ms : Date.now;
    const taskQueue = `lab-${process.pid}`;
    const told = new Told();
    const client = new TemporalClient({
      connection,
      namespace,
      dataConverter,
      identity: IDENTITY,
      interceptors: { workflow: [told, { startWithDetails: (input, next) => next(withTaskTimeout(input)) }] },
    });
    const taskTimeouts = new Map<string, number>();
    const withTaskTimeout = (input: WorkflowStartInput): WorkflowStartInput => {
      const timeoutMs = taskTimeouts.get(input.options.workflowId);
      if (timeoutMs === undefined) return input;
      const workflowTaskTimeout = google.protobuf.Duration.fromObject({
        seconds: Math.floor(timeoutMs / 1000),
        nanos: (timeoutMs % 1000) * 1_000_000,
      });
      return { ...input, options: { ...input.options, workflowTaskTimeout } };
    };
    const workflows = temporalDeliveryWorkflows(async () => client, taskQueue);
    const common = { logger: NO_CONTENT_LOGGER, wall, clock };
    const { services } = database;
    const apps = {
      account: await buildAccountService({ ...common, databaseUrl: services.account.url }),
      package: await buildPackageService({ ...common, databaseUrl: services.package.url }),
      drone: await buildDroneService({ ...common, databaseUrl: services.drone.url, workflows }),
      carrier: await buildCarrierService({ ...common, databaseUrl: services.carrier.url, workflows }),
      delivery: await buildDeliveryService({ ...common, databaseUrl: services.delivery.url }),
    };
    const faults = new Faults();
    const handover = new Handover();
    for (const [service, app] of Object.entries(apps)) recordRequests(service, app, faults);
    const news: News = { aircraft: true, dronePumps: true, carrierPump: true };
    noticeChanges(apps.drone, () => {
      news.aircraft = news.dronePumps = true;
    });
    noticeChanges(apps.carrier, () => {
      news.carrierPump = true;
    });
    const listen = (app: FastifyInstance) => app.listen({ host: '127.0.0.1', port: 0 });
    const urls = {
      account: await listen(apps.account),
      package: await listen(apps.package),
      drone: await listen(apps.drone),
      carrier: await listen(apps.carrier),
      delivery: await listen(apps.delivery),
    };
    const clients = createServiceClients(urls);
    const aircraft: Client<typeof aircraftContract> = createClient(aircraftContract, { baseUrl: urls.drone });
    const bringUpToDate = async () => {
      if (server.virtual) time.ms = Math.max(time.ms, await server.wallMs());
    };
    const activities = {
      ...createActivities(clients, client),
      ...reconcileActivities({
        services: clients,
        temporal: client,
        taskQueue,
        clock: runningClock(clock, wall),
      }),
      ...resetActivities({ services: clients, temporal: client }),
    };
    const employed = new Set<LabWorker & { isBusy: () => boolean }>();
    const employ = async ({
      bundle,
      workflowsPath,
      version,
      activitiesOnly = false,
    }: Build): Promise<LabWorker> => {
      const common = {
        connection: server.nativeConnection,
        namespace,
        taskQueue,
        activities,
        dataConverter: {
          ...dataConverter,
          payloadCodecs: [handover, ...dataConverter.payloadCodecs],
        },
        identity: IDENTITY,
        interceptors: {
          activity: [
            ({ info: { activityType, activityId, attempt, isLocal, workflowExecution } }) => {
              const { workflowId: deliveryId = '', runId = '' } = workflowExecution ?? {};
              const one = { activityType, activityId, attempt, isLocal, deliveryId, runId };
              return { inbound: faults.interceptor(one, bringUpToDate) };
            },
          ],
        } satisfies WorkerOptions['interceptors'],
      };
      const worker = activitiesOnly
        ? await Worker.create(common)
        : await createDeliveryWorker({
            ...common,
            workflowBundle:
              bundle ?? (await workflowBundle(dataConverter.failureConverterPath, workflowsPath)),
            ...(version && { version }),
            shutdownGraceMs: 0,
          });
      const running = worker.run();
      const one: LabWorker & { isBusy: () => boolean } = {
        isBusy: () => {
          const { numInFlightWorkflowActivations, numInFlightActivities } = worker.getStatus();
          return numInFlightWorkflowActivations > 0 || numInFlightActivities > faults.hanging;
        },
        stop: async () => {
          if (!employed.delete(one)) return;
          worker.shutdown();
          await running;
        },
      };
      employed.add(one);
      return one;
    };
    if (build) await employ(build);
    const pilot = new Pilot({ drone: clients.drone, aircraft, delivery: clients.delivery });
    return new Lab({
      server,
      taskQueue,
      environment: {
        TEMPORAL_ADDRESS: server.address,
        TEMPORAL_NAMESPACE: namespace,
        TEMPORAL_TASK_QUEUE: taskQueue,
        PAYLOAD_KEYS: payloadKeys,
        ...Object.fromEntries(
          Object.entries(urls).map(([service, url]) => [`${service.toUpperCase()}_URL`, url]),
        ),
      },
      temporal: client,
      clients,
      faults,
      handover,
      pilot,
      workflows,
      databaseUrl: database.adminUrl,
      time,
      apps: { carrier: apps.carrier, drone: apps.drone },
      news,
      told,
      taskTimeouts,
      isBusy: () => [...employed].some((one) => one.isBusy()),
      employ,
      stop: async () => {
        faults.clear();
        await Promise.all([...employed].map((one) => one.stop()));
        await Promise.all(Object.values(clients).map((client: { close(): Promise<void> }) => client.close()));
        await aircraft.close();
        await Promise.all(Object.values(apps).map((app) => app.close()));
        await server.stop();
        await database.drop();
      },
    });
  }

  /**
   * One for all files of this process that want such a lab, because a server and warm code are what a file costs. `close()` leaves it
   * tidy for the next file; it ends with the process. A lab that a file breaks on purpose, or kills, must be its own.
   */
  static async shared(build: Pick<Build, 'workflowsPath'> = {}): Promise<Lab> {
    const which = build.workflowsPath ?? '';
    const opening = shared.get(which) ?? Lab.open({ build });
    shared.set(which, opening);
    // The next file tries again.
    opening.catch(() => shared.delete(which));
    const lab = await opening;
    lab.isShared = true;
    return lab;
  }

  /** Ends it; one that is shared is only tidied up: no workflow of what was tested goes on. */
  async close(): Promise<void> {
    if (!this.isShared) return this.stop();
    this.rest();
    await Promise.all(this.abandoned.splice(0).map((delivery) => this.endForGood(delivery)));
  }

  private async endForGood({ id, handle }: LabDelivery): Promise<void> {
    try {
      await handle.terminate('its test is over');
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw new Error(`${id} goes on.`, { cause: error });
    }
  }

  /** Replays the history of a delivery's run with the code as it is, as a worker would have to that takes it up. */
  async replay({ handle }: LabDelivery): Promise<ReplayErrors> {
    const dataConverter = createDataConverter(parsePayloadKeys(this.environment['PAYLOAD_KEYS'] ?? ''));
    const history = async function* () {
      yield { name: handle.workflowId, history: await handle.fetchHistory() };
    };
    const bundle = await workflowBundle(dataConverter.failureConverterPath);
    return replayEach(history(), { workflowBundle: bundle, dataConverter });
  }

  /** Now, by the clock of its deliveries (Unix milliseconds). */
  get nowMs(): number {
    return clockTimeMs(this.server.clock, this.wallNowMs);
  }

  get wallNowMs(): number {
    return this.server.virtual ? this.time.ms : Date.now();
  }

  /** An account, a fleet and a place of its own for one delivery, which is then accepted and started. */
  async start(options: DeliveryOptions = {}): Promise<LabDelivery> {
    const scene = await this.prepare(options);
    return scene.order(options);
  }

  /** The scene without the delivery: for tests that change something before, or order twice. */
  async prepare(options: DeliveryOptions = {}): Promise<Scene> {
    // Far from every other test's fleet, so that no test takes another's drone.
    const base = {
      latitude: -60 + (this.region % REGIONS_TO_NORTH) * REGION_DEGREES,
      longitude: -150 + Math.floor(this.region / REGIONS_TO_NORTH) * REGION_DEGREES,
    };
    this.region += 1;
    const accountId = newId('account');
    const {
      state = 'active',
      creditCents = 1_000_000,
      carrier = false,
      carrierCapCents,
    } = options.account ?? {};
    await this.clients.account.ensureAccount({
      params: { account_id: accountId },
      body: {
        name: 'Test account',
        livemode: false,
        state,
        credit_limit: { amount: creditCents, currency: 'USD' },
        preferences: {
          carrier_fallback: carrier,
          carrier_price_cap:
            carrierCapCents === undefined ? null : { amount: carrierCapCents, currency: 'USD' },
        },
      },
    });
    const scene = new Scene(this, accountId, base);
    for (let index = 0; index < (options.drones ?? 1); index += 1) await scene.addDrone();
    return scene;
  }

  /** A delivery whose only drone has just lost its link, there and for that long; what else happens to it. */
  async startUnheard(
    link: Omit<ScriptedFailure, 'failure'>,
    ...failures: ScriptedFailure[]
  ): Promise<LabDelivery> {
    const scene = await this.prepare();
    for (const failure of [{ failure: 'lost_link' as const, ...link }, ...failures]) {
      for (const droneId of scene.droneIds) this.pilot.arm(droneId, failure);
    }
    const delivery = await scene.order();
    await this.until('it is out of reach', () =>
      scene.droneIds.every((droneId) => this.pilot.look(droneId).linkLostUntilMs !== null),
    );
    return delivery;
  }

  /** Lets time pass, and the drones fly, until `done` holds. `withinMs`: wall milliseconds until it is given up. */
  async until(
    what: string,
    done: () => Promise<boolean> | boolean,
    { withinMs = this.server.virtual ? GIVE_UP_AFTER_MS : GIVE_UP_IN_REAL_TIME_MS } = {},
  ): Promise<void> {
    const giveUpAtMs = this.wallNowMs + withinMs;
    for (;;) {
      await this.settle();
      if (await done()) return;
      if (this.wallNowMs > giveUpAtMs) throw new Error(`Waited long, and still not: ${what}.`);
      const next = Math.min(
        this.pilot.nextEventAtMs() ?? Number.POSITIVE_INFINITY,
        this.wallNowMs + (this.server.virtual ? IDLE_STEP_MS : REAL_STEP_MS),
        ...[...this.open.values()].map((quiet) => (quiet ? quietUntilMs(quiet) : Number.POSITIVE_INFINITY)),
      );
      await this.passUntil(Math.max(next, this.wallNowMs + 1));
    }
  }

  /**
   * Lets time pass until it is answered, and answers that. What the workflow does after its answer is not waited for: a test may
   * have to end what hangs before the workflow's end, or the time-skipping server lets no time pass any more. `withinMs` as of `until`.
   */
  async untilSettled<T>(what: string, asking: Promise<T>, options: { withinMs?: number } = {}): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    asking.then(settle, settle);
    const passing = this.until(what, () => isSettled, options);
    try {
      return await Promise.race([asking, passing.then(() => asking)]);
    } catch (error) {
      // It was refused, and the test goes on: no time may pass behind its back.
      await passing;
      throw error;
    }
  }

  /** A pickup window, seconds from now. */
  windowIn({ fromS, toS }: { fromS: number; toS: number }): PickupWindow {
    return { start: isoTime(this.nowMs + fromS * 1000), end: isoTime(this.nowMs + toS * 1000) };
  }

  /**
   * Lets days pass that only a workflow's timers structure: from one timer to the next, so that what each of them causes is done
   * before time goes on. Nothing flies meanwhile.
   */
  async leapUntil(wallMs: number, delivery: LabDelivery): Promise<void> {
    for (;;) {
      await this.settle();
      if (this.wallNowMs >= wallMs) return;
      const { timerAtMs = Number.POSITIVE_INFINITY } = this.open.get(delivery) ?? {};
      await this.passUntil(Math.min(wallMs, Math.max(timerAtMs, this.wallNowMs + 1)));
    }
  }

  /** Lets time pass until it is `wallMs`. */
  async passUntil(wallMs: number): Promise<void> {
    await this.server.sleep(Math.max(1, wallMs - this.wallNowMs));
    this.time.ms = Math.max(this.time.ms, await this.server.wallMs());
  }

  /** Everything that is due at this moment has happened: workflow tasks, services' background work, drones. */
  async settle(): Promise<void> {
    await this.untilQuiet();
    this.time.ms = Math.max(this.time.ms, await this.server.wallMs());
    // Time has passed. Further rounds are of the same moment: in them, only who was given a reason looks again.
    this.news.aircraft = this.news.dronePumps = true;
    for (let moved = true; moved;) {
      moved = await this.pilot.flyUntil(this.time.ms, () => this.takeNews('aircraft'));
      if (!this.server.virtual) return;
      await Promise.all([this.runDronePumps(), this.runCarrierPump()]);
      // What a workflow has done since, an aircraft hears now and not when time has passed.
      if (await this.untilQuiet()) moved = true;
    }
  }

  private async runDronePumps(): Promise<void> {
    if (this.takeNews('dronePumps')) await this.apps.drone.dronePumps.runDue();
  }

  private async runCarrierPump(): Promise<void> {
    const isDue = this.carrierDueMs !== null && this.carrierDueMs <= this.time.ms;
    if (this.takeNews('carrierPump') || isDue) {
      this.carrierDueMs = await this.apps.carrier.carrierPump.runDue();
    }
  }

  /** Whether there is any, which is then known: what comes later is news again. */
  private takeNews(whose: keyof News): boolean {
    const is = this.news[whose];
    this.news[whose] = false;
    return is;
  }

  /** Whether any of them has done something. */
  private async untilQuiet(): Promise<boolean> {
    if (!this.server.virtual) return false;
    const moved = await Promise.all([...this.open].map((one) => this.untilOneIsQuiet(...one)));
    return moved.includes(true);
  }

  /** One that was quiet still is, unless somebody told it something, a timer of it fired, or it may be trying again. */
  private async untilOneIsQuiet(delivery: LabDelivery, before: Quiet | undefined): Promise<boolean> {
    const wasTold = this.told.take(delivery.id);
    const isStillQuiet = before !== undefined && !before.isHanging && quietUntilMs(before) > this.time.ms;
    if (isStillQuiet && !wasTold) return false;
    const quiet = await untilQuiet(delivery.handle, {
      isBusy: this.isBusy,
      isActing: () => this.faults.isActing(delivery.id),
      isHanging: () => this.faults.isHanging(delivery.id),
      isDone: (attempt) => this.faults.isDone(attempt),
      isOnTheWay: (accepted) => this.told.onTheWayTo(delivery.id, accepted),
      nowMs: this.time.ms,
    });
    if (quiet.state === 'closed') this.open.delete(delivery);
    else if (this.open.has(delivery)) this.open.set(delivery, quiet);
    return quiet.events !== before?.events;
  }

  /** After a test: everything works again, and nobody flies or waits for what it left behind. */
  rest(): void {
    this.faults.clear();
    this.handover.letGo();
    this.abandoned.push(...this.open.keys());
    this.open.clear();
    this.pilot.leave(this.boarded.splice(0));
  }

  boarding(droneId: DroneId): void {
    this.boarded.push(droneId);
  }

  /** Its workflow has not ended, as far as has been seen. */
  isOpen(delivery: LabDelivery): boolean {
    return this.open.has(delivery);
  }

  /** How many events its history had when it was last quiet: its workflow's state is the same as long as they are. */
  eventsOf(delivery: LabDelivery): number | undefined {
    return this.open.get(delivery)?.events;
  }

  /** As `eventsOf`, while nothing of it is being repeated either: then what is recorded of it is the same, too. */
  restsAt(delivery: LabDelivery): number | undefined {
    const quiet = this.open.get(delivery);
    return quiet?.state === 'open' ? quiet.events : undefined;
  }

  /** When a step of it is tried again, as far as has been seen; Unix milliseconds, infinite when none is being repeated. */
  retriesAtMs(delivery: LabDelivery): number {
    return this.open.get(delivery)?.retryAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** Its workflow is waited for before time passes. */
  watch(delivery: LabDelivery): void {
    this.open.set(delivery, undefined);
  }
}

/** One account, its drones at one base, and the places of its deliveries. */
export class Scene {
  readonly lab: Lab;
  readonly accountId: AccountId;
  readonly baseLocation: Location;
  readonly droneIds: DroneId[] = [];
  private readonly baseId: BaseId = newId('base');
  private readonly model: DroneModel = { ...TEST_MODEL, id: newId('model') };

  constructor(lab: Lab, accountId: AccountId, baseLocation: Location) {
    this.lab = lab;
    this.accountId = accountId;
    this.baseLocation = baseLocation;
  }

  /** Without a pilot it is registered and free, but does not fly until `boardAll`. */
  async addDrone({ pilot = true } = {}): Promise<DroneId> {
    const { drone } = this.lab.clients;
    const modelId: ModelId = this.model.id;
    await drone.ensureModel({ params: { model_id: modelId }, body: this.model });
    await drone.ensureBase({
      params: { base_id: this.baseId },
      body: { id: this.baseId, name: 'Test base', location: this.baseLocation, pads: 10 },
    });
    const droneId = newId('drone');
    await drone.ensureDrone({
      params: { drone_id: droneId },
      body: { name: `Test drone ${this.droneIds.length + 1}`, model_id: modelId, base_id: this.baseId },
    });
    this.droneIds.push(droneId);
    this.lab.boarding(droneId);
    if (pilot) await this.lab.pilot.board(droneId, this.lab.wallNowMs);
    return droneId;
  }

  /** One of another model that flies farther than the others; from a base of its own it is at the pickup later than they. */
  async addLongRangeDrone(): Promise<DroneId> {
    const { drone } = this.lab.clients;
    const battery_capacity_wh = this.model.battery_capacity_wh * 4;
    const model = { ...this.model, id: newId('model'), name: 'Test albatross', battery_capacity_wh };
    const location = destination(this.baseLocation, 270, 2_000);
    const base = { id: newId('base'), name: 'Test base, farther away', location, pads: 1 };
    await drone.ensureModel({ params: { model_id: model.id }, body: model });
    await drone.ensureBase({ params: { base_id: base.id }, body: base });
    const droneId = newId('drone');
    const body = { name: 'Test albatross', model_id: model.id, base_id: base.id };
    await drone.ensureDrone({ params: { drone_id: droneId }, body });
    this.droneIds.push(droneId);
    this.lab.boarding(droneId);
    await this.lab.pilot.board(droneId, this.lab.wallNowMs);
    return droneId;
  }

  /** Every drone has a pilot from now on. */
  async boardAll(): Promise<void> {
    for (const droneId of this.droneIds) {
      if (!this.lab.pilot.has(droneId)) await this.lab.pilot.board(droneId, this.lab.wallNowMs);
    }
  }

  /** What an operator does to all its drones. */
  async setDrones(state: 'idle' | 'maintenance'): Promise<void> {
    for (const droneId of this.droneIds) {
      await this.lab.clients.drone.setDroneState({
        params: { drone_id: droneId },
        body: { state, reason: 'inspection', by: 'test' },
      });
    }
  }

  async order(options: DeliveryOptions = {}): Promise<LabDelivery> {
    const { lab } = this;
    const pickup = destination(this.baseLocation, 90, options.toPickupM ?? 1_500);
    const dropoff = destination(pickup, 0, options.toDropoffM ?? 2_000);
    const deliveryId = options.id ?? newId('delivery');
    const price: Money = { amount: options.priceCents ?? 1_234, currency: 'USD' };
    const packages = [
      {
        id: newId('package'),
        size: 'small' as const,
        weight_kg: options.weightKg ?? 1.2,
        tag: 'TEST',
        ...(options.declaredCents !== undefined && {
          declared_value: { amount: options.declaredCents, currency: 'USD' },
        }),
      },
    ];
    const deadline =
      options.deadlineInS === undefined ? null : isoTime(lab.nowMs + options.deadlineInS * 1000);
    const pickupWindow = options.pickup ? lab.windowIn(options.pickup) : null;
    const input: DeliveryInput = {
      deliveryId,
      accountId: this.accountId,
      livemode: false,
      externalId: options.externalId ?? null,
      pickup: { location: pickup },
      dropoff: { location: dropoff },
      packages,
      expedited: options.expedited ?? false,
      deadline,
      pickupWindow,
      undeliverableAction: options.undeliverableAction ?? 'return',
      ...(options.confirmation && { confirmation: options.confirmation }),
      price,
      clock: lab.server.clock,
      acceptedAt: isoTime(lab.nowMs),
      ...(options.policy && { policy: options.policy }),
    };
    await lab.clients.delivery.createDelivery({
      body: {
        id: deliveryId,
        account_id: this.accountId,
        livemode: false,
        external_id: null,
        pickup: input.pickup,
        dropoff: input.dropoff,
        packages,
        expedited: input.expedited,
        deadline,
        confirmation: options.confirmation ?? 'none',
        undeliverable_action: input.undeliverableAction,
        metadata: {},
        price,
        created_at: input.acceptedAt,
        eta: { status: 'pending', pickup_at: null, dropoff_at: null },
        pickup_window: pickupWindow,
      },
    });
    if (options.taskTimeoutMs !== undefined) lab.taskTimeouts.set(deliveryId, options.taskTimeoutMs);
    await lab.workflows.start(input);
    const delivery = new LabDelivery(this, deliveryId, price, pickup);
    lab.watch(delivery);
    return delivery;
  }
}

const openOf = ({ interventions }: Delivery): Delivery['interventions'] =>
  interventions.filter((one) => one.resolved_at === null);

export class LabDelivery {
  readonly scene: Scene;
  readonly id: DeliveryId;
  readonly price: Money;
  readonly pickup: Location;

  constructor(scene: Scene, id: DeliveryId, price: Money, pickup: Location) {
    this.scene = scene;
    this.id = id;
    this.price = price;
    this.pickup = pickup;
  }

  private get clients(): ServiceClients {
    return this.scene.lab.clients;
  }

  read(): Promise<Delivery> {
    return this.clients.delivery.getDelivery({ params: { delivery_id: this.id } });
  }

  async events(): Promise<DeliveryEvent[]> {
    const all: DeliveryEvent[] = [];
    for (;;) {
      const { data, next_cursor } = await this.clients.delivery.listEvents({
        params: { delivery_id: this.id },
        query: { limit: 200, after_sequence: all.at(-1)?.sequence ?? 0 },
      });
      all.push(...data);
      if (next_cursor === null) return all;
    }
  }

  /** The statuses it went through, in order. */
  async statuses(): Promise<string[]> {
    const events = await this.events();
    return events.map((event) => event.status).filter((status, index, all) => status !== all[index - 1]);
  }

  async untilStatus(status: Delivery['status']): Promise<void> {
    await this.untilRecorded(`${this.id} is ${status}`, (delivery) => delivery.status === status);
  }

  /** Lets time pass until `done` holds of its record, which is read again only when its workflow has done something since. */
  private async untilRecorded(what: string, done: (delivery: Delivery) => boolean): Promise<void> {
    const { lab } = this.scene;
    let readAt: number | undefined;
    await lab.until(what, async () => {
      const events = lab.restsAt(this);
      if (events !== undefined && events === readAt) return false;
      readAt = events;
      return done(await this.read());
    });
  }

  /** Lets it go on to its end; its workflow has completed, and every drone is home. */
  async untilComplete(): Promise<{ delivery: Delivery; outcome: DeliveryOutcome }> {
    await this.untilRecorded(`${this.id} is complete`, (delivery) => delivery.complete);
    const outcome = (await this.handle.result()) as DeliveryOutcome;
    return { delivery: await this.read(), outcome };
  }

  get handle() {
    return this.scene.lab.temporal.workflow.getHandle(this.id);
  }

  /** How many of its workflow tasks have failed or timed out, in its newest run. */
  async tasksLost(): Promise<number> {
    const { events } = await this.handle.fetchHistory();
    return (events ?? []).filter(
      (event) => event.workflowTaskFailedEventAttributes ?? event.workflowTaskTimedOutEventAttributes,
    ).length;
  }

  /** Asks for it to be cancelled, without waiting for the answer. */
  askToCancel(updateId = 'cancel-1') {
    const command = {
      reason: 'requested_by_sender',
      actor: { role: 'business', id: this.scene.accountId },
    } as const;
    return this.scene.lab.workflows.cancel(this.id, command, { updateId, timeoutMs: 20_000 });
  }

  /** Asks for it to be cancelled, and lets time pass until the answer is there. */
  cancel(updateId = 'cancel-1') {
    return this.scene.lab.untilSettled('the cancel is answered', this.askToCancel(updateId));
  }

  /** What the recipient was sent. */
  async recipient(): Promise<{ trackingToken: string; pin: string }> {
    const { tracking_token, pin } = await this.clients.delivery.getRecipientAccess({
      params: { delivery_id: this.id },
    });
    return { trackingToken: tracking_token, pin: pin ?? '' };
  }

  /** The recipient gives something; the workflow does not hear of it yet. */
  async give(given: GivenConfirmation) {
    const { trackingToken } = await this.recipient();
    return this.clients.delivery.giveConfirmation({
      body: { tracking_token: trackingToken, given, position: null },
    });
  }

  /** Has the workflow look what was given, and lets time pass until it has answered. */
  tellConfirmed(updateId = 'confirm-1') {
    const { lab } = this.scene;
    const command = { actor: { role: 'recipient', id: 'test' } } as const;
    const asking = lab.workflows.order(this.id, 'confirm', command, { updateId, timeoutMs: 20_000 });
    return lab.untilSettled('the confirmation is answered', asking);
  }

  /** Sends an operator's update, and lets time pass until it is answered. */
  order<K extends keyof OperatorCommands>(
    update: K,
    command: OperatorCommands[K],
    updateId?: string,
  ): Promise<OperatorAnswer> {
    const asking = this.handle.executeUpdate<OperatorAnswer, [unknown]>(update, {
      args: [command],
      ...(updateId !== undefined && { updateId }),
    });
    return this.scene.lab.untilSettled(`${update} is answered`, asking);
  }

  /** What people are asked about it, and nobody has settled. */
  async openInterventions(): Promise<Delivery['interventions']> {
    return openOf(await this.read());
  }

  /**
   * Lets time pass until a person is asked, and tells what.
   * @param about its kind, or what its id says that it is about, or how that begins: `package_set_down`
   */
  async untilAsked(about: string): Promise<Delivery['interventions'][number]> {
    const find = (delivery: Delivery) =>
      openOf(delivery).find(
        ({ id, kind }) => kind === about || id.startsWith(interventionIdOf(this.id, about)),
      );
    await this.untilRecorded(`a person is asked about ${about}`, (delivery) => find(delivery) !== undefined);
    const found = find(await this.read());
    if (!found) throw new Error(`A person was asked about ${about} of ${this.id}, and is not any more.`);
    return found;
  }

  /**
   * Once a person is asked, `about` as in `untilAsked`, somebody gives that answer. Tells what was asked.
   * @throws when it is not accepted
   */
  async answer(about: string, answer: string): Promise<Delivery['interventions'][number]> {
    const asked = await this.untilAsked(about);
    const given = await this.order('resolveIntervention', {
      interventionId: asked.id,
      answer,
      actor: { role: 'operator', id: 'test' },
      why: 'seen on site',
    });
    if (given.outcome !== 'accepted')
      throw new Error(`${answer} to ${asked.id} is ${given.outcome}: ${given.reason ?? ''}.`);
    return asked;
  }

  /** Asks for another pickup window, and lets what it causes happen; no time passes. */
  async reschedule(
    pickupWindow: PickupWindow,
    { updateId = 'reschedule-1', from }: { updateId?: string; from?: PickupWindow | null } = {},
  ) {
    const { lab } = this.scene;
    const actor = { role: 'business', id: this.scene.accountId } as const;
    const command = { pickupWindow, why: 'the test wants it', actor, ...(from !== undefined && { from }) };
    const answer = await lab.workflows.reschedule(this.id, command, { updateId, timeoutMs: 20_000 });
    await lab.settle();
    return answer;
  }

  /** A place so far from the pickup; north, where its dropoff is, unless told. */
  dropoffAt(metres: number, courseDeg = 0): Location {
    return destination(this.pickup, courseDeg, metres);
  }

  /** Asks for another dropoff, without waiting for the answer. */
  askToChangeDropoff(
    location: Location,
    { updateId = 'dropoff-1', from }: { updateId?: string; from?: Location } = {},
  ) {
    const actor = { role: 'business', id: this.scene.accountId } as const;
    const command = {
      dropoff: { location, address: 'The other door' },
      why: 'the test wants it',
      actor,
      ...(from && { from }),
    };
    return this.scene.lab.workflows.changeDropoff(this.id, command, { updateId, timeoutMs: 30_000 });
  }

  /** Asks for another dropoff, and lets time pass until the answer is there. */
  changeDropoff(...asked: Parameters<LabDelivery['askToChangeDropoff']>) {
    return this.scene.lab.untilSettled('the change is answered', this.askToChangeDropoff(...asked));
  }

  private async openReservations() {
    const query = { delivery_id: this.id, open: true } as const;
    return (await this.clients.drone.listReservations({ query })).data;
  }

  /** What the services still hold for it: reservations, authorizations, bookings, packages. */
  async held(): Promise<string[]> {
    return (await this.leftovers()).map(({ what }) => what);
  }

  /** `homeward`: a drone that only has to come home. */
  private async leftovers(): Promise<{ what: string; homeward: boolean }[]> {
    const { clients, id } = this;
    const [reservations, authorizations, bookings, packages] = await Promise.all([
      this.openReservations(),
      clients.account.listAuthorizations({ query: { delivery_id: id, state: 'authorized' } }),
      clients.carrier.listBookings({ query: { delivery_id: id, open: true } }),
      clients.package.listPackages({ query: { delivery_id: id } }),
    ]);
    const kept = packages.data.filter((one) => one.state !== 'void');
    const status = kept.length === 0 ? null : (await this.read()).status;
    const done = status === 'delivered' || status === 'returned';
    const left = (what: string, homeward = false) => ({ what, homeward });
    return [
      ...reservations.map((one) => left(`reservation ${one.step_key} ${one.state}`, one.homeward)),
      ...authorizations.data.map((one) => left(`authorization ${one.step_key}`)),
      ...bookings.data.map((one) => left(`booking ${one.step_key} ${one.state}`)),
      ...(done ? [] : kept.map((one) => left(`package ${one.id}`))),
    ];
  }

  /**
   * Lets the drones come home; then nothing may be left. A workflow that has completed has left nothing else than these: what a lease
   * or a carrier ends later is left all the same. `butFor`: what begins like this, as somebody else is to end it.
   */
  async untilNothingHeld({ butFor }: { butFor?: string } = {}): Promise<void> {
    const { status } = await this.handle.describe();
    const left = (await this.leftovers())
      .filter(({ what, homeward }) => !homeward && (butFor === undefined || !what.startsWith(butFor)))
      .map(({ what }) => what);
    if (status.name === 'COMPLETED' && left.length > 0)
      throw new Error(`${this.id} has left at its end: ${left.join(', ')}.`);
    // Its drones are what is waited for; the others are only asked when those are home.
    await this.scene.lab.until(
      `nothing is held for ${this.id}`,
      async () => (await this.openReservations()).length === 0 && (await this.held()).length === 0,
    );
  }
}

/** A small parcel drone; figures of the kind in local/seed. */
const TEST_MODEL: Omit<DroneModel, 'id'> = {
  name: 'Test kestrel',
  empty_mass_kg: 6.3,
  max_payload_kg: 2.3,
  max_package_size: 'medium',
  bay_slots: 2,
  cruise_speed_mps: 18,
  climb_speed_mps: 4,
  descent_speed_mps: 3,
  cruise_altitude_m: 70,
  battery_capacity_wh: 550,
  hover_power_w: 720,
  cruise_power_w: 684,
  charge_power_w: 1_100,
  reserve_fraction: 0.3,
};
