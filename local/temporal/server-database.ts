/** The databases of a built server on the stack's Postgres: made once, their schema brought up to the server's version. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { withClient } from '../../prisma/provision.ts';
import { TemporalSetupError } from './plan.ts';
import { type PostgresTarget } from './server-config.ts';

const run = promisify(execFile);

/** Where the server will store: names from `database`, the role's password kept in the state directory. */
export async function postgresTarget(
  stateDirectory: string,
  adminUrl: string,
  database: string,
): Promise<PostgresTarget> {
  const { hostname, port } = new URL(adminUrl);
  return {
    address: `${hostname}:${port || '5432'}`,
    user: database,
    password: await keptPassword(stateDirectory),
    database,
    visibilityDatabase: `${database}_visibility`,
  };
}

/**
 * Role, databases and schema; idempotent.
 *
 * @throws TemporalSetupError when the schema tool refuses, for example a database of a newer server.
 */
export async function prepareServerDatabase(
  sqlTool: string,
  adminUrl: string,
  target: PostgresTarget,
): Promise<void> {
  await createRoleAndDatabases(adminUrl, target);
  await Promise.all([
    applySchema(sqlTool, target, target.database, 'postgresql/v12/temporal', adminUrl),
    applySchema(sqlTool, target, target.visibilityDatabase, 'postgresql/v12/visibility', adminUrl),
  ]);
}

async function createRoleAndDatabases(adminUrl: string, target: PostgresTarget): Promise<void> {
  await withClient(adminUrl, async (admin) => {
    const role = pg.escapeIdentifier(target.user);
    const password = pg.escapeLiteral(target.password);
    const { rowCount } = await admin.query('SELECT FROM pg_roles WHERE rolname = $1', [target.user]);
    await admin.query(`${rowCount ? 'ALTER' : 'CREATE'} ROLE ${role} LOGIN PASSWORD ${password}`);
    for (const name of [target.database, target.visibilityDatabase]) {
      const found = await admin.query('SELECT FROM pg_database WHERE datname = $1', [name]);
      if (!found.rowCount) await admin.query(`CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER ${role}`);
    }
  });
}

async function applySchema(
  sqlTool: string,
  target: PostgresTarget,
  database: string,
  schema: string,
  adminUrl: string,
): Promise<void> {
  const [host = '', port = ''] = target.address.split(':');
  const tool = async (...args: string[]) => {
    try {
      await run(sqlTool, ['--plugin', 'postgres12_pgx', '--db', database, ...args], {
        env: { SQL_HOST: host, SQL_PORT: port, SQL_USER: target.user, SQL_PASSWORD: target.password },
      });
    } catch (error) {
      const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
      throw new TemporalSetupError(
        `Temporal's schema cannot be applied to database ${database}: ${output || String(error)}`,
        {
          cause: error,
        },
      );
    }
  };
  // `setup-schema` would set a database that has a schema back to version 0.
  if (!(await hasSchemaVersion(adminUrl, database))) await tool('setup-schema', '-v', '0.0');
  await tool('update-schema', '--schema-name', schema);
}

async function hasSchemaVersion(adminUrl: string, database: string): Promise<boolean> {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return withClient(url.href, async (client) => {
    const { rows } = await client.query<{ found: boolean }>(
      "SELECT to_regclass('schema_version') IS NOT NULL AS found",
    );
    return rows[0]?.found ?? false;
  });
}

async function keptPassword(stateDirectory: string): Promise<string> {
  const path = join(stateDirectory, 'postgres-password');
  await mkdir(stateDirectory, { recursive: true });
  await writeFile(path, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' }).catch(
    (error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    },
  );
  return (await readFile(path, 'utf8')).trim();
}
