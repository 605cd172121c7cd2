/**
 * Where Temporal comes from. Tried in this order: `TEMPORAL_ADDRESS`, an existing cluster · a `temporal` binary on the
 * PATH or in the cache · the SDK's own download · a build of the official Go modules, on the stack's Postgres.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { connectTemporal } from '../../shared/temporal/client.ts';
import { planBuiltServer, type ServerPlan } from './built-server.ts';
import { findCliBinary, planCliServer, type CliBinary } from './cli-server.ts';
import { buildBinaries, findBuiltBinaries } from './go-build.ts';
import {
  checkNamespaceAndSearchAttributes,
  ensureNamespace,
  ensureSearchAttributes,
  probeSearchAttributes,
} from './namespace.ts';
import {
  TemporalSetupError,
  TemporalWayClosed,
  type OnProgress,
  type TemporalOptions,
  type TemporalPlan,
  type TemporalProvider,
} from './plan.ts';
import { downloadCliBinary } from './sdk-download.ts';
import { cacheDirectory, parseTemporalSettings, type TemporalSettings } from './settings.ts';
import { SERVER_MODULE } from './versions.ts';

interface Search {
  env: NodeJS.ProcessEnv;
  settings: TemporalSettings;
  options: TemporalOptions;
  stateDirectory: string;
  cache: string;
  onProgress: OnProgress;
}

/** Which database a local server of the given kind keeps its workflows in. */
type Storage = 'sqlite' | 'postgres';

const STORAGE_NAMES: Record<Storage, string> = {
  sqlite: "a file of Temporal's development server",
  postgres: "the stack's Postgres, by a built server",
};

const WAYS: Record<TemporalProvider, (search: Search) => Promise<TemporalPlan>> = {
  address: planExistingCluster,
  binary: async (search) => {
    const binary = await findCliBinary(search.cache, search.env);
    return planLocalCli(search, 'binary', binary);
  },
  download: async (search) => {
    const binary = await downloadCliBinary(search.cache, search.env, search.onProgress);
    return planLocalCli(search, 'download', binary);
  },
  build: planBuild,
};

/**
 * Finds, downloads or builds Temporal and says how to run it. Starts nothing.
 *
 * @throws ConfigError for wrong variables, TemporalSetupError when no way is open, listing each with its reason.
 */
export async function resolveTemporal(
  env: NodeJS.ProcessEnv,
  options: TemporalOptions,
): Promise<TemporalPlan> {
  const search: Search = {
    env,
    settings: parseTemporalSettings(env),
    options,
    stateDirectory: resolve(options.stateDirectory),
    cache: cacheDirectory(env),
    onProgress: options.onProgress ?? (() => undefined),
  };
  const { ways, because } = await waysToTry(search);
  const closed: string[] = [];
  for (const [index, way] of ways.entries()) {
    try {
      return await WAYS[way](search);
    } catch (error) {
      if (!(error instanceof TemporalWayClosed)) throw error;
      closed.push(`  ${way}: ${error.message}`);
      const next = ways[index + 1];
      if (next !== undefined && way !== 'binary') {
        search.onProgress(
          `Temporal (${way}): ${error.message} Alternatives: ${ALTERNATIVES}. Going on with: ${next}.`,
        );
      }
    }
  }
  throw new TemporalSetupError(
    `Temporal cannot be had here. What was tried:\n${closed.join('\n')}\n${because}Alternatives: ${ALTERNATIVES}.`,
  );
}

const ALTERNATIVES =
  'set TEMPORAL_ADDRESS to a running cluster, put the `temporal` command line on the PATH, or install Go so that the server can be built';

/**
 * The order of the ways. Data decide over convenience: workflows kept in one kind of database are not left behind because
 * another way has opened since. And what was built once is used before a download is attempted again.
 */
async function waysToTry(search: Search): Promise<{ ways: TemporalProvider[]; because: string }> {
  const { settings, cache, stateDirectory } = search;
  const only = (...ways: TemporalProvider[]) => ({ ways, because: '' });
  if (settings.TEMPORAL_PROVIDER !== undefined) return only(settings.TEMPORAL_PROVIDER);
  if (settings.TEMPORAL_ADDRESS !== undefined) return only('address');
  const kept = await keptStorage(stateDirectory);
  if (kept !== undefined) {
    return {
      ways: kept === 'postgres' ? ['build'] : ['binary', 'download'],
      because:
        `No other way was tried, because the workflows kept in ${stateDirectory} are on ${STORAGE_NAMES[kept]}. ` +
        'To leave them behind, set TEMPORAL_PROVIDER, or remove that directory.\n',
    };
  }
  return (await findBuiltBinaries(cache)) ? only('binary', 'build') : only('binary', 'download', 'build');
}

