/**
 * `npm run chaos`: starts the whole stack as separate processes, posts deliveries, kills, stops and cuts off whatever runs,
 * lets it settle and checks what was accepted against what the services hold. Exit code 0 only when nothing is wrong.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { createStepReporter, explain } from '../../local/progress.ts';
import { PROJECT_ROOT } from '../../local/roles.ts';
import { untilTold } from '../../local/until-told.ts';
import type { ChaosOptions } from './outcome.ts';
import { VICTIMS } from './plan.ts';
import { fullReport, isSound } from './report.ts';
import { runChaos } from './run.ts';
import { CI_SIZE } from './sizes.ts';

type Given = Pick<ChaosOptions, 'seed' | 'deliveries' | 'kills' | 'clockRate' | 'spared'> & {
  rate: number;
  settle: number;
  report?: string;
};

const given = new Command('npm run chaos --')
  .description(
    'Breaks a running stack in every way, and checks that no delivery was lost, doubled or left half done.',
  )
  .option('-d, --deliveries <number>', 'requests that are posted', wholeNumber, CI_SIZE.deliveries)
  .option(
    '-k, --kills <number>',
    'processes that are killed; stops and cut connections come on top',
    natural,
    CI_SIZE.kills,
  )
  .option('-s, --seed <text>', 'what the plan is made from', String(Date.now()))
  .option('-r, --rate <number>', 'requests a second', positiveNumber, CI_SIZE.ratePerS)
  .option('--clock-rate <rate>', 'clock seconds per second', positiveNumber, CI_SIZE.clockRate)
  .option(
    '--settle <seconds>',
    'how long it may take to settle',
    positiveNumber,
    CI_SIZE.settleWithinMs / 1_000,
  )
  .addOption(
    new Option('--spared <roles...>', 'who is neither killed nor stopped').choices(VICTIMS).default([]),
  )
  .option('--report <file>', 'where the report is written; .local/chaos-reports/ and the time unless told')
  .parse()
  .opts<Given>();

const told = untilTold();
const reporter = createStepReporter();
try {
  const { rate: ratePerS, settle, report: file, ...options } = given;
  const report = await runChaos({
    ...options,
    ratePerS,
    settleWithinMs: settle * 1_000,
    directory: join(PROJECT_ROOT, '.local', 'chaos'),
    say: (what) => {
      reporter.stop();
      console.log(what);
    },
    onStep: reporter.onStep,
    signal: told.signal,
  });
  const text = fullReport(report);
  console.log(`\n${text}\n`);
  // Beside the data, which the next run removes.
  const time = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const path = resolve(file ?? join(PROJECT_ROOT, '.local', 'chaos-reports', `${time}.txt`));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${text}\n`);
  console.log(`The report is kept in ${path}`);
  if (!isSound(report)) process.exitCode = 1;
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
} finally {
  reporter.stop();
  told.forget();
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('A whole number above 0.');
}

function natural(text: string): number {
  return text === '0' ? 0 : wholeNumber(text);
}

function positiveNumber(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError('A number above 0.');
}
