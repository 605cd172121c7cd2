/** The package service: what is carried, its tags, and its voiding. */
import type { FastifyInstance } from 'fastify';
import { clientOptions } from '../../prisma/client-options.ts';
import { PrismaClient } from '../../prisma/package/generated/client.ts';
import { LIVE_CLOCK, runningClock } from '../../shared/clock.ts';
import { notFound } from '../../shared/errors.ts';
import { implement } from '../../shared/http/server.ts';
import type { ServiceOptions } from '../../shared/service.ts';
import { createServiceApp } from '../app.ts';
import { packageContract } from './contract/index.ts';
import { registrationStore } from './data/registrations.ts';
import { registration } from './domain/registration.ts';

export async function buildPackageService(options: ServiceOptions): Promise<FastifyInstance> {
  const { logger, databaseUrl, poolSize, wall = Date.now, clock = LIVE_CLOCK } = options;
  const time = runningClock(clock, wall);
  const prisma = new PrismaClient(
    clientOptions({
      service: 'package',
      connectionString: databaseUrl,
      ...(poolSize !== undefined && { poolSize }),
      onConnectionLost: (error) => logger.warn({ err: error }, 'lost a database connection'),
    }),
  );
  const app = await createServiceApp(prisma, {
    name: 'package',
    title: 'Package service',
    description: 'What is carried, its tags, and its voiding.',
    logger,
  });

  const store = registrationStore(prisma);
  const steps = registration(store, () => time.nowMs());
  implement(app, packageContract, {
    registerPackages: ({ body }, { idempotencyKey }) => steps.register(idempotencyKey, body),
    voidPackages: ({ body }, { idempotencyKey }) => steps.void(idempotencyKey, body),
    getPackage: async ({ params }) => {
      const one = await store.findPackage(params.package_id);
      if (!one) throw notFound('package', params.package_id);
      return one;
    },
    listRegistered: async ({ query }) => ({ data: await store.registeredOf(query.delivery_id) }),
    listPackages: async ({ query }) => ({ data: await store.ofDelivery(query.delivery_id) }),
  });
  return app;
}
