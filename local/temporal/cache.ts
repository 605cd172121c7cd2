/** The cache of what was downloaded or built: complete files only, put there by one process at a time. */
import { randomUUID } from 'node:crypto';
import { access, constants, link, mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const LOCK_POLL_MS = 250;

/**
 * Runs `work` while no other process runs it under the same name in this cache. A lock whose owner died is taken over.
 * Should two processes ever get in, each works in its own directory and the last rename wins: wasteful, not wrong.
 */
export async function withCacheLock<T>(
  cache: string,
  name: string,
  work: () => Promise<T>,
  onWait?: (ownerPid: number) => void,
): Promise<T> {
  await mkdir(cache, { recursive: true });
  const path = join(cache, `${name}.lock`);
  let announced = false;
  while (!(await tryLock(path))) {
    const owner = await lockOwner(path);
    if (owner !== undefined && !isAlive(owner)) {
      await rm(path, { force: true });
      continue;
    }
    if (owner !== undefined && !announced) onWait?.(owner);
    announced = true;
    await delay(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** A directory of its own beside its destination, so that what is made in it can be renamed into place. */
export async function makeWorkDirectory(cache: string): Promise<string> {
  const path = join(cache, `work-${process.pid}-${randomUUID().slice(0, 8)}`);
  await mkdir(path, { recursive: true });
  return path;
}

/** Moves a finished file or directory to its final name. What is there already stays: it is the same version. */
export async function install(source: string, destination: string): Promise<void> {
  await mkdir(dirname(destination), { recursive: true });
  try {
    await rename(source, destination);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(errorCode(error))) throw error;
  }
}

export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** The lock appears together with its owner's pid, so that no reader finds it empty. */
async function tryLock(path: string): Promise<boolean> {
  const draft = `${path}.${process.pid}-${randomUUID().slice(0, 8)}`;
  await writeFile(draft, String(process.pid));
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

async function lockOwner(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
