/** What a start tells a person: each step while it lasts, and how long it took. A spinner on a terminal, lines elsewhere. */
import ora from 'ora';
import { messageOf } from '../shared/errors.ts';

/** A step of the start as it goes on. */
export interface StepUpdate {
  /** `Postgres`, `Temporal`, … */
  step: string;
  state: 'running' | 'done';
  /** What it does now, or what came of it. */
  detail?: string | undefined;
  elapsedMs: number;
}

export type OnStep = (update: StepUpdate) => void;

/** Runs a step and reports it. `work` tells what it is at with `say`; `describe` says what came of it. */
export async function runStep<T>(
  onStep: OnStep,
  step: string,
  work: (say: (detail: string) => void) => Promise<T>,
  describe: (result: T) => string | undefined,
): Promise<T> {
  const begunMs = performance.now();
  const report = (state: StepUpdate['state'], detail?: string) =>
    onStep({ step, state, detail, elapsedMs: performance.now() - begunMs });
  report('running');
  const result = await work((detail) => report('running', detail));
  report('done', describe(result));
  return result;
}

export interface StepReporter {
  onStep: OnStep;
  /** Takes the spinner off the screen. */
  stop(): void;
}

/** Without a terminal, what changes within a step is told this often at most. */
const PLAIN_INTERVAL_MS = 10_000;
/** A step that is over sooner needs no line for its beginning. */
const PLAIN_QUIET_MS = 1_500;

export function createStepReporter(stream: NodeJS.WriteStream = process.stderr): StepReporter {
  return stream.isTTY ? terminalReporter(stream) : plainReporter(stream);
}

function terminalReporter(stream: NodeJS.WriteStream): StepReporter {
  const spinner = ora({ stream, discardStdin: false });
  const running = new Map<string, string | undefined>();
  return {
    onStep: ({ step, state, detail, elapsedMs }) => {
      if (state === 'running') running.set(step, detail ?? running.get(step));
      else {
        running.delete(step);
        spinner.stopAndPersist({ symbol: '✓', text: lineOf(step, detail, elapsedMs) });
      }
      spinner.text = [...running].map(([name, what]) => (what ? `${name}: ${what}` : name)).join(' · ');
      if (running.size > 0 && !spinner.isSpinning) spinner.start();
      if (running.size === 0) spinner.stop();
    },
    stop: () => spinner.stop(),
  };
}

function plainReporter(stream: NodeJS.WritableStream): StepReporter {
  const toldAtMs = new Map<string, number>();
  return {
    onStep: ({ step, state, detail, elapsedMs }) => {
      if (state === 'done') {
        stream.write(`✓ ${lineOf(step, detail, elapsedMs)}\n`);
        return;
      }
      const last = toldAtMs.get(step);
      const isTime = last === undefined ? elapsedMs > PLAIN_QUIET_MS : elapsedMs - last > PLAIN_INTERVAL_MS;
      if (detail === undefined || !isTime) return;
      toldAtMs.set(step, elapsedMs);
      stream.write(`… ${step}: ${detail}\n`);
    },
    stop: () => undefined,
  };
}

function lineOf(step: string, detail: string | undefined, elapsedMs: number): string {
  return `${step}${detail ? `: ${detail}` : ''} (${(elapsedMs / 1000).toFixed(1)} s)`;
}

/** An error for a person: its own words, without a stack trace, when it is one of those that say what to do. */
export function explain(error: unknown): string {
  const known = [
    'PostgresStartError',
    'ProcessStartError',
    'StackRunsError',
    'TemporalSetupError',
    'TemporalWayClosed',
    'ConfigError',
    'Problem',
  ];
  if (error instanceof Error && !known.includes(error.name)) return error.stack ?? error.message;
  return messageOf(error);
}
