// The embedded Postgres: its data directory, the command that runs the server, and a child process around it.
//
// A directory given to these functions holds `data/` (the cluster), `postgres.log` and `superuser-password`. The
// server binary is run directly, so that a supervisor sees its process: it may kill it at any moment and start it again.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chown,
  mkdir,
  open,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import getPort from 'get-port';
import pg from 'pg';
import { MAX_CONNECTIONS } from '../prisma/connection-budget.ts';
import {
  findPostgresBinaries,
  reachableDirectory,
  serverIdentity,
  type PostgresBinaries,
  type UserIdentity,
} from './postgres-binaries.ts';

const run = promisify(execFile);

const HOST = '127.0.0.1';
const SUPERUSER = 'postgres';
const MAX_LOG_BYTES = 20 * 1024 * 1024;

export interface PostgresOptions {
  /** Where the cluster, its log and its superuser's password are kept. */
  directory: string;
  /** The port on 127.0.0.1; a free one is chosen when absent. */
  port?: number | undefined;
  /** `false` only for throw-away data: no fsync, so that a crash of the machine loses the cluster. Default `true`. */
  durable?: boolean | undefined;
  /** Told of what takes time, in words for a person. */
  onProgress?: ((message: string) => void) | undefined;
}

/** How to run the server process. Give it to `spawn(file, args, { cwd, env, uid, gid })`. */
export interface PostgresCommand {
  file: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Set when this process is root: Postgres refuses to run as root. */
  uid?: number;
  gid?: number;
}

export interface PreparedPostgres {
  command: PostgresCommand;
  /** The superuser's URL of the database `postgres`. Valid once the server runs. */
  adminUrl: string;
  host: string;
  port: number;
  dataDirectory: string;
  /** Where the server's stderr belongs. */
  logFile: string;
}

