/** The environment of the api role: the table in the documentation and the check at the start are both made from it. */
import { Type } from 'typebox';
import { ClockEnv } from '../shared/config.ts';
import { DEFAULT_RATE_LIMITS } from './plugins/rate-limit.ts';
import { DEFAULT_STREAM_OPTIONS } from './tracking/streams.ts';

const serviceUrl = (service: string, port: number) =>
  Type.String({
    format: 'uri',
    default: `http://127.0.0.1:${port}`,
    description: `Where the ${service} service listens`,
  });

export const ApiEnvironment = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: 4000,
    description: 'Port to listen on; 0 for any that is free',
  }),
  ACCOUNT_URL: serviceUrl('account', 4101),
  DRONE_URL: serviceUrl('drone', 4103),
  DELIVERY_URL: serviceUrl('delivery', 4105),
  INGESTION_URL: serviceUrl('ingestion', 4106),
  API_RATE_LIMIT_PER_MINUTE: Type.Integer({
    minimum: 1,
    default: DEFAULT_RATE_LIMITS.perMinute,
    description: 'Requests of one key a minute, in one api process',
  }),
  API_TELEMETRY_LIMIT_PER_MINUTE: Type.Integer({
    minimum: 1,
    default: DEFAULT_RATE_LIMITS.telemetryPerMinute,
    description: 'Posts of telemetry of one key a minute, in one api process',
  }),
  API_OPEN_LIMIT_PER_MINUTE: Type.Integer({
    minimum: 1,
    default: DEFAULT_RATE_LIMITS.openPerMinute,
    description: 'Requests without a key (tracking links) from one address a minute, in one api process',
  }),
  API_STREAMS_PER_KEY: Type.Integer({
    minimum: 1,
    default: DEFAULT_STREAM_OPTIONS.perKey,
    description: 'Tracking streams of one key at once, in one api process',
  }),
  API_MAX_EVENT_LOOP_DELAY_MS: Type.Integer({
    minimum: 0,
    default: 2_000,
    description: 'Mean delay of the event loop above which requests are answered 503; 0 for never',
  }),
  API_CORS_ORIGINS: Type.Optional(
    Type.String({ description: 'Origins of web pages that may call, comma-separated; none unless set' }),
  ),
  API_TRUST_PROXY: Type.Optional(
    Type.String({
      description: 'Addresses or networks of the proxies whose X-Forwarded-For is believed, comma-separated',
    }),
  ),
  ...ClockEnv,
});
