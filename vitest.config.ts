import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

type TestOptions = NonNullable<ViteUserConfig['test']>;

/** Of the workflows' tests, those that need the real Temporal server; the others are in virtual time. */
const IN_REAL_TIME = 'audit|builds|races|reconcile|reset|slow-steps|timeouts';
const TIME_SKIPPING = `test/workflows/!(${IN_REAL_TIME}).test.ts`;
const NOT_OURS = ['node_modules/**', '.local/**', 'dist/**'];

/** Short files that take longest: sorted by size, as vitest does where it has not run before, one of them would end alone. */
const LONG = /\/matrix-(steps|compensations)\.test\.ts$/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

const NO_PROMISE_HOOKS = fileURLToPath(new URL('test/support/no-promise-hooks.cjs', import.meta.url));

/** Of every project, and of the recording of histories. */
export const common = {
  // Processes rather than threads: tests kill, signal and change the environment.
  pool: 'forks',
  // V8's own 16 MB are collected so often that the time-skipping tests took 251 s and not 235 s with 64 MB at most; all of it from the start saves 3 % more.
  execArgv: ['--min-semi-space-size=64', '--max-semi-space-size=128'],
  // Tests wait for conditions: this is only how soon a hanging one is given up, on a machine that does much else.
  testTimeout: 90_000,
  hookTimeout: 60_000,
  // Vitest's own second is over before a busy machine has come to it.
  expect: { poll: { timeout: 30_000 } },
} satisfies TestOptions;

export default defineConfig({
  test: {
    globalSetup: ['test/global-setup.ts'],
    // Of two cores one would often stand still: much of what is tested waits for a server, a timer or a flight.
    maxWorkers: 3,
    teardownTimeout: 20_000,
    // A test that hangs must not hold the run for ever, nor hide what else fails.
    bail: 0,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...common,
          name: 'time-skipping',
          include: [TIME_SKIPPING],
          exclude: NOT_OURS,
          // One process runs several files, whose code is warm by then, and which share a lab (`Lab.shared`).
          isolate: false,
          // The optimizing compiler takes longer here than its code saves: 181 s with it, 165 s without.
          execArgv: [...common.execArgv, '--no-turbofan', '--require', NO_PROMISE_HOOKS],
        },
      },
      {
        test: {
          ...common,
          name: 'others',
          include: ['**/*.test.ts'],
          exclude: [...NOT_OURS, TIME_SKIPPING],
        },
      },
    ],
  },
});
