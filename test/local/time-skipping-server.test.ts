import { execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchJavaServer, findTimeSkippingServer } from '../../local/temporal/time-skipping-server.ts';
import { DELIVERY_SEARCH_ATTRIBUTES } from '../../shared/temporal/search-attributes.ts';
import { waitUntilGone } from '../support/processes.ts';
import { createTimeSkippingEnvironment } from '../support/temporal.ts';

const run = promisify(execFile);
const leash = fileURLToPath(new URL('../support/leash.sh', import.meta.url));
const DAY_MS = 24 * 60 * 60 * 1000;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'test-server-test-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe('the time-skipping server', () => {
  it('passes days in milliseconds and knows the search attributes', async () => {
    const environment = await createTimeSkippingEnvironment();
    try {
      const before = await environment.currentTimeMs();
      const startedAt = Date.now();
      await environment.sleep('30 days');
      expect((await environment.currentTimeMs()) - before).toBeGreaterThanOrEqual(30 * DAY_MS);
      expect(Date.now() - startedAt).toBeLessThan(5_000);
      await environment.client.workflow.start('delivery', {
        taskQueue: 'nobody',
        workflowId: 'w',
        typedSearchAttributes: [{ key: DELIVERY_SEARCH_ATTRIBUTES.deliveryStatus, value: 'created' }],
      });
    } finally {
      await environment.teardown();
    }
  });

  it('is a given one when TEMPORAL_TEST_SERVER_PATH says so', async () => {
    const path = join(home, 'server');
    await writeFile(path, '#!/bin/sh\n');
    const env = { PATH: '', DRONE_DELIVERY_CACHE: home, TEMPORAL_TEST_SERVER_PATH: path };
    await expect(findTimeSkippingServer(env)).rejects.toThrow(
      `TEMPORAL_TEST_SERVER_PATH: ${path} is not an executable.`,
    );
    await chmod(path, 0o755);
    expect(await findTimeSkippingServer(env)).toBe(path);
  });

  it('is the pinned Maven artifact where Java and Maven are installed', async (context) => {
    await run('mvn', ['-version']).catch(() => context.skip('no Maven'));
    const path = await fetchJavaServer(home, process.env);
    const environment = await TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
    });
    await environment.teardown();
    // The second time it is there already: nothing on the PATH is needed to find it.
    expect(await fetchJavaServer(home, { PATH: '' })).toBe(path);
  }, 120_000);

  it('When neither the site nor Java is there, then both are told and the SDK is left to try', async () => {
    const said: string[] = [];
    const unreachable = { HTTPS_PROXY: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' };
    const env = { ...unreachable, PATH: home, HOME: home, DRONE_DELIVERY_CACHE: home };
    expect(await findTimeSkippingServer(env, (message) => said.push(message))).toBeUndefined();
    expect(said.join('\n')).toMatch(
      /cannot be downloaded: [^]*TEMPORAL_TEST_SERVER_PATH[^]*no working `java`/,
    );
  });
});

describe('a server on a leash', () => {
  it('When the test process is killed, then the server goes too', async () => {
    const script = `
      const { spawn } = require('node:child_process');
      const child = spawn(${JSON.stringify(leash)}, ['sleep', '600'], { stdio: 'ignore' });
      console.log(child.pid);
      process.kill(process.pid, 'SIGKILL');`;
    const { stdout } = await run(process.execPath, ['-e', script]).catch(
      (error: unknown) => error as { stdout: string },
    );
    await waitUntilGone(Number(stdout));
  });

  it('When the server ends, then nothing of the leash is left', async () => {
    const child = spawn(leash, ['true'], { stdio: 'ignore' });
    await new Promise((resolve) => child.once('exit', resolve));
    const watchers = async () => {
      const { stdout } = await run('ps', ['-eo', 'args']);
      return stdout.split('\n').filter((line) => line.includes(`${leash} true`)).length;
    };
    await expect.poll(watchers, { timeout: 5_000 }).toBe(0);
  });
});
