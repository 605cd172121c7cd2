/** Waiting for what a process of the plan answers. */
import { connectTemporal } from '../../shared/temporal/client.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { TemporalSetupError } from './plan.ts';

const FRONTEND_SERVICE = 'temporal.api.workflowservice.v1.WorkflowService';
/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const SERVING = 1;
const CALL_TIMEOUT_MS = 2_000;
const POLL_MS = 100;

export interface WaitOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Repeats `attempt` until it answers `true`. Errors count as "not yet"; the last one is told when the time is over.
 *
 * @throws TemporalSetupError after `timeoutMs` (default one minute).
 */
export async function waitUntil(
  what: string,
  attempt: () => Promise<boolean>,
  { timeoutMs = 60_000, signal }: WaitOptions = {},
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      if (await attempt()) return;
    } catch (error) {
      if (error instanceof TemporalSetupError) throw error;
      last = error;
    }
    if (Date.now() > deadline) {
      const why = last === undefined ? '' : `: ${messageOf(last)}`;
      throw new TemporalSetupError(`${what} not within ${timeoutMs / 1000} s${why}`, { cause: last });
    }
    await delay(POLL_MS, undefined, { signal });
  }
}

/** Waits until the frontend at `address` says that it serves. */
export async function waitForFrontend(address: string, options: WaitOptions = {}): Promise<void> {
  const { connection, close } = connectTemporal({ address, namespace: 'default' });
  try {
    await waitUntil(
      `Temporal at ${address} answers`,
      async () => {
        const { status }: { status: number } = await connection.withDeadline(
          Date.now() + CALL_TIMEOUT_MS,
          () => connection.healthService.check({ service: FRONTEND_SERVICE }),
        );
        return status === SERVING;
      },
      options,
    );
  } finally {
    await close();
  }
}

/** Waits until `url` answers with a success. */
export async function waitForHttp(url: string, options: WaitOptions = {}): Promise<void> {
  await waitUntil(
    `${url} answers`,
    async () => (await fetch(url, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) })).ok,
    options,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
