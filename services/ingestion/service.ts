/** Ingestion: accepts delivery requests for good, starts their workflows, and carries cancels and changes to them. */
import type { FastifyInstance } from 'fastify';
import { clientOptions } from '../../prisma/client-options.ts';
import { PrismaClient } from '../../prisma/ingestion/generated/client.ts';
import { isoTime, LIVE_CLOCK } from '../../shared/clock.ts';
import { notFound } from '../../shared/errors.ts';
import type { Client } from '../../shared/http/client.ts';
import { type Handlers, implement } from '../../shared/http/server.ts';
import type { ServiceOptions } from '../../shared/service.ts';
import type { DeliveryWorkflows } from '../../shared/temporal/delivery-workflows.ts';
import type { DeliveryPolicy } from '../../workflows/messages.ts';
import { createServiceApp } from '../app.ts';
import type { deliveryContract } from '../delivery/contract/index.ts';
import { ingestionContract } from './contract/index.ts';
import { findRequest, readBacklog } from './data/requests.ts';
import {
  acceptedDocument,
  cancelledDelivery,
  refuseUnstorableCommand,
  requestedDelivery,
} from './domain/accepted.ts';
import { Acceptor } from './domain/acceptor.ts';
import { Canceller } from './domain/canceller.ts';
import { Changer } from './domain/changer.ts';
import { Commander } from './domain/commander.ts';
import { orderOf } from './domain/orders.ts';
import { FRESH_MS, Projector } from './domain/projector.ts';

import { Starter } from './domain/starter.ts';
import { registerMetrics } from './metrics.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Ingestion's background work, for a test that moves time itself. */
    ingestionPumps: {
      /** Does everything that is due: projects, starts, sends cancels. Throws what stands in the way. */
      runDue(): Promise<void>;
    };
  }
}

export interface IngestionOptions extends ServiceOptions {
  delivery: Client<typeof deliveryContract>;
  workflows: DeliveryWorkflows;
  /** Waits and deadlines of every delivery; the workflow's defaults unless told. */
  policy?: Partial<DeliveryPolicy>;
  /** Whether the pumps run by themselves once the app is ready; yes unless a test drives them. */
  pumps?: boolean;
  tuning?: Partial<IngestionTuning>;
}

/** All times are wall milliseconds. */
export interface IngestionTuning {
  /** Workflow starts under way at once. */
  startConcurrency: number;
  /** Workflow tasks that wait for a worker before starts slow down. */
  maxTasksWaiting: number;
  startTimeoutMs: number;
  /** How long a start that was begun is left to the process that began it. */
  startLeaseMs: number;
  /** Not more than the retention of Temporal's namespace, which is a day at least. */
  retentionMs: number;
  /** Deliveries projected in one call, at most 100. */
  projectBatch: number;
  projectLeaseMs: number;
  /** How long a cancel, or a change, waits for the workflow's answer. Less than its callers wait for it. */
  cancelWaitMs: number;
}

const DAY_MS = 24 * 3600 * 1000;
export const DEFAULT_TUNING: IngestionTuning = {
  startConcurrency: 8,
  maxTasksWaiting: 32,
  startTimeoutMs: 10_000,
  startLeaseMs: 30_000,
  retentionMs: DAY_MS,
  projectBatch: 64,
  projectLeaseMs: 30_000,
  cancelWaitMs: 8_000,
};

/** Builds the service. Its pumps start when it is ready and end before it closes. */
export async function buildIngestionService(options: IngestionOptions): Promise<FastifyInstance> {
  const { databaseUrl, poolSize, logger, delivery, workflows, wall = Date.now } = options;
  const tuning = { ...DEFAULT_TUNING, ...options.tuning };
  const database = new PrismaClient(
    clientOptions({
      service: 'ingestion',
      connectionString: databaseUrl,
      ...(poolSize !== undefined && { poolSize }),
      onConnectionLost: (error) => logger.warn({ err: error }, 'lost a database connection'),
    }),
  );
  const app = await createServiceApp(database, {
    name: 'ingestion',
    title: 'Ingestion service',
    description: 'The durable accept of delivery requests, the start of their workflows, and cancels.',
    logger,
  });
  const projector = new Projector({
    database,
    delivery,
    logger,
    wall,
    batch: tuning.projectBatch,
    leaseMs: tuning.projectLeaseMs,
    letAcceptsPass: () => acceptor.letAcceptsPass(),
  });
  const acceptor = new Acceptor(database, (documents) => {
    projector.accepted(documents);
    starter.pump.nudge();
  });
  const metrics = registerMetrics(app.metrics, { database, acceptor, wall });
  const starter = new Starter({
    database,
    workflows,
    delivery,
    logger,
    wall,
    concurrency: tuning.startConcurrency,
    maxTasksWaiting: tuning.maxTasksWaiting,
    leaseMs: tuning.startLeaseMs,
    timeoutMs: tuning.startTimeoutMs,
    retentionMs: tuning.retentionMs,
    project: (claims) => projector.project(claims.map((claim) => ({ ...claim, cancellation: null }))),
    letAcceptsPass: () => acceptor.letAcceptsPass(),
    onOutcome: metrics.started,
  });
  const canceller = new Canceller({
    database,
    workflows,
    delivery,
    projector,
    logger,
    wall,
    waitMs: tuning.cancelWaitMs,
  });
  const changer = new Changer({ database, workflows, delivery, wall, waitMs: tuning.cancelWaitMs });
  const commander = new Commander({ database, workflows, delivery, canceller, waitMs: tuning.cancelWaitMs });
  implement(
    app,
    ingestionContract,
    handlers(options, { database, acceptor, starter, canceller, changer, commander }),
  );

  const pumps = [projector.pump, starter.pump, canceller.pump];
  app.decorate('ingestionPumps', {
    runDue: async () => {
      for (const pump of pumps) await pump.runDue();
    },
  });
  if (options.pumps ?? true) {
    app.addHook('onReady', async () => {
      for (const pump of pumps) pump.start();
    });
  }
  app.addHook('preClose', async () => {
    await Promise.all(pumps.map((pump) => pump.stop()));
  });
  return app;
}

