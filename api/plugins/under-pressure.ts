/** Says 503 early, while there is still time to say it: when the event loop cannot keep up. */
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../../shared/errors.ts';

export interface PressureOptions {
  /** Mean delay of the event loop over a second, above which requests are turned away. Milliseconds; 0 for never. */
  maxEventLoopDelayMs: number;
}

const RETRY_AFTER_S = 5;

async function pressure(app: FastifyInstance, { maxEventLoopDelayMs }: PressureOptions): Promise<void> {
  await app.register(underPressure, {
    maxEventLoopDelay: maxEventLoopDelayMs,
    pressureHandler: async () => {
      throw new Problem('unavailable', {
        reason: 'overloaded',
        detail: 'Too much is being asked right now.',
        retryAfterS: RETRY_AFTER_S,
      });
    },
  });
}

export default fp(pressure, { name: 'pressure' });
