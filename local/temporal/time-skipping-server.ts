/**
 * The time-skipping test server, in which whole deliveries pass in milliseconds. Looked for in this order: an existing
 * path · the SDK's download · the pinned Maven artifact, run with Java.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { install, isExecutable, makeWorkDirectory, withCacheLock } from './cache.ts';
import { TemporalSetupError, TemporalWayClosed, type OnProgress } from './plan.ts';
import { chooseFreePort, LOOPBACK } from './ports.ts';
import { waitForFrontend } from './readiness.ts';
import { downloadWithSdk } from './sdk-download.ts';
import { cacheDirectory } from './settings.ts';
import { TEST_SERVER_ARTIFACT } from './versions.ts';

const run = promisify(execFile);
const COPY_DEPENDENCIES = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/**
 * An executable for `TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path }}})`.
 * Downloaded or put together on the first call, from the cache later. Undefined where no way of ours is open: the SDK may
 * then try its own download once more, and fails with its own message.
 *
 * @throws TemporalSetupError when `TEMPORAL_TEST_SERVER_PATH` is set and is not an executable.
 */
export async function findTimeSkippingServer(
  env: NodeJS.ProcessEnv = process.env,
  onProgress: OnProgress = () => undefined,
): Promise<string | undefined> {
  const given = env['TEMPORAL_TEST_SERVER_PATH'];
  if (given) {
    if (await isExecutable(given)) return given;
    throw new TemporalSetupError(`TEMPORAL_TEST_SERVER_PATH: ${given} is not an executable.`);
  }
  const cache = cacheDirectory(env);
  // What was put together once is used before a download is attempted again.
  if (await isExecutable(javaServerPath(cache))) return fetchJavaServer(cache, env, onProgress);
  try {
    return await downloadWithSdk('test-server', cache, env, onProgress);
  } catch (error) {
    if (!(error instanceof TemporalWayClosed)) throw error;
    onProgress(
      `${error.message} Alternatives: set TEMPORAL_TEST_SERVER_PATH to a Temporal test server, or install Java and Maven. ` +
        'Going on with: Maven.',
    );
  }
  try {
    return await fetchJavaServer(cache, env, onProgress);
  } catch (error) {
    if (!(error instanceof TemporalWayClosed)) throw error;
    onProgress(error.message);
    return undefined;
  }
}

/** The Maven artifact with a launcher, fetched when it is not in the cache. @throws TemporalWayClosed */
export async function fetchJavaServer(
  cache: string,
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress = () => undefined,
): Promise<string> {
  const path = javaServerPath(cache);
  if (await isPrepared(path)) return path;
  if (!(await isExecutable(path))) {
    await expectCommand('java', ['-version'], env);
    await expectCommand('mvn', ['-version'], env);
  }
  await withCacheLock(cache, 'test-server', async () => {
    if (!(await isExecutable(path))) await putTogether(path, cache, env, onProgress);
    if (!(await isPrepared(path))) await prepare(path, env);
  });
  return path;
}

