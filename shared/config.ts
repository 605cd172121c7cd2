/** The environment, parsed once with a schema. All wrong values are named at once, each with what would be right. */
import addFormatsModule from 'ajv-formats';
import { envSchema } from 'env-schema';
import { type Static, type TObject, Type } from 'typebox';
import { type ClockSettings, LIVE_CLOCK } from './clock.ts';

// ajv-formats is CommonJS with a default export of its own.
const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;

/** The environment does not fit the schema; the message lists every wrong variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

interface AjvLikeError {
  instancePath?: string;
  message?: string;
  keyword?: string;
  params?: { missingProperty?: string; allowedValues?: unknown[] };
}

/**
 * Parses `env` (strings are coerced to the schema's types, defaults are filled in).
 * @throws {ConfigError} naming every wrong or missing variable.
 */
export function parseEnv<T extends TObject>(schema: T, env: NodeJS.ProcessEnv = process.env): Static<T> {
  // An empty variable means "not set": that is how a shell and a compose file unset one.
  const data = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  try {
    return envSchema<Static<T>>({
      schema,
      data,
      dotenv: false,
      env: false,
      ajv: {
        customOptions: (ajv) => {
          addFormats(ajv);
          return ajv;
        },
      },
    });
  } catch (error) {
    const errors = (error as { errors?: AjvLikeError[] }).errors;
    if (!errors) throw error;
    const lines = errors.map((one) => {
      const name = one.params?.missingProperty ?? one.instancePath?.replace(/^\//, '') ?? '?';
      const value = data[name];
      const allowed = one.params?.allowedValues ? `: ${one.params.allowedValues.join(', ')}` : '';
      const got =
        value === undefined
          ? ''
          : ` (got ${/key|password|secret|url/i.test(name) ? 'a value that is not shown' : JSON.stringify(value)})`;
      return `  ${name} ${one.keyword === 'required' ? 'is required' : `${one.message ?? 'is wrong'}${allowed}${got}`}`;
    });
    throw new ConfigError(`The environment has ${errors.length} wrong value(s):\n${lines.join('\n')}`);
  }
}

/** The variables of the clock port, common to every role. See docs: a time-lapse needs all roles to agree on them. */
export const ClockEnv = {
  CLOCK_RATE: Type.Number({
    exclusiveMinimum: 0,
    default: 1,
    description: 'How many times as fast as the wall’s the clock of deliveries and drones runs',
  }),
  CLOCK_ANCHOR_WALL_MS: Type.Number({
    default: 0,
    description:
      'Wall time at which a time-lapse began, Unix milliseconds; 0: the clock shows the wall’s time',
  }),
  CLOCK_ANCHOR_MS: Type.Number({
    default: 0,
    description: 'What the clock showed then, Unix milliseconds',
  }),
};

export function clockFromEnv(env: {
  CLOCK_RATE: number;
  CLOCK_ANCHOR_WALL_MS: number;
  CLOCK_ANCHOR_MS: number;
}): ClockSettings {
  if (env.CLOCK_RATE !== 1 && env.CLOCK_ANCHOR_WALL_MS === 0) {
    throw new ConfigError(
      'The environment has 1 wrong value(s):\n  CLOCK_ANCHOR_WALL_MS is required with CLOCK_RATE other than 1: the wall time at which the time-lapse began, the same for every role',
    );
  }
  return env.CLOCK_ANCHOR_WALL_MS === 0
    ? LIVE_CLOCK
    : { anchorWallMs: env.CLOCK_ANCHOR_WALL_MS, anchorMs: env.CLOCK_ANCHOR_MS, rate: env.CLOCK_RATE };
}
