/** `.local/stack.json`: where everything of the running stack is, for a person, a script or a test. There while it runs. */
import { readFile } from 'node:fs/promises';
import { SERVICES, type ServiceName } from '../prisma/services.ts';
import type { ClockSettings } from '../shared/clock.ts';
import { writePrivate } from './private-file.ts';
import { type Layout, type Listener, type RoleStart, type StackSettings, urlOf } from './roles.ts';
import { ACCOUNTS } from './seed/index.ts';

export interface StackAccount {
  id: string;
  name: string;
  state: string;
  key: string;
}

export interface StackDescription {
  api_url: string;
  /** The API's reference page. */
  docs_url: string;
  temporal_address: string;
  temporal_namespace: string;
  temporal_ui_url: string | null;
  codec_url: string;
  /** Opened once in the browser that shows the Temporal UI, it lets that browser read the payloads. */
  codec_login_url: string;
  operator_key: string;
  /** The ordinary account's. */
  account_id: string;
  account_key: string;
  drone_key: string;
  /** The demo accounts, by what each one shows. */
  accounts: Record<string, StackAccount>;
  services: Record<ServiceName, string>;
  worker_url: string;
  simulator_url: string;
  /** The superuser's, on the database of the services. */
  postgres_url: string;
  layout: Layout;
  clock: ClockSettings;
  supervisor_pid: number;
  started_at: string;
  /** `pid` is null while the process does not run. */
  processes: Record<string, { pid: number | null; log: string }>;
}

/** What stack.json says of a stack with these settings; the pids are added as processes come and go. */
export function describeStack(settings: StackSettings, adminUrl: string, layout: Layout): StackDescription {
  const { secrets, temporal } = settings;
  const url = (listener: Listener) => urlOf(settings, listener);
  const key = (id: string) => secrets.accountKeys[id] ?? '';
  return {
    api_url: url('api'),
    docs_url: `${url('api')}/docs`,
    temporal_address: temporal.address,
    temporal_namespace: temporal.namespace,
    temporal_ui_url: temporal.uiUrl ?? null,
    codec_url: url('codec'),
    codec_login_url: `${url('codec')}/login?key=${encodeURIComponent(secrets.operatorKey)}`,
    operator_key: secrets.operatorKey,
    account_id: ACCOUNTS.standard.id,
    account_key: key(ACCOUNTS.standard.id),
    drone_key: secrets.droneKey,
    accounts: Object.fromEntries(
      Object.entries(ACCOUNTS).map(([shows, { id, name, state }]) => [
        shows,
        { id, name, state, key: key(id) },
      ]),
    ),
    services: Object.fromEntries(SERVICES.map((service) => [service, url(service)])) as Record<
      ServiceName,
      string
    >,
    worker_url: url('worker'),
    simulator_url: url('simulator'),
    postgres_url: adminUrl,
    layout,
    clock: settings.clock,
    supervisor_pid: process.pid,
    started_at: new Date().toISOString(),
    processes: {},
  };
}

export async function writeStackFile(path: string, description: StackDescription): Promise<void> {
  await writePrivate(path, `${JSON.stringify(description, null, 2)}\n`);
}

/** @throws when there is none: no stack runs in that directory. */
export async function readStackFile(path: string): Promise<StackDescription> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as StackDescription;
  } catch (cause) {
    throw new Error(`There is no running stack: ${path} cannot be read. Start one with npm start.`, {
      cause,
    });
  }
}

/** `.local/roles.json`: how each role of the last stack was started, so that one can be started by hand. */
export type RolesFile = Record<string, RoleStart>;

export async function writeRolesFile(path: string, roles: RolesFile): Promise<void> {
  await writePrivate(path, `${JSON.stringify(roles, null, 2)}\n`);
}

/** Undefined when no stack has run in the directory yet. */
export async function readRolesFile(path: string): Promise<RolesFile | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RolesFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
