// The process that runs services: started as a person or a supervisor starts it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import getPort from 'get-port';
import { request } from 'undici';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { generatePayloadKey } from '../../shared/temporal/codec.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/postgres.ts';

const ENTRY = join(import.meta.dirname, '../main.ts');

let database: TestDatabase;
const started: Started[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterEach(() => {
  for (const { child } of started.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => {
  await database.drop();
});

interface Started {
  child: ChildProcess;
  /** What it has written so far. */
  output: () => string;
  /** Its exit code, once it has ended. */
  ended: Promise<number | null>;
}

function start(names: string[], env: Record<string, string>): Started {
  const child = spawn(process.execPath, ['--import', 'tsx', ENTRY, ...names], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  const collect = (chunk: Buffer) => (output += chunk.toString());
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const one = { child, output: () => output, ended };
  started.push(one);
  return one;
}

/** Resolves with what the process told its parent when it was ready. */
async function whenReady({ child, ended, output }: Started): Promise<unknown> {
  const died = ended.then((code) => {
    throw new Error(`It ended with ${code}:\n${output()}`);
  });
  const [message] = (await Promise.race([once(child, 'message'), died])) as [unknown];
  return message;
}

async function ready(port: number): Promise<{ status: number; body: unknown }> {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}/health/ready`);
  return { status: statusCode, body: await body.json() };
}

test('runs the services that are named, each on its port, and stops when told', async () => {
  const [accountPort, carrierPort] = [await getPort(), await getPort()];
  const services = start(['account', 'carrier'], {
    ACCOUNT_PORT: String(accountPort),
    CARRIER_PORT: String(carrierPort),
    ACCOUNT_DATABASE_URL: database.services.account.url,
    CARRIER_DATABASE_URL: database.services.carrier.url,
    // Nobody listens there: a service is ready all the same, because Temporal may be down.
    TEMPORAL_ADDRESS: `127.0.0.1:${await getPort()}`,
    PAYLOAD_KEYS: generatePayloadKey('test'),
  });
  expect(await whenReady(services)).toEqual({ type: 'ready', url: null });
  for (const port of [accountPort, carrierPort]) {
    expect(await ready(port)).toEqual({ status: 200, body: { status: 'ready', checks: { database: 'ok' } } });
  }
  const stopping = Date.now();
  services.child.kill('SIGTERM');
  expect(await services.ended).toBe(0);
  expect(Date.now() - stopping).toBeLessThan(10_000);
}, 60_000);

test('tells the address of a single one, and goes down with its parent', async () => {
  const port = await getPort();
  const services = start(['package'], {
    PACKAGE_PORT: String(port),
    PACKAGE_DATABASE_URL: database.services.package.url,
  });
  expect(await whenReady(services)).toEqual({ type: 'ready', url: `http://127.0.0.1:${port}` });
  services.child.disconnect();
  expect(await services.ended).toBe(0);
}, 60_000);

test('names everything that is wrong with its environment at once', async () => {
  const services = start(['account', 'carrier'], { ACCOUNT_PORT: '70000', ACCOUNT_KEY_SECRET: 'short' });
  expect(await services.ended).toBe(1);
  for (const variable of [
    'ACCOUNT_PORT',
    'ACCOUNT_DATABASE_URL',
    'ACCOUNT_KEY_SECRET',
    'CARRIER_DATABASE_URL',
    'PAYLOAD_KEYS',
  ]) {
    expect(services.output()).toContain(variable);
  }
  expect(services.output()).not.toContain('PACKAGE_DATABASE_URL');
}, 60_000);

test('names the services there are when it is asked for another', async () => {
  const services = start(['acount'], {});
  expect(await services.ended).toBe(1);
  expect(services.output()).toContain('There is no service acount');
}, 60_000);

test('says which address is taken', async () => {
  const port = await getPort();
  const env = { PACKAGE_PORT: String(port), PACKAGE_DATABASE_URL: database.services.package.url };
  await whenReady(start(['package'], env));
  const second = start(['package'], env);
  expect(await second.ended).toBe(1);
  expect(second.output()).toContain(`address already in use 127.0.0.1:${port}`);
}, 60_000);
