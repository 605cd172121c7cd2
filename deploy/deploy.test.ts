/** Holds the compose file and the manifests against what the roles read, and against the local stack's settings. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TObject, TSchema } from 'typebox';
import { parseAllDocuments } from 'yaml';
import { describe, expect, it } from 'vitest';
import { ROLE_ENVIRONMENTS } from '../local/environments.ts';
import { SeedEnvironment } from '../local/seed-environment.ts';
import { DYNAMIC_CONFIG, HISTORY_SHARDS } from '../local/temporal/server-config.ts';
import { SERVER_MODULE, UI_SERVER_MODULE } from '../local/temporal/versions.ts';
import { MAX_CONNECTIONS, TEMPORAL_POOL_SIZE } from '../prisma/connection-budget.ts';
import { SERVICES } from '../prisma/services.ts';
import { parsePayloadKeys } from '../shared/temporal/codec.ts';
import { withSecrets } from './make-env.ts';
import { SetupTemporalEnvironment } from './setup-temporal-environment.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const documents = (path: string): unknown[] =>
  parseAllDocuments(read(path), { merge: true }).map((document) => document.toJS() as unknown);

/** The role that a command runs: its entry file, and for the services their names. */
const ROLE_OF_ENTRY: Readonly<Record<string, string>> = {
  'api/main.ts': 'api',
  'workers/main.ts': 'worker',
  'simulator/main.ts': 'simulator',
  'local/codec-server-main.ts': 'codec',
};
/** Read by the logger of every role. */
const EVERY_ROLE = ['LOG_LEVEL', 'LOG_FORMAT'];
/** The image sets it. */
const OF_THE_IMAGE = ['HOST'];

/** The addresses of all services go to whoever calls one of them. */
const SERVICE_URLS = SERVICES.map((service) => `${service.toUpperCase()}_URL`);

const SCHEMAS: Readonly<Record<string, TObject>> = {
  ...ROLE_ENVIRONMENTS,
  'local/seed.ts': SeedEnvironment,
  'deploy/setup-temporal.ts': SetupTemporalEnvironment,
};

function environmentOf(command: readonly string[]) {
  const [entry = '', name = ''] = command;
  const role = entry === 'services/main.ts' ? name : (ROLE_OF_ENTRY[entry] ?? entry);
  const schema = SCHEMAS[role];
  if (!schema) throw new Error(`No role is run by ${command.join(' ')}`);
  const defaults = Object.entries<TSchema>(schema.properties).filter(([, one]) => 'default' in one);
  const optional = new Set(defaults.map(([variable]) => variable));
  return {
    reads: [...Object.keys(schema.properties), ...EVERY_ROLE],
    requires: schema.required.filter((variable) => !optional.has(variable)),
  };
}

interface ComposeService {
  image: string;
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
}

