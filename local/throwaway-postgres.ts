// A Postgres for one run, with its data in a temporary folder. Neither outlives this process, however it ends: a guard
// process waits for that and clears up.
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { startPostgres } from './postgres.ts';

export interface ThrowawayPostgres {
  /** The superuser's URL of the database `postgres`. */
  adminUrl: string;
  /** Stops the server and removes its data. */
  stop(): Promise<void>;
}

export async function startThrowawayPostgres(
  options: { onProgress?: (message: string) => void } = {},
): Promise<ThrowawayPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'drone-delivery-postgres-'));
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
  const gone = once(guard, 'exit');
  const stop = async (): Promise<void> => {
    guard.ref();
    guard.stdin.end();
    await gone;
  };
  try {
    const postgres = await startPostgres({ ...options, directory, durable: false });
    postgres.process.unref();
    return { adminUrl: postgres.adminUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
