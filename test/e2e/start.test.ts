/** `npm start` as a person uses it: one command, Ctrl-C, a kill, a second start on the data of the first. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { removeData } from '../../local/data.ts';
import { readiness } from '../../local/readiness.ts';
import { PROJECT_ROOT } from '../../local/roles.ts';
import { connectServices } from '../../local/service-clients.ts';
import { readStackFile, type StackDescription } from '../../local/stack-file.ts';
import { beginningOf } from '../../local/supervisor/process-identity.mjs';
import { findFaults } from '../checker/index.ts';
import { Traffic, until } from './traffic.ts';

const START_WITHIN_MS = 240_000;
const TEST_WITHIN_MS = 300_000;

let directory: string;
const commands: Command[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drone-delivery-start-'));
});

afterEach(async () => {
  for (const command of commands.splice(0)) await command.stop();
});

afterAll(async () => {
  await removeData(directory);
  await rm(directory, { recursive: true, force: true });
}, 60_000);

/** A command of package.json, as npm runs it. */
class Command {
  readonly child: ChildProcess;
  output = '';

  constructor(script: string, args: string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
      cwd: PROJECT_ROOT,
      env: { ...process.env, LOG_LEVEL: 'warn', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    commands.push(this);
  }

  /** Waits for it to say something; a command that ends first never will. */
  async says(what: RegExp, withinMs = START_WITHIN_MS): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!what.test(this.output)) {
      if (!this.isRunning || Date.now() > deadline) throw new Error(`It never said ${what}:\n${this.output}`);
      await delay(50);
    }
  }

  async ended(): Promise<number | null> {
    if (this.isRunning) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.ended();
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }
}

const start = (args: string[] = [], env?: NodeJS.ProcessEnv) =>
  new Command('local/main.ts', ['--directory', directory, '--ports', 'free', ...args], env);
const description = () => readStackFile(join(directory, 'stack.json'));
const pidsOf = ({ processes }: StackDescription) =>
  Object.values(processes).flatMap(({ pid }) => (pid === null ? [] : [pid]));
const running = (pids: number[]) => pids.filter((pid) => beginningOf(pid) !== undefined);

test('When a port that was asked for is taken, the start ends at once and says which and how to change it', async () => {
  const taken = createServer();
  await new Promise<void>((done) => taken.listen({ host: '127.0.0.1', port: 0 }, done));
  const { port } = taken.address() as { port: number };
  try {
    const command = start([], { PORT: String(port) });
    expect(await command.ended()).toBe(1);
    expect(command.output).toMatch(new RegExp(`Port ${port} \\(PORT\\) is taken`));
    expect(command.output).not.toMatch(/ {4}at /);
  } finally {
    taken.close();
  }
}, 60_000);

test(
  'When the stack is killed in the middle of a delivery and started again, the delivery ends; Ctrl-C leaves nothing',
  async () => {
    const first = start(['--clock-rate', '15']);
    await first.says(/The stack is ready/);
    const before = await description();
    const clockBefore = before.clock;
    const pids = pidsOf(before);
    expect(running(pids)).toHaveLength(Object.keys(before.processes).length);

    const second = start();
    expect(await second.ended()).toBe(1);
    expect(second.output).toMatch(
      new RegExp(`A stack runs in ${directory} already: process ${first.child.pid}`),
    );

    const traffic = new Traffic(before);
    const { id } = await traffic.post();
    await traffic.reached(id, 'enroute_to_pickup');
    await traffic.close();

    first.child.kill('SIGKILL');
    await until('nothing runs any more', 20_000, async () => {
      const left = running(pids);
      return left.length === 0 && !existsSync(join(directory, 'stack.json')) ? undefined : left.join(', ');
    });

    const third = start();
    await third.says(/The stack is ready/);
    const after = await description();
    expect(after.clock).toEqual(clockBefore);
    expect(after.account_key).toBe(before.account_key);
    const again = new Traffic(after);
    again.accepted.push(id);
    const services = connectServices(after);
    try {
      await again.allEnded(120_000);
      const { data } = await services.delivery.listDeliveries({ query: {} });
      expect(data.map((delivery) => delivery.id)).toEqual([id]);
      await until('nothing is wrong', 120_000, async () => {
        const faults = await findFaults({ services, postgresUrl: after.postgres_url, accepted: [id] });
        return faults.length === 0 ? undefined : faults.join('\n');
      });
    } finally {
      await Promise.all([again.close(), services.close()]);
    }

    const stopMs = Date.now();
    third.child.kill('SIGINT');
    expect(await third.ended()).toBe(0);
    expect(Date.now() - stopMs).toBeLessThan(10_000);
    expect(running(pidsOf(after))).toEqual([]);
    expect(existsSync(join(directory, 'stack.json'))).toBe(false);
  },
  TEST_WITHIN_MS,
);

test(
  'When a role crashes it is started again; one that is left alone can be started by hand, and run twice',
  async () => {
    const stack = start();
    await stack.says(/The stack is ready/);
    const { processes } = await description();
    process.kill(processes['worker']!.pid!, 'SIGKILL');
    await stack.says(/\[worker\] runs again, process \d+/, 60_000);
    expect((await description()).processes['worker']!.pid).not.toBe(processes['worker']!.pid);

    const twin = new Command('local/role.ts', ['worker', '--directory', directory], { LOG_LEVEL: 'info' });
    await twin.says(/Port \d+ is in use, by the worker of the running stack: taking a free one/, 60_000);
    await twin.says(/"msg":"ready"/, 60_000);
    const url = /"url":"(http:\/\/[\d.:]+)","msg":"ready"/.exec(twin.output)![1]!;
    await until('the second worker works', 30_000, async () => {
      const state = await readiness(url);
      return state === 'ready' ? undefined : state;
    });
    twin.child.kill('SIGINT');
    expect(await twin.ended()).toBe(0);
  },
  TEST_WITHIN_MS,
);
