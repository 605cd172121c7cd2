/** `npm start`: keeps the whole stack up, with its data in `.local`, until Ctrl-C. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { Console } from './console.ts';
import { createStepReporter, explain } from './progress.ts';
import { startStack, type StackOptions } from './stack.ts';
import { untilTold } from './until-told.ts';

interface CommandLine {
  directory?: string;
  layout: 'compact' | 'separate';
  clockRate?: number;
  restart: boolean;
  ports: 'usual' | 'free';
}

const commandLine = new Command('npm start --')
  .description(
    'Runs the whole stack on this machine: Postgres, Temporal and its UI, the services, workers, the API and simulated drones.',
  )
  .option('-d, --directory <path>', 'where data, logs and secrets are kept (default: .local)')
  .addOption(
    new Option('-l, --layout <layout>', 'all services in one process, or each in its own')
      .choices(['compact', 'separate'])
      .default('compact'),
  )
  .option(
    '-r, --clock-rate <rate>',
    'time-lapse: clock seconds per second (default: as kept, at first 1)',
    positiveNumber,
  )
  .addOption(
    new Option('-p, --ports <ports>', 'the usual ports where they are free, or any free ones')
      .choices(['usual', 'free'])
      .default('usual'),
  )
  .option('--no-restart', 'leave a role that crashed or was killed as it is')
  .addHelpText('after', '\nPorts and addresses are set in the environment: see docs/configuration.md.')
  .parse()
  .opts<CommandLine>();

const screen = new Console();
const reporter = createStepReporter();
const told = untilTold();
const options: StackOptions = {
  ...(commandLine.directory !== undefined && { directory: commandLine.directory }),
  ...(commandLine.clockRate !== undefined && { clockRate: commandLine.clockRate }),
  layout: commandLine.layout,
  ports: commandLine.ports,
  restartCrashed: commandLine.restart,
  signal: told.signal,
  onStep: reporter.onStep,
  onWarning: (role, warning) => screen.warning(role, warning),
  onEvent: (event) => screen.event(event),
};
const begunMs = performance.now();
try {
  const stack = await startStack(options);
  reporter.stop();
  screen.ready(stack, performance.now() - begunMs);
  const signal = await told.promise;
  console.error(`\nStopping (${signal})`);
  const stopMs = performance.now();
  await stack.stop();
  console.error(
    `Stopped in ${((performance.now() - stopMs) / 1000).toFixed(1)} s. The data is kept in ${stack.directory}.`,
  );
} catch (error) {
  reporter.stop();
  if (!told.signal.aborted) {
    console.error(`\nThe stack could not be started.\n${explain(error)}`);
    process.exitCode = 1;
  }
} finally {
  told.forget();
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It is a number greater than 0.');
  return value;
}
