/** A role is ready when everything that listens in it answers its readiness probe. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../shared/errors.ts';
import { HOST, PORTS, type RoleStart } from './roles.ts';

const PROBE_TIMEOUT_MS = 3_000;
const POLL_MS = 50;

/** Resolves once every listener says "ready"; never gives up by itself. */
export async function waitUntilReady(role: RoleStart, signal: AbortSignal): Promise<void> {
  await Promise.all(
    role.listeners.map(async (listener) => {
      const port = role.env[PORTS[listener].variable] ?? role.env['PORT'] ?? '';
      while ((await readiness(`http://${HOST}:${port}`, signal)) !== 'ready') {
        await delay(POLL_MS, undefined, { signal });
      }
    }),
  );
}

/** `ready`, or why not. */
export async function readiness(url: string, signal?: AbortSignal): Promise<string> {
  const timeout = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  try {
    const response = await fetch(`${url}/health/ready`, {
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    return response.ok ? 'ready' : `${response.status}: ${await response.text()}`;
  } catch (error) {
    signal?.throwIfAborted();
    return messageOf(error);
  }
}
