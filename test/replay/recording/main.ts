/**
 * `npm run histories:record [-- part-of-a-name…] [--again]`: leads deliveries down every path that has no golden history yet, and
 * adds theirs. It never changes one that is there.
 */
import { Command } from 'commander';
import { startVitest } from 'vitest/node';
import { HISTORIES } from '../histories.ts';
import { adopt } from '../manifest.ts';

const command = new Command('npm run histories:record --')
  .description(
    'Records a golden history for every path that has none. Adds to what is there, and changes none of it.',
  )
  .argument('[parts...]', 'only paths whose name contains one of these')
  .option('--again', 'also paths that have a history: what they do otherwise now is added beside it', false)
  .parse();
const { again } = command.opts<{ again: boolean }>();

const vitest = await startVitest('test', [], {
  watch: false,
  config: 'test/replay/recording/vitest.config.ts',
  provide: { recording: { again, only: command.args } },
});
const modules = vitest.state.getTestModules();
const paths = modules.flatMap((module) => [...module.children.allTests('failed')].map(({ name }) => name));
// A file that does not load, or whose lab does not open, has no failed test of its own.
const isBroken = modules.some((module) => module.state() === 'failed') && paths.length === 0;
const failed = [...paths, ...(isBroken ? ['those of a lab that did not open: try again'] : [])];
await vitest.close();
const added = await adopt(HISTORIES, () => new Date().toISOString());
console.log(
  added.length === 0 ? 'No history was added.' : `Added ${added.length} histories:\n  ${added.join('\n  ')}`,
);
if (failed.length > 0 || vitest.state.getUnhandledErrors().length > 0) {
  console.error(`Not recorded:\n  ${failed.join('\n  ')}`);
  process.exitCode = 1;
}
