/** The carrier service: third-party transport behind one adapter, and the pump that tells workflows how it goes. */
import type { FastifyInstance } from 'fastify';
import { clientOptions } from '../../prisma/client-options.ts';
import { PrismaClient } from '../../prisma/carrier/generated/client.ts';
import { isoTime, LIVE_CLOCK } from '../../shared/clock.ts';
import { notFound, Problem } from '../../shared/errors.ts';
import { implement } from '../../shared/http/server.ts';
import { pageOf, pageRequest } from '../../shared/page.ts';
import type { ServiceOptions } from '../../shared/service.ts';
import type { DeliveryWorkflows } from '../../shared/temporal/delivery-workflows.ts';
import { createServiceApp, databaseProblem } from '../app.ts';
import { carrierContract } from './contract/index.ts';
import { bookingStore } from './data/bookings.ts';
import { milestoneStore } from './data/milestones.ts';
import { quoteStore } from './data/quotes.ts';
import { CarrierUnreachable } from './domain/adapter.ts';
import { carrierBookings } from './domain/bookings.ts';
import { milestonePump, type MilestonePump } from './domain/milestone-pump.ts';
import { simulatedCarrier } from './simulated/carrier.ts';

declare module 'fastify' {
  interface FastifyInstance {
    carrierPump: MilestonePump;
  }
}

export interface CarrierServiceOptions extends ServiceOptions {
  workflows: Pick<DeliveryWorkflows, 'signal'>;
}

export async function buildCarrierService(options: CarrierServiceOptions): Promise<FastifyInstance> {
  const { logger, databaseUrl, poolSize, workflows, wall = Date.now, clock = LIVE_CLOCK } = options;
  const prisma = new PrismaClient(
    clientOptions({
      service: 'carrier',
      connectionString: databaseUrl,
      ...(poolSize !== undefined && { poolSize }),
      onConnectionLost: (error) => logger.warn({ err: error }, 'lost a database connection'),
    }),
  );
  const app = await createServiceApp(prisma, {
    name: 'carrier',
    title: 'Carrier service',
    description: 'Third-party transport behind one adapter: the fallback when no drone can do the job.',
    logger,
    mapError: (error) => databaseProblem(error) ?? carrierProblem(error),
  });

  const carrier = simulatedCarrier(prisma);
  const bookings = bookingStore(prisma);
  const milestones = milestoneStore(prisma);
  const pump = milestonePump({ milestones, carrier, workflows, wallMs: wall, logger });
  app.decorate('carrierPump', pump);
  app.addHook('onListen', async () => pump.start());
  app.addHook('preClose', () => pump.stop());

  const steps = carrierBookings({
    quotes: quoteStore(prisma),
    bookings,
    carrier,
    wallMs: wall,
    clock,
    onBooked: () => pump.wake(),
  });

  implement(app, carrierContract, {
    quote: ({ body }, { idempotencyKey }) => steps.quote(idempotencyKey, body),
    book: ({ body }, { idempotencyKey }) => steps.book(idempotencyKey, body),
    cancelBooking: ({ body }, { idempotencyKey }) => steps.cancel(idempotencyKey, body),
    writeOffBooking: ({ body }, { idempotencyKey }) => steps.writeOff(idempotencyKey, body),
    getBooking: async ({ params }) => {
      const booking = await bookings.find(params.booking_id);
      if (!booking) throw notFound('booking', params.booking_id);
      return booking;
    },
    listBookings: async ({ query }) => {
      const page = pageRequest('booking', query);
      const rows = await bookings.page(page, {
        ...(query.delivery_id !== undefined && { deliveryId: query.delivery_id }),
        ...(query.open !== undefined && { open: query.open }),
      });
      return pageOf(rows, page.limit);
    },
    readMilestones: async ({ params, query }) => {
      const rows = await milestones.after(params.booking_id, query.after_sequence);
      return {
        data: rows.map((one) => ({
          sequence: one.sequence,
          state: one.state,
          occurred_at: isoTime(one.occurredAtMs),
          recorded_at: isoTime(one.recordedAtMs),
        })),
      };
    },
    setSimulation: ({ body }) => carrier.behave(body),
  });
  return app;
}

function carrierProblem(error: unknown): Problem | undefined {
  if (!(error instanceof CarrierUnreachable)) return undefined;
  return new Problem('unavailable', { detail: error.message, retryAfterS: 2, cause: error });
}
