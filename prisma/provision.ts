// Makes the database, and in it for each service a Postgres schema and two roles: the owner, who migrates, and the
// runtime role, which reads and writes rows of that schema and may do nothing else. Safe to run again, and at once.
import pg from 'pg';
import { ownerRoleOf, runtimeRoleOf, schemaOf, SERVICES, type ServiceName } from './services.ts';

export const DATABASE_NAME = 'drone_delivery';

/** Two processes that provision at once take turns. Any number will do, so long as all use the same. */
const PROVISION_LOCK = 5_201_314;

export interface ServicePasswords {
  owner: string;
  runtime: string;
}

export interface ProvisionOptions {
  /** A superuser's URL, or that of a role that may create databases and roles. Its own database must exist. */
  adminUrl: string;
  databaseName?: string;
  /** Set on the roles each time. Without, roles that exist keep theirs, and new ones cannot log in by password. */
  passwords?: Readonly<Record<ServiceName, ServicePasswords>>;
}

/** Creates whatever is missing and sets the privileges anew. */
export async function provisionDatabase({
  adminUrl,
  databaseName = DATABASE_NAME,
  passwords,
}: ProvisionOptions): Promise<void> {
  await withClient(adminUrl, async (admin) => {
    await admin.query('SELECT pg_advisory_lock($1)', [PROVISION_LOCK]);
    for (const service of SERVICES) await ensureRoles(admin, service, passwords?.[service]);
    await ensureDatabase(admin, databaseName);
    await restrictDatabase(admin, databaseName);
    await withClient(withDatabase(adminUrl, databaseName), async (database) => {
      await database.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
      for (const service of SERVICES) await ensureSchema(database, service);
    });
  });
}

/**
 * Lets only the services' roles connect. Privileges of a database are not copied with it, so this is also for the
 * copies of a provisioned one.
 */
export async function restrictDatabase(admin: pg.Client, databaseName: string): Promise<void> {
  const database = pg.escapeIdentifier(databaseName);
  await admin.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  await admin.query(
    `GRANT CONNECT ON DATABASE ${database} TO ${SERVICES.flatMap(rolesOf).map(quote).join(', ')}`,
  );
}

export interface ServiceUrls {
  ownerUrl: string;
  runtimeUrl: string;
}

/** The URLs of a service's two roles on the server of `adminUrl`. */
export function serviceUrls(
  adminUrl: string,
  service: ServiceName,
  passwords: ServicePasswords,
  databaseName: string = DATABASE_NAME,
): ServiceUrls {
  return {
    ownerUrl: withUser(withDatabase(adminUrl, databaseName), ownerRoleOf(service), passwords.owner),
    runtimeUrl: withUser(withDatabase(adminUrl, databaseName), runtimeRoleOf(service), passwords.runtime),
  };
}

/** The same server and user, another database. */
export function withDatabase(url: string, databaseName: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(databaseName)}`;
  return changed.href;
}

function withUser(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = encodeURIComponent(user);
  changed.password = encodeURIComponent(password);
  return changed.href;
}

/** Opens one session, and closes it whatever happens. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // The query under way rejects with the same error; unheard, the event would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function ensureRoles(
  admin: pg.Client,
  service: ServiceName,
  passwords: ServicePasswords | undefined,
): Promise<void> {
  const passwordOf = {
    [ownerRoleOf(service)]: passwords?.owner,
    [runtimeRoleOf(service)]: passwords?.runtime,
  };
  for (const [name, password] of Object.entries(passwordOf)) {
    const role = quote(name);
    const { rowCount } = await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
    if (!rowCount) await admin.query(`CREATE ROLE ${role}`);
    await admin.query(`ALTER ROLE ${role} LOGIN NOCREATEDB NOCREATEROLE NOINHERIT`);
    if (password !== undefined)
      await admin.query(`ALTER ROLE ${role} PASSWORD ${pg.escapeLiteral(password)}`);
    await admin.query(`ALTER ROLE ${role} SET search_path = ${quote(schemaOf(service))}`);
  }
  const runtime = quote(runtimeRoleOf(service));
  // No request waits longer than this: a stuck statement or a forgotten transaction must not hold rows for ever.
  await admin.query(`ALTER ROLE ${runtime} SET statement_timeout = '30s'`);
  await admin.query(`ALTER ROLE ${runtime} SET lock_timeout = '10s'`);
  await admin.query(`ALTER ROLE ${runtime} SET idle_in_transaction_session_timeout = '30s'`);
  // Prisma's adapter writes times without an offset and reads them without looking at it: both must mean UTC.
  await admin.query(`ALTER ROLE ${runtime} SET timezone = 'UTC'`);
  // An administrator who is no superuser acts for the owner only as a member.
  await admin.query(`
    DO $$ BEGIN
      IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT ${quote(ownerRoleOf(service))} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;
      END IF;
    END $$`);
}

async function ensureDatabase(admin: pg.Client, databaseName: string): Promise<void> {
  const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [databaseName]);
  if (!rowCount) await admin.query(`CREATE DATABASE ${quote(databaseName)}`);
}

async function ensureSchema(database: pg.Client, service: ServiceName): Promise<void> {
  const schema = quote(schemaOf(service));
  const owner = quote(ownerRoleOf(service));
  const runtime = quote(runtimeRoleOf(service));
  await database.query(`CREATE SCHEMA IF NOT EXISTS ${schema} AUTHORIZATION ${owner}`);
  await database.query(`REVOKE ALL ON SCHEMA ${schema} FROM PUBLIC, ${runtime}`);
  await database.query(`GRANT USAGE ON SCHEMA ${schema} TO ${runtime}`);
  const future = `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner}`;
  await database.query(
    `${future} IN SCHEMA ${schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${runtime}`,
  );
  await database.query(`${future} IN SCHEMA ${schema} GRANT USAGE, SELECT ON SEQUENCES TO ${runtime}`);
  await database.query(`${future} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`);
  await database.query(`${future} IN SCHEMA ${schema} GRANT EXECUTE ON FUNCTIONS TO ${runtime}`);
}

function rolesOf(service: ServiceName): string[] {
  return [ownerRoleOf(service), runtimeRoleOf(service)];
}

function quote(identifier: string): string {
  return pg.escapeIdentifier(identifier);
}
