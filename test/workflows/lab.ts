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
import { buildDeliveryService } from '../../services/delivery/service.ts';
import { aircraftContract, type DroneModel } from '../../services/drone/contract/index.ts';
import { DEFAULT_LINK_LOSS } from '../../services/drone/domain/link-loss.ts';
import { buildDroneService } from '../../services/drone/service.ts';
import { buildPackageService } from '../../services/package/service.ts';
import { clockTimeMs, isoTime, runningClock } from '../../shared/clock.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import { type DroneId, type ModelId, newId } from '../../shared/ids.ts';
import { createLogger } from '../../shared/logger.ts';
import type { PickupWindow } from '../../shared/schemas.ts';
import { generatePayloadKey, parsePayloadKeys } from '../../shared/temporal/codec.ts';
import { createDataConverter } from '../../shared/temporal/data-converter.ts';
import {
  type DeliveryWorkflows,
  temporalDeliveryWorkflows,
} from '../../shared/temporal/delivery-workflows.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { createDeliveryWorker, type DeploymentVersion } from '../../workers/worker.ts';
import { replayEach, type ReplayErrors } from '../replay/replay.ts';
import { createServiceDatabase } from '../support/postgres.ts';
import { Pilot, type Registered, type ScriptedFailure } from '../support/pilot.ts';
import { betweenRuns } from './between-runs.ts';
import { CountedTasks } from './counted-tasks.ts';
import { Faults } from './faults.ts';
import { Handover } from './handover.ts';
import type { LabDelivery } from './lab-delivery.ts';
import { type Quiet, quietUntilMs, untilQuiet } from './quiet.ts';
import { noticeChanges, recordRequests } from './recorder.ts';
import { type DeliveryOptions, Scene } from './scene.ts';
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

