/** The simulator as a process: one fleet of separate clients of the public drone endpoints, and its control port. */
import { createClient } from '../shared/http/client.ts';
import { runningClock } from '../shared/clock.ts';
import { clockFromEnv, parseEnv } from '../shared/config.ts';
import { createLogger } from '../shared/logger.ts';
import { runRole } from '../shared/role.ts';
import { droneOperations } from '../api/contract/drones.ts';
import { buildControl } from './control.ts';
import { SimulatorEnvironment } from './environment.ts';
import { Failures } from './failures.ts';
import { Fleet } from './fleet.ts';
import { run } from './runner.ts';

const logger = createLogger({ role: 'simulator' });

await runRole(logger, async () => {
  const env = parseEnv(SimulatorEnvironment);
  const clock = runningClock(clockFromEnv(env));
  const endpoints = createClient(droneOperations, {
    baseUrl: env.API_URL,
    timeoutMs: 5_000,
    headers: { authorization: `Bearer ${env.DRONE_KEY}` },
  });
  const failures = new Failures({
    seed: env.FAILURE_SEED,
    chances: {
      motor_failure: env.MOTOR_FAILURE_CHANCE,
      lost_link: env.LOST_LINK_CHANCE,
      sender_absent: env.SENDER_ABSENT_CHANCE,
      dropoff_blocked: env.DROPOFF_BLOCKED_CHANCE,
    },
  });
  const fleet = new Fleet({
    endpoints,
    clock: clock.settings,
    wall: Date.now,
    logger,
    faultsFor: (aircraft, mission) => failures.faultsFor(aircraft, mission),
  });
  const control = await buildControl({ fleet, failures, clock, logger });
  const runner = run({ fleet, logger, telemetryIntervalMs: env.TELEMETRY_INTERVAL_MS });
  control.addReadinessCheck('fleet', () => runner.checkReady());
  const url = await control.listen({ host: env.HOST, port: env.PORT });
  return {
    url,
    async close() {
      await Promise.all([control.close(), runner.stop()]);
      await endpoints.close();
    },
  };
});
