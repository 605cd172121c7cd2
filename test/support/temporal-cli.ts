/** A real Temporal command line for tests: one that is installed, or one built from its official module, once. */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { install, isExecutable, makeWorkDirectory, withCacheLock } from '../../local/temporal/cache.ts';
import { findCliBinary } from '../../local/temporal/cli-server.ts';
import { TemporalWayClosed } from '../../local/temporal/plan.ts';
import { cacheDirectory } from '../../local/temporal/settings.ts';

const run = promisify(execFile);
const CLI_MODULE = { path: 'github.com/temporalio/cli/cmd/temporal', version: '1.5.1' } as const;

/** A first build takes some minutes. */
export const CLI_TIMEOUT_MS = 20 * 60_000;

/** Undefined where there is neither a command line nor a Go to build one. */
export async function findRealCli(): Promise<string | undefined> {
  const cache = cacheDirectory();
  try {
    return (await findCliBinary(cache, process.env)).path;
  } catch (error) {
    if (!(error instanceof TemporalWayClosed)) throw error;
  }
  // Not where the stack looks: it would then prefer this server to the newer one that it builds.
  const path = join(cache, 'test', `temporal-cli-${CLI_MODULE.version}`);
  if (await isExecutable(path)) return path;
  const hasGo = await run('go', ['version']).then(
    () => true,
    () => false,
  );
  if (!hasGo) return undefined;
  await withCacheLock(cache, 'test-cli', async () => {
    if (await isExecutable(path)) return;
    const work = await makeWorkDirectory(cache);
    try {
      await run('go', ['install', '-ldflags', '-s -w', `${CLI_MODULE.path}@v${CLI_MODULE.version}`], {
        cwd: work,
        env: { ...process.env, GOBIN: work, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' },
        maxBuffer: 16e6,
      });
      await install(join(work, 'temporal'), path);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return path;
}
