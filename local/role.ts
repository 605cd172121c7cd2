/**
 * `npm run role -- <name>`: one role of the stack in this process, with its addresses from the environment and, for what is
 * not set there, as the stack that runs here (or ran last) has them. So a role that was killed can be started by hand, or run
 * a second time beside the first.
 */
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { SERVICES } from '../prisma/services.ts';
import { environmentTable, ROLE_ENVIRONMENTS } from './environments.ts';
import { HOST, PORTS, PROJECT_ROOT, type RoleStart } from './roles.ts';
import { readRolesFile } from './stack-file.ts';

const STARTS: Record<string, Pick<RoleStart, 'entry' | 'args'>> = {
  api: { entry: 'api/main.ts', args: [] },
  worker: { entry: 'workers/main.ts', args: [] },
  simulator: { entry: 'simulator/main.ts', args: [] },
  codec: { entry: 'local/codec-server-main.ts', args: [] },
  services: { entry: 'services/main.ts', args: [...SERVICES] },
  ...Object.fromEntries(SERVICES.map((name) => [name, { entry: 'services/main.ts', args: [name] }])),
};

const program = new Command('npm run role --')
  .description('Runs one role of the stack: ' + Object.keys(STARTS).join(', '))
  .argument('<role>')
  .option('-d, --directory <path>', 'of the stack whose addresses are taken', join(PROJECT_ROOT, '.local'))
  .option('--environment', 'print the variables that the role reads, and end')
  .addHelpText('after', () => helpOf(process.argv.find((word) => word in STARTS)))
  .parse();
const [name = ''] = program.args;
const options = program.opts<{ directory: string; environment?: boolean }>();
const start = STARTS[name];
if (!start) program.error(`There is no role ${name}; there are ${Object.keys(STARTS).join(', ')}.`);
else if (options.environment) console.log(helpOf(name));
else await run(start);

async function run({ entry, args }: Pick<RoleStart, 'entry' | 'args'>): Promise<void> {
  const kept = (await readRolesFile(join(resolve(options.directory), 'roles.json'))) ?? {};
  // In the other layout a service's settings are those of the process that all share.
  const env =
    kept[name]?.env ?? (kept['services'] && isService(name) ? kept['services'].env : allServices(kept));
  for (const [variable, value] of Object.entries(env)) process.env[variable] ??= value;
  await leaveTakenPorts(env);
  process.argv = [process.execPath, join(PROJECT_ROOT, entry), ...args];
  process.chdir(PROJECT_ROOT);
  await import(join(PROJECT_ROOT, entry));
}

/** For `services` beside a stack whose services are processes of their own. */
function allServices(kept: Record<string, RoleStart>): Record<string, string> {
  if (name !== 'services') return {};
  return Object.assign({}, ...SERVICES.map((service) => kept[service]?.env ?? {})) as Record<string, string>;
}

/** A port that was only taken over from the stack, and is in use by the role there, gives way to a free one. */
async function leaveTakenPorts(env: Record<string, string>): Promise<void> {
  const variables = isService(name)
    ? [PORTS[name].variable]
    : name === 'services'
      ? SERVICES.map((service) => PORTS[service].variable)
      : ['PORT'];
  for (const variable of variables) {
    const value = process.env[variable];
    if (value === undefined || value !== env[variable] || (await isFree(Number(value)))) continue;
    console.error(`Port ${value} is in use, by the ${name} of the running stack: taking a free one.`);
    process.env[variable] = '0';
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const probe = createServer();
    probe.once('error', () => done(false));
    probe.listen({ host: HOST, port }, () => probe.close(() => done(true)));
  });
}

function isService(role: string): role is (typeof SERVICES)[number] {
  return (SERVICES as readonly string[]).includes(role);
}

function helpOf(role: string | undefined): string {
  if (role === undefined) return '\nWith a role, its variables are listed: npm run role -- worker --help';
  const schema = ROLE_ENVIRONMENTS[role];
  return schema ? `\nThe environment of ${role}:\n\n${environmentTable(schema)}` : '';
}
