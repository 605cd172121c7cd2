/** The environment variables that decide about Temporal. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import { parseEnv } from '../../shared/config.ts';
import { TEMPORAL_PROVIDERS } from './plan.ts';

const TemporalSettings = Type.Object({
  /** `host:port` of an existing cluster; nothing is started or created then. */
  TEMPORAL_ADDRESS: Type.Optional(Type.String({ pattern: '^[^\\s/]+:\\d+$' })),
  TEMPORAL_NAMESPACE: Type.String({ default: 'drone-delivery', pattern: '^[\\w.-]+$' }),
  /** Forces one way instead of the first that works. */
  TEMPORAL_PROVIDER: Type.Optional(Type.Enum(TEMPORAL_PROVIDERS)),
  /** A Temporal CLI elsewhere than on the PATH. */
  TEMPORAL_BINARY: Type.Optional(Type.String()),
  TEMPORAL_PORT: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
  TEMPORAL_UI_PORT: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
  /** An existing cluster's UI. */
  TEMPORAL_UI_URL: Type.Optional(Type.String()),
  TEMPORAL_TLS: Type.Boolean({ default: false }),
  TEMPORAL_API_KEY: Type.Optional(Type.String()),
  /** How long closed deliveries stay in Temporal. */
  TEMPORAL_RETENTION_DAYS: Type.Integer({ default: 7, minimum: 1, maximum: 365 }),
  DRONE_DELIVERY_CACHE: Type.Optional(Type.String()),
  XDG_CACHE_HOME: Type.Optional(Type.String()),
});
export type TemporalSettings = Static<typeof TemporalSettings>;

/** @throws ConfigError naming every wrong variable. */
export function parseTemporalSettings(env: NodeJS.ProcessEnv): TemporalSettings {
  return parseEnv(TemporalSettings, env);
}

/** Where downloads and builds are kept, outside the checkout, so that every clone shares them. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env['DRONE_DELIVERY_CACHE']) return env['DRONE_DELIVERY_CACHE'];
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'drone-delivery');
}
