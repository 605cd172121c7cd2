/** Temporal's command-line program and the development server in it, with its UI and an SQLite file. */
import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import {
  DEFAULT_FRONTEND_PORT,
  DEFAULT_UI_PORT,
  processEnvironment,
  type ServerPlan,
} from './built-server.ts';
import { isExecutable } from './cache.ts';
import { TemporalWayClosed } from './plan.ts';
import { choosePorts, LOOPBACK } from './ports.ts';
import { waitForFrontend, waitForHttp } from './readiness.ts';
import { DYNAMIC_CONFIG } from './server-config.ts';
import { type TemporalSettings } from './settings.ts';
import { isOlder, MINIMUM_SERVER_VERSION } from './versions.ts';

const run = promisify(execFile);

export interface CliBinary {
  path: string;
  /** The version of the server inside. */
  serverVersion: string;
}

/**
 * The first `temporal` that is recent enough: `TEMPORAL_BINARY`, on the PATH, then in the cache.
 *
 * @throws TemporalWayClosed naming every binary that was found and why it is not used.
 */
export async function findCliBinary(cache: string, env: NodeJS.ProcessEnv): Promise<CliBinary> {
  const refused: string[] = [];
  for (const path of await candidates(cache, env)) {
    const found = await inspectCliBinary(path);
    if (found.serverVersion === undefined)
      refused.push(`${path} is not Temporal's command line (${found.why})`);
    else if (isOlder(found.serverVersion, MINIMUM_SERVER_VERSION)) {
      refused.push(`${path} contains server ${found.serverVersion}, older than ${MINIMUM_SERVER_VERSION}`);
    } else return { path, serverVersion: found.serverVersion };
  }
  throw new TemporalWayClosed(
    (refused.length === 0
      ? 'no `temporal` binary on the PATH or in the cache. '
      : `${refused.join('; ')}. `) +
      `Install Temporal's command line with server ${MINIMUM_SERVER_VERSION} or later (https://docs.temporal.io/cli).`,
  );
}

/** Asks a binary for the version of its server: `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`. */
export async function inspectCliBinary(
  path: string,
): Promise<{ serverVersion: string } | { serverVersion: undefined; why: string }> {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000, env: processEnvironment() });
    const serverVersion = /\(Server v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    return serverVersion === undefined
      ? { serverVersion, why: `\`--version\` says "${stdout.trim().slice(0, 80)}"` }
      : { serverVersion };
  } catch (error) {
    return {
      serverVersion: undefined,
      why: error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'fails',
    };
  }
}

export async function planCliServer(options: {
  binary: CliBinary;
  settings: TemporalSettings;
  stateDirectory: string;
  codecEndpoint: string | undefined;
}): Promise<ServerPlan> {
  const { binary, settings, stateDirectory, codecEndpoint } = options;
  const ports = await choosePorts(stateDirectory, [
    {
      name: 'frontend',
      demanded: { variable: 'TEMPORAL_PORT', port: settings.TEMPORAL_PORT },
      preferred: DEFAULT_FRONTEND_PORT,
    },
    {
      name: 'ui',
      demanded: { variable: 'TEMPORAL_UI_PORT', port: settings.TEMPORAL_UI_PORT },
      preferred: DEFAULT_UI_PORT,
    },
  ]);
  const address = `${LOOPBACK}:${ports.frontend}`;
  const uiUrl = `http://${LOOPBACK}:${ports.ui}`;
  return {
    address,
    // Its UI knows a codec endpoint, but has no setting to send cookies there.
    ...(codecEndpoint === undefined ? { uiUrl } : { uiUrl: codecEndpoint, uiUpstream: uiUrl }),
    processes: [
      {
        name: 'temporal',
        command: binary.path,
        args: [
          ...['server', 'start-dev', '--ip', LOOPBACK, '--port', String(ports.frontend)],
          ...['--ui-ip', LOOPBACK, '--ui-port', String(ports.ui)],
          ...['--db-filename', join(stateDirectory, 'temporal.db')],
          ...['--namespace', settings.TEMPORAL_NAMESPACE],
          ...['--log-format', 'json', '--log-level', 'warn'],
          ...(codecEndpoint === undefined ? [] : ['--ui-codec-endpoint', codecEndpoint]),
          ...Object.entries(DYNAMIC_CONFIG).flatMap(([key, value]) => [
            '--dynamic-config-value',
            `${key}=${JSON.stringify(value)}`,
          ]),
        ],
        env: processEnvironment(),
        cwd: stateDirectory,
        prepare: async () => {
          await mkdir(stateDirectory, { recursive: true });
        },
        ready: async (signal) => {
          await waitForFrontend(address, { signal });
          await waitForHttp(uiUrl, { signal });
        },
      },
    ],
  };
}

/** The cached binaries' names begin like this; the newest name first. */
export const CACHED_CLI_PREFIX = 'temporal-cli-';

async function candidates(cache: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const demanded = env['TEMPORAL_BINARY'];
  if (demanded) return [demanded];
  const name = process.platform === 'win32' ? 'temporal.exe' : 'temporal';
  const onPath = (env['PATH'] ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, name));
  const bin = join(cache, 'bin');
  const cached = (await readdir(bin).catch(() => []))
    .filter((file) => file.startsWith(CACHED_CLI_PREFIX))
    .sort((a, b) => (isOlder(a.slice(CACHED_CLI_PREFIX.length), b.slice(CACHED_CLI_PREFIX.length)) ? 1 : -1))
    .map((file) => join(bin, file));
  const found: string[] = [];
  for (const path of [...onPath, ...cached]) if (await isExecutable(path)) found.push(path);
  return found;
}
