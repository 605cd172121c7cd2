/** Says 503 early, while there is still time to say it: when the event loop cannot keep up, for longer than a hiccup. */
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../../shared/errors.ts';

export interface PressureOptions {
  /** Mean delay of the event loop over a second, above which requests are turned away. Milliseconds; 0 for never. */
  maxEventLoopDelayMs: number;
}

const SAMPLE_MS = 1_000;
const RETRY_AFTER_S = 5;

async function pressure(app: FastifyInstance, { maxEventLoopDelayMs }: PressureOptions): Promise<void> {
  /** When the present pressure was first and last seen, `performance.now()`. */
  let since = -Infinity;
  let last = -Infinity;
  await app.register(underPressure, {
    sampleInterval: SAMPLE_MS,
    maxEventLoopDelay: maxEventLoopDelayMs,
    pressureHandler: async () => {
      const now = performance.now();
      if (now - last > 2 * SAMPLE_MS) since = now;
      last = now;
      // One bad sample is the start of the process, or a pause that is over by now.
      if (now - since < 1.5 * SAMPLE_MS) return;
      throw new Problem('unavailable', {
        reason: 'overloaded',
        detail: 'Too much is being asked right now.',
        retryAfterS: RETRY_AFTER_S,
      });
    },
  });
}

export default fp(pressure, { name: 'pressure' });
