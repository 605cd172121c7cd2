/** The second and third way, for real: Temporal's command line as it is installed, and as the SDK downloads it. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { connectTemporal } from '../../shared/temporal/client.ts';
import { resolveTemporal } from '../../local/temporal/resolve.ts';
import { CLI_TIMEOUT_MS, findRealCli } from '../support/temporal-cli.ts';
import { postgresAdminUrl } from '../support/postgres.ts';
import { startRealTemporal, type RealTemporal } from '../support/temporal.ts';

const run = promisify(execFile);

let cli: string | undefined;
beforeAll(async () => {
  cli = await findRealCli();
}, CLI_TIMEOUT_MS);

/** Without a real command line there is nothing to prove. */
function realCli(context: TestContext): string {
  return cli ?? context.skip('no Temporal command line, and no Go to build one');
}

async function startWithCli(context: TestContext): Promise<RealTemporal> {
  const env = { TEMPORAL_PROVIDER: 'binary', TEMPORAL_BINARY: realCli(context) };
  return startRealTemporal({ postgresAdminUrl: postgresAdminUrl(), env });
}

describe('a binary', () => {
  it('runs with its UI, and with search attributes that are proved', async (context) => {
    const temporal = await startWithCli(context);
    try {
      expect(temporal.plan.kind).toBe('binary');
      expect((await fetch(temporal.plan.uiUrl!)).status).toBe(200);
    } finally {
      await temporal.stop();
    }
  });

  it('When it is killed and started again, then its workflows go on', async (context) => {
    const temporal = await startWithCli(context);
    const { client, close } = connectTemporal({ address: temporal.address, namespace: temporal.namespace });
    try {
      const handle = await client.workflow.start('delivery', { taskQueue: 'nobody', workflowId: 'kept' });
      await temporal.kill();
      await temporal.restart();
      await temporal.plan.setUp();
      const { status, runId } = await handle.describe();
      expect([status.name, runId]).toEqual(['RUNNING', handle.firstExecutionRunId]);
    } finally {
      await close();
      await temporal.stop();
    }
  });
});

describe("the SDK's download", () => {
  let directory: string;
  const servers: Server[] = [];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'download-test-'));
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await rm(directory, { recursive: true, force: true });
  });

  const listen = async (server: Server): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };

  /**
   * The download site on loopback, with a certificate that only this test's environment trusts, behind a proxy that
   * leads there whatever host it is asked for. Its archive holds a launcher of the real command line.
   */
  async function startDownloadSite(binary: string): Promise<{ env: NodeJS.ProcessEnv; asked: string[] }> {
    const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'],
      ...['-keyout', key, '-out', certificate, '-subj', '/CN=temporal.download'],
      ...['-addext', 'subjectAltName=DNS:temporal.download', '-addext', 'basicConstraints=CA:FALSE'],
    ]);
    await writeFile(join(directory, 'temporal'), `#!/bin/sh\nexec '${binary}' "$@"\n`);
    await chmod(join(directory, 'temporal'), 0o755);
    await run('tar', ['czf', 'archive.tar.gz', 'temporal'], { cwd: directory });
    const archive = await readFile(join(directory, 'archive.tar.gz'));
    const asked: string[] = [];
    const site = createHttpsServer(
      { key: await readFile(key), cert: await readFile(certificate) },
      (request, response) => {
        asked.push(request.url ?? '');
        if (request.url === '/archive.tar.gz') return response.end(archive);
        response.setHeader('content-type', 'application/json');
        const archiveUrl = 'https://temporal.download/archive.tar.gz';
        return response.end(JSON.stringify({ archiveUrl, fileToExtract: 'temporal' }));
      },
    );
    const sitePort = await listen(site);
    const proxy = createHttpServer().on('connect', (_request, socket, head) => {
      const upstream = connect(sitePort, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    const proxyUrl = `http://127.0.0.1:${await listen(proxy)}`;
    return {
      env: {
        ...{ HTTPS_PROXY: proxyUrl, https_proxy: proxyUrl, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' },
        ...{ SSL_CERT_FILE: certificate, SSL_CERT_DIR: directory },
      },
      asked,
    };
  }

  it('When the site can be reached, then the binary is kept in the cache and run from there, also the next time', async (context) => {
    const binary = realCli(context);
    await run('openssl', ['version']).catch(() => context.skip('no openssl to make a certificate with'));
    const site = await startDownloadSite(binary);
    const said: string[] = [];
    const cache = join(directory, 'cache');
    const env = { PATH: '/nowhere', HOME: directory, DRONE_DELIVERY_CACHE: cache, ...site.env };
    const resolve = (stateDirectory: string) =>
      resolveTemporal(env, { stateDirectory, onProgress: (message) => said.push(message) });
    const plan = await resolve(join(directory, 'first'));
    expect(plan.kind).toBe('download');
    expect(said[0]).toBe("Downloading Temporal's development server from temporal.download (first run only)");
    expect(site.asked).toEqual([
      expect.stringMatching(/^\/cli\/default\?.*sdk-name=sdk-typescript/),
      '/archive.tar.gz',
    ]);
    const [kept] = await readdir(join(cache, 'bin'));
    expect(plan.processes[0]!.command).toBe(join(cache, 'bin', kept!));
    expect(plan.processes[0]!.args).toContain(join(directory, 'first', 'temporal.db'));

    const again = await resolve(join(directory, 'second'));
    expect(again.kind).toBe('binary');
    expect(again.processes[0]!.command).toBe(plan.processes[0]!.command);
    expect(site.asked).toHaveLength(2);
  }, 60_000);
});
