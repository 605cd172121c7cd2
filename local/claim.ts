/**
 * One stack per directory: a claim names the process that runs it. A claim whose process is gone is stale and is taken over,
 * once the keeper of that stack has stopped what was left.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beginningOf, isSameProcess } from './supervisor/process-identity.mjs';

interface Claimant {
  /** One claim of one process. */
  nonce: string;
  pid: number;
  beginning: string | undefined;
  since: string;
  keeperPid?: number | undefined;
  keeperBeginning?: string | undefined;
}

/** The name of a claim, in the directory that it is about. */
export const CLAIM_FILE = 'stack.claim';

/** Another stack runs in the directory. */
export class StackRunsError extends Error {
  override readonly name = 'StackRunsError';
}

/** The keeper's own limit is shorter. */
const KEEPER_WITHIN_MS = 30_000;

/**
 * Claims the directory of `path` for this process.
 *
 * @throws StackRunsError when a living process has it.
 */
export async function claimDirectory(path: string, onProgress?: (message: string) => void): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const claim: Claimant = {
    nonce: randomUUID(),
    pid: process.pid,
    beginning: beginningOf(process.pid),
    since: new Date().toISOString(),
  };
  for (;;) {
    // Another start may have taken our claim for the stale one it found, and removed it.
    if ((await createOnly(path, claim)) && (await stillOurs(path, claim))) return;
    const other = await readClaim(path);
    if (other && isSameProcess(other.pid, other.beginning)) {
      throw new StackRunsError(
        `A stack runs in ${dirname(path)} already: process ${other.pid}, since ${other.since}. ` +
          `Its addresses are in stack.json there. Stop it first (Ctrl-C in its terminal, or kill ${other.pid}).`,
      );
    }
    if (other) await keeperGone(other, onProgress);
    await rm(path, { force: true });
  }
}

/** Writes the keeper into the claim, so that the next stack can wait for it. */
export async function nameKeeper(path: string, keeperPid: number | undefined): Promise<void> {
  const claim = await readClaim(path);
  if (!claim || keeperPid === undefined) return;
  await writeFile(path, JSON.stringify({ ...claim, keeperPid, keeperBeginning: beginningOf(keeperPid) }));
}

async function keeperGone(
  { keeperPid, keeperBeginning }: Claimant,
  onProgress: ((message: string) => void) | undefined,
): Promise<void> {
  if (keeperPid === undefined || !isSameProcess(keeperPid, keeperBeginning)) return;
  onProgress?.('The last stack was killed: waiting until its processes have stopped');
  const deadline = Date.now() + KEEPER_WITHIN_MS;
  while (isSameProcess(keeperPid, keeperBeginning)) {
    if (Date.now() > deadline) {
      throw new StackRunsError(
        `The last stack was killed, and its processes do not stop. Process ${keeperPid} waits for them.`,
      );
    }
    await delay(50);
  }
}

async function createOnly(path: string, claim: Claimant): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(JSON.stringify(claim));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function stillOurs(path: string, { nonce }: Claimant): Promise<boolean> {
  await delay(20);
  return (await readClaim(path))?.nonce === nonce;
}

async function readClaim(path: string): Promise<Claimant | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Claimant;
  } catch {
    // Gone meanwhile, or cut short by a crash while it was written.
    return undefined;
  }
}
