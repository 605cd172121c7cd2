// A Postgres for one run, with its data in a temporary folder. Neither outlives this process, however it ends: a guard
// process waits for that and clears up.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reachableDirectory, serverIdentity } from './postgres-binaries.ts';
import { startPostgres, type RunningPostgres } from './postgres.ts';

export interface ThrowawayPostgres {
  /** The superuser's URL of the database `postgres`. */
  adminUrl: string;
  /** Kills the server as `kill -9` does, and waits until it is gone. */
  crash(): Promise<void>;
  /** Stops the server and keeps its data. */
  shutDown(): Promise<void>;
  /** Starts the server again, on the same port. */
  restart(): Promise<void>;
  /** Ends everything and removes the data. */
  stop(): Promise<void>;
}

export async function startThrowawayPostgres(
  options: { onProgress?: (message: string) => void } = {},
): Promise<ThrowawayPostgres> {
  const temporary = await mkdtemp(join(tmpdir(), 'drone-delivery-postgres-'));
  const directory = await reachableDirectory(temporary, await serverIdentity());
  if (directory !== temporary) await rm(temporary, { recursive: true });
  // A group of its own, so that a Ctrl-C or a kill of ours passes it by. It lives as long as its standard input is open.
  const guard = spawn(
    process.execPath,
    [join(import.meta.dirname, 'throwaway-postgres-guard.mjs'), directory],
    {
      detached: true,
      stdio: ['pipe', 'ignore', 'inherit'],
    },
  );
  guard.unref();
  const guardGone = once(guard, 'exit');
  const start = async (port?: number): Promise<RunningPostgres> => {
    const started = await startPostgres({ ...options, directory, port, durable: false });
    // It is the guard's to end: an open server does not keep this process alive.
    started.process.unref();
    return started;
  };
  const stop = async (): Promise<void> => {
    guard.ref();
    guard.stdin.end();
    await guardGone;
  };
  try {
    let postgres = await start();
    return {
      adminUrl: postgres.adminUrl,
      crash: async () => {
        postgres.process.kill('SIGKILL');
        await postgres.exited;
      },
      shutDown: () => postgres.stop(),
      restart: async () => {
        postgres = await start(postgres.port);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
