/**
 * The whole system on one machine: Postgres, Temporal and its UI, the codec server, the services, workers, the API and the
 * simulated fleet, each as a process that can be killed and started again by name.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Type } from 'typebox';
import { type ServicePasswords, serviceUrls } from '../prisma/provision.ts';
import { SERVICES, type ServiceName } from '../prisma/services.ts';
import { parseEnv } from '../shared/config.ts';
import { CLAIM_FILE, claimDirectory, nameKeeper } from './claim.ts';
import { prepareData, seedAccountsAndFleet } from './data.ts';
import { keptClock } from './kept-clock.ts';
import { postgresSpec, roleSpec, temporalSpec } from './process-specs.ts';
import { type OnStep, runStep } from './progress.ts';
import {
  type Layout,
  PORTS,
  type PortName,
  PROJECT_ROOT,
  type RoleName,
  rolesOf,
  type RoleStart,
  type StackSettings,
  urlOf,
} from './roles.ts';
import { keptSecrets } from './secrets.ts';
import { ACCOUNTS } from './seed/index.ts';
import { describeStack, type StackDescription, writeRolesFile, writeStackFile } from './stack-file.ts';
import { warningIn } from './supervisor/log-file.ts';
import { Supervisor, type SupervisorEvent } from './supervisor/supervisor.ts';
import type { TemporalPlan } from './temporal/plan.ts';
import { choosePorts } from './temporal/ports.ts';
import { resolveTemporal } from './temporal/resolve.ts';

/** Everything ends within this after Ctrl-C. */
const STOP_WITHIN_MS = 9_500;

/** These do nothing useful before Temporal and the services are there. */
const NEEDS_ALL: readonly RoleName[] = ['worker', 'api', 'simulator'];

export interface StackOptions {
  /** Data, logs, secrets. Default `.local` of the project. */
  directory?: string;
  /** Where stack.json and the claim are; default `directory`. */
  publishIn?: string;
  layout?: Layout;
  /** `usual`: 4000 and so on where they are free; `free`: any, for tests. */
  ports?: 'usual' | 'free';
  /** Clock seconds per wall second. Default: as kept, at first 1. */
  clockRate?: number;
  /** Start a role again that ended unasked. Default false. */
  restartCrashed?: boolean;
  /** Roles that somebody else plays. */
  without?: RoleName[];
  env?: NodeJS.ProcessEnv;
  /** The environment that a role gets instead of the given one: whoever stands between the roles points them at itself here. */
  roleEnv?: (name: RoleName, env: Record<string, string>) => Promise<Record<string, string>>;
  /** Called once the directory is claimed and before anything is read from it. */
  beforeStart?: () => Promise<void>;
  onStep?: OnStep;
  /** A warning or error that a role logged. */
  onWarning?: (role: string, warning: string) => void;
  onEvent?: (event: SupervisorEvent) => void;
  /** Gives the start up; what was started is stopped. */
  signal?: AbortSignal;
}

export interface Stack {
  readonly directory: string;
  /** What stack.json says. */
  readonly description: StackDescription;
  readonly stackFile: string;
  /** Names of the processes, in the order in which they were started. */
  readonly processes: string[];
  pid(name: string): number | undefined;
  /** Sends the signal and waits until the process is gone. It stays so until `restart`. */
  kill(name: string, signal?: NodeJS.Signals): Promise<void>;
  /** Starts a process again, stopping it first if it runs, and waits until it is ready. */
  restart(name: string): Promise<void>;
  /** Stops all in order within 10 s; a second call awaits the first. */
  stop(): Promise<void>;
}

