import { defineConfig } from 'vitest/config';
import { common } from '../../../vitest.config.ts';

export default defineConfig({
  test: {
    ...common,
    include: ['test/replay/recording/*.recording.ts'],
    globalSetup: ['test/global-setup.ts'],
    maxWorkers: 2,
  },
});
