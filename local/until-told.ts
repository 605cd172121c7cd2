/**
 * How a command that runs until Ctrl-C learns that it is time: a signal, or the end of the npm that runs it. A second Ctrl-C
 * changes nothing: the stop takes seconds, and cutting it short would leave processes behind.
 */
import { readFileSync } from 'node:fs';
import { beginningOf, isSameProcess } from './supervisor/process-identity.mjs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const PARENT_CHECK_MS = 1_000;

export interface UntilTold {
  /** Settles with why. */
  promise: Promise<string>;
  /** Aborted then. */
  signal: AbortSignal;
  /** Stops listening: the process may end by itself. */
  forget(): void;
}

export function untilTold(): UntilTold {
  const controller = new AbortController();
  const { signal } = controller;
  const promise = new Promise<string>((resolve) => {
    signal.addEventListener('abort', () => resolve((signal.reason as Error).message));
  });
  const tell = (why: string) => controller.abort(new Error(why));
  const listeners = SIGNALS.map((name) => [name, () => tell(name)] as const);
  for (const [name, listener] of listeners) process.on(name, listener);
  const runners = npmAbove(process.ppid).map((pid) => ({ pid, beginning: beginningOf(pid) }));
  const timer = setInterval(() => {
    if (runners.some(({ pid, beginning }) => !isSameProcess(pid, beginning))) tell('npm is gone');
  }, PARENT_CHECK_MS).unref();
  return {
    promise,
    signal,
    forget: () => {
      clearInterval(timer);
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}

/** The parents up to the npm that runs us, or none when no npm does: who detached us on purpose wants us to stay. */
function npmAbove(parent: number): number[] {
  if (process.env['npm_lifecycle_event'] === undefined) return [];
  const above: number[] = [];
  for (let pid = parent; pid > 1 && above.length < 4; pid = parentOf(pid) ?? 0) {
    above.push(pid);
    if (/\bnpm\b/.test(commandOf(pid))) return above;
  }
  return [];
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
