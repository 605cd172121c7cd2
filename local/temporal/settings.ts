/** The environment variables that decide about Temporal. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import { parseEnv } from '../../shared/config.ts';
import { TEMPORAL_PROVIDERS } from './plan.ts';

export const TemporalSettings = Type.Object({
  TEMPORAL_ADDRESS: Type.Optional(
    Type.String({
      pattern: '^[^\\s/]+:\\d+$',
      description: 'host:port of an existing cluster; nothing is started or created then',
    }),
  ),
  TEMPORAL_NAMESPACE: Type.String({
    default: 'drone-delivery',
    pattern: '^[\\w.-]+$',
    description: 'Namespace of the deliveries; created where the server is ours',
  }),
  TEMPORAL_PROVIDER: Type.Optional(
    Type.Enum(TEMPORAL_PROVIDERS, {
      description: 'Forces one way to Temporal instead of the first that works',
    }),
  ),
  TEMPORAL_BINARY: Type.Optional(
    Type.String({ description: 'A Temporal command line elsewhere than on the PATH' }),
  ),
  TEMPORAL_PORT: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65535,
      description: 'Port of our own server; 7233 where it is free',
    }),
  ),
  TEMPORAL_UI_PORT: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65535, description: 'Port of our own UI; 8233 where it is free' }),
  ),
  TEMPORAL_UI_URL: Type.Optional(Type.String({ description: 'The UI of an existing cluster' })),
  TEMPORAL_TLS: Type.Boolean({ default: false, description: 'Connect to an existing cluster with TLS' }),
  TEMPORAL_API_KEY: Type.Optional(
    Type.String({ description: 'For an existing cluster that asks for one, such as Temporal Cloud' }),
  ),
  TEMPORAL_RETENTION_DAYS: Type.Integer({
    default: 7,
    minimum: 1,
    maximum: 365,
    description: 'How long closed deliveries stay in Temporal',
  }),
  DRONE_DELIVERY_CACHE: Type.Optional(
    Type.String({ description: 'Where downloads and builds are kept; default ~/.cache/drone-delivery' }),
  ),
  XDG_CACHE_HOME: Type.Optional(Type.String({ description: 'Instead of ~/.cache' })),
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
