/**
 * `npm run demo`: starts the whole stack on data of its own, flies the scenarios in time-lapse through the public API, shows
 * them live, and ends with what became of each. Exit code 0 only when every delivery ended as expected and nothing is held.
 */
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { StackRunsError } from '../claim.ts';
import { Console } from '../console.ts';
import { removeData } from '../data.ts';
import { createStepReporter, explain } from '../progress.ts';
import { PROJECT_ROOT } from '../roles.ts';
import { type Stack, startStack } from '../stack.ts';
import { type UntilTold, untilTold } from '../until-told.ts';
import { direct } from './director.ts';
import { createDisplay } from './display.ts';
import { deviations } from './play.ts';
import { SCENARIOS } from './scenarios.ts';
import { summaryTable } from './summary.ts';

/** Clock seconds per second: a flight of ten minutes takes half a minute. */
const DEFAULT_RATE = 20;
/** The whole flying, wall time. It takes less than two minutes on two cores; a slower machine is given more. */
const WITHIN_MS = 6 * 60_000;

const LOCAL = join(PROJECT_ROOT, '.local');
const DATA = join(LOCAL, 'demo');

const { keep, rate } = new Command('npm run demo --')
  .description('Flies real deliveries in time-lapse on a stack of its own, and shows what becomes of each.')
  .option('-k, --keep', 'leave the stack up afterwards, until Ctrl-C', false)
  .option('-r, --rate <rate>', 'clock seconds per second', positiveNumber, DEFAULT_RATE)
  .parse()
  .opts<{ keep: boolean; rate: number }>();

const told = untilTold();
let stack: Stack | undefined;
try {
  stack = await start(told);
  await fly(stack, told);
  if (keep) await keepUp(stack, told);
} catch (error) {
  if (!told.signal.aborted) console.error(`\nThe demo could not be played.\n${explain(error)}`);
  process.exitCode = 1;
} finally {
  await stack?.stop();
  told.forget();
}

async function start({ signal }: UntilTold): Promise<Stack> {
  const reporter = createStepReporter();
  const options = { directory: DATA, clockRate: rate, signal, onStep: reporter.onStep } as const;
  const begunMs = performance.now();
  // Of an earlier demo nothing is kept: what is expected holds for a fleet that is at home.
  const startAfresh = (publishIn: string) =>
    startStack({ ...options, publishIn, beforeStart: () => removeData(DATA) });
  try {
    const started = await startAfresh(LOCAL).catch((error: unknown) => {
      // `npm start` may go on beside the demo: that keeps its own place.
      if (error instanceof StackRunsError) return startAfresh(DATA);
      throw error;
    });
    reporter.stop();
    new Console().ready(started, performance.now() - begunMs, 'Ctrl-C ends the demo.');
    return started;
  } finally {
    reporter.stop();
  }
}

async function fly(running: Stack, { signal }: UntilTold): Promise<void> {
  console.log(`\nFlying ${SCENARIOS.length} deliveries, ${rate} times as fast as real ones:\n`);
  const display = createDisplay();
  const { plays, held, elapsedMs } = await direct({
    stack: running.description,
    scenarios: SCENARIOS,
    display,
    withinMs: WITHIN_MS,
    signal,
  }).finally(() => display.done());
  console.log(`\n${summaryTable(plays, { colour: process.stdout.isTTY })}\n`);
  const wrong = plays.flatMap((play) =>
    deviations(play).map((what) => `${play.index + 1} ${play.scenario.name}: ${what}`),
  );
  const seconds = (elapsedMs / 1000).toFixed(0);
  if (wrong.length === 0 && held.length === 0) {
    console.log(`All ${plays.length} ended as expected, and nothing is held. It took ${seconds} s.`);
    return;
  }
  for (const line of wrong) console.log(`✗ ${line}`);
  for (const line of held) console.log(`✗ still held: ${line}`);
  console.log(
    `\nNot as expected (${wrong.length + held.length}). It took ${seconds} s. Logs: ${running.directory}/logs`,
  );
  process.exitCode = 1;
}

async function keepUp({ description }: Stack, { promise }: UntilTold): Promise<void> {
  console.log(
    `\nThe stack stays up: ${description.temporal_ui_url ?? description.api_url}. Ctrl-C stops it.`,
  );
  await promise;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It is a number greater than 0.');
  return value;
}
