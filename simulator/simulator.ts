/** The whole simulator: one fleet of separate clients of the public drone endpoints, and its control port. */
import type { Static } from 'typebox';
import { droneOperations } from '../api/contract/drones.ts';
import { recipientOperations } from '../api/contract/recipients.ts';
import { parseRecipientSecrets } from '../services/delivery/contract/recipient.ts';
import { runningClock } from '../shared/clock.ts';
import { clockFromEnv } from '../shared/config.ts';
import { createClient } from '../shared/http/client.ts';
import type { Logger } from '../shared/logger.ts';
import type { RunningRole } from '../shared/role.ts';
import { buildControl } from './control.ts';
import type { SimulatorEnvironment } from './environment.ts';
import { Failures } from './failures.ts';
import { Fleet } from './fleet.ts';
import { fileMemory, FORGETFUL } from './memory.ts';
import { Recipients } from './recipients.ts';
import { run } from './runner.ts';

const CALL_TIMEOUT_MS = 5_000;

/** Starts it. The control port listens at once; it is ready when the fleet knows what it is doing. */
export async function startSimulator(
  env: Static<typeof SimulatorEnvironment>,
  logger: Logger,
): Promise<RunningRole & { url: string }> {
  const clock = runningClock(clockFromEnv(env));
  const endpoints = createClient(
    { ...droneOperations, ...recipientOperations },
    {
      baseUrl: env.API_URL,
      timeoutMs: CALL_TIMEOUT_MS,
      headers: { authorization: `Bearer ${env.DRONE_KEY}` },
    },
  );
  const failures = new Failures({
    seed: env.FAILURE_SEED,
    chances: {
      motor_failure: env.MOTOR_FAILURE_CHANCE,
      crash: env.CRASH_CHANCE,
      lost_link: env.LOST_LINK_CHANCE,
      sender_absent: env.SENDER_ABSENT_CHANCE,
      dropoff_blocked: env.DROPOFF_BLOCKED_CHANCE,
      recipient_absent: env.RECIPIENT_ABSENT_CHANCE,
    },
  });
  const memory = env.MEMORY_FILE === '' ? FORGETFUL : fileMemory(env.MEMORY_FILE);
  const fleet = new Fleet({
    endpoints,
    clock: clock.settings,
    wall: Date.now,
    logger,
    faultsFor: (aircraft, mission) => failures.faultsFor(aircraft, mission),
    memory,
  });
  const recipients =
    env.RECIPIENT_SECRETS === undefined
      ? undefined
      : new Recipients({
          endpoints,
          secret: parseRecipientSecrets(env.RECIPIENT_SECRETS)[0],
          logger,
        });
  const control = await buildControl({ fleet, failures, clock, logger });
  const runner = run({
    fleet,
    logger,
    telemetryIntervalMs: env.TELEMETRY_INTERVAL_MS,
    ...(recipients && { onLook: () => recipients.look(fleet.aircraft()) }),
  });
  control.addReadinessCheck('fleet', () => runner.checkReady());
  const close = async () => {
    await Promise.all([control.close(), runner.stop()]);
    await endpoints.close();
    memory.close();
  };
  try {
    return { url: await control.listen({ host: env.HOST, port: env.PORT }), close };
  } catch (error) {
    await close();
    throw error;
  }
}
