/** The simulator as a process that is killed, stopped, and started wrongly. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Client, createClient } from '../../shared/http/client.ts';
import { controlContract } from '../../simulator/contract.ts';
import { waitUntilGone } from '../support/processes.ts';
import { City, HAPPY, TEST_TIMEOUT_MS, WITHIN } from './city.ts';

let city: City;
let directory: string;
const running = new Set<ChildProcess>();
const controls = new Set<Control>();
type Control = Client<typeof controlContract>;
interface Started {
  child: ChildProcess;
  control: Control;
}

beforeAll(async () => {
  city = await City.open(60);
  directory = await mkdtemp(join(tmpdir(), 'drone-delivery-simulator-'));
});
afterEach(async () => {
  const left = [...running];
  for (const child of left) child.kill('SIGKILL');
  await Promise.all(left.map((child) => waitUntilGone(child.pid!)));
  await Promise.all([...controls].map((control) => control.close()));
  controls.clear();
});
afterAll(async () => {
  await city.close();
  await rm(directory, { recursive: true, force: true });
});

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
async function startReady(env: Record<string, string> = {}): Promise<Started> {
  const child = start(env);
  const [message] = (await once(child, 'message')) as [{ type: string; url: string }];
  expect(message.type).toBe('ready');
  await expect.poll(async () => (await fetch(`${message.url}/health/ready`)).status, WITHIN).toBe(200);
  const control = createClient(controlContract, { baseUrl: message.url });
  controls.add(control);
  return { child, control };
}

async function kill({ child }: Started): Promise<void> {
  child.kill('SIGKILL');
  await waitUntilGone(child.pid!);
}

describe('the simulator as a process', { timeout: TEST_TIMEOUT_MS }, () => {
  it('goes on with the flights in the air when it was killed, and stops when it is told to', async () => {
    const { dispatch } = await city.droneAlone();
    let simulator = await startReady();
    const delivery = await dispatch();
    for (const kind of ['took_off', 'loaded', 'arrived_at_dropoff']) {
      await city.untilTold(delivery, kind);
      await kill(simulator);
      simulator = await startReady();
    }
    await city.untilEnded(delivery);
    expect(await city.told(delivery)).toEqual(HAPPY);
    const { child } = simulator;
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  });

  it('knows what is in its bay when it was killed before it could tell', async () => {
    const { dispatch, droneId } = await city.droneAlone();
    const memory = { MEMORY_FILE: join(directory, 'aircraft.jsonl') };
    city.unheard.add('loaded');
    const first = await startReady(memory);
    const delivery = await dispatch();
    const isLoaded = async () =>
      (await first.control.listAircraft({})).data.some(
        (one) => one.drone_id === droneId && one.payload_kg > 0,
      );
    await expect.poll(isLoaded, WITHIN).toBe(true);
    await kill(first);
    // It is asked for the drone back meanwhile, and nobody can know that it is too late.
    expect(await delivery.recall()).toEqual({ outcome: 'pending' });
    city.unheard.clear();
    await startReady(memory);
    await city.untilEnded(delivery);
    expect(await city.told(delivery)).toEqual(HAPPY);
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