/** Between the places of two tests: more than any drone flies, 100 km and more. */
const REGION_DEGREES = 3;
const REGIONS_TO_NORTH = 40;
/** A drone whose radio is silent for longer than this may be taken for lost, and is not sent anywhere; virtual milliseconds. */
const HEARD_EVERY_MS = DEFAULT_LINK_LOSS.silenceS * 1000;
/** A workflow acts when its timer fires: all drones are heard so long before, unless they have just been. */
const HEARD_BEFORE_MS = 1_000;
/** Steps of virtual time when nothing is known to be due. */
const IDLE_STEP_MS = 5 * HEARD_EVERY_MS;
/** The drone service and the aircraft look this often unless they are given a reason, as they do when nobody moves time; virtual. */
const LOOK_EVERY_MS = 1_000;
/** The longest that a timer of Node can be set to. */
const NEVER_MS = 2 ** 31 - 1;
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
  /** The drone service, at what is due by the clock. */
  droneClock: boolean;
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
  /** For a drone, as far as is known. */
  private isAnybodyWaiting = false;
  private readonly told: Told;
  /** Milliseconds, of those workflows that have not Temporal's own. */
  readonly taskTimeouts: Map<string, number>;
  /** A worker of it does something now: then no workflow needs to be asked whether it is quiet. */
  private readonly isBusy: () => boolean;
  private readonly stop: () => Promise<void>;
  /** One more worker of another build, beside those that work. */
  readonly employ: (build: Build) => Promise<LabWorker>;
  private region = 0;
  private testsOver = 0;
  private isShared = false;
  /** Whose tests were over before their workflows were. */
  private readonly abandoned: LabDelivery[] = [];
  private readonly boarded: DroneId[] = [];
  private readonly models = new Map<ModelId, Promise<DroneModel>>();
  /** When everybody has last looked without a reason; wall. */
  private lookedMs = 0;
  /** Of what has been answered, and whose answer led to more: resolved when that has happened. */
  private readonly settling = new Set<Promise<unknown>>();
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
      interceptors: {
        workflow: [
          told,
          ...(server.virtual ? [betweenRuns] : []),
          { startWithDetails: (input, next) => next(withTaskTimeout(input)) },
        ],
      },
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
      drone: await buildDroneService({
        ...common,
        databaseUrl: services.drone.url,
        workflows,
        // Where the lab moves time it also says when to look: drones that have not spoken yet would be missed in between.
        ...(server.virtual && { lookEveryMs: NEVER_MS }),
      }),
      carrier: await buildCarrierService({ ...common, databaseUrl: services.carrier.url, workflows }),
      delivery: await buildDeliveryService({ ...common, databaseUrl: services.delivery.url }),
    };
    const faults = new Faults();
    const handover = new Handover();
    for (const [service, app] of Object.entries(apps)) recordRequests(service, app, faults);
    const news: News = { aircraft: true, dronePumps: true, droneClock: true, carrierPump: true };
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
      const tasks = new CountedTasks();
      const worker = activitiesOnly
        ? await Worker.create(common)
        : await createDeliveryWorker({
            ...common,
            workflowBundle:
              bundle ?? (await workflowBundle(dataConverter.failureConverterPath, workflowsPath)),
            ...(version && { version }),
            tuner: tasks,
            shutdownGraceMs: 0,
          });
      const running = worker.run();
      const one: LabWorker & { isBusy: () => boolean } = {
        isBusy: () => {
          const { numInFlightWorkflowActivations, numInFlightActivities } = worker.getStatus();
          if (numInFlightActivities > faults.hanging || tasks.activities > faults.hanging) return true;
          // The task of which a local activity hangs has nothing to do either.
          return faults.hanging === 0 ? tasks.workflows > 0 : numInFlightWorkflowActivations > 0;
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
    // No time passes while it is being prepared.
    await this.answersSettled();
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

  /**
   * Lets time pass, and the drones fly, until `done` holds. `withinMs`: wall milliseconds until it is given up; `longestStepMs`: so much
   * time passes at once at most.
   */
  async until(
    what: string,
    done: () => Promise<boolean> | boolean,
    {
      withinMs = this.server.virtual ? GIVE_UP_AFTER_MS : GIVE_UP_IN_REAL_TIME_MS,
      longestStepMs = IDLE_STEP_MS,
    } = {},
  ): Promise<void> {
    const giveUpAtMs = this.wallNowMs + withinMs;
    const { testsOver } = this;
    for (;;) {
      await this.settle();
      if (await done()) return;
      // A test that ran into its time limit must not let time pass behind the next one's back.
      if (this.testsOver > testsOver) throw new Error(`Its test is over, and still not: ${what}.`);
      if (this.wallNowMs > giveUpAtMs) throw new Error(`Waited long, and still not: ${what}.`);
      if (longestStepMs > HEARD_EVERY_MS && (await this.answersSettled())) continue;
      await this.passUntil(Math.max(this.nextStopMs(longestStepMs), this.wallNowMs + 1));
    }
  }

  /**
   * Who still settles what an answer led to would find that much time has passed, and a drone silent for all of it. Whether there was
   * anybody: then things may be as they were waited for now, and would be passed over.
   */
  private async answersSettled(): Promise<boolean> {
    const wasAny = this.settling.size > 0;
    await Promise.all(this.settling);
    return wasAny;
  }

  /** Until when time may pass, wall: until then nobody does anything by himself, and no drone is taken for lost that is not. */
  private nextStopMs(longestStepMs: number): number {
    const nowMs = this.wallNowMs;
    if (!this.server.virtual) return nowMs + REAL_STEP_MS;
    const flightMs = this.pilot.nextEventAtMs() ?? Number.POSITIVE_INFINITY;
    const timerMs = this.nextTimerMs();
    // Who falls silent is missed from when it was heard last; and nobody knows what services do for workflows that have ended.
    const isPlain = this.open.size > 0 && this.pilot.areAllWell();
    const stopMs = Math.min(flightMs, timerMs, nowMs + (isPlain ? longestStepMs : HEARD_EVERY_MS));
    const beforeMs = timerMs - HEARD_BEFORE_MS;
    return stopMs === timerMs && timerMs - this.lookedMs > HEARD_EVERY_MS && beforeMs > nowMs
      ? beforeMs
      : stopMs;
  }

  private nextTimerMs(): number {
    const known = [...this.open.values()].filter((quiet) => quiet !== undefined);
    return Math.min(...known.map(quietUntilMs));
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
    // It may be answered while time passes, and the test goes on then: by no more than a drone may be silent.
    const passing = this.until(what, () => isSettled, { ...options, longestStepMs: HEARD_EVERY_MS });
    const settling: Promise<unknown> = passing.then(
      () => this.settling.delete(settling),
      () => this.settling.delete(settling),
    );
    // Once it is answered no time passes any more for it.
    const answered = () => this.settling.add(settling);
    asking.then(answered, answered);
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
      await this.answersSettled();
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
    // Further rounds are of the same moment: in them, only who was given a reason looks again.
    if (!this.server.virtual || this.time.ms - this.lookedMs >= LOOK_EVERY_MS) {
      this.news.aircraft = this.news.droneClock = true;
      this.lookedMs = this.time.ms;
    }
    for (let moved = true; moved;) {
      moved = await this.pilot.flyUntil(this.time.ms, () => this.takeNews('aircraft'));
      if (!this.server.virtual) return;
      await Promise.all([this.runDronePumps(), this.runCarrierPump()]);
      // What a workflow has done since, an aircraft hears now and not when time has passed.
      if (await this.untilQuiet()) moved = true;
    }
  }

  private async runDronePumps(): Promise<void> {
    const { dronePumps } = this.apps.drone;
    const isDue = this.takeNews('droneClock');
    if (this.takeNews('dronePumps') || (isDue && this.isAnybodyWaiting)) {
      this.isAnybodyWaiting = (await dronePumps.runDue()).isWaiting;
    } else if (isDue) await dronePumps.runSweep();
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
    // The server's clock may have come to a timer by itself.
    if (isStillQuiet && !wasTold && !this.faults.isActing(delivery.id)) return false;
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
    this.testsOver += 1;
    this.faults.clear();
    this.handover.letGo();
    this.abandoned.push(...this.open.keys());
    this.open.clear();
    this.pilot.leave(this.boarded.splice(0));
  }

  boarding(droneId: DroneId): void {
    this.boarded.push(droneId);
  }

  /** It has a pilot from now on, and says where it is. */
  async board(droneId: DroneId, registered?: Registered): Promise<void> {
    await this.pilot.board(droneId, this.wallNowMs, registered);
    this.news.aircraft = true;
  }

  /** The model, which the drone service knows from then on. */
  registered(model: DroneModel): Promise<DroneModel> {
    const known =
      this.models.get(model.id) ??
      this.clients.drone.ensureModel({ params: { model_id: model.id }, body: model });
    this.models.set(model.id, known);
    return known;
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
