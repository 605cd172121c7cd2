/** For activities that take longer than a call: that they are alive. */
import { Context } from '@temporalio/activity';

/** One beat may be late, or lost. */
const BEATS_PER_TIMEOUT = 3;

/**
 * Does the work and says all the while that it is alive. When its worker dies, the activity is tried again after its heartbeat
 * timeout, and not only when all the time is over that it may take.
 * @throws what the work throws; a TypeError when its workflow gave the activity no heartbeat timeout
 */
export async function beating<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const { activityType, heartbeatTimeoutMs } = context.info;
  if (heartbeatTimeoutMs === undefined) throw new TypeError(`${activityType} has no heartbeat timeout.`);
  const beat = setInterval(() => context.heartbeat(), heartbeatTimeoutMs / BEATS_PER_TIMEOUT);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}
