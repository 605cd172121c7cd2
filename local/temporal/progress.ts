/** Progress of what takes minutes: a spinner on a terminal, plain lines elsewhere. */
import ora from 'ora';
import { type OnProgress } from './plan.ts';

/** Without a terminal a step's details are told this often, not with every change. */
const PLAIN_DETAIL_INTERVAL_MS = 15_000;

export interface ProgressReporter {
  onProgress: OnProgress;
  /** Leaves the last message on the screen and the terminal as it was. */
  stop: () => void;
}

/** Reports on `stream`, the terminal's stderr by default. */
export function createProgressReporter(stream: NodeJS.WriteStream = process.stderr): ProgressReporter {
  return stream.isTTY ? terminalReporter(stream) : plainReporter(stream);
}

function terminalReporter(stream: NodeJS.WriteStream): ProgressReporter {
  const spinner = ora({ stream, discardStdin: false });
  let current: string | undefined;
  return {
    onProgress: (message, detail) => {
      if (current !== undefined && current !== message)
        spinner.stopAndPersist({ symbol: '·', text: current });
      current = message;
      spinner.text = detail === undefined ? message : `${message} (${detail})`;
      if (!spinner.isSpinning) spinner.start();
    },
    stop: () => {
      if (current !== undefined) spinner.stopAndPersist({ symbol: '·', text: current });
      current = undefined;
    },
  };
}

function plainReporter(stream: NodeJS.WritableStream): ProgressReporter {
  let current: string | undefined;
  let toldAt = 0;
  return {
    onProgress: (message, detail) => {
      if (message === current && Date.now() - toldAt < PLAIN_DETAIL_INTERVAL_MS) return;
      toldAt = Date.now();
      stream.write(message === current ? `  … ${detail ?? ''}\n` : `${message}\n`);
      current = message;
    },
    stop: () => undefined,
  };
}
