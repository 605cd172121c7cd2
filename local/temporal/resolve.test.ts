/** Which way to Temporal is taken, and what is said when one is closed. The ways themselves: test/local/temporal-*.test.ts. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveTemporal } from './resolve.ts';
import { SERVER_MODULE, SQL_TOOL_MODULE, UI_SERVER_MODULE, isOlder } from './versions.ts';

const POSTGRES = 'postgresql://postgres:secret@127.0.0.1:5433/postgres';
/** Nothing listens there: a download site that cannot be reached, without waiting for a name server. */
const UNREACHABLE = { HTTPS_PROXY: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' };

let home: string;
let env: NodeJS.ProcessEnv;
let said: string[];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'resolve-test-'));
  await mkdir(join(home, 'path'));
  // A PATH with nothing of this machine on it.
  env = { ...UNREACHABLE, PATH: join(home, 'path'), HOME: home, DRONE_DELIVERY_CACHE: join(home, 'cache') };
  said = [];
});
afterEach(() => rm(home, { recursive: true, force: true }));

const resolve = (more: NodeJS.ProcessEnv = {}, postgresAdminUrl: string | undefined = POSTGRES) =>
  resolveTemporal(
    { ...env, ...more },
    {
      stateDirectory: join(home, 'state'),
      postgresAdminUrl,
      codecEndpoint: 'http://127.0.0.1:4200',
      onProgress: (message) => said.push(message),
    },
  );

/** A program that only knows its version. */
async function installProgram(path: string, version: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho '${version}'\n`);
  await chmod(path, 0o755);
}

const installCli = (version: string, path = join(home, 'path', 'temporal')) =>
  installProgram(path, `temporal version 1.5.1 (Server ${version}, UI 2.42.1)`);

async function installBuild(): Promise<void> {
  for (const [name, { version }] of [
    ['temporal-server', SERVER_MODULE],
    ['temporal-sql-tool', SQL_TOOL_MODULE],
    ['temporal-ui-server', UI_SERVER_MODULE],
  ] as const) {
    await installProgram(join(home, 'cache', 'bin', `${name}-${version}`), version);
  }
}

describe('an existing cluster', () => {
  it('When TEMPORAL_ADDRESS is set, then nothing is to be run, whatever else is there', async () => {
    await installCli('1.30.0');
    const plan = await resolve({
      TEMPORAL_ADDRESS: 'temporal.example:7233',
      TEMPORAL_UI_URL: 'https://ui.example',
    });
    expect(plan).toMatchObject({
      kind: 'address',
      address: 'temporal.example:7233',
      namespace: 'drone-delivery',
      uiUrl: 'https://ui.example',
      processes: [],
    });
  });

  it('When the address is no address, then the variable is named', async () => {
    await expect(resolve({ TEMPORAL_ADDRESS: 'http://temporal', TEMPORAL_PORT: 'many' })).rejects.toThrow(
      /TEMPORAL_ADDRESS[^]*TEMPORAL_PORT|TEMPORAL_PORT[^]*TEMPORAL_ADDRESS/,
    );
  });
});

describe('a binary', () => {
  it('When one on the PATH is recent enough, then it is run with a database file and its UI', async () => {
    await installCli('1.29.1');
    const plan = await resolve();
    expect(plan.kind).toBe('binary');
    expect(plan.processes.map(({ name }) => name)).toEqual(['temporal']);
    const command = [plan.processes[0]!.command, ...plan.processes[0]!.args].join(' ');
    expect(command).toContain(`${join(home, 'path', 'temporal')} server start-dev --ip 127.0.0.1`);
    expect(command).toContain(`--db-filename ${join(home, 'state', 'temporal.db')}`);
    expect(command).toContain('--ui-codec-endpoint http://127.0.0.1:4200');
    expect(plan).toMatchObject({ uiUrl: 'http://127.0.0.1:4200' });
    expect(plan.uiUpstream).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it('When it is too old, then it is refused with both versions, and the next way is tried', async () => {
    await installCli('1.24.2');
    await expect(resolve()).rejects.toThrow(
      `${join(home, 'path', 'temporal')} contains server 1.24.2, older than 1.29.0. Install Temporal's command line`,
    );
  });

  it('When the one on the PATH is too old and the cache has a newer one, then that is used', async () => {
    await installCli('1.24.2');
    await installCli('1.29.1', join(home, 'cache', 'bin', 'temporal-cli-1.29.1'));
    await installCli('1.31.0', join(home, 'cache', 'bin', 'temporal-cli-1.31.0'));
    expect((await resolve()).describe).toContain('Temporal 1.31.0');
  });

  it("When something else is called temporal, then it is not taken for Temporal's", async () => {
    await installProgram(join(home, 'path', 'temporal'), 'temporal, a calendar, version 9');
    await expect(resolve()).rejects.toThrow(/is not Temporal's command line/);
  });
});

