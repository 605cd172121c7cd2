/** The whole system on a real Temporal server and Postgres, every role a process of its own, killed one after the other. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeData } from '../../local/data.ts';
import { connectServices, type ServiceClients } from '../../local/service-clients.ts';
import { type Stack, startStack } from '../../local/stack.ts';
import { readStackFile } from '../../local/stack-file.ts';
import { beginningOf } from '../../local/supervisor/process-identity.mjs';
import { SERVICES } from '../../prisma/services.ts';
import type { Problem } from '../../shared/errors.ts';
import { connectTemporal, type TemporalClient } from '../../shared/temporal/client.ts';
import { findFaults } from '../checker/index.ts';
import { Traffic, until } from './traffic.ts';

/** Clock seconds per second. */
const CLOCK_RATE = 20;
const START_WITHIN_MS = 300_000;
const TEST_WITHIN_MS = 180_000;
const FLIGHT_WITHIN_MS = 120_000;

let directory: string;
let stack: Stack;
let traffic: Traffic;
let services: ServiceClients;
let temporal: TemporalClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drone-delivery-e2e-'));
  stack = await startStack({
    directory,
    layout: 'separate',
    ports: 'free',
    clockRate: CLOCK_RATE,
    env: { ...process.env, LOG_LEVEL: 'warn' },
  });
  const { description } = stack;
  traffic = new Traffic(description);
  services = connectServices(description);
  temporal = connectTemporal({
    address: description.temporal_address,
    namespace: description.temporal_namespace,
  });
}, START_WITHIN_MS);

afterAll(async () => {
  await Promise.all([
    (traffic as Traffic | undefined)?.close(),
    (services as ServiceClients | undefined)?.close(),
    (temporal as TemporalClient | undefined)?.close(),
  ]);
  const pids = (stack as Stack | undefined)?.processes.map((name) => stack.pid(name));
  await (stack as Stack | undefined)?.stop();
  expect(pids?.filter((pid) => pid !== undefined && beginningOf(pid) !== undefined)).toEqual([]);
  await removeData(directory);
  await rm(directory, { recursive: true, force: true });
}, 60_000);

const checked = () => ({
  services,
  temporal: temporal.client,
  postgresUrl: stack.description.postgres_url,
  accepted: traffic.accepted,
});

/** Everything that is wrong with what was accepted so far, flights home aside. */
const faults = () => findFaults({ ...checked(), ignoreFlightsHome: true });

test('When the stack runs, stack.json says so to its owner only, with what a caller needs', async () => {
  const file = join(directory, 'stack.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const description = await readStackFile(file);
  expect(description.api_url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  for (const name of stack.processes) {
    expect(beginningOf(description.processes[name]!.pid!), name).toBeDefined();
  }
  for (const url of [description.api_url, ...Object.values(description.services)]) {
    expect((await fetch(`${url}/health/live`)).status, url).toBe(200);
    expect((await fetch(`${url}/health/ready`)).status, url).toBe(200);
  }
});

test(
  'When a delivery is requested, a drone flies it and everything about it can be read',
  async () => {
    const accepted = await traffic.post();
    expect(accepted).toMatchObject({ status: 'created', sequence: 1 });
    expect((await traffic.get(accepted.id)).id).toBe(accepted.id);
    await traffic.reached(accepted.id, 'enroute_to_pickup');
    await until('its drone is tracked', 30_000, async () => {
      const tracking = await traffic.sender.getTracking({ params: { delivery_id: accepted.id } });
      return tracking.position_status === 'live' ? undefined : tracking.position_status;
    });
    await traffic.allEnded(FLIGHT_WITHIN_MS);
    const delivery = await traffic.get(accepted.id);
    expect(delivery).toMatchObject({
      status: 'delivered',
      attempt: 1,
      charge: delivery.price,
      compensation: 'none',
    });
    const statuses = (await traffic.events(accepted.id)).map(({ status }) => status);
    expect([...new Set(statuses)]).toEqual([
      'created',
      'confirmed',
      'enroute_to_pickup',
      'arrived_at_pickup',
      'picked_up',
      'enroute_to_dropoff',
      'arrived_at_dropoff',
      'delivered',
    ]);
    expect(await faults()).toEqual([]);
  },
  TEST_WITHIN_MS,
);

test(
  'When Postgres is down, a request is answered 503 with Retry-After, and accepted once it is back',
  async () => {
    await stack.kill('postgres');
    const request = traffic.request();
    const refusal = await traffic.post(request).catch((error: unknown) => error as Problem);
    expect(refusal).toMatchObject({ status: 503 });
    expect((refusal as Problem).retryAfterS).toBeGreaterThan(0);
    await stack.restart('postgres');
    await traffic.postUntilAccepted(request);
    await traffic.allEnded(FLIGHT_WITHIN_MS);
    expect(await faults()).toEqual([]);
  },
  TEST_WITHIN_MS,
);

test(
  'When ingestion is down, a request is answered 503 with Retry-After',
  async () => {
    await stack.kill('ingestion');
    const refusal = await traffic.post().catch((error: unknown) => error as Problem);
    expect(refusal).toMatchObject({ status: 503 });
    expect((refusal as Problem).retryAfterS).toBeGreaterThan(0);
    await stack.restart('ingestion');
  },
  TEST_WITHIN_MS,
);

describe('When a role is killed in the middle of deliveries and started again', () => {
  /** Without these nothing can be accepted; the sender repeats its request. */
  const NEEDED_TO_ACCEPT = ['api', 'ingestion', 'postgres'];

  for (const role of ['worker', 'api', ...SERVICES, 'simulator', 'temporal', 'postgres']) {
    test(
      `${role}: all deliveries end, none is lost, none doubled, nothing stays held`,
      async () => {
        const first = await traffic.post();
        await traffic.reached(first.id, 'confirmed');
        const second = await traffic.post();
        await traffic.reached(first.id, 'picked_up');

        const before = stack.pid(role);
        await stack.kill(role);
        expect(beginningOf(before!)).toBeUndefined();
        const third = NEEDED_TO_ACCEPT.includes(role) ? traffic.postUntilAccepted() : traffic.post();
        if (!NEEDED_TO_ACCEPT.includes(role)) await third;
        await stack.restart(role);
        expect(stack.pid(role)).not.toBe(before);

        const { id } = await third;
        await traffic.allEnded(FLIGHT_WITHIN_MS);
        expect(traffic.accepted.slice(-3)).toEqual([first.id, second.id, id]);
        expect(await faults()).toEqual([]);
      },
      TEST_WITHIN_MS,
    );
  }
});

test(
  'When all have ended, every drone is home and nothing is held by anybody',
  async () => {
    await until('nothing is wrong', FLIGHT_WITHIN_MS, async () => {
      const wrong = await findFaults(checked());
      return wrong.length === 0 ? undefined : wrong.join('\n');
    });
  },
  TEST_WITHIN_MS,
);
