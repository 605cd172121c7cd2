/**
 * Configuration of a built server: one process with all of Temporal's services, loopback only, on Postgres, tuned for a
 * small machine. Written as JSON, which every YAML reader understands.
 */
import { TEMPORAL_POOL_SIZE } from '../../prisma/connection-budget.ts';
import { LOOPBACK } from './ports.ts';

/** History shards are fixed for the life of a database. Four are plenty for one machine and quick to load. */
export const HISTORY_SHARDS = 4;

export interface ServerPorts {
  frontend: number;
  history: number;
  matching: number;
  worker: number;
  frontendMembership: number;
  historyMembership: number;
  matchingMembership: number;
  workerMembership: number;
}

export interface PostgresTarget {
  /** `host:port` */
  address: string;
  user: string;
  password: string;
  database: string;
  visibilityDatabase: string;
}

export function renderServerConfig(options: {
  ports: ServerPorts;
  postgres: PostgresTarget;
  dynamicConfigPath: string;
}): string {
  const { ports, postgres, dynamicConfigPath } = options;
  const store = (databaseName: string, maxConns: number) => ({
    sql: {
      pluginName: 'postgres12_pgx',
      databaseName,
      connectAddr: postgres.address,
      connectProtocol: 'tcp',
      user: postgres.user,
      password: postgres.password,
      maxConns,
      maxIdleConns: maxConns,
      maxConnLifetime: '1h',
    },
  });
  const service = (grpcPort: number, membershipPort: number) => ({
    rpc: { grpcPort, membershipPort, bindOnLocalHost: true },
  });
  return json({
    log: { stdout: true, level: 'warn' },
    persistence: {
      defaultStore: 'default',
      visibilityStore: 'visibility',
      numHistoryShards: HISTORY_SHARDS,
      datastores: {
        default: store(postgres.database, TEMPORAL_POOL_SIZE.defaultStore),
        visibility: store(postgres.visibilityDatabase, TEMPORAL_POOL_SIZE.visibilityStore),
      },
    },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: LOOPBACK } },
    services: {
      frontend: service(ports.frontend, ports.frontendMembership),
      history: service(ports.history, ports.historyMembership),
      matching: service(ports.matching, ports.matchingMembership),
      worker: service(ports.worker, ports.workerMembership),
    },
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: {
          enabled: true,
          initialFailoverVersion: 1,
          rpcName: 'frontend',
          rpcAddress: `${LOOPBACK}:${ports.frontend}`,
        },
      },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    archival: { history: { state: 'disabled' }, visibility: { state: 'disabled' } },
    dynamicConfigClient: { filepath: dynamicConfigPath, pollInterval: '60s' },
  });
}

/**
 * Settings by key; `constraints`-free, so that they can be given to a dev server's command line as well.
 */
export const DYNAMIC_CONFIG: Readonly<Record<string, number | boolean | string>> = {
  // A queue of a shard is read at most this often a second; the default of 20 holds up every step on a quiet server.
  'history.transferProcessorMaxPollRPS': 2000,
  'history.timerProcessorMaxPollRPS': 2000,
  'history.visibilityProcessorMaxPollRPS': 2000,
  'history.outboundProcessorMaxPollRPS': 2000,
  // A timer fires up to this much late, so that servers whose clocks differ agree; a lone server needs no such allowance.
  'history.timerProcessorMaxTimeShift': '20ms',
  // One machine has no neighbours to protect: its own capacity is the limit, not a rate.
  'frontend.rps': 50_000,
  'frontend.namespaceRPS': 50_000,
  'frontend.namespaceRPS.visibility': 1000,
  'frontend.namespaceCount': 10_000,
  'history.rps': 50_000,
  'matching.rps': 50_000,
  'frontend.persistenceMaxQPS': 50_000,
  'history.persistenceMaxQPS': 50_000,
  'matching.persistenceMaxQPS': 50_000,
  'admin.matchingNamespaceTaskqueueToPartitionDispatchRate': 20_000,
  'admin.matchingNamespaceToPartitionDispatchRate': 20_000,
  // With one process there is nothing to spread a task queue over; more partitions only add hops.
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  'system.enableActivityEagerExecution': true,
  'system.enableEagerWorkflowStart': true,
  // Lets a sandbox delivery be fast-forwarded (server 1.32 and later; older ones ignore it).
  'frontend.WorkflowTimeSkippingEnabled': true,
  'frontend.searchAttributesNumberOfKeysLimit': 20,
  'frontend.searchAttributesSizeOfValueLimit': 2048,
  // A cached history is a few kB; the default of 128,000 entries would outgrow a laptop.
  'history.hostLevelCacheMaxSize': 16_000,
  'system.namespaceCacheRefreshInterval': '1s',
  // The server does not call home to ask for its newest version.
  'frontend.enableServerVersionCheck': false,
};

export function renderDynamicConfig(): string {
  return json(
    Object.fromEntries(
      Object.entries(DYNAMIC_CONFIG).map(([key, value]) => [key, [{ value, constraints: {} }]]),
    ),
  );
}

export function renderUiConfig(options: {
  port: number;
  temporalAddress: string;
  namespace: string;
  codecEndpoint: string | undefined;
}): string {
  return json({
    temporalGrpcAddress: options.temporalAddress,
    host: LOOPBACK,
    port: options.port,
    enableUi: true,
    defaultNamespace: options.namespace,
    showTemporalSystemNamespace: false,
    disableNewsFetch: true,
    hideLogs: true,
    // Without TLS a browser would not send the UI its own CSRF cookie back.
    cors: { cookieInsecure: true, allowOrigins: [`http://${LOOPBACK}:${options.port}`] },
    ...(options.codecEndpoint !== undefined && {
      codec: {
        endpoint: options.codecEndpoint,
        passAccessToken: false,
        includeCredentials: true,
        defaultErrorMessage: 'Payloads are encrypted. Log in to the codec server to read them.',
        defaultErrorLink: `${options.codecEndpoint}/login`,
      },
    }),
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
