/** The worker role: runs delivery workflows and their activities, with health and metrics beside them. */
import { NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import { createActivities, createServiceClients } from '../activities/index.ts';
import { reconcileActivities } from '../activities/reconcile.ts';
import { resetActivities } from '../activities/reset.ts';
import { ingestionContract } from '../services/ingestion/contract/index.ts';
import { runningClock } from '../shared/clock.ts';
import { clockFromEnv, parseEnv } from '../shared/config.ts';
import { messageOf } from '../shared/errors.ts';
import { createClient } from '../shared/http/client.ts';
import { createApp } from '../shared/http/server.ts';
import { createLogger, type Logger } from '../shared/logger.ts';
import { type RunningRole, runRole } from '../shared/role.ts';
import { connectTemporal } from '../shared/temporal/client.ts';
import { createDataConverter } from '../shared/temporal/data-converter.ts';
import { parsePayloadKeys } from '../shared/temporal/codec.ts';
import { workflowBundle } from './bundle.ts';
import { deploymentVersionOf, WorkerEnvironment } from './environment.ts';
import { ensureReconcileSchedule } from './reconcile-schedule.ts';
import { createDeliveryWorker } from './worker.ts';

const CONNECT_RETRY_MS = 1_000;

async function start(logger: Logger): Promise<RunningRole> {
  const env = parseEnv(WorkerEnvironment);
  const dataConverter = createDataConverter(parsePayloadKeys(env.PAYLOAD_KEYS));
  Runtime.install({
    // The role decides when it stops, not the SDK.
    shutdownSignals: [],
    logger: {
      log: (level, message, meta) => logger[pinoLevel(level)](meta ?? {}, message),
      trace: (message, meta) => logger.trace(meta ?? {}, message),
      debug: (message, meta) => logger.debug(meta ?? {}, message),
      info: (message, meta) => logger.info(meta ?? {}, message),
      warn: (message, meta) => logger.warn(meta ?? {}, message),
      error: (message, meta) => logger.error(meta ?? {}, message),
    },
  });
  const clients = createServiceClients({
    account: env.ACCOUNT_URL,
    package: env.PACKAGE_URL,
    drone: env.DRONE_URL,
    carrier: env.CARRIER_URL,
    delivery: env.DELIVERY_URL,
  });
  const ingestion = createClient(ingestionContract, { baseUrl: env.INGESTION_URL });
  // Beside the worker's own connection, for what its activities ask of Temporal and start there.
  const temporal = connectTemporal({
    address: env.TEMPORAL_ADDRESS,
    namespace: env.TEMPORAL_NAMESPACE,
    dataConverter,
    identity: `worker@${process.pid}`,
    tls: env.TEMPORAL_TLS,
    apiKey: env.TEMPORAL_API_KEY,
  });
  const taskQueue = env.TEMPORAL_TASK_QUEUE;
  const activities = {
    ...createActivities(clients, temporal.client),
    ...reconcileActivities({
      services: clients,
      ingestion,
      temporal: temporal.client,
      taskQueue,
      clock: runningClock(clockFromEnv(env)),
    }),
    ...resetActivities({ services: clients, temporal: temporal.client }),
  };
  const version = deploymentVersionOf(env);
  const bundle = await workflowBundle(dataConverter.failureConverterPath);
  const app = await createApp({ name: 'worker', logger });
  const stopping = new AbortController();
  let worker: Worker | undefined;

  /** Connects and runs, again and again: Temporal may come later than the worker, and go. */
  const running = (async () => {
    while (!stopping.signal.aborted) {
      let connection: NativeConnection | undefined;
      try {
        connection = await NativeConnection.connect({
          address: env.TEMPORAL_ADDRESS,
          ...(env.TEMPORAL_TLS && { tls: true }),
          ...(env.TEMPORAL_API_KEY !== undefined && { apiKey: env.TEMPORAL_API_KEY }),
        });
        worker = await createDeliveryWorker({
          connection,
          namespace: env.TEMPORAL_NAMESPACE,
          taskQueue,
          workflowBundle: bundle,
          activities,
          dataConverter,
          identity: `worker@${process.pid}`,
          ...(version && { version }),
          maxWorkflowTasks: env.WORKER_MAX_WORKFLOW_TASKS,
          maxLocalActivities: env.WORKER_MAX_LOCAL_ACTIVITIES,
          maxActivities: env.WORKER_MAX_ACTIVITIES,
          maxCachedWorkflows: env.WORKER_MAX_CACHED_WORKFLOWS,
          shutdownGraceMs: env.WORKER_SHUTDOWN_GRACE_MS,
        });
        // Deliveries are worked for all the same: a cluster may not let its workers make schedules.
        await ensureReconcileSchedule(temporal.client, taskQueue, env.RECONCILE_EVERY_S).catch(
          (error: unknown) => logger.warn({ reason: messageOf(error) }, 'the reconciler is not scheduled'),
        );
        await worker.run();
      } catch (error) {
        logger.warn({ reason: messageOf(error) }, 'no Temporal to work for; trying again');
      } finally {
        worker = undefined;
        await connection?.close().catch(() => undefined);
      }
      await sleep(CONNECT_RETRY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();

  app.addReadinessCheck('temporal', async () => {
    const state = worker?.getState() ?? 'NOT CONNECTED';
    if (state !== 'RUNNING') throw new Error(`the worker is ${state.toLowerCase()}`);
  });
  const url = await app.listen({ host: env.HOST, port: env.PORT });
  return {
    url,
    async close() {
      stopping.abort();
      if (worker?.getState() === 'RUNNING') worker.shutdown();
      await running;
      await temporal.close();
      await app.close();
      await ingestion.close();
      await Promise.all(Object.values(clients).map((client: { close(): Promise<void> }) => client.close()));
    },
  };
}

function pinoLevel(level: string): 'trace' | 'debug' | 'info' | 'warn' | 'error' {
  const name = level.toLowerCase();
  return name === 'trace' || name === 'debug' || name === 'warn' || name === 'error' ? name : 'info';
}

const logger = createLogger({ role: 'worker' });
await runRole(logger, () => start(logger));
