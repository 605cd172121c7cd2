/** What the simulator takes from its environment. */
import { Type } from 'typebox';
import { ClockEnv } from '../shared/config.ts';

const Chance = (what: string) =>
  Type.Number({ minimum: 0, maximum: 1, default: 0, description: `How likely ${what} on a mission` });

export const SimulatorEnvironment = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'Where the control port listens' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 4400, description: 'The control port' }),
  API_URL: Type.String({ default: 'http://127.0.0.1:4000', description: 'The public API' }),
  DRONE_KEY: Type.String({ minLength: 1, description: 'API key with the role drone, for the whole fleet' }),
  TELEMETRY_INTERVAL_MS: Type.Integer({
    minimum: 50,
    maximum: 60_000,
    default: 1_000,
    description: 'Wall time between two radio messages of an aircraft',
  }),
  MEMORY_FILE: Type.String({
    default: '',
    description:
      'Where the aircraft keep what nobody has acknowledged, so that it outlives the process; empty: nowhere',
  }),
  FAILURE_SEED: Type.String({
    default: '1',
    description: 'With the same seed, the same reservation meets the same failures',
  }),
  MOTOR_FAILURE_CHANCE: Chance('a motor fails'),
  CRASH_CHANCE: Chance('a drone crashes'),
  LOST_LINK_CHANCE: Chance('the link is lost'),
  SENDER_ABSENT_CHANCE: Chance('nobody is at the pickup'),
  DROPOFF_BLOCKED_CHANCE: Chance('the dropoff is blocked'),
  RECIPIENT_ABSENT_CHANCE: Chance('nobody confirms it at the dropoff'),
  RECIPIENT_SECRETS: Type.Optional(
    Type.String({
      pattern: '^[^,]{32,}(,[^,]{32,})*$',
      description:
        'The delivery service’s: simulated recipients know their links and PINs by it. Without, nobody confirms a delivery',
    }),
  ),
  ...ClockEnv,
});
