/** The system under test: the whole local stack with every role in a process of its own, and typed clients to it. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { publicContract } from '../api/contract.ts';
import { PROJECT_ROOT } from '../local/roles.ts';
import { connectServices, type ServiceClients } from '../local/service-clients.ts';
import { type Stack, startStack } from '../local/stack.ts';
import type { StackDescription } from '../local/stack-file.ts';
import type { droneContract } from '../services/drone/contract/index.ts';
import { type Client, createClient } from '../shared/http/client.ts';

export type PublicClient = Client<typeof publicContract>;
export type BusinessClient = Pick<PublicClient, 'createDelivery' | 'listDeliveryEvents'>;
export type DroneClient = Pick<
  PublicClient,
  'postTelemetry' | 'listDrones' | 'getMission' | 'requestLoadToken' | 'postMilestone'
>;
export type DroneServiceClient = Client<typeof droneContract>;

export interface System {
  stack: Stack;
  /** Which Temporal this is, in words. */
  temporal: string;
  description: StackDescription;
  /** The public API with the ordinary account's key. */
  business: PublicClient;
  /** The public API with the fleet's key. */
  drones: PublicClient;
  /** The services themselves, to look behind the scenes: what is held, what is left. */
  services: ServiceClients;
  /** The first process of every role that runs now. */
  roots(): Record<string, number>;
  stop(): Promise<void>;
}

export const BENCH_DIRECTORY = join(PROJECT_ROOT, '.local', 'bench');

/** More than any figure asks for: the limits are not what is measured. */
const UNLIMITED = { API_RATE_LIMIT_PER_MINUTE: '100000000', API_TELEMETRY_LIMIT_PER_MINUTE: '100000000' };

/** What a client waits in long polls does not use up what others need. */
const CONNECTIONS = 256;

/**
 * Starts a stack on fresh data. The simulator stays off: the bench's pilot is the fleet.
 * @param env added to that of every role
 */
async function startSystem(say: (what: string) => void, env: NodeJS.ProcessEnv): Promise<System> {
  const directory = join(BENCH_DIRECTORY, 'stack');
  await rm(directory, { recursive: true, force: true });
  let temporal = '';
  const stack = await startStack({
    directory,
    layout: 'separate',
    ports: 'free',
    without: ['simulator'],
    env: { ...process.env, ...UNLIMITED, ...env },
    onStep: ({ step, state, detail }) => {
      if (state === 'running') say(detail ? `${step}: ${detail}` : step);
      else if (step === 'Temporal found') temporal = detail ?? '';
    },
  });
  const { description } = stack;
  const withKey = (key: string) =>
    createClient(publicContract, {
      baseUrl: description.api_url,
      headers: { authorization: `Bearer ${key}` },
      connections: CONNECTIONS,
      timeoutMs: 60_000,
    });
  const business = withKey(description.account_key);
  const drones = withKey(description.drone_key);
  const services = connectServices(description);
  return {
    stack,
    temporal,
    description,
    business,
    drones,
    services,
    roots: () =>
      Object.fromEntries(
        stack.processes.flatMap((name): [string, number][] => {
          const pid = stack.pid(name);
          return pid === undefined ? [] : [[name, pid]];
        }),
      ),
    async stop() {
      await Promise.all([business, drones, services].map((client) => client.close()));
      await stack.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Starts a system, has it used, and stops it whatever happens. */
export async function withSystem<T>(
  say: (what: string) => void,
  use: (system: System) => Promise<T>,
  env: NodeJS.ProcessEnv = {},
): Promise<T> {
  const system = await startSystem(say, env);
  try {
    return await use(system);
  } finally {
    await system.stop();
  }
}
