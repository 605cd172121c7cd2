/**
 * The third way: the Temporal SDK's own download of the development server (and of the time-skipping test server). The
 * SDK hides the process that it starts, so it is used for the download only; the binary then runs like any other.
 */
import { spawn } from 'node:child_process';
import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install, withCacheLock } from './cache.ts';
import { CACHED_CLI_PREFIX, inspectCliBinary, type CliBinary } from './cli-server.ts';
import { TemporalWayClosed, type OnProgress } from './plan.ts';

/** Without one more byte for this long the site counts as out of reach. */
const STALL_MS = 20_000;

const PROGRAMS = {
  cli: { title: "Temporal's development server", filePrefix: 'temporal-sdk-typescript-' },
  'test-server': {
    title: "Temporal's time-skipping test server",
    filePrefix: 'temporal-test-server-sdk-typescript-',
  },
} as const;

/** @throws TemporalWayClosed when the download site cannot be reached. */
export async function downloadCliBinary(
  cache: string,
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress = () => undefined,
): Promise<CliBinary> {
  const downloaded = await downloadWithSdk('cli', cache, env, onProgress);
  const { serverVersion } = await inspectCliBinary(downloaded);
  if (serverVersion === undefined) {
    throw new TemporalWayClosed(`what the SDK downloaded to ${downloaded} is not Temporal's command line.`);
  }
  const path = join(cache, 'bin', `${CACHED_CLI_PREFIX}${serverVersion}`);
  await mkdir(dirname(path), { recursive: true });
  await copyFile(downloaded, `${path}.${process.pid}`);
  await install(`${path}.${process.pid}`, path);
  await rm(downloaded, { force: true });
  return { path, serverVersion };
}

/** Returns the downloaded file. @throws TemporalWayClosed */
export async function downloadWithSdk(
  program: keyof typeof PROGRAMS,
  cache: string,
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress = () => undefined,
): Promise<string> {
  const { title, filePrefix } = PROGRAMS[program];
  const directory = join(cache, 'download');
  await mkdir(directory, { recursive: true });
  return withCacheLock(
    cache,
    `download-${program}`,
    async () => {
      const present = await findDownload(directory, filePrefix);
      if (present) return present;
      const message = `Downloading ${title} from temporal.download (first run only)`;
      onProgress(message);
      const failure = await runDownload(program, directory, env, (detail) => onProgress(message, detail));
      const path = await findDownload(directory, filePrefix);
      if (path) return path;
      throw new TemporalWayClosed(`${title} cannot be downloaded: ${failure ?? 'the SDK left no file'}.`);
    },
    (owner) => onProgress(`Waiting for process ${owner}, which is downloading ${title}`),
  );
}

/** Returns why it failed; undefined on success. */
async function runDownload(
  program: string,
  directory: string,
  env: NodeJS.ProcessEnv,
  onDetail: (detail: string) => void,
): Promise<string | undefined> {
  const script = fileURLToPath(new URL('./sdk-download.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, program, directory], {
    env: { ...env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)));
  const startedAt = Date.now();
  let [bytes, movedAt, stalled] = [0, startedAt, false];
  const watch = setInterval(() => {
    void partialBytes(directory).then((now) => {
      if (now !== bytes) [bytes, movedAt] = [now, Date.now()];
      onDetail(`${(bytes / 1e6).toFixed(0)} MB, ${Math.round((Date.now() - startedAt) / 1000)} s`);
      stalled = Date.now() - movedAt > STALL_MS;
      if (stalled) child.kill('SIGKILL');
    });
  }, 1000);
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  }).finally(() => clearInterval(watch));
  if (code === 0) return undefined;
  return stalled ? `nothing came from temporal.download for ${STALL_MS / 1000} s` : downloadError(output);
}

/** The SDK's reason, out of a stack trace. */
function downloadError(output: string): string {
  const line = output.split('\n').find((text) => /error/i.test(text) && !text.trimStart().startsWith('at '));
  return line?.trim().slice(0, 300) ?? 'the SDK gave no reason';
}

async function findDownload(directory: string, prefix: string): Promise<string | undefined> {
  const name = (await readdir(directory)).find(
    (file) => file.startsWith(prefix) && !file.endsWith('.downloading'),
  );
  return name === undefined ? undefined : join(directory, name);
}

async function partialBytes(directory: string): Promise<number> {
  let sum = 0;
  for (const name of await readdir(directory)) {
    sum += (await stat(join(directory, name)).catch(() => undefined))?.size ?? 0;
  }
  return sum;
}
