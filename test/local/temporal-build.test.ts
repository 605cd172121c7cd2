/** The fourth way, for real: the server built from the official Go modules, on Postgres. And on it the first way's checks. */
import { type Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBuiltBinaries } from '../../local/temporal/go-build.ts';
import {
  addSearchAttributes,
  ensureNamespace,
  ensureSearchAttributes,
  probeSearchAttributes,
} from '../../local/temporal/namespace.ts';
import { resolveTemporal } from '../../local/temporal/resolve.ts';
import { cacheDirectory } from '../../local/temporal/settings.ts';
import { TEMPORAL_POOL_SIZE } from '../../prisma/connection-budget.ts';
import { connectTemporal, isTemporalUnavailable, type TemporalClient } from '../../shared/temporal/client.ts';
import { DELIVERY_SEARCH_ATTRIBUTE_LIST } from '../../shared/temporal/search-attributes.ts';
import { postgresAdminUrl } from '../support/postgres.ts';
import { startRealTemporal, type RealTemporal } from '../support/temporal.ts';

const run = promisify(execFile);
/** A first run builds for some minutes. */
const BUILD_TIMEOUT_MS = 20 * 60_000;

let temporal: RealTemporal;
let client: Client;
let connected: TemporalClient;
beforeAll(async () => {
  temporal = await startRealTemporal({
    postgresAdminUrl: postgresAdminUrl(),
    env: { TEMPORAL_PROVIDER: 'build', TEMPORAL_RETENTION_DAYS: '3' },
    ui: true,
  });
  connected = connectTemporal({ address: temporal.address, namespace: temporal.namespace });
  client = connected.client;
}, BUILD_TIMEOUT_MS);
afterAll(async () => {
  await connected.close();
  await temporal.stop();
});

describe('a built server', () => {
  it('runs as two processes that a supervisor can see', () => {
    expect(temporal.plan.kind).toBe('build');
    expect(temporal.plan.processes.map(({ name }) => name)).toEqual(['temporal', 'temporal-ui']);
  });

  it('is found in the cache afterwards', async () => {
    expect(await findBuiltBinaries(cacheDirectory())).toBeDefined();
  });

  it('has the namespace with its retention, and a changed retention is taken over', async () => {
    const retentionDays = async () => {
      const { config } = await connected.connection.workflowService.describeNamespace({
        namespace: temporal.namespace,
      });
      return tsToMs(config?.workflowExecutionRetentionTtl) / (24 * 60 * 60_000);
    };
    expect(await retentionDays()).toBe(3);
    const { address, namespace } = temporal;
    await ensureNamespace(connected.connection, { address, namespace, retentionDays: 5 });
    expect(await retentionDays()).toBe(5);
  });

  it('has every search attribute, proved by a workflow that is gone afterwards', async () => {
    const { customAttributes } = await connected.connection.operatorService.listSearchAttributes({
      namespace: temporal.namespace,
    });
    expect(Object.keys(customAttributes)).toEqual(
      expect.arrayContaining(DELIVERY_SEARCH_ATTRIBUTE_LIST.map(({ name }) => name)),
    );
    await probeSearchAttributes(client);
    await expect
      .poll(() => client.workflow.count('TaskQueue = "stack-probe"').then(({ count }) => count))
      .toBe(0);
  });

  it('shows its UI with the codec server in it', async () => {
    expect((await fetch(temporal.plan.uiUrl!)).status).toBe(200);
  });

  it('accepts its dynamic configuration without an error or warning', async () => {
    const binaries = await findBuiltBinaries(cacheDirectory());
    const path = join(temporal.plan.processes[0]!.cwd, 'dynamic-config.yaml');
    const { stdout } = await run(binaries!.server, ['validate-dynamic-config', path]);
    expect(stdout.trim()).toBe(path);
  });

  it('keeps the database password where only its owner can read it', async () => {
    const directory = temporal.plan.processes[0]!.cwd;
    for (const name of ['server.yaml', 'postgres-password']) {
      expect((await stat(join(directory, name))).mode & 0o077).toBe(0);
    }
    const password = await readFile(join(directory, 'postgres-password'), 'utf8');
    expect(JSON.stringify(temporal.plan.processes)).not.toContain(password);
  });

  it('stays within its share of the connections', async () => {
    const admin = new pg.Client({ connectionString: postgresAdminUrl() });
    await admin.connect();
    const { rows } = await admin.query<{ connections: number }>(
      `SELECT count(*)::int AS connections FROM pg_stat_activity WHERE datname LIKE 'temporal\\_%'`,
    );
    await admin.end();
    const { defaultStore, visibilityStore } = TEMPORAL_POOL_SIZE;
    expect(rows[0]!.connections).toBeLessThanOrEqual(4 * (defaultStore + visibilityStore));
  });

  it('When it is killed and started again, then its workflows go on', async () => {
    const handle = await client.workflow.start('delivery', { taskQueue: 'nobody', workflowId: 'kept' });
    await temporal.kill();
    await expect(client.workflow.getHandle('kept').describe()).rejects.toSatisfy(isTemporalUnavailable);
    await temporal.restart();
    const { status, runId } = await handle.describe();
    expect([status.name, runId]).toEqual(['RUNNING', handle.firstExecutionRunId]);
    await handle.signal('go');
    await handle.terminate();
  }, 60_000);
});

