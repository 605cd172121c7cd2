/**
 * A process and all that descend from it, by their parents' ids: Postgres gives each backend a session of its own, so that no
 * process group holds them together.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * Sends a signal to the process and to every descendant. With SIGSTOP the process itself comes first, so that it has no more
 * children; those that a child has meanwhile are found too.
 * @returns how many were there to get it; 0: the process has ended
 */
export async function signalTree(root: number, signal: 'SIGSTOP' | 'SIGCONT'): Promise<number> {
  if (!send(root, signal)) return 0;
  const sent = new Set([root]);
  for (;;) {
    const found = (await descendantsOf(root)).filter((pid) => !sent.has(pid));
    if (found.length === 0) return sent.size;
    // One that has ended meanwhile needs no signal.
    for (const pid of found) {
      send(pid, signal);
      sent.add(pid);
    }
  }
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

async function descendantsOf(root: number): Promise<number[]> {
  const childrenOf = new Map<number, number[]>();
  for (const [pid, parent] of await parents()) {
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), pid]);
  }
  const found: number[] = [];
  for (const pids = [root]; pids.length > 0;) {
    const children = childrenOf.get(pids.pop() ?? 0) ?? [];
    found.push(...children);
    pids.push(...children);
  }
  return found;
}

/** Of every process that there is, with its parent. */
async function parents(): Promise<[pid: number, parent: number][]> {
  return existsSync('/proc/self/stat') ? parentsByProc() : parentsByPs();
}

async function parentsByProc(): Promise<[number, number][]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid): Promise<[number, number] | undefined> => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
      // The second field is the command in brackets and may hold anything; the fourth is the parent.
      const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      return parent === undefined ? undefined : [Number(pid), Number(parent)];
    }),
  );
  return found.filter((one) => one !== undefined);
}

async function parentsByPs(): Promise<[number, number][]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout
    .trim()
    .split('\n')
    .map((line): [number, number] => {
      const [pid, parent] = line.trim().split(/\s+/).map(Number);
      return [pid ?? 0, parent ?? 0];
    });
}
