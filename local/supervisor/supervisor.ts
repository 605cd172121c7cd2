/**
 * A set of processes that are started one by one, stopped in order of their stages, and watched: who ends unasked is started
 * again, when that is wanted. Knows nothing of what the processes do.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../shared/errors.ts';
import { Keeper } from './keeper.ts';
import { type Exit, ManagedProcess, type ProcessSpec, type ProcessState } from './managed-process.ts';

export interface SupervisorOptions {
  /** Start a process again that ended unasked: at once, then after 0.5, 1, 2 … 10 s while it keeps ending. */
  restartCrashed: boolean;
  onEvent?: (event: SupervisorEvent) => void;
}

/** What happens to a process besides a start and a stop that somebody asked for. */
export type SupervisorEvent =
  | { kind: 'crashed'; name: string; exit: Exit; againInMs: number | null }
  | { kind: 'restarted'; name: string; pid: number | undefined }
  | { kind: 'not-restarted'; name: string; error: string };

const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 10_000;
/** Who has run this long is taken for healthy: the next crash is its first. */
const HEALTHY_AFTER_MS = 30_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #keeper = new Keeper();
  readonly #processes = new Map<string, ManagedProcess>();
  readonly #crashes = new Map<string, { count: number; atMs: number }>();
  readonly #ending = new AbortController();

  private constructor(options: SupervisorOptions) {
    this.#options = options;
    // However many start at once, each of them waits for it: nothing is left on it once they are up.
    setMaxListeners(0, this.#ending.signal);
  }

  /** @throws when the keeper cannot be started. */
  static async create(options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = new Supervisor(options);
    await supervisor.#keeper.start();
    return supervisor;
  }

  get keeperPid(): number | undefined {
    return this.#keeper.pid;
  }

  /** Files that say that the stack runs; removed when everything has stopped after the supervisor was killed. */
  claim(files: string[]): void {
    this.#keeper.claim(files);
  }

  add(spec: ProcessSpec): void {
    if (this.#processes.has(spec.name)) throw new Error(`There are two processes with the name ${spec.name}`);
    this.#processes.set(
      spec.name,
      new ManagedProcess(spec, this.#keeper, (exit) => void this.#crashed(spec.name, exit)),
    );
  }

  /** Names in the order in which they were added. */
  get names(): string[] {
    return [...this.#processes.keys()];
  }

  pid(name: string): number | undefined {
    return this.#process(name).pid;
  }

  logFile(name: string): string {
    return this.#process(name).spec.logFile;
  }

  state(name: string): ProcessState {
    return this.#process(name).state;
  }

  /** @throws ProcessStartError when it does not come up. */
  async start(name: string, signal?: AbortSignal): Promise<void> {
    await this.#process(name).start(
      signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal,
    );
  }

  async stop(name: string): Promise<void> {
    await this.#process(name).stop();
  }

  /** Sends the signal, waits until the process is gone, and leaves it so. */
  async kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#process(name).kill(signal);
  }

  /**
   * Stops everything, one stage after the other. Each process is killed after its own time, and every one by the end of
   * `withinMs`: a stage that took long leaves less for those after it.
   */
  async stopAll(withinMs: number): Promise<void> {
    this.#ending.abort(new Error('The stack is being stopped'));
    const deadline = Date.now() + withinMs;
    const stages = [...new Set([...this.#processes.values()].map(({ spec }) => spec.stage))].sort(
      (a, b) => a - b,
    );
    for (const stage of stages) {
      const members = [...this.#processes.values()].filter(({ spec }) => spec.stage === stage);
      const later = stages.filter((one) => one > stage).length;
      // Every stage after this one is left a moment at least.
      const leftMs = Math.max(200, deadline - Date.now() - later * 300);
      await Promise.all(members.map((one) => one.stop(Math.min(one.spec.stopWithinMs, leftMs))));
    }
    await this.#keeper.stop();
  }

  async #crashed(name: string, exit: Exit): Promise<void> {
    const { onEvent } = this.#options;
    if (this.#isEnding()) return;
    if (!this.#options.restartCrashed) return onEvent?.({ kind: 'crashed', name, exit, againInMs: null });
    const firstInMs = this.#backoffMs(name);
    onEvent?.({ kind: 'crashed', name, exit, againInMs: firstInMs });
    for (let inMs = firstInMs; ; inMs = this.#backoffMs(name)) {
      try {
        await delay(inMs, undefined, { signal: this.#ending.signal, ref: false });
        await this.start(name);
        onEvent?.({ kind: 'restarted', name, pid: this.pid(name) });
        return;
      } catch (error) {
        // Stopped altogether, or somebody started it by hand meanwhile.
        if (this.#isEnding() || this.state(name) !== 'stopped') return;
        onEvent?.({ kind: 'not-restarted', name, error: messageOf(error) });
      }
    }
  }

  #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  #backoffMs(name: string): number {
    const last = this.#crashes.get(name);
    const count = last && Date.now() - last.atMs < HEALTHY_AFTER_MS ? last.count + 1 : 0;
    this.#crashes.set(name, { count, atMs: Date.now() });
    return count === 0 ? 0 : Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (count - 1));
  }

  #process(name: string): ManagedProcess {
    const process = this.#processes.get(name);
    if (!process) throw new Error(`There is no process ${name}; there are ${this.names.join(', ')}`);
    return process;
  }
}