async function planExistingCluster({ settings }: Search): Promise<TemporalPlan> {
  const address = settings.TEMPORAL_ADDRESS;
  if (address === undefined) throw new TemporalWayClosed('TEMPORAL_ADDRESS is not set.');
  const namespace = settings.TEMPORAL_NAMESPACE;
  const secure = settings.TEMPORAL_TLS || settings.TEMPORAL_API_KEY !== undefined;
  return {
    kind: 'address',
    address,
    namespace,
    uiUrl: settings.TEMPORAL_UI_URL,
    processes: [],
    setUp: async (signal) => {
      const temporal = connectTemporal({
        address,
        namespace,
        ...(secure && { tls: true }),
        apiKey: settings.TEMPORAL_API_KEY,
      });
      try {
        await checkNamespaceAndSearchAttributes(
          temporal.connection,
          {
            address,
            namespace,
            retentionDays: settings.TEMPORAL_RETENTION_DAYS,
            commandFlags: [
              ...(secure ? ['--tls'] : []),
              ...(settings.TEMPORAL_API_KEY ? ['--api-key …'] : []),
            ].join(' '),
          },
          { signal },
        );
      } finally {
        await temporal.close();
      }
    },
    describe: `the existing Temporal cluster at ${address}, namespace ${namespace}`,
  };
}

async function planLocalCli(
  search: Search,
  kind: TemporalProvider,
  binary: CliBinary,
): Promise<TemporalPlan> {
  const { settings, stateDirectory, options } = search;
  const server = await planCliServer({
    binary,
    settings,
    stateDirectory,
    codecEndpoint: options.codecEndpoint,
  });
  await keepStorage(stateDirectory, 'sqlite');
  return ownedPlan(
    search,
    kind,
    server,
    `Temporal ${binary.serverVersion} (${binary.path}), data in ${stateDirectory}`,
  );
}

async function planBuild(search: Search): Promise<TemporalPlan> {
  const { options, settings, stateDirectory, cache, env, onProgress } = search;
  if (options.postgresAdminUrl === undefined) {
    throw new TemporalWayClosed('a built server needs a Postgres to store in, and none was given.');
  }
  const server = await planBuiltServer({
    binaries: await buildBinaries(cache, env, onProgress),
    settings,
    stateDirectory,
    postgresAdminUrl: options.postgresAdminUrl,
    database: options.database ?? 'temporal',
    codecEndpoint: options.codecEndpoint,
  });
  await keepStorage(stateDirectory, 'postgres');
  return ownedPlan(
    search,
    'build',
    server,
    `Temporal ${SERVER_MODULE.version}, built, on the stack's Postgres`,
  );
}

function ownedPlan(
  search: Search,
  kind: TemporalProvider,
  server: ServerPlan,
  describe: string,
): TemporalPlan {
  const { TEMPORAL_NAMESPACE: namespace, TEMPORAL_RETENTION_DAYS: retentionDays } = search.settings;
  return {
    ...server,
    kind,
    namespace,
    describe,
    setUp: async (signal) => {
      const temporal = connectTemporal({ address: server.address, namespace });
      const target = { address: server.address, namespace, retentionDays };
      try {
        await ensureNamespace(temporal.connection, target, { signal });
        await ensureSearchAttributes(temporal.connection, namespace, { signal });
        await probeSearchAttributes(temporal.client, { signal });
      } finally {
        await temporal.close();
      }
    },
  };
}

async function keptStorage(stateDirectory: string): Promise<Storage | undefined> {
  const text = await readFile(storageFile(stateDirectory), 'utf8').catch(() => '');
  const storage = text.trim();
  return storage === 'sqlite' || storage === 'postgres' ? storage : undefined;
}

async function keepStorage(stateDirectory: string, storage: Storage): Promise<void> {
  await mkdir(stateDirectory, { recursive: true });
  await writeFile(storageFile(stateDirectory), `${storage}\n`);
}

function storageFile(stateDirectory: string): string {
  return join(stateDirectory, 'storage');
}
