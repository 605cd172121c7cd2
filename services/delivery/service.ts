/** The delivery service: what each delivery is now, everything that happened to it, and the feed that others follow. */
import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Gauge } from 'prom-client';
import { clientOptions } from '../../prisma/client-options.ts';
import { PrismaClient } from '../../prisma/delivery/generated/client.ts';
import { type Clock, isoTime, LIVE_CLOCK, runningClock, timeMsOf } from '../../shared/clock.ts';
import { notFound, Problem } from '../../shared/errors.ts';
import { type Handlers, implement } from '../../shared/http/server.ts';
import { DEFAULT_PAGE_LIMIT, pageOf, pageRequest } from '../../shared/page.ts';
import type { ServiceOptions } from '../../shared/service.ts';
import { createServiceApp } from '../app.ts';
import { type Delivery, deliveryContract, type ListedIntervention } from './contract/index.ts';
import { findDeliveries, findDelivery, type StoredDelivery } from './data/deliveries.ts';
import { findEvents } from './data/events.ts';
import { findInterventions } from './data/interventions.ts';
import { type ConfirmationOperation, confirmationHandlers } from './confirmation-handlers.ts';
import { Feed } from './domain/feed.ts';
import { DeliveryWriter } from './domain/writer.ts';
import { deliveryView } from './domain/view.ts';

export interface DeliveryServiceOptions extends ServiceOptions {
  /** Of which tracking links and PINs are made, the first of them, and recognized; made anew unless told. */
  recipientSecrets?: readonly [string, ...string[]] | undefined;
}

/** Builds the service; it works as soon as it listens or is injected into, and closes its pool with itself. */
export async function buildDeliveryService(options: DeliveryServiceOptions): Promise<FastifyInstance> {
  const { databaseUrl, poolSize, logger, clock: settings = LIVE_CLOCK, wall } = options;
  const clock = runningClock(settings, wall);
  const database = new PrismaClient(
    clientOptions({
      service: 'delivery',
      connectionString: databaseUrl,
      ...(poolSize !== undefined && { poolSize }),
      onConnectionLost: (error) => logger.warn({ err: error }, 'lost a database connection'),
    }),
  );
  const app = await createServiceApp(database, {
    name: 'delivery',
    title: 'Delivery service',
    description: 'Current state of deliveries, the event log and its feed.',
    logger,
  });
  const feed = new Feed(database, logger);
  const writer = new DeliveryWriter(database, clock, () => feed.written());
  if (!options.recipientSecrets) {
    logger.warn('RECIPIENT_SECRETS is not set: tracking links and PINs end with this process');
  }
  const secrets = options.recipientSecrets ?? ([randomBytes(32).toString('hex')] as const);
  implement(app, deliveryContract, {
    ...handlers(database, clock, writer, feed),
    ...confirmationHandlers(database, clock, writer, secrets),
  });
  new Gauge({
    name: 'feed_waiting_readers',
    help: 'Readers of the feed that wait for the next event',
    registers: [app.metrics],
    collect() {
      this.set(feed.waiting);
    },
  });
  app.addHook('onReady', async () => feed.start());
  // Before the server waits for its requests to end: a long poll would keep it.
  app.addHook('preClose', () => feed.stop());
  return app;
}

