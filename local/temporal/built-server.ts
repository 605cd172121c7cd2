/** The fourth way's second half: running the built server and its UI on the stack's Postgres. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltBinaries } from './go-build.ts';
import { TemporalSetupError, type TemporalProcess } from './plan.ts';
import { choosePorts, HIGHEST_SERVER_PORT, LOOPBACK } from './ports.ts';
import { waitForFrontend, waitForHttp } from './readiness.ts';
import { renderDynamicConfig, renderServerConfig, renderUiConfig } from './server-config.ts';
import { postgresTarget, prepareServerDatabase } from './server-database.ts';
import { type TemporalSettings } from './settings.ts';

/** Default ports: those of Temporal's own development server. */
export const DEFAULT_FRONTEND_PORT = 7233;
export const DEFAULT_UI_PORT = 8233;

export interface ServerPlan {
  address: string;
  uiUrl: string;
  uiUpstream?: string | undefined;
  processes: TemporalProcess[];
}

export async function planBuiltServer(options: {
  binaries: BuiltBinaries;
  settings: TemporalSettings;
  stateDirectory: string;
  postgresAdminUrl: string;
  database: string;
  codecEndpoint: string | undefined;
}): Promise<ServerPlan> {
  const { binaries, settings, stateDirectory, postgresAdminUrl, codecEndpoint } = options;
  if ((settings.TEMPORAL_PORT ?? 0) > HIGHEST_SERVER_PORT) {
    throw new TemporalSetupError(
      `TEMPORAL_PORT: a built server keeps its port in a column that ends at ${HIGHEST_SERVER_PORT}; choose a lower one.`,
    );
  }
  const { ui, ...ports } = await choosePorts(stateDirectory, [
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
    { name: 'history' },
    { name: 'matching' },
    { name: 'worker' },
    { name: 'frontendMembership' },
    { name: 'historyMembership' },
    { name: 'matchingMembership' },
    { name: 'workerMembership' },
  ]);
  const postgres = await postgresTarget(stateDirectory, postgresAdminUrl, options.database);
  const address = `${LOOPBACK}:${ports.frontend}`;
  const uiUrl = `http://${LOOPBACK}:${ui}`;
  const serverConfigPath = join(stateDirectory, 'server.yaml');
  const dynamicConfigPath = join(stateDirectory, 'dynamic-config.yaml');

  const server: TemporalProcess = {
    name: 'temporal',
    command: binaries.server,
    args: ['--config-file', serverConfigPath, '--allow-no-auth', 'start'],
    env: processEnvironment(),
    cwd: stateDirectory,
    prepare: async () => {
      await writePrivate(dynamicConfigPath, renderDynamicConfig());
      await writePrivate(serverConfigPath, renderServerConfig({ ports, postgres, dynamicConfigPath }));
      await prepareServerDatabase(binaries.sqlTool, postgresAdminUrl, postgres);
    },
    ready: (signal) => waitForFrontend(address, { signal }),
  };
  const uiServer: TemporalProcess = {
    name: 'temporal-ui',
    command: binaries.uiServer,
    args: ['--root', stateDirectory, '--config', '.', '--env', 'ui', 'start'],
    env: processEnvironment(),
    cwd: stateDirectory,
    prepare: () =>
      writePrivate(
        join(stateDirectory, 'ui.yaml'),
        renderUiConfig({
          port: ui,
          temporalAddress: address,
          namespace: settings.TEMPORAL_NAMESPACE,
          codecEndpoint,
        }),
      ),
    ready: (signal) => waitForHttp(`${uiUrl}/healthz`, { signal }),
  };
  return { address, uiUrl, processes: [server, uiServer] };
}

/** Nothing of our own environment belongs into the server's: it has no business with our secrets. */
export function processEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '', TZ, TMPDIR } = process.env;
  return { PATH, HOME, ...(TZ !== undefined && { TZ }), ...(TMPDIR !== undefined && { TMPDIR }) };
}

/** The configuration holds the database password. */
async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, 0o600);
}
