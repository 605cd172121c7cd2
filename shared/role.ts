/**
 * A role as a process: build it, listen, say so, and go down gracefully. A role started by a supervisor reports over IPC and
 * does not outlive it.
 */
import closeWithGrace from 'close-with-grace';
import type { Logger } from './logger.ts';

export interface RunningRole {
  /** Where it is reached, if it listens. */
  url: string | null;
  close(): Promise<void>;
}

const CLOSE_WITHIN_MS = 9_000;

/**
 * Runs a role until it is told to stop (SIGTERM, SIGINT, or its parent is gone). A start that fails, a bad environment for
 * example, is one clear line and exit code 1.
 */
export async function runRole(logger: Logger, start: () => Promise<RunningRole>): Promise<void> {
  let role: RunningRole;
  try {
    role = await start();
  } catch (error) {
    logger.fatal({ err: error }, 'could not start');
    process.exitCode = 1;
    if (process.connected) process.disconnect();
    // Whatever was half started (a pool, a socket) must not keep a failed role alive.
    setTimeout(() => process.exit(1), 200).unref();
    return;
  }
  const grace = closeWithGrace({ delay: CLOSE_WITHIN_MS, logger: false }, async ({ err, signal }) => {
    if (err) logger.error({ err }, 'stopping after an error');
    else logger.info({ signal }, 'stopping');
    await role.close();
  });
  // With a supervisor gone, nobody would stop us: do it ourselves.
  process.once('disconnect', () => {
    grace.close();
  });
  process.send?.({ type: 'ready', url: role.url });
  logger.info({ url: role.url }, 'ready');
}
