/**
 * The drone service: the fleet, reservations under contention, missions, telemetry, milestones, live position and ETA.
 *
 * `domain/` decides (pure), `data/` reads and commits, `operations/` are the contract's operations, `pumps/` are what goes on
 * in the background. Several processes may share one database.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { LIVE_CLOCK, runningClock } from '../../shared/clock.ts';
import { implement } from '../../shared/http/server.ts';
import type { ServiceOptions } from '../../shared/service.ts';
import type { DeliveryWorkflows } from '../../shared/temporal/delivery-workflows.ts';
import { createServiceApp } from '../app.ts';
import { aircraftContract, droneContract } from './contract/index.ts';
import { readExplanations } from './data/assignments.ts';
import { CatalogCache } from './data/catalog.ts';
import { openDatabase } from './data/database.ts';
import { readMissionVersions } from './data/reservations.ts';
import { readMilestones } from './data/signals.ts';
import { DEFAULT_LINK_LOSS, type LinkLossRule } from './domain/link-loss.ts';
import * as aircraft from './operations/aircraft.ts';
import * as steps from './operations/delivery-steps.ts';
import type { Engine } from './operations/engine.ts';
import * as fleet from './operations/fleet.ts';
import * as reading from './operations/reading.ts';
import * as reroutes from './operations/reroute.ts';
import { reserve } from './operations/reserve.ts';
import { MilestoneSignals } from './pumps/milestone-signals.ts';
import { MissionWatch } from './pumps/mission-watch.ts';
import { createSweep, createTelemetryRetention } from './pumps/sweeps.ts';
import { WaitingList } from './pumps/waiting-list.ts';

export interface DroneServiceOptions extends ServiceOptions {
  workflows: Pick<DeliveryWorkflows, 'signal'>;
  /** When a silent drone counts as lost. */
  linkLoss?: LinkLossRule;
  /** How often it looks what is due by the clock, wall milliseconds; more often with a faster clock unless told. */
  lookEveryMs?: number;
}

/** The service's background work, for a test that moves time itself. */
export interface DronePumps {
  /**
   * Does everything that is due at `wall()`: leases, lost links, offers, signals; returns when it is done. Unless somebody `isWaiting`
   * for a drone, only leases and lost links can become due by the clock alone.
   */
  runDue(): Promise<{ isWaiting: boolean }>;
  /** Only leases and lost links. */
  runSweep(): Promise<void>;
}

declare module 'fastify' {
  interface FastifyInstance {
    dronePumps: DronePumps;
  }
}

const SLOWEST_LOOK_MS = 1_000;
const FASTEST_LOOK_MS = 100;

export async function buildDroneService(options: DroneServiceOptions): Promise<FastifyInstance> {
  const { logger, workflows, wall = Date.now, clock = LIVE_CLOCK } = options;
  const database = openDatabase(options.databaseUrl, logger, options.poolSize);
  const app = await createServiceApp(database, {
    name: 'drone',
    title: 'Drone service',
    description: 'The fleet, reservations, missions, telemetry, milestones, live position and ETA.',
    logger,
  });

  // A faster clock has shorter leases: they are looked at more often, within reason.
  const lookEveryMs =
    options.lookEveryMs ?? Math.min(Math.max(SLOWEST_LOOK_MS / clock.rate, FASTEST_LOOK_MS), SLOWEST_LOOK_MS);
  const catalog = new CatalogCache(database);
  const processId = randomUUID();
  const background = { database, workflows, logger, wall, lookEveryMs };
  const engine: Engine = {
    database,
    catalog,
    logger,
    clock: runningClock(clock, wall),
    wall,
    processId,
    linkLoss: options.linkLoss ?? DEFAULT_LINK_LOSS,
    listeningSinceMs: wall(),
    signals: new MilestoneSignals({ ...background, claimant: processId }),
    waitingList: new WaitingList({ ...background, catalog }),
    missionWatch: new MissionWatch((droneIds) => readMissionVersions(database, droneIds), logger),
  };
  runInBackground(app, engine, lookEveryMs);

  const limits = fleet.limitsReader(engine);
  implement(app, droneContract, {
    ensureModel: (input) => fleet.ensureModel(engine, input),
    ensureBase: (input) => fleet.ensureBase(engine, input),
    ensureDrone: (input) => fleet.ensureDrone(engine, input),
    listModels: () => fleet.listModels(engine),
    listBases: () => fleet.listBases(engine),
    listDrones: (input) => fleet.listDrones(engine, input),
    getDrone: ({ params }) => fleet.getDrone(engine, params.drone_id),
    setDroneState: (input) => fleet.setDroneState(engine, input),
    limits,
    reserve: ({ body }, { idempotencyKey }) => reserve(engine, idempotencyKey, body),
    release: ({ body }) => steps.release(engine, body),
    dispatch: ({ body }, { idempotencyKey }) => steps.dispatch(engine, idempotencyKey, body),
    recall: ({ body }) => steps.recall(engine, body),
    returnToSender: ({ body }, { idempotencyKey }) => steps.returnToSender(engine, idempotencyKey, body),
    lowerPackage: ({ body }, { idempotencyKey }) => steps.lowerPackage(engine, idempotencyKey, body),
    reroute: ({ body }, { idempotencyKey }) => reroutes.reroute(engine, idempotencyKey, body),
    undoReroute: ({ body }) => reroutes.undoReroute(engine, body),
    assessJob: ({ body }) => reroutes.assessJob(engine, body),
    leaveUnattended: ({ body }, { idempotencyKey }) => steps.leaveUnattended(engine, idempotencyKey, body),
    getReservation: ({ params }) => reading.getReservation(engine, params.reservation_id),
    listReservations: (input) => reading.listReservations(engine, input),
    listWaiting: (input) => reading.listWaiting(engine, input),
    readMilestones: async ({ params, query }) => ({
      data: await readMilestones(database, params.reservation_id, query.after_sequence),
    }),
    explainAssignment: async ({ params }) => ({ data: await readExplanations(database, params.delivery_id) }),
    live: (input) => reading.live(engine, input),
  });
  implement(app, aircraftContract, {
    postTelemetry: ({ body }) => aircraft.postTelemetry(engine, body),
    getMission: (input, { reply }) => aircraft.getMission(engine, input, goneSignal(reply)),
    requestLoadToken: ({ params, body }) => aircraft.requestLoadToken(engine, params.drone_id, body),
    postMilestone: ({ params, body }) => aircraft.postMilestone(engine, params.drone_id, body),
  });
  return app;
}

function runInBackground(app: FastifyInstance, engine: Engine, lookEveryMs: number): void {
  const { signals, waitingList, missionWatch, logger } = engine;
  const sweep = createSweep(engine, logger, lookEveryMs);
  const pumps = [
    sweep,
    waitingList.pump,
    signals.pump,
    missionWatch.pump,
    createTelemetryRetention(engine, logger),
  ];
  app.decorate('dronePumps', {
    runDue: async () => {
      await sweep.runDue();
      await waitingList.runDue();
      await signals.runDue();
      return { isWaiting: waitingList.isAnybodyWaiting };
    },
    runSweep: () => sweep.runDue(),
  });
  app.addHook('onReady', async () => {
    for (const pump of pumps) pump.start();
  });
  // Before the server waits for open requests: aircraft that wait for news would hold it up.
  app.addHook('preClose', async () => missionWatch.close());
  app.addHook('onClose', async () => {
    await Promise.all([signals.stop(), ...pumps.map((pump) => pump.stop())]);
  });
}

/** Aborted when the caller hangs up. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
