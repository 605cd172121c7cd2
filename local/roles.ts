/** The roles of a stack that are ours: how each is started, what environment it gets, where it answers. */
import { join } from 'node:path';
import { SERVICES, type ServiceName } from '../prisma/services.ts';
import { USES_TEMPORAL } from '../services/environment.ts';
import type { ClockSettings } from '../shared/clock.ts';
import type { Secrets } from './secrets.ts';
import type { TemporalPlan } from './temporal/plan.ts';

export const PROJECT_ROOT = join(import.meta.dirname, '..');
export const HOST = '127.0.0.1';

/** `compact`: the six services share one process; `separate`: each is a process of its own. */
export type Layout = 'compact' | 'separate';

/** What listens on a port of its own, with the variable that sets the port and the port that is taken when it is free. */
export const PORTS = {
  api: { variable: 'PORT', usual: 4000 },
  account: { variable: 'ACCOUNT_PORT', usual: 4101 },
  package: { variable: 'PACKAGE_PORT', usual: 4102 },
  drone: { variable: 'DRONE_PORT', usual: 4103 },
  carrier: { variable: 'CARRIER_PORT', usual: 4104 },
  delivery: { variable: 'DELIVERY_PORT', usual: 4105 },
  ingestion: { variable: 'INGESTION_PORT', usual: 4106 },
  codec: { variable: 'CODEC_PORT', usual: 4200 },
  worker: { variable: 'WORKER_PORT', usual: 4300 },
  simulator: { variable: 'SIMULATOR_PORT', usual: 4400 },
  postgres: { variable: 'POSTGRES_PORT', usual: 5433 },
} as const;
export type PortName = keyof typeof PORTS;
/** Everything with a port but Postgres speaks HTTP and answers `/health/ready`. */
export type Listener = Exclude<PortName, 'postgres'>;

/** Everything that the environments of the roles are made from. */
export interface StackSettings {
  ports: Record<PortName, number>;
  /** As the services' runtime roles. */
  databaseUrls: Record<ServiceName, string>;
  temporal: Pick<TemporalPlan, 'address' | 'namespace' | 'uiUrl' | 'uiUpstream'>;
  clock: ClockSettings;
  secrets: Secrets;
  /** Where the stack keeps its data. */
  directory: string;
}

/** How a person or the supervisor starts a role: `node <entry> <args>` with these variables. */
export interface RoleStart {
  /** From the project's root. */
  entry: string;
  args: string[];
  env: Record<string, string>;
  /** Who answers in it. */
  listeners: Listener[];
}

/** Processes by name, in the order in which they are started. */
export type RoleName = 'codec' | 'services' | ServiceName | 'worker' | 'api' | 'simulator';

/** The order in which roles are stopped: who takes in work first, who is needed by others last. */
export const STOP_STAGE = {
  api: 1,
  simulator: 2,
  worker: 3,
  services: 4,
  codec: 5,
  'temporal-ui': 6,
  temporal: 7,
  postgres: 8,
} as const;

export function urlOf(settings: Pick<StackSettings, 'ports'>, listener: Listener): string {
  return `http://${HOST}:${settings.ports[listener]}`;
}

/** Every role of the layout, in the order in which they are started. */
export function rolesOf(settings: StackSettings, layout: Layout): [RoleName, RoleStart][] {
  const services: [RoleName, RoleStart][] =
    layout === 'compact'
      ? [['services', servicesRole(settings, SERVICES)]]
      : SERVICES.map((service) => [service, servicesRole(settings, [service])]);
  return [
    ['codec', codecRole(settings)],
    ...services,
    ['worker', workerRole(settings)],
    ['api', apiRole(settings)],
    ['simulator', simulatorRole(settings)],
  ];
}

function servicesRole(settings: StackSettings, services: readonly ServiceName[]): RoleStart {
  const own = services.flatMap((service) => [
    [`${service.toUpperCase()}_PORT`, String(settings.ports[service])],
    [`${service.toUpperCase()}_DATABASE_URL`, settings.databaseUrls[service]],
  ]);
  return {
    entry: 'services/main.ts',
    args: [...services],
    env: {
      ...commonEnv(settings),
      ...(Object.fromEntries(own) as Record<string, string>),
      ...(services.some((one) => USES_TEMPORAL.has(one)) && temporalEnv(settings)),
      ...(services.includes('account') && { ACCOUNT_KEY_SECRET: settings.secrets.accountKeySecret }),
      ...(services.includes('delivery') && { RECIPIENT_SECRETS: settings.secrets.recipientSecret }),
    },
    listeners: [...services],
  };
}

function workerRole(settings: StackSettings): RoleStart {
  return {
    entry: 'workers/main.ts',
    args: [],
    env: {
      ...commonEnv(settings),
      ...temporalEnv(settings),
      PORT: String(settings.ports.worker),
      // A stop of the whole stack takes 10 s at most.
      WORKER_SHUTDOWN_GRACE_MS: '2000',
    },
    listeners: ['worker'],
  };
}

function apiRole(settings: StackSettings): RoleStart {
  return {
    entry: 'api/main.ts',
    args: [],
    env: { ...commonEnv(settings), PORT: String(settings.ports.api) },
    listeners: ['api'],
  };
}

function simulatorRole(settings: StackSettings): RoleStart {
  return {
    entry: 'simulator/main.ts',
    args: [],
    env: {
      ...commonEnv(settings),
      PORT: String(settings.ports.simulator),
      DRONE_KEY: settings.secrets.droneKey,
      MEMORY_FILE: join(settings.directory, 'aircraft.jsonl'),
      RECIPIENT_SECRETS: settings.secrets.recipientSecret,
      // In a time-lapse a second is long: a mission must be noticed, and a position be known, sooner.
      ...(settings.clock.rate > 1 && { TELEMETRY_INTERVAL_MS: '250' }),
    },
    listeners: ['simulator'],
  };
}

function codecRole(settings: StackSettings): RoleStart {
  return {
    entry: 'local/codec-server-main.ts',
    args: [],
    env: {
      ...commonEnv(settings),
      PORT: String(settings.ports.codec),
      PAYLOAD_KEYS: settings.secrets.payloadKeys,
      OPERATOR_KEY: settings.secrets.operatorKey,
      CODEC_SECRET: settings.secrets.codecSecret,
      TEMPORAL_NAMESPACE: settings.temporal.namespace,
      ...(settings.temporal.uiUrl !== undefined && { TEMPORAL_UI_URL: settings.temporal.uiUrl }),
      ...(settings.temporal.uiUpstream !== undefined && {
        TEMPORAL_UI_UPSTREAM: settings.temporal.uiUpstream,
      }),
    },
    listeners: ['codec'],
  };
}

function commonEnv(settings: StackSettings): Record<string, string> {
  const { clock } = settings;
  const urls = [...SERVICES, 'api' as const].map((name) => [
    `${name.toUpperCase()}_URL`,
    urlOf(settings, name),
  ]);
  return {
    HOST,
    ...(Object.fromEntries(urls) as Record<string, string>),
    CLOCK_RATE: String(clock.rate),
    CLOCK_ANCHOR_WALL_MS: String(clock.anchorWallMs),
    CLOCK_ANCHOR_MS: String(clock.anchorMs),
  };
}

/** For those who start, signal or run workflows. */
function temporalEnv({ temporal, secrets }: StackSettings): Record<string, string> {
  return {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    PAYLOAD_KEYS: secrets.payloadKeys,
  };
}
