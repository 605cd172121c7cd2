/** The fourth way's first half: Temporal's own server, schema tool and UI built from the pinned official Go modules. */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { install, isExecutable, makeWorkDirectory, withCacheLock } from './cache.ts';
import { TemporalWayClosed, type OnProgress } from './plan.ts';
import { SERVER_MODULE, SQL_TOOL_MODULE, UI_SERVER_MODULE } from './versions.ts';

export interface BuiltBinaries {
  server: string;
  sqlTool: string;
  uiServer: string;
}

interface GoProgram {
  /** Its name in the cache: both servers' commands are called `server`. */
  name: string;
  module: { path: string; version: string };
}

const PROGRAMS = {
  server: { name: 'temporal-server', module: SERVER_MODULE },
  sqlTool: { name: 'temporal-sql-tool', module: SQL_TOOL_MODULE },
  uiServer: { name: 'temporal-ui-server', module: UI_SERVER_MODULE },
} as const satisfies Record<keyof BuiltBinaries, GoProgram>;

/** The three binaries of the cache; undefined when one is missing. */
export async function findBuiltBinaries(cache: string): Promise<BuiltBinaries | undefined> {
  const paths = builtPaths(cache);
  for (const path of [paths.server, paths.sqlTool, paths.uiServer])
    if (!(await isExecutable(path))) return undefined;
  return paths;
}

/**
 * The three binaries, built when they are not in the cache: some minutes on the first run, nothing later.
 *
 * @throws TemporalWayClosed when there is no Go, or the build fails.
 */
export async function buildBinaries(
  cache: string,
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress = () => undefined,
): Promise<BuiltBinaries> {
  const cached = await findBuiltBinaries(cache);
  if (cached) return cached;
  const goVersion = await outputOf('go', ['version'], env);
  if (goVersion === undefined) {
    throw new TemporalWayClosed(
      'no `go` on the PATH to build Temporal with. Install Go (https://go.dev/dl) and start again.',
    );
  }
  await withCacheLock(
    cache,
    'go-build',
    async () => {
      for (const program of Object.values(PROGRAMS)) await buildProgram(cache, program, env, onProgress);
    },
    (owner) => onProgress(`Waiting for process ${owner}, which is building Temporal`),
  );
  return builtPaths(cache);
}

async function buildProgram(
  cache: string,
  program: GoProgram,
  env: NodeJS.ProcessEnv,
  onProgress: OnProgress,
): Promise<void> {
  const destination = builtPath(cache, program);
  if (await isExecutable(destination)) return;
  const { path, version } = program.module;
  const message = `Building ${program.name} ${version} with Go (first run only, some minutes)`;
  onProgress(message);
  const work = await makeWorkDirectory(cache);
  try {
    await goInstall(`${path}@v${version}`, work, env, (detail) => onProgress(message, detail));
    await install(join(work, executable(basename(path))), destination);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** `go install` into `directory`. `onDetail` is told of every module and package, with the time elapsed. */
async function goInstall(
  target: string,
  directory: string,
  env: NodeJS.ProcessEnv,
  onDetail: (detail: string) => void,
): Promise<void> {
  const startedAt = Date.now();
  const child = spawn('go', ['install', '-v', '-ldflags', '-s -w', target], {
    cwd: directory,
    env: { ...env, GOBIN: directory, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const count = { modules: 0, packages: 0 };
  const otherLines: string[] = [];
  const tell = () => {
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    onDetail(`${count.modules} modules fetched, ${count.packages} packages compiled, ${seconds} s`);
  };
  const ticker = setInterval(tell, 1000);
  try {
    const exited = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.startsWith('go: downloading ')) count.modules++;
      else if (/^[\w.~-]+(\/[\w.~-]+)*$/.test(line)) count.packages++;
      else otherLines.push(line);
    }
    const code = await exited;
    if (code !== 0) {
      throw new TemporalWayClosed(`\`go install ${target}\` failed:\n${otherLines.slice(-15).join('\n')}`);
    }
  } finally {
    clearInterval(ticker);
  }
}

function builtPaths(cache: string): BuiltBinaries {
  return {
    server: builtPath(cache, PROGRAMS.server),
    sqlTool: builtPath(cache, PROGRAMS.sqlTool),
    uiServer: builtPath(cache, PROGRAMS.uiServer),
  };
}

function builtPath(cache: string, { name, module }: GoProgram): string {
  return join(cache, 'bin', executable(`${name}-${module.version}`));
}

function executable(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name;
}

async function outputOf(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.once('error', () => resolve(undefined));
    child.once('close', (code) => resolve(code === 0 ? text : undefined));
  });
}