describe('an existing cluster', () => {
  let stateDirectory: string;
  beforeAll(async () => {
    stateDirectory = await mkdtemp(join(tmpdir(), 'address-test-'));
  });
  afterAll(() => rm(stateDirectory, { recursive: true, force: true }));

  const check = async (namespace: string) => {
    const env = { ...process.env, TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: namespace };
    const plan = await resolveTemporal({ ...env, TEMPORAL_PROVIDER: '' }, { stateDirectory });
    await plan.setUp();
  };

  it('When the namespace is missing, then the commands are told and nothing is created', async () => {
    const flags = `--address ${temporal.address} --namespace elsewhere`;
    const error = await check('elsewhere').catch((reason: unknown) => reason as Error);
    expect(error).toMatchObject({ name: 'TemporalSetupError' });
    expect((error as Error).message.split('\n')).toEqual([
      `Temporal at ${temporal.address} has no namespace "elsewhere". Create it, and its search attributes, with:`,
      '',
      `  temporal operator namespace create ${flags} --retention 7d`,
      expect.stringMatching(
        `^  temporal operator search-attribute create ${flags} --name DeliveryStatus --type Keyword .*` +
          '--name DeliveryDeadline --type Datetime .*--name Attempt --type Int',
      ),
      '',
    ]);
    await expect(
      connected.connection.workflowService.describeNamespace({ namespace: 'elsewhere' }),
    ).rejects.toThrow(/not found/i);
  });

  it('When search attributes are missing, then the command names exactly those; when all are there, it is accepted', async () => {
    const namespace = 'half-ready';
    const { connection } = connected;
    await ensureNamespace(connection, { address: temporal.address, namespace, retentionDays: 1 });
    const rest = DELIVERY_SEARCH_ATTRIBUTE_LIST.filter(
      ({ name }) => name !== 'DroneId' && name !== 'PickupEta',
    );
    await addSearchAttributes(connection, namespace, rest);
    await expect
      .poll(() => check(namespace).catch((error: unknown) => (error as Error).message))
      .toBe(
        `Namespace "${namespace}" of Temporal at ${temporal.address} lacks the search attributes DroneId, PickupEta. Add them with:\n\n` +
          `  temporal operator search-attribute create --address ${temporal.address} --namespace ${namespace} ` +
          `--name DroneId --type Keyword --name PickupEta --type Datetime\n`,
      );
    await ensureSearchAttributes(connection, namespace);
    await check(namespace);
  }, 60_000);

  it('When nothing answers at the address, then that is said', async () => {
    const plan = await resolveTemporal(
      { ...process.env, TEMPORAL_ADDRESS: '127.0.0.1:9', TEMPORAL_PROVIDER: '' },
      { stateDirectory },
    );
    await expect(plan.setUp(AbortSignal.timeout(1_000))).rejects.toThrow();
  });
});
