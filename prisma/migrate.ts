// `npm run db:migrate`: apply, write and check the services' migrations, and provision a server for them.
import { Command, InvalidArgumentError, Option } from 'commander';
import { relative } from 'node:path';
import { startThrowawayPostgres } from '../local/throwaway-postgres.ts';
import { applyMigrations, missingMigration, writeMigration } from './migrations.ts';
import { provisionDatabase, type ServicePasswords } from './provision.ts';
import { isServiceName, SERVICES, type ServiceName } from './services.ts';

const program = new Command('db:migrate').description(
  'Apply, write and check migrations. Addresses come from the environment: <SERVICE>_OWNER_DATABASE_URL for each service.',
);
const serviceOption = (): Option =>
  new Option('-s, --service <name>', `one of ${SERVICES.join(', ')}`).argParser(parseService);
const adminOption = (): Option =>
  new Option(
    '--admin-url <url>',
    'a server for the scratch database; an embedded one is started when absent',
  ).env('ADMIN_DATABASE_URL');

program
  .command('deploy', { isDefault: true })
  .description('apply the migrations of every service, or of one')
  .addOption(serviceOption())
  .action(async ({ service }: { service?: ServiceName }) => {
    const urls = servicesIn(service).map(
      (name) => [name, requiredUrl(`${name.toUpperCase()}_OWNER_DATABASE_URL`)] as const,
    );
    for (const [name, ownerUrl] of urls) {
      const applied = await applyMigrations({ service: name, ownerUrl });
      console.log(`${name}: ${applied.length === 0 ? 'up to date' : `applied ${applied.join(', ')}`}`);
    }
  });

program
  .command('create')
  .description('write the next migration of a service from what changed in its schema.prisma')
  .addOption(serviceOption().makeOptionMandatory())
  .requiredOption('-n, --name <name>', 'what the migration does, such as add_drone_model')
  .option('--empty', 'write an empty migration when the schema asks for none, to be filled by hand')
  .addOption(adminOption())
  .action(async (options: { service: ServiceName; name: string; empty?: boolean; adminUrl?: string }) => {
    const path = await onServer(options.adminUrl, (adminUrl) =>
      writeMigration({ ...options, allowEmpty: options.empty ?? false, adminUrl }),
    );
    if (path === undefined)
      console.log(`${options.service}: migrations and schema.prisma agree, nothing written`);
    else console.log(`Wrote ${relative(process.cwd(), path)}. Read it; add by hand what Prisma cannot say.`);
  });

program
  .command('check')
  .description('fail when the migrations and schema.prisma of a service disagree')
  .addOption(serviceOption())
  .addOption(adminOption())
  .action(async ({ service, adminUrl: given }: { service?: ServiceName; adminUrl?: string }) => {
    await onServer(given, async (adminUrl) => {
      for (const name of servicesIn(service)) {
        const sql = await missingMigration(name, adminUrl);
        if (sql === undefined) console.log(`${name}: migrations and schema.prisma agree`);
        else {
          console.error(
            `${name}: the migrations lack\n\n${sql}\nRun: npm run db:migrate -- create --service ${name} --name …`,
          );
          process.exitCode = 1;
        }
      }
    });
  });

program
  .command('provision')
  .description(
    'create the database, schemas and roles on the server of ADMIN_DATABASE_URL, with the passwords in ' +
      '<SERVICE>_OWNER_DATABASE_URL and <SERVICE>_DATABASE_URL',
  )
  .action(async () => {
    const entries = SERVICES.map((service): [ServiceName, ServicePasswords] => [
      service,
      {
        owner: passwordIn(`${service.toUpperCase()}_OWNER_DATABASE_URL`),
        runtime: passwordIn(`${service.toUpperCase()}_DATABASE_URL`),
      },
    ]);
    const passwords = Object.fromEntries(entries) as Record<ServiceName, ServicePasswords>;
    const databaseName = new URL(requiredUrl('ACCOUNT_OWNER_DATABASE_URL')).pathname.slice(1);
    await provisionDatabase({ adminUrl: requiredUrl('ADMIN_DATABASE_URL'), databaseName, passwords });
    console.log(`Database ${databaseName} is provisioned for ${SERVICES.join(', ')}`);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** Runs `work` on the server given, or on an embedded one that is gone afterwards. */
async function onServer<T>(given: string | undefined, work: (adminUrl: string) => Promise<T>): Promise<T> {
  if (given !== undefined) return work(given);
  const server = await startThrowawayPostgres();
  try {
    return await work(server.adminUrl);
  } finally {
    await server.stop();
  }
}

function servicesIn(only: ServiceName | undefined): readonly ServiceName[] {
  return only === undefined ? SERVICES : [only];
}

function parseService(name: string): ServiceName {
  if (isServiceName(name)) return name;
  throw new InvalidArgumentError(`It is one of ${SERVICES.join(', ')}.`);
}

function requiredUrl(variable: string): string {
  const value = process.env[variable];
  if (value !== undefined && URL.canParse(value)) return value;
  throw new Error(`${variable} is required: a URL like postgresql://user:password@host:5432/drone_delivery`);
}

function passwordIn(variable: string): string {
  return decodeURIComponent(new URL(requiredUrl(variable)).password);
}
