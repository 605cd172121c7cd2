/**
 * Temporal for tests: the time-skipping server, and the real one on the test run's Postgres. Neither outlives the test
 * process, even when that is killed.
 */
import { TestWorkflowEnvironment, type ClientOptionsForTestEnv } from '@temporalio/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { addSearchAttributes } from '../../local/temporal/namespace.ts';
import { type OnProgress, type TemporalPlan, type TemporalProcess } from '../../local/temporal/plan.ts';
import { chooseFreePort } from '../../local/temporal/ports.ts';
import { resolveTemporal } from '../../local/temporal/resolve.ts';
import { findTimeSkippingServer } from '../../local/temporal/time-skipping-server.ts';

const leash = fileURLToPath(new URL('./leash.sh', import.meta.url));

/**
 * Fetches or builds what the tests' servers are made of: minutes on a machine's first run, nothing later. For the setup of
 * a whole run, because no test's time limit allows for it.
 */
export async function fetchTemporalForTests(say: OnProgress = tellPlainly()): Promise<void> {
  await findTimeSkippingServer(process.env, say);
  const stateDirectory = await mkdtemp(join(tmpdir(), 'drone-delivery-temporal-'));
  try {
    // Only looked for, not started: any address will do.
    const postgresAdminUrl = 'postgresql://postgres@127.0.0.1:1/postgres';
    await resolveTemporal(
      { ...process.env, TEMPORAL_PORT: String(await chooseFreePort()) },
      {
        stateDirectory,
        postgresAdminUrl,
        onProgress: say,
      },
    );
  } finally {
    await rm(stateDirectory, { recursive: true, force: true });
  }
}

/** Every step once, and how far it is every 15 seconds. */
function tellPlainly(): OnProgress {
  let [told, toldAt] = ['', 0];
  return (message, detail) => {
    if (message === told && Date.now() - toldAt < 15_000) return;
    process.stderr.write(message === told ? `  ${detail ?? ''}\n` : `${message}\n`);
    [told, toldAt] = [message, Date.now()];
  };
}

/** A new time-skipping environment with the deliveries' search attributes; `teardown()` it in `afterAll`. */
export async function createTimeSkippingEnvironment(
  options: { client?: ClientOptionsForTestEnv } = {},
): Promise<TestWorkflowEnvironment> {
  const path = await findTimeSkippingServer();
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    ...(path !== undefined && { server: { executable: { type: 'existing-path', path } } }),
    ...options,
  });
  await addSearchAttributes(environment.connection, environment.namespace ?? 'default');
  return environment;
}

export interface RealTemporalOptions {
  /** Superuser's URL of the test run's Postgres; used when the server is a built one. */
  postgresAdminUrl: string;
  /** More environment for `resolveTemporal`: another provider or namespace. */
  env?: NodeJS.ProcessEnv;
  /** Run the UI too. Default: only the server. */
  ui?: boolean;
  codecEndpoint?: string;
}

export interface RealTemporal {
  plan: TemporalPlan;
  address: string;
  namespace: string;
  /** Ends the server at once, as a crash would. */
  kill: () => Promise<void>;
  /** Starts it again with the same command on the same data; returns when it answers. */
  restart: () => Promise<void>;
  /** Ends everything and removes its data. */
  stop: () => Promise<void>;
}

/**
 * A real Temporal server with namespace and search attributes, on ports and a database of its own: what a stack would run
 * here, from `TEMPORAL_ADDRESS` to a build. With `TEMPORAL_ADDRESS` set the cluster is shared, and neither killed nor emptied.
 */
export async function startRealTemporal(options: RealTemporalOptions): Promise<RealTemporal> {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'drone-delivery-temporal-'));
  const database = `temporal_${randomUUID().slice(0, 8)}`;
  const plan = await resolveTemporal(
    {
      ...process.env,
      TEMPORAL_PORT: String(await chooseFreePort()),
      TEMPORAL_UI_PORT: String(await chooseFreePort()),
      ...options.env,
    },
    {
      stateDirectory,
      postgresAdminUrl: options.postgresAdminUrl,
      database,
      codecEndpoint: options.codecEndpoint,
    },
  ).catch(async (error: unknown) => {
    await rm(stateDirectory, { recursive: true, force: true });
    throw error;
  });
  const processes = plan.processes.filter(({ name }) => name === 'temporal' || options.ui);
  let children: ChildProcess[] = [];
  const start = async () => {
    for (const process of processes) {
      await process.prepare();
      children.push(await startOnLeash(process, stateDirectory));
    }
  };
  const kill = async () => {
    await Promise.all(children.map(killChild));
    children = [];
  };
  const stop = async () => {
    await kill();
    if (plan.kind === 'build') await dropDatabases(options.postgresAdminUrl, database);
    await rm(stateDirectory, { recursive: true, force: true });
  };
  try {
    await start();
    await plan.setUp();
  } catch (error) {
    await stop();
    throw error;
  }
  return { plan, address: plan.address, namespace: plan.namespace, kill, restart: start, stop };
}

/** @throws when the process ends before it is ready, with the end of its log. */
async function startOnLeash(process: TemporalProcess, logDirectory: string): Promise<ChildProcess> {
  const logPath = join(logDirectory, `${process.name}.log`);
  const log = await open(logPath, 'a');
  const child = spawn(leash, [process.command, ...process.args], {
    cwd: process.cwd,
    env: process.env,
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  const gone = new AbortController();
  child.once('error', (error) => gone.abort(error));
  child.once('exit', () => gone.abort(new Error(`${process.name} ended`)));
  try {
    await process.ready(gone.signal);
    return child;
  } catch (error) {
    await killChild(child);
    throw new Error(`${process.name} did not start:\n${(await readFile(logPath, 'utf8')).slice(-4000)}`, {
      cause: error,
    });
  }
}

async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

async function dropDatabases(adminUrl: string, database: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    for (const name of [database, `${database}_visibility`]) {
      await admin.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
    }
    await admin.query(`DROP ROLE IF EXISTS ${pg.escapeIdentifier(database)}`);
  } finally {
    await admin.end();
  }
}
