import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withClient } from '../prisma/provision.ts';
import { preparePostgres, startPostgres, waitForPostgres, type RunningPostgres } from './postgres.ts';

describe('the embedded Postgres', () => {
  let directory: string;
  let running: RunningPostgres | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'drone-delivery-local-'));
  });
  afterEach(async () => {
    await running?.stop('immediate');
    running = undefined;
    await rm(directory, { recursive: true, force: true });
  });

  const start = async (port?: number): Promise<RunningPostgres> =>
    (running = await startPostgres({ directory, port }));
  const query = (sql: string): Promise<unknown[]> =>
    withClient(
      running?.adminUrl ?? '',
      async (admin) => (await admin.query<Record<string, unknown>>(sql)).rows,
    );

  it('tells what takes time, keeps its data and its password, and writes what the machine may lose', async () => {
    const progress: string[] = [];
    running = await startPostgres({ directory, onProgress: (message) => progress.push(message) });
    expect(progress[0]).toContain('Creating the Postgres cluster');
    expect(await query('SHOW fsync')).toEqual([{ fsync: 'on' }]);
    expect(await query('SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
    await query('CREATE TABLE kept AS SELECT 1 AS value');
    await running.stop();
    await start();
    expect(await query('SELECT value FROM kept')).toEqual([{ value: 1 }]);
    expect(running.logFile).toContain(directory);
    expect(await readFile(running.logFile, 'utf8')).toContain('database system is ready');
  });

  it('starts again on the same port after kill -9, with all that was committed', async () => {
    const { port, process: server, exited } = await start();
    await query('CREATE TABLE kept AS SELECT 1 AS value');
    server.kill('SIGKILL');
    await exited;
    expect(existsSync(join(directory, 'data', 'postmaster.pid'))).toBe(true);
    await start(port);
    expect(await query('SELECT value FROM kept')).toEqual([{ value: 1 }]);
  });

  it('is not misled when another process got the number of the killed server', async () => {
    const { process: server, exited } = await start();
    server.kill('SIGKILL');
    await exited;
    const pidFile = join(directory, 'data', 'postmaster.pid');
    const [, ...rest] = (await readFile(pidFile, 'utf8')).split('\n');
    await writeFile(pidFile, [String(process.ppid), ...rest].join('\n'));
    await start();
  });

  it('says that it runs already, and where', async () => {
    const { pid, port } = await start();
    await expect(preparePostgres({ directory })).rejects.toThrow(`process ${pid}, port ${port}`);
  });

  it('says that the port is taken', async () => {
    const port = await getPort({ host: '127.0.0.1' });
    const other = createServer().listen(port, '127.0.0.1');
    await expect(start(port)).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
    other.close();
  });

  it('begins anew when its first start was interrupted', async () => {
    await start();
    await running?.stop();
    await rm(join(directory, 'data'), { recursive: true });
    await writeFile(join(directory, 'data.new'), 'half a cluster');
    await start();
    expect(await query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('runs as a child of whoever spawns its command', async () => {
    const { command, adminUrl } = await preparePostgres({ directory });
    const { file, args, ...options } = command;
    const server = spawn(file, args, { ...options, stdio: 'ignore' });
    const exit = new Promise((done) => server.once('exit', done));
    await waitForPostgres(adminUrl);
    server.kill('SIGINT');
    expect(await exit).toBe(0);
  });

  it('gives up waiting when nobody answers, and says why', async () => {
    const port = await getPort({ host: '127.0.0.1' });
    const waiting = waitForPostgres(`postgresql://postgres:x@127.0.0.1:${port}/postgres`, { timeoutMs: 200 });
    await expect(waiting).rejects.toThrow('ECONNREFUSED');
  });
});

describe('a throwaway Postgres', () => {
  it('is gone with its data when the process that started it is killed', async () => {
    const script = `
      import { startThrowawayPostgres } from ${JSON.stringify(join(import.meta.dirname, 'throwaway-postgres.ts'))};
      const postgres = await startThrowawayPostgres();
      console.log(postgres.adminUrl);
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const adminUrl = await new Promise<string>((done) =>
      child.stdout.once('data', (line: Buffer) => done(line.toString().trim())),
    );
    const [settings] = await withClient(adminUrl, async (admin) => {
      return (await admin.query<{ data_directory: string }>('SHOW data_directory')).rows;
    });
    child.kill('SIGKILL');
    await expect.poll(() => existsSync(settings!.data_directory), { timeout: 10_000 }).toBe(false);
    await expect(waitForPostgres(adminUrl, { timeoutMs: 0 })).rejects.toThrow();
  });
});