async function putTogether(
  path: string,
  cache: string,
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress,
): Promise<void> {
  const { groupId, artifactId, version } = TEST_SERVER_ARTIFACT;
  onProgress(
    `Fetching the time-skipping test server, ${groupId}:${artifactId}:${version}, with Maven (first run only)`,
  );
  const work = await makeWorkDirectory(cache);
  try {
    await mkdir(join(work, 'home'));
    await writeFile(join(work, 'pom.xml'), POM);
    await run(
      'mvn',
      ['-B', '-q', COPY_DEPENDENCIES, '-DincludeScope=runtime', `-DoutputDirectory=${work}/home/lib`],
      {
        cwd: work,
        env,
        maxBuffer: 16e6,
      },
    );
    await writeLauncher(join(work, 'home'));
    await install(join(work, 'home'), dirname(path));
  } catch (error) {
    const output =
      error instanceof Error && 'stdout' in error ? String(error.stdout).slice(-1500) : String(error);
    throw new TemporalWayClosed(`Maven could not fetch the time-skipping test server:\n${output}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const LAUNCHER_NAME = 'temporal-test-server';
/** What Java has read and checked of the server's classes, for the next start: it takes 0.3 s of a processor then instead of 0.8. */
const CLASSES_NAME = 'classes.jsa';
const MAIN_CLASS = 'io.temporal.testserver.TestServer';
/** The compiler and the garbage collector are those that start fastest. The archive is only good for the same ones. */
const JAVA_OPTIONS = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'];

/**
 * The first argument is the port; others are flags of the native server that this one does not know. The SDK ends the
 * process it started with SIGKILL, so Java takes the shell's place, and a watcher ends Java when the SDK's process is gone.
 * An archive that is not this Java's is of no use to it, and does no harm.
 */
const LAUNCHER = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
parent=$PPID
self=$$
(
  while kill -0 "$parent" && kill -0 "$self"; do sleep 1; done
  kill -9 "$self"
) </dev/null >/dev/null 2>&1 &
port=$1
set --
[ -s "$here/${CLASSES_NAME}" ] && set -- "-XX:SharedArchiveFile=$here/${CLASSES_NAME}"
exec "\${JAVA_HOME:+$JAVA_HOME/bin/}java" "$@" ${JAVA_OPTIONS.join(' ')} \\
  -cp "$here/lib/*" ${MAIN_CLASS} "$port"
`;

/** As this version of the code has it, which may have found a launcher of another one. */
async function isPrepared(path: string): Promise<boolean> {
  const launcher = await readFile(path, 'utf8').catch(() => undefined);
  const hasClasses = access(join(dirname(path), CLASSES_NAME)).then(
    () => true,
    () => false,
  );
  return launcher === LAUNCHER && (await hasClasses);
}

/** Both appear complete: others may be starting servers from here. */
async function prepare(path: string, env: NodeJS.ProcessEnv): Promise<void> {
  const home = dirname(path);
  const draft = await makeWorkDirectory(dirname(home));
  try {
    const classes = join(draft, CLASSES_NAME);
    // Empty where Java cannot: it works without, and is not tried again for every server.
    await archiveClasses(home, classes, env).catch(() => writeFile(classes, ''));
    await rename(classes, join(home, CLASSES_NAME));
    await writeLauncher(draft);
    await rename(join(draft, LAUNCHER_NAME), path);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function writeLauncher(directory: string): Promise<void> {
  await writeFile(join(directory, LAUNCHER_NAME), LAUNCHER);
  await chmod(join(directory, LAUNCHER_NAME), 0o755);
}

/** Runs the server once; as it ends, Java writes what it has loaded to `archive`. */
async function archiveClasses(home: string, archive: string, env: NodeJS.ProcessEnv): Promise<void> {
  const port = await chooseFreePort();
  const java = env['JAVA_HOME'] ? join(env['JAVA_HOME'], 'bin', 'java') : 'java';
  const args = [...JAVA_OPTIONS, '-cp', `${home}/lib/*`, MAIN_CLASS, String(port)];
  const server = spawn(java, [`-XX:ArchiveClassesAtExit=${archive}`, ...args], { env, stdio: 'ignore' });
  const gone = new AbortController();
  const exited = once(server, 'exit').finally(() => gone.abort());
  exited.catch(() => undefined);
  try {
    await waitForFrontend(`${LOOPBACK}:${port}`, { signal: gone.signal });
    server.kill('SIGTERM');
    await exited;
    await access(archive);
  } finally {
    server.kill('SIGKILL');
  }
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>drone-delivery</groupId>
  <artifactId>test-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>${TEST_SERVER_ARTIFACT.groupId}</groupId>
      <artifactId>${TEST_SERVER_ARTIFACT.artifactId}</artifactId>
      <version>${TEST_SERVER_ARTIFACT.version}</version>
    </dependency>
    <!-- Without a logger the server complains on every start. -->
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`;

function javaServerPath(cache: string): string {
  return join(cache, `temporal-test-server-${TEST_SERVER_ARTIFACT.version}`, LAUNCHER_NAME);
}

async function expectCommand(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  await run(command, args, { env }).catch(() => {
    throw new TemporalWayClosed(
      `no working \`${command}\` on the PATH to run the time-skipping test server with. Install Java and Maven.`,
    );
  });
}