/**
 * Starts everything and returns once every role has said that it is ready.
 *
 * @throws StackRunsError, ProcessStartError, PostgresStartError, TemporalSetupError or ConfigError, each in words for a
 *   person; nothing runs any more then.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const directory = resolve(options.directory ?? join(PROJECT_ROOT, '.local'));
  const publishIn = resolve(options.publishIn ?? directory);
  const paths = {
    claim: join(publishIn, CLAIM_FILE),
    stackFile: join(publishIn, 'stack.json'),
    roles: join(publishIn, 'roles.json'),
  };
  const onStep = options.onStep ?? (() => undefined);
  await claimDirectory(paths.claim, (detail) =>
    onStep({ step: 'Stack', state: 'running', detail, elapsedMs: Infinity }),
  );
  let supervisor: Supervisor | undefined;
  let starting: StackStart | undefined;
  try {
    await options.beforeStart?.();
    await mkdir(directory, { recursive: true });
    await removeFiles(paths.stackFile);
    supervisor = await Supervisor.create({
      restartCrashed: options.restartCrashed ?? false,
      onEvent: (event) => {
        void starting?.publish();
        options.onEvent?.(event);
      },
    });
    supervisor.claim([paths.stackFile, paths.claim]);
    await nameKeeper(paths.claim, supervisor.keeperPid);
    starting = new StackStart({ options, directory, paths, onStep, supervisor });
    return await starting.run();
  } catch (error) {
    await supervisor?.stopAll(STOP_WITHIN_MS);
    await removeFiles(paths.stackFile, paths.claim);
    throw error;
  }
}

interface Paths {
  claim: string;
  stackFile: string;
  roles: string;
}

/** One start, and the stack that came of it. */
class StackStart {
  readonly #options: StackOptions;
  readonly #layout: Layout;
  readonly #directory: string;
  readonly #logs: string;
  readonly #paths: Paths;
  readonly #onStep: OnStep;
  readonly #supervisor: Supervisor;
  #description: StackDescription | undefined;
  #writing: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(start: {
    options: StackOptions;
    directory: string;
    paths: Paths;
    onStep: OnStep;
    supervisor: Supervisor;
  }) {
    this.#options = start.options;
    this.#layout = start.options.layout ?? 'compact';
    this.#directory = start.directory;
    this.#logs = join(start.directory, 'logs');
    this.#paths = start.paths;
    this.#onStep = start.onStep;
    this.#supervisor = start.supervisor;
  }

  async run(): Promise<Stack> {
    const { env = process.env, signal } = this.#options;
    const secrets = await keptSecrets(
      join(this.#directory, 'secrets.json'),
      Object.values(ACCOUNTS).map(({ id }) => id),
    );
    const clock = await keptClock(join(this.#directory, 'clock.json'), this.#options.clockRate);
    const ports = await this.#choosePorts(env);
    const adminUrl = await this.#startPostgres(ports.postgres);
    const [temporal] = await atOnce(
      signal,
      () => this.#findTemporal(env, adminUrl, urlOf({ ports }, 'codec')),
      () =>
        runStep(
          this.#onStep,
          'Database',
          (say) => prepareData(adminUrl, secrets, say),
          (what) => what,
        ),
    );
    const databaseUrls = runtimeUrls(adminUrl, secrets.databasePasswords);
    const directory = this.#directory;
    const settings: StackSettings = { ports, databaseUrls, temporal, clock, secrets, directory };
    const roles = await this.#roles(settings);
    await writeRolesFile(this.#paths.roles, Object.fromEntries(roles));
    for (const one of temporal.processes) this.#supervisor.add(temporalSpec(one, this.#logs));
    for (const [name, role] of roles) this.#addRole(name, role, env);

    const names = roles.map(([name]) => name);
    const first = names.filter((name) => !NEEDS_ALL.includes(name));
    await atOnce(
      signal,
      (either) => this.#startTemporal(temporal, either),
      (either) => this.#startServices(first, settings, either),
    );
    for (const name of names.filter((one) => NEEDS_ALL.includes(one))) await this.#startRole(name, signal);

    this.#description = describeStack(settings, adminUrl, this.#layout);
    await this.publish();
    return this.#stack(this.#description);
  }

  async #roles(settings: StackSettings): Promise<[RoleName, RoleStart][]> {
    const { without, roleEnv } = this.#options;
    const roles = rolesOf(settings, this.#layout).filter(([name]) => !without?.includes(name));
    if (!roleEnv) return roles;
    return Promise.all(
      roles.map(async ([name, role]): Promise<[RoleName, RoleStart]> => [
        name,
        { ...role, env: await roleEnv(name, role.env) },
      ]),
    );
  }

  async #choosePorts(env: NodeJS.ProcessEnv): Promise<Record<PortName, number>> {
    const isUsual = (this.#options.ports ?? 'usual') === 'usual';
    return choosePorts(
      this.#directory,
      (Object.keys(PORTS) as PortName[]).map((name) => {
        const { variable, usual } = PORTS[name];
        const demanded = { variable, port: portIn(env, variable) };
        return { name, demanded, ...(isUsual && { preferred: usual }) };
      }),
    );
  }

  /** Answers the superuser's URL. */
  async #startPostgres(port: number): Promise<string> {
    return runStep(
      this.#onStep,
      'Postgres',
      async (say) => {
        const directory = join(this.#directory, 'postgres');
        const { spec, adminUrl } = await postgresSpec({ directory, port, onProgress: say });
        this.#supervisor.add(spec);
        await this.#supervisor.start('postgres', this.#options.signal);
        return adminUrl;
      },
      () => `port ${port}`,
    );
  }

  /** Downloads or builds it, on a first run. */
  async #findTemporal(env: NodeJS.ProcessEnv, adminUrl: string, codecUrl: string): Promise<TemporalPlan> {
    return runStep(
      this.#onStep,
      'Temporal found',
      (say) =>
        resolveTemporal(env, {
          stateDirectory: join(this.#directory, 'temporal'),
          postgresAdminUrl: adminUrl,
          codecEndpoint: codecUrl,
          onProgress: (message, detail) => say(detail === undefined ? message : `${message} (${detail})`),
        }),
      (plan) => plan.describe,
    );
  }

  async #startTemporal(plan: TemporalPlan, signal: AbortSignal | undefined): Promise<void> {
    await runStep(
      this.#onStep,
      'Temporal',
      async (say) => {
        for (const { name } of plan.processes) {
          say(`starting ${name}`);
          await this.#supervisor.start(name, signal);
        }
        say('namespace and search attributes');
        await plan.setUp(signal);
      },
      () => `${plan.address}, namespace ${plan.namespace} with its search attributes`,
    );
  }

  async #startServices(
    names: RoleName[],
    settings: StackSettings,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const name of names) await this.#startRole(name, signal);
    await runStep(
      this.#onStep,
      'Fleet and accounts',
      () => seedAccountsAndFleet(settings),
      (what) => what,
    );
  }

  #addRole(name: RoleName, role: RoleStart, env: NodeJS.ProcessEnv): void {
    const onLine = (line: string) => {
      const warning = warningIn(line);
      if (warning !== undefined) this.#options.onWarning?.(name, warning);
    };
    this.#supervisor.add(roleSpec(name, role, { env, logs: this.#logs, onLine }));
  }

  async #startRole(name: RoleName, signal: AbortSignal | undefined): Promise<void> {
    await runStep(
      this.#onStep,
      name,
      () => this.#supervisor.start(name, signal),
      () => `process ${this.#supervisor.pid(name) ?? 'gone'}`,
    );
  }

  #stack(description: StackDescription): Stack {
    const supervisor = this.#supervisor;
    return {
      directory: this.#directory,
      description,
      stackFile: this.#paths.stackFile,
      processes: supervisor.names,
      pid: (name) => supervisor.pid(name),
      kill: async (name, killSignal) => {
        await supervisor.kill(name, killSignal);
        await this.publish();
      },
      restart: async (name) => {
        await supervisor.stop(name);
        await supervisor.start(name);
        await this.publish();
      },
      stop: () => (this.#stopping ??= this.#stop()),
    };
  }

  async #stop(): Promise<void> {
    await this.#supervisor.stopAll(STOP_WITHIN_MS);
    await this.#writing;
    await removeFiles(this.#paths.stackFile, this.#paths.claim);
  }

  /** Writes stack.json anew, with the pids as they are now. Writes never overlap. */
  async publish(): Promise<void> {
    const description = this.#description;
    if (!description || this.#stopping) return;
    this.#writing = this.#writing.then(async () => {
      for (const name of this.#supervisor.names) {
        description.processes[name] = {
          pid: this.#supervisor.pid(name) ?? null,
          log: this.#supervisor.logFile(name),
        };
      }
      await writeStackFile(this.#paths.stackFile, description);
    });
    await this.#writing;
  }
}

/**
 * Does two things at once. When one fails the other is given up, and only then does this throw: nothing is started behind
 * the back of who cleans up.
 */
async function atOnce<A, B>(
  outer: AbortSignal | undefined,
  first: (signal: AbortSignal) => Promise<A>,
  second: (signal: AbortSignal) => Promise<B>,
): Promise<[A, B]> {
  const failed = new AbortController();
  const signal = outer ? AbortSignal.any([outer, failed.signal]) : failed.signal;
  const works = [first(signal), second(signal)] as const;
  for (const work of works) work.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(works);
  // The reason is the first error; what the abort itself caused comes later.
  if (failed.signal.aborted) throw failed.signal.reason;
  return Promise.all(works);
}

function runtimeUrls(
  adminUrl: string,
  passwords: Record<ServiceName, ServicePasswords>,
): Record<ServiceName, string> {
  return Object.fromEntries(
    SERVICES.map((service) => [service, serviceUrls(adminUrl, service, passwords[service]).runtimeUrl]),
  ) as Record<ServiceName, string>;
}

function portIn(env: NodeJS.ProcessEnv, variable: string): number | undefined {
  return parseEnv(
    Type.Object({ [variable]: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })) }),
    env,
  )[variable];
}

async function removeFiles(...paths: string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}
