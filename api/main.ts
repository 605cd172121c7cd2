/** The api as a process. */
import { clockFromEnv, parseEnv } from '../shared/config.ts';
import { createLogger } from '../shared/logger.ts';
import { runRole } from '../shared/role.ts';
import { buildApi } from './app.ts';
import { ApiEnvironment } from './environment.ts';

const logger = createLogger({ role: 'api' });

await runRole(logger, async () => {
  const env = parseEnv(ApiEnvironment);
  const app = await buildApi({
    services: {
      account: env.ACCOUNT_URL,
      drone: env.DRONE_URL,
      delivery: env.DELIVERY_URL,
      ingestion: env.INGESTION_URL,
    },
    logger,
    clock: clockFromEnv(env),
    rateLimits: {
      perMinute: env.API_RATE_LIMIT_PER_MINUTE,
      telemetryPerMinute: env.API_TELEMETRY_LIMIT_PER_MINUTE,
    },
    streams: { perKey: env.API_STREAMS_PER_KEY },
    maxEventLoopDelayMs: env.API_MAX_EVENT_LOOP_DELAY_MS,
    corsOrigins: listOf(env.API_CORS_ORIGINS),
    ...(env.API_TRUST_PROXY !== undefined && { trustProxy: env.API_TRUST_PROXY }),
  });
  const url = await app.listen({ host: env.HOST, port: env.PORT });
  return { url, close: () => app.close() };
});

function listOf(text = ''): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}