describe('docker-compose.yml', () => {
  const [file] = documents('docker-compose.yml') as [{ services: Record<string, ComposeService> }];
  const { services } = file;
  const ours = Object.entries(services).filter(([, one]) => one.image.startsWith('drone-delivery:'));
  const roles = ours.filter(([, one]) => one.entrypoint === undefined);
  const environment = (name: string) => services[name]?.environment ?? {};

  it('runs every role', () => {
    const started = roles.map(([name]) => name);
    expect(started).toEqual(expect.arrayContaining([...SERVICES, 'api', 'worker', 'codec', 'simulator']));
  });

  it.each(roles)('gives %s the variables that it reads, and no others', (name, { command = [] }) => {
    expect(existsSync(join(ROOT, command[0] ?? ''))).toBe(true);
    const { reads, requires } = environmentOf(command);
    const given = Object.keys(environment(name));
    const known = [...reads, ...SERVICE_URLS];
    expect(given.filter((variable) => !known.includes(variable))).toEqual([]);
    expect(requires.filter((variable) => !given.includes(variable))).toEqual([]);
  });

  it('asks each role at the port where it listens whether it is ready', () => {
    for (const [name, { healthcheck, command = [] }] of roles) {
      if (!healthcheck) continue;
      const port = command[0] === 'services/main.ts' ? `${name.toUpperCase()}_PORT` : 'PORT';
      const [, , , asked = environment(name)['PORT']] = healthcheck.test;
      expect([name, asked]).toEqual([name, environment(name)[port]]);
    }
  });

  it('finds each service where it listens', () => {
    for (const [, { environment: given = {} }] of roles) {
      for (const service of SERVICES) {
        const url = given[`${service.toUpperCase()}_URL`];
        const port = environment(service)[`${service.toUpperCase()}_PORT`];
        if (url !== undefined) expect(url).toBe(`http://${service}:${port ?? '?'}`);
      }
    }
  });

  it('migrates with the URLs of all owners and runtime roles', () => {
    const expected = SERVICES.flatMap((service) => [
      `${service.toUpperCase()}_OWNER_DATABASE_URL`,
      `${service.toUpperCase()}_DATABASE_URL`,
    ]);
    expect(Object.keys(environment('migrate')).sort()).toEqual(['ADMIN_DATABASE_URL', ...expected].sort());
    for (const service of SERVICES) {
      const variable = `${service.toUpperCase()}_DATABASE_URL`;
      const without = (url: string | undefined) => url?.replace(/:\?[^}]*/, '');
      expect(without(environment(service)[variable])).toBe(without(environment('migrate')[variable]));
    }
  });

  it('waits only for what there is', () => {
    for (const [, { depends_on: others = {} }] of Object.entries(services)) {
      for (const [other, { condition }] of Object.entries(others)) {
        expect(services).toHaveProperty([other]);
        if (condition === 'service_healthy') expect(services[other]?.healthcheck).toBeDefined();
      }
    }
  });

  it('publishes on this machine only', () => {
    const published = Object.values(services).flatMap((one) => one.ports ?? []);
    expect(published.length).toBeGreaterThan(0);
    expect(published.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('runs the versions and settings of the local stack', () => {
    expect(services['temporal']?.image).toBe(`temporalio/server:${SERVER_MODULE.version}`);
    expect(services['temporal-schema']?.image).toBe(`temporalio/admin-tools:${SERVER_MODULE.version}`);
    expect(services['temporal-ui']?.image).toBe(`temporalio/ui:${UI_SERVER_MODULE.version}`);
    expect(environment('temporal')).toMatchObject({
      NUM_HISTORY_SHARDS: String(HISTORY_SHARDS),
      SQL_MAX_CONNS: String(TEMPORAL_POOL_SIZE.defaultStore),
      SQL_VIS_MAX_CONNS: String(TEMPORAL_POOL_SIZE.visibilityStore),
    });
    expect(services['postgres']?.command).toContain(`max_connections=${MAX_CONNECTIONS}`);
    const [settings] = documents('deploy/temporal/dynamic-config.yaml') as [
      Record<string, { value: unknown; constraints: object }[]>,
    ];
    for (const [key, values] of Object.entries(settings)) {
      expect([key, values]).toEqual([key, [{ value: DYNAMIC_CONFIG[key], constraints: {} }]]);
    }
  });

  it('takes from .env exactly what .env.example has', () => {
    const used = new Set([...read('docker-compose.yml').matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name));
    const offered = [...read('.env.example').matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
    expect([...used].sort()).toEqual([...offered].sort());
  });
});

describe('npm run env', () => {
  const values = (text: string) =>
    Object.fromEntries(
      [...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
    );
  const template = values(read('.env.example'));
  const made = values(withSecrets(read('.env.example')));

  it('fills in what is empty and nothing else', () => {
    expect(Object.keys(made)).toEqual(Object.keys(template));
    for (const [name, value] of Object.entries(template)) {
      if (value === '') expect(made[name]?.length).toBeGreaterThanOrEqual(32);
      else expect(made[name]).toBe(value);
    }
  });

  it('makes secrets that differ, can stand in a URL, and encrypt', () => {
    const secrets = Object.keys(template).filter((name) => template[name] === '');
    expect(new Set(secrets.map((name) => made[name])).size).toBe(secrets.length);
    for (const name of secrets.filter((one) => one.endsWith('_PASSWORD'))) {
      expect(encodeURIComponent(made[name] ?? '')).toBe(made[name]);
    }
    expect(parsePayloadKeys(made['PAYLOAD_KEYS'] ?? '').keys.size).toBe(1);
  });
});

interface Manifest {
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  spec?: {
    template?: { spec: { containers: Container[]; enableServiceLinks?: boolean } };
    selector?: { 'app.kubernetes.io/name'?: string; matchLabels?: Record<string, string> };
    ports?: { port: number }[];
    scaleTargetRef?: { name: string };
  };
}

interface Container {
  name: string;
  args: string[];
  command?: string[];
  ports?: { containerPort: number }[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef: { name: string; key: string } } }[];
  envFrom: { configMapRef?: { name: string }; secretRef?: { name: string } }[];
}

describe('the Kubernetes manifests', () => {
  const folder = 'deploy/kubernetes';
  const manifests = [...readdirSync(join(ROOT, folder)), ...readdirSync(join(ROOT, folder, 'jobs'))]
    .map((name) => (existsSync(join(ROOT, folder, name)) ? `${folder}/${name}` : `${folder}/jobs/${name}`))
    .filter((path) => path.endsWith('.yaml') && !path.endsWith('kustomization.yaml'))
    .flatMap((path) => documents(path) as Manifest[]);
  const of = (kind: string) => manifests.filter((one) => one.kind === kind);
  const named = (kind: string, name: string) => of(kind).find((one) => one.metadata.name === name);
  const containersOf = ({ spec }: Manifest) => spec?.template?.spec.containers ?? [];
  const workloads = [...of('Deployment'), ...of('Job')];
  const config = named('ConfigMap', 'drone-delivery')?.data ?? {};

  function variablesOf({ env = [], envFrom }: Container): { own: string[]; all: string[] } {
    const secrets = envFrom.flatMap(({ secretRef }) => {
      if (!secretRef) return [];
      const secret = named('Secret', secretRef.name);
      expect([secretRef.name, secret]).not.toEqual([secretRef.name, undefined]);
      return Object.keys(secret?.stringData ?? {});
    });
    const own = [...secrets, ...env.map(({ name }) => name)];
    return { own, all: [...own, ...Object.keys(config)] };
  }

  it('run every role but the simulated fleet', () => {
    const started = of('Deployment').map((one) => one.metadata.name);
    expect(started.sort()).toEqual([...SERVICES, 'api', 'codec', 'worker'].sort());
  });

  it.each(of('Deployment').map((one) => [one.metadata.name, one] as const))(
    'give %s what it requires, and of secrets nothing else',
    (_name, deployment) => {
      for (const container of containersOf(deployment)) {
        const { reads, requires } = environmentOf(container.args);
        const { own, all } = variablesOf(container);
        expect(own.filter((variable) => !reads.includes(variable))).toEqual([]);
        const missing = requires.filter((one) => !all.includes(one) && !OF_THE_IMAGE.includes(one));
        expect(missing).toEqual([]);
      }
    },
  );

  it('keep nothing in the common configuration that no role reads', () => {
    const read = new Set(
      [
        ...of('Deployment')
          .flatMap(containersOf)
          .map((one) => one.args),
        ['deploy/setup-temporal.ts'],
      ].flatMap((command) => environmentOf(command).reads),
    );
    expect(Object.keys(config).filter((variable) => !read.has(variable))).toEqual([]);
  });

  it('give the jobs what they require', () => {
    const seed = containersOf(named('Job', 'first-keys') as Manifest)[0] as Container;
    expect(variablesOf(seed).own.sort()).toEqual(['DRONE_KEY', 'OPERATOR_KEY']);
    for (const { valueFrom } of seed.env ?? []) {
      const { name = '', key = '' } = valueFrom?.secretKeyRef ?? {};
      expect(named('Secret', name)?.stringData).toHaveProperty([key]);
    }
    const migrate = variablesOf(containersOf(named('Job', 'migrate') as Manifest)[0] as Container).all;
    for (const service of SERVICES) {
      expect(migrate).toContain(`${service.toUpperCase()}_OWNER_DATABASE_URL`);
      expect(migrate).toContain(`${service.toUpperCase()}_DATABASE_URL`);
    }
    expect(migrate).toContain('ADMIN_DATABASE_URL');
    const setup = variablesOf(containersOf(named('Job', 'setup-temporal') as Manifest)[0] as Container).all;
    expect(
      environmentOf(['deploy/setup-temporal.ts']).requires.filter((one) => !setup.includes(one)),
    ).toEqual([]);
  });

  it('let no variable of Kubernetes stand for one of ours', () => {
    for (const { metadata, spec } of workloads) {
      expect([metadata.name, spec?.template?.spec.enableServiceLinks]).toEqual([metadata.name, false]);
    }
  });

  it('listen, probe and are found at one port', () => {
    for (const deployment of of('Deployment')) {
      const { name } = deployment.metadata;
      const [container] = containersOf(deployment);
      const port = container?.env?.find((one) => one.name.endsWith('PORT'))?.value;
      expect(container?.ports?.map((one) => String(one.containerPort))).toEqual([port]);
      const service = named('Service', name);
      if (service) {
        expect(service.spec?.ports?.map((one) => String(one.port))).toEqual([port]);
        expect(service.spec?.selector).toEqual({ 'app.kubernetes.io/name': name });
      }
      const url = config[`${name.toUpperCase()}_URL`];
      if (url !== undefined) expect(url).toBe(`http://${name}:${port ?? '?'}`);
    }
  });

  it('budget disruptions and scaling for deployments that exist', () => {
    for (const { spec } of of('PodDisruptionBudget')) {
      const name = spec?.selector?.matchLabels?.['app.kubernetes.io/name'] ?? '';
      expect(named('Deployment', name)).toBeDefined();
    }
    for (const { spec } of of('HorizontalPodAutoscaler')) {
      expect(named('Deployment', spec?.scaleTargetRef?.name ?? '')).toBeDefined();
    }
  });
});