function handlers(
  database: PrismaClient,
  clock: Clock,
  writer: DeliveryWriter,
  feed: Feed,
): Omit<Handlers<typeof deliveryContract>, ConfirmationOperation> {
  const viewNow = ({ identity, impersonal, personal, state }: StoredDelivery): Delivery =>
    deliveryView(identity, impersonal, personal, state, clock.nowMs());
  return {
    createDelivery: async ({ body }) => viewNow(await writer.create(body)),

    createDeliveries: async ({ body }) => ({ created: await writer.createMany(body.deliveries) }),

    appendEvents: async ({ params, body }, { idempotencyKey }) =>
      writer.append(params.delivery_id, idempotencyKey, body.events, body.after_sequence),

    getDelivery: async ({ params }) => {
      const found = await findDelivery(database, params.delivery_id);
      if (!found) throw notFound('delivery', params.delivery_id);
      return viewNow(found);
    },

    listDeliveries: async ({ query }) => {
      const { limit: _limit, cursor: _cursor, created_after, created_before, ...filter } = query;
      const { limit, before } = pageRequest('delivery', query);
      const found = await findDeliveries(
        database,
        {
          ...filter,
          ...(created_after !== undefined && { created_after: dateOf(created_after) }),
          ...(created_before !== undefined && { created_before: dateOf(created_before) }),
        },
        { before, limit: limit + 1 },
      );
      return pageOf(found.map(viewNow), limit);
    },

    listInterventions: async ({ query }) => {
      const { limit = DEFAULT_PAGE_LIMIT, cursor, opened_after, opened_before, ...filter } = query;
      const found = await findInterventions(
        database,
        {
          ...filter,
          ...(opened_after !== undefined && { opened_after: dateOf(opened_after) }),
          ...(opened_before !== undefined && { opened_before: dateOf(opened_before) }),
        },
        { before: cursor === undefined ? undefined : placeOf(cursor), limit: limit + 1 },
      );
      const data = found.slice(0, limit);
      const last = found.length > limit ? data.at(-1) : undefined;
      return { data, next_cursor: last ? cursorOf(last) : null };
    },

    listEvents: async ({ params: { delivery_id: id }, query }) => {
      const { limit = DEFAULT_PAGE_LIMIT, after_sequence = 0, cursor } = query;
      const afterSequence = cursor === undefined ? after_sequence : sequenceOf(cursor);
      const found = await findEvents(database, id, { afterSequence, limit: limit + 1 });
      if (found.length === 0 && !(await findDelivery(database, id))) throw notFound('delivery', id);
      const data = found.slice(0, limit);
      const last = found.length > limit ? data.at(-1) : undefined;
      return { data, next_cursor: last ? String(last.sequence) : null };
    },

    readFeed: async ({ query }, { reply }) => {
      const { after, limit = 100, wait_ms: waitMs = 0 } = query;
      const { entries, lastPosition } = await feed.read({ after, limit, waitMs }, whenGone(reply));
      return {
        entries: entries.map(({ position, event, delivery }) => ({
          position,
          event,
          delivery: deliveryView(
            delivery.identity,
            delivery.impersonal,
            delivery.personal,
            delivery.state,
            timeMsOf(event.recorded_at),
          ),
        })),
        last_position: lastPosition,
      };
    },
  };
}

/** Aborted when the caller closes its connection before it is answered. */
function whenGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}

/** The cursor of the interventions: when the last one of the page was opened, and its id. */
const cursorOf = ({ opened_at, id }: ListedIntervention): string => `${timeMsOf(opened_at)}.${id}`;

/** @throws {Problem} 400 for a cursor that no page ever had */
function placeOf(cursor: string): { openedAt: Date; id: string } {
  const [, openedAtMs, id] = /^(\d{1,15})\.(int_[a-z0-9_]{1,120})$/.exec(cursor) ?? [];
  if (openedAtMs === undefined || id === undefined) throw wrongCursor();
  return { openedAt: new Date(Number(openedAtMs)), id };
}

/** The cursor of a timeline is the number of its last event. */
function sequenceOf(cursor: string): number {
  if (/^[1-9]\d{0,8}$/.test(cursor)) return Number(cursor);
  throw wrongCursor();
}

function wrongCursor(): Problem {
  const message = 'must be the `next_cursor` of an earlier page';
  return new Problem('invalid-request', {
    detail: `cursor ${message}`,
    errors: [{ field: 'cursor', message }],
  });
}

function dateOf(time: string): Date {
  return new Date(isoTime(timeMsOf(time)));
}
