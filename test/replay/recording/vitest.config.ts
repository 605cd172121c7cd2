import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/replay/recording/*.recording.ts'],
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 90_000,
    hookTimeout: 60_000,
  },
});
