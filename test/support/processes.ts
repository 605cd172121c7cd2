/** Whether processes are still there. */
import { readFile } from 'node:fs/promises';
import { vi } from 'vitest';

/** True for a process that runs; false for one that is gone, or dead and only not yet collected by its parent. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state] = stat.slice(stat.lastIndexOf(')') + 2);
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Waits until the process is gone. */
export async function waitUntilGone(pid: number, timeoutMs = 10_000): Promise<void> {
  await vi.waitUntil(async () => !(await isRunning(pid)), { timeout: timeoutMs, interval: 50 });
}
