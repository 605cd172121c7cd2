/**
 * The time-skipping test server, in which whole deliveries pass in milliseconds. Looked for in this order: an existing
 * path · the SDK's download · the pinned Maven artifact, run with Java.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { install, isExecutable, makeWorkDirectory, withCacheLock } from './cache.ts';
import { TemporalSetupError, TemporalWayClosed, type OnProgress } from './plan.ts';
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
  if (await isExecutable(javaServerPath(cache))) return javaServerPath(cache);
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
  if (await isExecutable(path)) return path;
  await expectCommand('java', ['-version'], env);
  await expectCommand('mvn', ['-version'], env);
  await withCacheLock(cache, 'test-server', async () => {
    if (await isExecutable(path)) return;
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
      await writeFile(join(work, 'home', LAUNCHER_NAME), LAUNCHER);
      await chmod(join(work, 'home', LAUNCHER_NAME), 0o755);
      await install(join(work, 'home'), join(path, '..'));
    } catch (error) {
      const output =
        error instanceof Error && 'stdout' in error ? String(error.stdout).slice(-1500) : String(error);
      throw new TemporalWayClosed(`Maven could not fetch the time-skipping test server:\n${output}`);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return path;
}

const LAUNCHER_NAME = 'temporal-test-server';

/**
 * The first argument is the port; others are flags of the native server that this one does not know. The SDK ends the
 * process it started with SIGKILL, so Java takes the shell's place, and a watcher ends Java when the SDK's process is gone.
 * The compiler and the garbage collector are those that start fastest.
 */
const LAUNCHER = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
parent=$PPID
self=$$
(
  while kill -0 "$parent" && kill -0 "$self"; do sleep 1; done
  kill -9 "$self"
) </dev/null >/dev/null 2>&1 &
exec "\${JAVA_HOME:+$JAVA_HOME/bin/}java" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \\
  -cp "$here/lib/*" io.temporal.testserver.TestServer "$1"
`;

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
