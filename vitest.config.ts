import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', '.local/**', 'dist/**'],
    globalSetup: ['test/global-setup.ts'],
    // Processes rather than threads: tests kill, signal and change the environment.
    pool: 'forks',
    maxWorkers: 2,
    // Much short-lived garbage: a bigger nursery is collected less often (measured: a twentieth of the time of a workflow test).
    execArgv: ['--max-semi-space-size=64'],
    // Tests wait for conditions: this is only how soon a hanging one is given up, on a machine that does much else.
    testTimeout: 90_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    // A test that hangs must not hold the run for ever, nor hide what else fails.
    bail: 0,
  },
});