export interface RunningPostgres extends PreparedPostgres {
  pid: number;
  process: ChildProcess;
  /** Settles when the server process is gone, however it went. */
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** `fast` ends the sessions and writes a checkpoint; `immediate` recovers on the next start. Default `fast`. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

/** The server cannot be started, for a reason that a person can change. */
export class PostgresStartError extends Error {
  override readonly name = 'PostgresStartError';
}

/**
 * Makes everything ready to spawn the server: creates the cluster on first use, waits for what a killed server left
 * behind, and settles on a port.
 *
 * @throws PostgresStartError when the port is taken, or a server already runs on the directory.
 */
export async function preparePostgres(options: PostgresOptions): Promise<PreparedPostgres> {
  const identity = await serverIdentity();
  const binaries = await findPostgresBinaries(identity, options.onProgress);
  const directory = await reachableDirectory(resolve(options.directory), identity, options.onProgress);
  const dataDirectory = join(directory, 'data');
  const password = await superuserPassword(directory);
  if (existsSync(join(dataDirectory, 'PG_VERSION'))) {
    await removeRemains(dataDirectory);
  } else {
    await initialize({ directory, dataDirectory, password, identity, binaries, options });
  }
  const port = await choosePort(options.port);
  const logFile = join(directory, 'postgres.log');
  await rotateLog(logFile);
  return {
    command: postgresCommand({ binaries, identity, dataDirectory, port, durable: options.durable ?? true }),
    adminUrl: `postgresql://${SUPERUSER}:${password}@${HOST}:${port}/postgres`,
    host: HOST,
    port,
    dataDirectory,
    logFile,
  };
}

/** The exact command line of the server. Its settings suit a laptop that runs the whole stack. */
export function postgresCommand(server: {
  binaries: PostgresBinaries;
  identity: UserIdentity | undefined;
  dataDirectory: string;
  port: number;
  durable: boolean;
}): PostgresCommand {
  const settings: Record<string, string | number> = {
    listen_addresses: HOST,
    port: server.port,
    unix_socket_directories: '',
    max_connections: MAX_CONNECTIONS,
    password_encryption: 'scram-sha-256',
    shared_buffers: '128MB',
    effective_cache_size: '512MB',
    work_mem: '8MB',
    max_wal_size: '1GB',
    wal_compression: 'on',
    checkpoint_timeout: '15min',
    random_page_cost: 1.1,
    // The work is short transactions; parallel plans would only need more shared memory than containers grant.
    max_parallel_workers_per_gather: 0,
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %q%u@%d ',
    log_min_duration_statement: '1s',
    log_lock_waits: 'on',
    fsync: server.durable ? 'on' : 'off',
    synchronous_commit: server.durable ? 'on' : 'off',
    full_page_writes: server.durable ? 'on' : 'off',
  };
  return {
    file: server.binaries.postgres,
    args: [
      '-D',
      server.dataDirectory,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    cwd: server.dataDirectory,
    env: serverEnvironment(),
    ...server.identity,
  };
}

/**
 * Starts the server as a child of this process and waits until it answers.
 *
 * @throws PostgresStartError with the end of the server's log when it does not come up.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const prepared = await preparePostgres(options);
  options.onProgress?.(`Starting Postgres on port ${prepared.port}`);
  const { file, args, ...spawnOptions } = prepared.command;
  const log = await open(prepared.logFile, 'a');
  const child = spawn(file, args, { ...spawnOptions, stdio: ['ignore', log.fd, log.fd] });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done, failed) => {
    child.once('error', failed);
    child.once('exit', (code, signal) => done({ code, signal }));
  });
  try {
    await Promise.race([
      waitForPostgres(prepared.adminUrl),
      exited.then(async () => {
        throw new PostgresStartError(`Postgres ended while starting:\n${await endOf(prepared.logFile)}`);
      }),
    ]);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    await log.close();
  }
  return {
    ...prepared,
    pid: child.pid ?? 0,
    process: child,
    exited,
    stop: async (mode = 'fast') => {
      if (child.exitCode === null && child.signalCode === null)
        child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await exited;
    },
  };
}

/** Waits until the server accepts a session: it may be starting, recovering after a crash, or not spawned yet. */
export async function waitForPostgres(
  adminUrl: string,
  { timeoutMs = 60_000, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const refusal = await connectionRefusal(adminUrl);
    if (refusal === undefined) return;
    if (isFinalRefusal(refusal))
      throw new PostgresStartError(`Postgres refuses the superuser: ${refusal.message}`);
    if (Date.now() > deadline) {
      throw new PostgresStartError(`Postgres does not answer after ${timeoutMs} ms: ${refusal.message}`);
    }
    await delay(50);
  }
}

async function connectionRefusal(url: string): Promise<(Error & { code?: string }) | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Wrong password or no such database: waiting does not help. */
function isFinalRefusal(error: { code?: string }): boolean {
  return error.code === '28P01' || error.code === '28000' || error.code === '3D000';
}

/** The superuser's password is kept with the cluster it opens; it is written before the cluster is made. */
async function superuserPassword(directory: string): Promise<string> {
  const path = join(directory, 'superuser-password');
  if (!existsSync(path))
    await writeFile(path, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' });
  return (await readFile(path, 'utf8')).trim();
}

async function initialize(cluster: {
  directory: string;
  dataDirectory: string;
  password: string;
  identity: UserIdentity | undefined;
  binaries: PostgresBinaries;
  options: PostgresOptions;
}): Promise<void> {
  const { directory, dataDirectory, password, identity, binaries, options } = cluster;
  options.onProgress?.('Creating the Postgres cluster (first start only)');
  // Made beside its place and renamed at the end, so that an interrupted first start leaves no half cluster.
  const unfinished = join(directory, 'data.new');
  const passwordFile = join(directory, 'initdb-password');
  await rm(unfinished, { recursive: true, force: true });
  await rm(passwordFile, { force: true });
  await mkdir(unfinished, { mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    if (identity) {
      await chown(unfinished, identity.uid, identity.gid);
      await chown(passwordFile, identity.uid, identity.gid);
    }
    await run(
      binaries.initdb,
      [
        `--pgdata=${unfinished}`,
        `--username=${SUPERUSER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-instructions',
        ...(options.durable === false ? ['--no-sync'] : []),
      ],
      { env: serverEnvironment(), cwd: directory, ...identity },
    );
    await rename(unfinished, dataDirectory);
  } catch (error) {
    throw new PostgresStartError(
      `The Postgres cluster cannot be created in ${directory}: ${messageOf(error)}`,
    );
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

/**
 * A killed server leaves `postmaster.pid`, and for a moment its backends. The server itself replaces the file of a
 * dead one, but takes any process that meanwhile got its number for a running server, and refuses to start while a
 * backend lives.
 */
async function removeRemains(dataDirectory: string): Promise<void> {
  const pidFile = join(dataDirectory, 'postmaster.pid');
  const lines = await readFile(pidFile, 'utf8').then(
    (text) => text.split('\n'),
    () => undefined,
  );
  if (!lines) return;
  const pid = Number(lines[0]);
  if (await isServerOf(pid, dataDirectory)) {
    throw new PostgresStartError(
      `Postgres already runs on ${dataDirectory} (process ${pid}, port ${lines[3] ?? 'unknown'}). ` +
        'Stop the stack that uses it first.',
    );
  }
  const deadline = Date.now() + 5_000;
  for (
    let left = await processesIn(dataDirectory);
    left.length > 0;
    left = await processesIn(dataDirectory)
  ) {
    // Backends end by themselves once they notice; one in the middle of a long computation does not.
    if (Date.now() > deadline) for (const backend of left) process.kill(backend, 'SIGKILL');
    await delay(50);
  }
  await rm(pidFile, { force: true });
}

async function isServerOf(pid: number, dataDirectory: string): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 1 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // A zombie has no command line any more.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  if (commandLine !== undefined) return commandLine.split('\0').includes(dataDirectory);
  if (existsSync('/proc/self')) return false;
  const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.includes(dataDirectory);
}

/** Server processes that still work in the data directory; known on Linux only. */
async function processesIn(dataDirectory: string): Promise<number[]> {
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid);
  const matches = await Promise.all(
    pids.map(async (pid) => {
      const [cwd, executable] = await Promise.all([
        readlink(`/proc/${pid}/cwd`).catch(() => ''),
        readlink(`/proc/${pid}/exe`).catch(() => ''),
      ]);
      return cwd === dataDirectory && /\/postgres( \(deleted\))?$/.test(executable);
    }),
  );
  return pids.filter((_, index) => matches[index]);
}

async function choosePort(wanted: number | undefined): Promise<number> {
  if (wanted === undefined || wanted === 0) return getPort({ host: HOST });
  const problem = await new Promise<NodeJS.ErrnoException | undefined>((done) => {
    const probe = createServer();
    probe.once('error', done);
    probe.listen({ host: HOST, port: wanted }, () => probe.close(() => done(undefined)));
  });
  if (!problem) return wanted;
  throw new PostgresStartError(
    problem.code === 'EADDRINUSE'
      ? `Port ${wanted} on ${HOST} is taken: choose another port for Postgres, or none to get a free one.`
      : `Port ${wanted} on ${HOST} cannot be used for Postgres: ${problem.message}`,
  );
}

/** The environment without `PG*`, which would change where the server and its clients look. */
function serverEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('PG') && !name.startsWith('LC_'),
  );
  return { ...Object.fromEntries(inherited), LANG: 'C', LC_ALL: 'C' };
}

async function rotateLog(logFile: string): Promise<void> {
  const size = await stat(logFile).then(
    (file) => file.size,
    () => 0,
  );
  if (size > MAX_LOG_BYTES) await rename(logFile, `${logFile}.1`);
}

async function endOf(logFile: string): Promise<string> {
  const log = await readFile(logFile, 'utf8').catch(() => '');
  return log.trimEnd().split('\n').slice(-10).join('\n');
}

function messageOf(error: unknown): string {
  const { message, stderr } = error as { message?: string; stderr?: string };
  return stderr?.trim() ? stderr.trim() : (message ?? String(error));
}