function handlers(
  { clock = LIVE_CLOCK, wall = Date.now, policy }: IngestionOptions,
  {
    database,
    acceptor,
    starter,
    canceller,
    changer,
    commander,
  }: {
    database: PrismaClient;
    acceptor: Acceptor;
    starter: Starter;
    canceller: Canceller;
    changer: Changer;
    commander: Commander;
  },
): Handlers<typeof ingestionContract> {
  return {
    accept: async ({ body }) => {
      const wallMs = wall();
      return acceptor.accept({
        idempotencyKey: body.idempotency_key,
        fingerprint: body.fingerprint,
        document: acceptedDocument({
          accountId: body.account_id,
          livemode: body.livemode,
          request: body.request,
          clock,
          ...(policy && { policy }),
          wallMs,
        }),
        receivedAtMs: wallMs,
        projectDueAtMs: wallMs + FRESH_MS,
      });
    },

    findReplay: async ({ body }) => {
      const { account_id: accountId, livemode, idempotency_key: idempotencyKey, fingerprint } = body;
      const found = await acceptor.findReplay({ accountId, livemode, idempotencyKey }, fingerprint);
      return { delivery: found ?? null };
    },

    getRequested: async ({ params: { delivery_id: id } }) => {
      const found = await findRequest(database, id);
      if (!found) throw notFound('delivery', id);
      const { document, cancellation, state, isProjected, acceptedAt } = found;
      return {
        delivery: cancellation ? cancelledDelivery(document, cancellation) : requestedDelivery(document),
        state,
        projected: isProjected,
        accepted_at: isoTime(acceptedAt.getTime()),
      };
    },

    cancel: async ({ params, body: { account_id: accountId, ...command } }) => {
      refuseUnstorableCommand(command);
      return canceller.cancel(params.delivery_id, accountId, command, clock);
    },

    reschedule: async ({ params, body }) => {
      refuseUnstorableCommand(body);
      return changer.reschedule({
        deliveryId: params.delivery_id,
        accountId: body.account_id,
        command: {
          pickupWindow: body.pickup_window,
          ...(body.from !== undefined && { from: body.from }),
          why: body.why,
          actor: body.actor,
        },
        idempotencyKey: body.idempotency_key,
        replayOnly: body.replay_only ?? false,
      });
    },

    changeDropoff: async ({ params, body }) => {
      refuseUnstorableCommand(body);
      return changer.changeDropoff({
        deliveryId: params.delivery_id,
        accountId: body.account_id,
        command: {
          dropoff: body.dropoff,
          ...(body.from !== undefined && { from: body.from }),
          why: body.why,
          actor: body.actor,
        },
        idempotencyKey: body.idempotency_key,
        replayOnly: body.replay_only ?? false,
      });
    },

    order: async ({ params, body }, { idempotencyKey }) => {
      const { outcome, reason, detail } = await commander.order(
        {
          deliveryId: params.delivery_id,
          ...orderOf(body),
          key: idempotencyKey,
        },
        clock,
      );
      if (outcome === 'refused') throw new Error('A refused order is a problem, not an answer');
      return { outcome, reason, detail };
    },

    confirm: async ({ params, body }) => {
      const { outcome, detail } = await commander.confirm(params.delivery_id, body.given);
      return { outcome: outcome === 'pending' ? 'pending' : 'accepted', detail };
    },

    startAgain: async ({ params }) => ({ state: await starter.startAgain(params.delivery_id) }),

    backlog: async () => {
      const { unstarted, unprojected, unansweredCancels, oldestUnstartedAt } = await readBacklog(database);
      return {
        unstarted,
        unprojected,
        unanswered_cancels: unansweredCancels,
        oldest_unstarted_at: oldestUnstartedAt === null ? null : isoTime(oldestUnstartedAt.getTime()),
      };
    },
  };
}
