/** How often one key may call: generous, so that only a runaway client notices. Answers carry `RateLimit-*` headers. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../../shared/errors.ts';

export interface RateLimits {
  /** Requests of one key a minute. */
  perMinute: number;
  /** Of these, telemetry is counted apart. */
  telemetryPerMinute: number;
  /** Requests without a key, of one address, a minute: many recipients may share one. */
  openPerMinute: number;
}

export const DEFAULT_RATE_LIMITS: RateLimits = {
  perMinute: 300_000,
  telemetryPerMinute: 600_000,
  openPerMinute: 600,
};

export interface RateLimitOptions extends Omit<RateLimits, 'openPerMinute'> {
  /** Who is counted: the key unless told. */
  by?: 'key' | 'address';
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Counted against the limit for telemetry. */
    telemetry?: boolean;
  }
}

const MINUTE_MS = 60_000;

async function rateLimits(
  app: FastifyInstance,
  { perMinute, telemetryPerMinute, by = 'key' }: RateLimitOptions,
): Promise<void> {
  // Comes before the library's own hook on this event, which reads what this sets.
  app.addHook('onRoute', (route) => {
    if (route.config?.telemetry === true) {
      route.config = { ...route.config, rateLimit: { max: telemetryPerMinute } };
    }
  });
  await app.register(rateLimit, {
    // It checks in a hook of each route, thus after the hook of the auth plugin: the caller is known.
    max: perMinute,
    timeWindow: MINUTE_MS,
    cache: 20_000,
    enableDraftSpec: true,
    keyGenerator: (request: FastifyRequest) => (by === 'key' ? request.principal.key_id : request.ip),
    errorResponseBuilder: (_request, { max, ttl }) =>
      new Problem('too-many-requests', {
        detail: `At most ${max} such requests a minute ${by === 'key' ? 'with one key' : 'from one address'}.`,
        retryAfterS: Math.ceil(ttl / 1000),
      }),
  });
}

export default fp(rateLimits, { name: 'rate-limits' });
