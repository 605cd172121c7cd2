/** The supervisor's end of the keeper: tells it which processes would be orphans, and starts another one if it is killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A process that must not outlive the supervisor. */
export interface KeptProcess {
  pid: number;
  /** Stages are stopped one after the other, the lowest first. */
  stage: number;
  signal: NodeJS.Signals;
  /** After this it is killed. */
  withinMs: number;
}

export class Keeper {
  readonly #kept = new Map<number, KeptProcess>();
  #claims: string[] = [];
  #child: ChildProcess | undefined;

  /** The keeper's own process. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** @throws when the process cannot be made. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'keeper.mjs')], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#child = child;
    await once(child, 'spawn');
    // A write to one that was just killed.
    child.stdin.on('error', () => undefined);
    child.unref();
    child.once('exit', () => {
      if (this.#child !== child) return;
      void this.start();
    });
    this.#tell({ op: 'claims', files: this.#claims });
    for (const one of this.#kept.values()) this.#tell({ op: 'keep', ...one });
  }

  keep(one: KeptProcess): void {
    this.#kept.set(one.pid, one);
    this.#tell({ op: 'keep', ...one });
  }

  forget(pid: number): void {
    this.#kept.delete(pid);
    this.#tell({ op: 'forget', pid });
  }

  /** Files that say that the supervisor runs: the keeper removes them once it has stopped everything. */
  claim(files: string[]): void {
    this.#claims = files;
    this.#tell({ op: 'claims', files });
  }

  /** Lets it go: it stops what it still keeps. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.ref();
    child.stdin?.end();
    await gone;
  }

  #tell(message: object): void {
    // A pipe to a child is written at once, before this call returns: nothing is lost if we are killed next.
    this.#child?.stdin?.write(`${JSON.stringify(message)}\n`);
  }
}
