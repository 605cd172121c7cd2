/** How each process of a stack is run: its command, when it counts as ready, how it is stopped. */
import { join } from 'node:path';
import { type PostgresOptions, preparePostgres, waitForPostgres } from './postgres.ts';
import { waitUntilReady } from './readiness.ts';
import { PROJECT_ROOT, type RoleName, type RoleStart, STOP_STAGE } from './roles.ts';
import type { ProcessSpec } from './supervisor/managed-process.ts';
import type { TemporalProcess } from './temporal/plan.ts';

/** The server of a directory, and the superuser's URL that it answers to. Creates the cluster on first use. */
export async function postgresSpec(
  options: PostgresOptions,
): Promise<{ spec: ProcessSpec; adminUrl: string }> {
  const { adminUrl, logFile, port } = await preparePostgres(options);
  const spec: ProcessSpec = {
    name: 'postgres',
    stage: STOP_STAGE.postgres,
    command: async () => (await preparePostgres({ ...options, port })).command,
    logFile,
    reports: false,
    ready: (signal) => waitForPostgres(adminUrl, { signal }),
    // "Fast": ends the sessions and writes a checkpoint.
    stopSignal: 'SIGINT',
    stopWithinMs: 4_000,
  };
  return { spec, adminUrl };
}

export function temporalSpec(
  { command: file, args, env, cwd, ...plan }: TemporalProcess,
  logs: string,
): ProcessSpec {
  return {
    name: plan.name,
    stage: STOP_STAGE[plan.name],
    command: async () => {
      await plan.prepare();
      return { file, args, cwd, env };
    },
    logFile: join(logs, `${plan.name}.log`),
    reports: false,
    ready: plan.ready,
    stopWithinMs: 2_000,
  };
}

export function roleSpec(
  name: RoleName,
  role: RoleStart,
  options: { env: NodeJS.ProcessEnv; logs: string; onLine: (line: string) => void },
): ProcessSpec {
  return {
    name,
    stage: name in STOP_STAGE ? STOP_STAGE[name as keyof typeof STOP_STAGE] : STOP_STAGE.services,
    command: async () => ({
      file: process.execPath,
      args: ['--import', import.meta.resolve('tsx'), join(PROJECT_ROOT, role.entry), ...role.args],
      cwd: PROJECT_ROOT,
      env: { ...inheritedEnv(options.env), ...role.env },
    }),
    logFile: join(options.logs, `${name}.log`),
    reports: true,
    ready: (signal) => waitUntilReady(role, signal),
    stopWithinMs: name === 'worker' ? 3_000 : 1_500,
    onLine: options.onLine,
  };
}

/** What a role may see of the environment of whoever started the stack: all but what npm or a test runner put there. */
function inheritedEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV$|NODE_CHANNEL)/.test(name)),
  );
}
