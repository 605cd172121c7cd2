/**
 * The only public door: who calls, what may be asked, how often, and in which words it is answered. Every rule of the business
 * is behind it, in the services.
 */
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import { request as httpRequest } from 'undici';
import { type ClockSettings, LIVE_CLOCK, runningClock, type WallClock } from '../shared/clock.ts';
import { createApp } from '../shared/http/server.ts';
import type { Logger } from '../shared/logger.ts';
import { createKeyring, type KeyringOptions } from './auth/keyring.ts';
import { createDeliveryReader } from './delivery-reader.ts';
import { watchFleetLimits } from './door/fleet-limits.ts';
import auth from './plugins/auth.ts';
import bodies from './plugins/body.ts';
import docs, { API_DESCRIPTION, finishOpenapi, OPENAPI } from './plugins/docs.ts';
import rateLimits, { DEFAULT_RATE_LIMITS, type RateLimits } from './plugins/rate-limit.ts';
import responseHeaders from './plugins/response-headers.ts';
import pressure from './plugins/under-pressure.ts';
import { accountRoutes } from './routes/accounts.ts';
import { deliveryRoutes } from './routes/deliveries.ts';
import { droneRoutes } from './routes/drones.ts';
import { proofRoutes } from './routes/proof.ts';
import { recipientRoutes } from './routes/recipients.ts';
import { opsRoutes } from './routes/ops.ts';
import { trackingRoutes } from './routes/tracking.ts';
import { connectServices, type ServiceUrls } from './services.ts';
import { DEFAULT_STREAM_OPTIONS, type StreamOptions } from './tracking/streams.ts';

export interface ApiOptions {
  services: ServiceUrls;
  logger: Logger;
  /** The stack's clock: deadlines and the age of a position are judged by it. */
  clock?: ClockSettings;
  /** Source of wall time; `Date.now` unless a test has its own. */
  wall?: WallClock;
  rateLimits?: Partial<RateLimits>;
  /** Keys that nobody has, tried from one address in a minute. */
  wrongKeysPerMinute?: number;
  keys?: Pick<KeyringOptions, 'trustMs' | 'unknownMs' | 'outageMs' | 'foresightMs'>;
  streams?: Partial<StreamOptions>;
  /** Mean delay of the event loop above which requests are turned away, milliseconds; 0 for never. */
  maxEventLoopDelayMs?: number;
  /** Origins of web pages that may call; none unless told. */
  corsOrigins?: string[];
  /** Addresses of the proxies in front whose `X-Forwarded-For` is believed. */
  trustProxy?: string;
}

/** What a web page may do; the plugin would leave out PATCH. */
const CORS_METHODS = ['GET', 'HEAD', 'POST', 'PATCH'];

/** Far above what the schemas allow to be said. */
const BODY_LIMIT_BYTES = 1024 * 1024;

/** The api, ready to listen. It holds no state that another process of it would miss. */
export async function buildApi(options: ApiOptions): Promise<FastifyInstance> {
  const { logger, wall = Date.now } = options;
  const clock = runningClock(options.clock ?? LIVE_CLOCK, wall);
  const services = connectServices(options.services);
  const keyring = createKeyring({ account: services.account, logger, wall, ...options.keys });
  const fleetLimits = watchFleetLimits({ drone: services.drone, logger });
  const reader = createDeliveryReader(services);

  const app = await createApp({
    name: 'api',
    title: 'Drone Delivery API',
    description: API_DESCRIPTION,
    logger,
    bodyLimit: BODY_LIMIT_BYTES,
    openapi: OPENAPI,
    transformOpenapi: finishOpenapi,
    ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
  });
  // The one service without which nothing can be accepted.
  app.addReadinessCheck('ingestion', () => assertReady(options.services.ingestion));
  app.addHook('onReady', async () => {
    keyring.start();
    fleetLimits.start();
  });
  app.addHook('onClose', async () => {
    keyring.stop();
    fleetLimits.stop();
    await services.close();
  });

  if (options.corsOrigins?.length)
    await app.register(cors, { origin: options.corsOrigins, methods: CORS_METHODS });
  await app.register(docs);
  await app.register(async (v1) => {
    await v1.register(responseHeaders);
    await v1.register(bodies);
    await v1.register(pressure, { maxEventLoopDelayMs: options.maxEventLoopDelayMs ?? 2_000 });
    await v1.register(rateLimits, {
      ...DEFAULT_RATE_LIMITS,
      ...options.rateLimits,
    });
    await v1.register(auth, { keyring, wrongKeysPerMinute: options.wrongKeysPerMinute ?? 300 });

    proofRoutes(v1, { services, reader });
    deliveryRoutes(v1, { services, reader, fleetLimits, clock });
    trackingRoutes(v1, {
      services,
      reader,
      clock,
      logger,
      streams: { ...DEFAULT_STREAM_OPTIONS, ...options.streams },
    });
    accountRoutes(v1, services);
    droneRoutes(v1, services);
    opsRoutes(v1, { services, reader });
  });
  // For those who have a tracking link and no key.
  await app.register(async (open) => {
    await open.register(responseHeaders);
    await open.register(bodies);
    await open.register(pressure, { maxEventLoopDelayMs: options.maxEventLoopDelayMs ?? 2_000 });
    const { openPerMinute, telemetryPerMinute } = { ...DEFAULT_RATE_LIMITS, ...options.rateLimits };
    await open.register(rateLimits, { perMinute: openPerMinute, telemetryPerMinute, by: 'address' });
    recipientRoutes(open, { services, clock, logger });
  });
  return app;
}

async function assertReady(url: string): Promise<void> {
  const { statusCode, body } = await httpRequest(`${url}/health/ready`);
  await body.dump();
  if (statusCode !== 200) throw new Error(`answers ${statusCode}`);
}
