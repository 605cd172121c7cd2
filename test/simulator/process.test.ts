/** The simulator as a process that is killed, stopped, and started wrongly. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { waitUntilGone } from '../support/processes.ts';
import { City, HAPPY, TEST_TIMEOUT_MS, WITHIN } from './city.ts';

let city: City;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  city = await City.open(60);
});
afterEach(async () => {
  const left = [...running];
  for (const child of left) child.kill('SIGKILL');
  await Promise.all(left.map((child) => waitUntilGone(child.pid!)));
});
afterAll(() => city.close());

function start(env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', 'simulator/main.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { PATH: process.env['PATH'], LOG_LEVEL: 'fatal', ...city.environment(), ...env },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Started, and its fleet knows what it is doing. */
async function startReady(): Promise<ChildProcess> {
  const child = start();
  const [message] = (await once(child, 'message')) as [{ type: string; url: string }];
  expect(message.type).toBe('ready');
  await expect.poll(async () => (await fetch(`${message.url}/health/ready`)).status, WITHIN).toBe(200);
  return child;
}

describe('the simulator as a process', { timeout: TEST_TIMEOUT_MS }, () => {
  it('goes on with the flights in the air when it was killed, and stops when it is told to', async () => {
    const { dispatch } = await city.droneAlone();
    let child = await startReady();
    const delivery = await dispatch();
    for (const kind of ['took_off', 'loaded', 'arrived_at_dropoff']) {
      await city.untilTold(delivery, kind);
      child.kill('SIGKILL');
      await waitUntilGone(child.pid!);
      child = await startReady();
    }
    await city.untilEnded(delivery);
    expect(await city.told(delivery)).toEqual(HAPPY);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  });

  it('names everything that is wrong in its environment', async () => {
    const child = start({ DRONE_KEY: '', TELEMETRY_INTERVAL_MS: '1' });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(1);
    expect(output).toContain('DRONE_KEY');
    expect(output).toContain('TELEMETRY_INTERVAL_MS');
  });
});
