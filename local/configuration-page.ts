/** `npm run docs:configuration`: writes docs/configuration.md from the schemas that the roles check their environment with. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import type { TObject } from 'typebox';
import { SERVICES } from '../prisma/services.ts';
import { CommonEnvironment, servicesEnvironment } from '../services/environment.ts';
import { markdownTable, ROLE_ENVIRONMENTS, type Variable, variablesOf } from './environments.ts';
import { PORTS, PROJECT_ROOT } from './roles.ts';
import { TemporalSettings } from './temporal/settings.ts';

export const CONFIGURATION_PAGE = join(PROJECT_ROOT, 'docs', 'configuration.md');

/** What every role reads through the logger. */
const LOGGING: readonly Variable[] = [
  {
    name: 'LOG_LEVEL',
    type: 'trace, debug, info, warn, error, fatal',
    default: 'info',
    required: false,
    description: 'What is logged at least',
  },
  {
    name: 'LOG_FORMAT',
    type: 'json, pretty',
    default: 'json',
    required: false,
    description: 'JSON lines, or lines for a person',
  },
];

const ROLE_TITLES = {
  api: 'The API (`api/main.ts`)',
  worker: 'A worker (`workers/main.ts`)',
  simulator: 'The simulator (`simulator/main.ts`)',
  codec: 'The codec server (`local/codec-server-main.ts`)',
} as const;

/** The page as it must be. */
export async function configurationPage(): Promise<string> {
  const page = [
    '# Configuration',
    '',
    '<!-- Written by `npm run docs:configuration` from the schemas; a test holds it against them. -->',
    '',
    'Every setting is an environment variable with a default that works on one machine. A role reads its variables once, at',
    'the start, checks them against a schema and names everything that is wrong at once. An empty variable counts as not set.',
    '`npm run role -- <role> --help` prints the same tables.',
    '',
    '## The local stack (`npm start`, `npm run demo`)',
    '',
    'The stack gives every role its addresses, keys and database. What you can set are ports, where Temporal comes from, and',
    'any other variable of a role below, which is passed on. A port that you set and that is taken is an error; without, the',
    'usual port is used where it is free, and another one where it is not. `npm start -- --help` lists the options.',
    '',
    markdownTable(ports()),
    '',
    '### Where Temporal comes from',
    '',
    'In this order: `TEMPORAL_ADDRESS` · a `temporal` binary on the `PATH` or in the cache · the SDK’s download · a build of the',
    'official Go modules.',
    '',
    markdownTable(variablesOf(TemporalSettings)),
    '',
    '## Every role',
    '',
    'A time-lapse (`CLOCK_RATE` other than 1) needs the three `CLOCK_` variables to be the same for all roles.',
    '',
    markdownTable([...LOGGING, ...common()]),
    '',
    ...Object.entries(ROLE_TITLES).flatMap(([role, title]) => section(title, ROLE_ENVIRONMENTS[role])),
    ...section('Services (`services/main.ts`)', servicesEnvironment(SERVICES), [
      'One process runs the services that are named on its command line (`services/main.ts account drone`), all of them when',
      'none is. It needs the variables of those that it runs; those of Temporal are for `drone`, `carrier` and `ingestion`.',
      '',
    ]),
    '## Migrations (`npm run db:migrate`)',
    '',
    markdownTable(migrations()),
    '',
  ].join('\n');
  return format(page, { ...(await resolveConfig(CONFIGURATION_PAGE)), filepath: CONFIGURATION_PAGE });
}

function section(title: string, schema: TObject | undefined, introduction: string[] = []): string[] {
  if (!schema) throw new Error(`There is no environment for ${title}`);
  const shared = new Set(common().map(({ name }) => name));
  const own = variablesOf(schema).filter(({ name }) => !shared.has(name) || name === 'HOST');
  return [`## ${title}`, '', ...introduction, markdownTable(own), ''];
}

/** What all roles have: the clock and the address. */
function common(): Variable[] {
  return variablesOf(CommonEnvironment);
}

function ports(): Variable[] {
  return Object.entries(PORTS).map(([name, { variable, usual }]) => ({
    name: variable,
    type: 'integer',
    default: String(usual),
    required: false,
    description: `Port of ${PORT_OWNERS[name] ?? `the ${name} service`}`,
  }));
}

const PORT_OWNERS: Readonly<Record<string, string>> = {
  api: 'the API',
  codec: 'the codec server',
  worker: 'the worker’s health and metrics',
  simulator: 'the simulator’s control',
  postgres: 'the embedded Postgres',
};

function migrations(): Variable[] {
  const url = (name: string, description: string): Variable => ({
    name,
    type: 'string',
    default: undefined,
    required: true,
    description,
  });
  return [
    url('ADMIN_DATABASE_URL', 'For `provision`: a role that may create databases and roles'),
    ...SERVICES.map((service) =>
      url(
        `${service.toUpperCase()}_OWNER_DATABASE_URL`,
        `Postgres as the role \`${service}_owner\`, who migrates`,
      ),
    ),
  ];
}

/** What is in the file now. */
export async function writtenPage(): Promise<string> {
  return readFile(CONFIGURATION_PAGE, 'utf8').catch(() => '');
}

if (process.argv[1] === import.meta.filename) {
  await writeFile(CONFIGURATION_PAGE, await configurationPage());
  console.log('Wrote docs/configuration.md');
}
