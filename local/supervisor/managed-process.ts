/** One child process of the supervisor: started, told to stop, killed, started again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../shared/errors.ts';
import type { Keeper } from './keeper.ts';
import { LogReader, prepareLogFile } from './log-file.ts';

export interface Command {
  file: string;
  args: string[];
  cwd: string;
  /** The whole environment of the process, not additions to one. */
  env: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
}

export interface ProcessSpec {
  name: string;
  /** Stages are stopped one after the other, the lowest first. */
  stage: number;
  /** Called before each start, so that what a killed process left behind can be cleared away. */
  command: () => Promise<Command>;
  logFile: string;
  /** The process says `{ type: 'ready' }` over IPC, and ends when the channel closes. */
  reports: boolean;
  /** Resolves once the process does its work. Repeated on every start. */
  ready: (signal: AbortSignal) => Promise<void>;
  /** Default 60 s. */
  readyWithinMs?: number;
  /** Default SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** After this it is killed. */
  stopWithinMs: number;
  /** Told of each line it logs. */
  onLine?: (line: string) => void;
}

export type ProcessState = 'stopped' | 'starting' | 'running' | 'stopping';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process that did not come up; the message ends with the last lines of its log. */
export class ProcessStartError extends Error {
  override readonly name = 'ProcessStartError';
}

const READY_WITHIN_MS = 60_000;

interface Running {
  child: ChildProcess;
  pid: number;
  exited: Promise<Exit>;
  log: LogReader;
}

export class ManagedProcess {
  readonly spec: ProcessSpec;
  readonly #keeper: Keeper;
  readonly #onUnexpectedExit: (exit: Exit) => void;
  #state: ProcessState = 'stopped';
  #running: Running | undefined;
  /** Somebody asked for the end of the present process. */
  #endWanted = false;

  constructor(spec: ProcessSpec, keeper: Keeper, onUnexpectedExit: (exit: Exit) => void) {
    this.spec = spec;
    this.#keeper = keeper;
    this.#onUnexpectedExit = onUnexpectedExit;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /**
   * Starts it and waits until it is ready.
   *
   * @throws ProcessStartError when it ends first or is not ready in time; it does not run then.
   */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'stopped') throw new Error(`${this.spec.name} is ${this.#state} already`);
    this.#state = 'starting';
    this.#endWanted = false;
    let running: Running | undefined;
    try {
      const command = await this.spec.command();
      signal?.throwIfAborted();
      running = await this.#spawn(command);
      await this.#becomeReady(running, signal);
      this.#state = 'running';
    } catch (error) {
      this.#endWanted = true;
      if (running) {
        kill(running, 'SIGKILL');
        await running.exited;
      }
      this.#state = 'stopped';
      throw error;
    }
  }

  /** Asks it to end, and kills it when it has not in time. Does nothing when it does not run. */
  async stop(withinMs = this.spec.stopWithinMs): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#endWanted = true;
    this.#state = 'stopping';
    kill(running, this.spec.stopSignal ?? 'SIGTERM');
    const timer = setTimeout(() => kill(running, 'SIGKILL'), withinMs);
    await running.exited;
    clearTimeout(timer);
  }

  /** Kills it and waits until it is gone. It stays so until `start`. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#endWanted = true;
    kill(running, signal);
    await running.exited;
  }

  async #spawn({ file, args, ...options }: Command): Promise<Running> {
    await prepareLogFile(this.spec.logFile);
    const log = new LogReader(this.spec.logFile, (line) => this.spec.onLine?.(line));
    // A session of its own: a Ctrl-C in the terminal reaches the supervisor only, which stops all in order.
    const child = spawn(file, args, {
      ...options,
      detached: true,
      stdio: this.spec.reports ? ['ignore', log.fd, log.fd, 'ipc'] : ['ignore', log.fd, log.fd],
    });
    const { pid } = child;
    if (pid === undefined) {
      const [error] = (await once(child, 'error')) as [Error];
      log.close();
      throw new ProcessStartError(`${this.spec.name} cannot be started: ${error.message}`);
    }
    this.#keeper.keep({
      pid,
      stage: this.spec.stage,
      signal: this.spec.stopSignal ?? 'SIGTERM',
      withinMs: this.spec.stopWithinMs,
    });
    const exited = new Promise<Exit>((resolve) => {
      child.once('exit', (code, exitSignal) => {
        this.#keeper.forget(pid);
        log.close();
        const wasRunning = this.#state === 'running';
        this.#running = undefined;
        if (this.#state !== 'starting') this.#state = 'stopped';
        resolve({ code, signal: exitSignal });
        if (wasRunning && !this.#endWanted) this.#onUnexpectedExit({ code, signal: exitSignal });
      });
    });
    child.on('error', () => undefined);
    const running = { child, pid, exited, log };
    this.#running = running;
    return running;
  }

  async #becomeReady(running: Running, outer: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const withinMs = this.spec.readyWithinMs ?? READY_WITHIN_MS;
    const signal = outer ? AbortSignal.any([over.signal, outer]) : over.signal;
    const quote = () => {
      if (running.child.exitCode === null && running.child.signalCode === null) running.log.read();
      return running.log.last
        .slice(-8)
        .map((line) => `\n  ${line}`)
        .join('');
    };
    try {
      await Promise.race([
        this.#reported(running, signal).then(() => this.spec.ready(signal)),
        running.exited.then(({ code, signal: by }) => {
          throw new ProcessStartError(
            `${this.spec.name} ended while starting (${by ?? `exit code ${code}`}). ${this.spec.logFile} ends with:${quote()}`,
          );
        }),
        delay(withinMs, undefined, { signal: over.signal, ref: false }).then(() => {
          throw new ProcessStartError(
            `${this.spec.name} is not ready after ${withinMs / 1000} s. ${this.spec.logFile} ends with:${quote()}`,
          );
        }),
        aborted(outer, over.signal),
      ]);
    } catch (error) {
      if (error instanceof ProcessStartError || outer?.aborted) throw error;
      throw new ProcessStartError(`${this.spec.name} is not ready: ${messageOf(error)}`, { cause: error });
    } finally {
      over.abort();
    }
  }

  async #reported({ child }: Running, signal: AbortSignal): Promise<void> {
    if (!this.spec.reports) return;
    for (;;) {
      const [message] = (await once(child, 'message', { signal })) as [unknown];
      if (typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready')
        return;
    }
  }
}

/** Rejects when `signal` is aborted; left pending otherwise, and let go once `over` is. */
function aborted(signal: AbortSignal | undefined, over: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (!signal) return;
    const abort = () =>
      reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { signal: over });
  });
}

function kill({ child }: Running, signal: NodeJS.Signals): void {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
}