describe('a download', () => {
  it('When the site cannot be reached, then the alternatives are named and the next way is tried', async () => {
    await expect(resolve()).rejects.toThrow('Temporal cannot be had here.');
    expect(said[0]).toBe("Downloading Temporal's development server from temporal.download (first run only)");
    expect(said.at(-1)).toMatch(
      /^Temporal \(download\): Temporal's development server cannot be downloaded: .*temporal\.download.* Alternatives: set TEMPORAL_ADDRESS to a running cluster, put the `temporal` command line on the PATH, or install Go so that the server can be built\. Going on with: build\.$/s,
    );
  });

  it('When the server was built before, then no download is tried', async () => {
    await installBuild();
    expect((await resolve()).kind).toBe('build');
    expect(said).toEqual([]);
  });
});

describe('a build', () => {
  it('When the binaries are in the cache, then server and UI run as two processes', async () => {
    await installBuild();
    const plan = await resolve();
    expect(plan.kind).toBe('build');
    expect(plan.uiUpstream).toBeUndefined();
    expect(plan.processes.map(({ name, command }) => [name, command])).toEqual([
      ['temporal', join(home, 'cache', 'bin', 'temporal-server-1.32.1')],
      ['temporal-ui', join(home, 'cache', 'bin', 'temporal-ui-server-2.54.1')],
    ]);
  });

  it('When there is no Go, then one error lists every way with its reason', async () => {
    const error = await resolve().catch((reason: unknown) => reason as Error);
    expect(error).toMatchObject({ name: 'TemporalSetupError' });
    expect((error as Error).message).toMatch(
      /binary: no `temporal` binary on the PATH or in the cache\.[^]*download: [^]*build: no `go` on the PATH[^]*Alternatives: /,
    );
  });

  it('When the build fails, then its last lines are told', async () => {
    await writeFile(
      join(home, 'path', 'go'),
      '#!/bin/sh\n[ "$1" = version ] && exit 0\necho "go: module lookup disabled" >&2\nexit 1\n',
      { mode: 0o755 },
    );
    await expect(resolve({ TEMPORAL_PROVIDER: 'build' })).rejects.toThrow(
      /`go install go\.temporal\.io\/server\/cmd\/server@v1\.32\.1` failed:\ngo: module lookup disabled/,
    );
  });

  it('When TEMPORAL_PORT is beyond what the server can store, then that is said', async () => {
    await installBuild();
    await expect(resolve({ TEMPORAL_PORT: '40000' })).rejects.toThrow(/TEMPORAL_PORT: .* ends at 32767/);
  });
});

describe('the order', () => {
  it('When a way is forced, then no other is tried', async () => {
    await installCli('1.30.0');
    await expect(resolve({ TEMPORAL_PROVIDER: 'build' })).rejects.toThrow(/build: no `go` on the PATH/);
    await installBuild();
    expect((await resolve({ TEMPORAL_PROVIDER: 'build' })).kind).toBe('build');
  });

  it('When the data are on Postgres, then a binary installed later does not leave them behind', async () => {
    await installBuild();
    expect((await resolve()).kind).toBe('build');
    await installCli('1.30.0');
    expect((await resolve()).kind).toBe('build');
  });

  it('When the data are in a file, then a build made later does not leave them behind', async () => {
    await installCli('1.30.0');
    expect((await resolve()).kind).toBe('binary');
    await rm(join(home, 'path', 'temporal'));
    await installBuild();
    await expect(resolve()).rejects.toThrow(/kept in .*state/);
  });

  it('When the same stack starts again, then command and ports are the same', async () => {
    await installBuild();
    const commands = async () => (await resolve()).processes.map(({ command, args }) => [command, ...args]);
    expect(await commands()).toEqual(await commands());
  });
});

describe('isOlder', () => {
  it.each([
    ['1.9.0', '1.29.0', true],
    ['1.29.0', '1.29.0', false],
    ['1.29.1', '1.29.0', false],
    ['2.0.0', '1.29.0', false],
    ['1.28.99', '1.29.0', true],
  ])('%s against %s: %s', (version, minimum, expected) => {
    expect(isOlder(version, minimum)).toBe(expected);
  });
});
