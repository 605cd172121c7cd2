import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FixtureOptions, fixtureRole } from './fixtures/specs.ts';
import { warningIn } from './log-file.ts';
import { beginningOf } from './process-identity.mjs';
import { Supervisor, type SupervisorEvent } from './supervisor.ts';

let folder: string;
let supervisor: Supervisor;
let events: SupervisorEvent[];
let other: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'supervisor-'));
  events = [];
});

afterEach(async () => {
  await (supervisor as Supervisor | undefined)?.stopAll(2_000);
  other?.kill('SIGKILL');
  other = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function supervise(restartCrashed = false): Promise<Supervisor> {
  supervisor = await Supervisor.create({ restartCrashed, onEvent: (event) => events.push(event) });
  return supervisor;
}

const role = (name: string, options?: FixtureOptions) => fixtureRole(folder, name, options);
const order = () => readFileSync(join(folder, 'order'), 'utf8').trim().split('\n');
const isRunning = (pid: number | undefined) => pid !== undefined && beginningOf(pid) !== undefined;

test('When a process is started, it runs and its name leads to its pid', async () => {
  await supervise();
  supervisor.add(role('one'));
  await supervisor.start('one');
  expect(supervisor.state('one')).toBe('running');
  expect(isRunning(supervisor.pid('one'))).toBe(true);
});

test('When all is stopped, the stages go one after the other and nothing is left', async () => {
  await supervise();
  supervisor.add(role('third', { stage: 3 }));
  supervisor.add(role('first', { stage: 1 }));
  supervisor.add(role('second', { stage: 2 }));
  for (const name of supervisor.names) await supervisor.start(name);
  const pids = [...supervisor.names.map((name) => supervisor.pid(name)), supervisor.keeperPid];
  await supervisor.stopAll(5_000);
  expect(order().filter((line) => line.endsWith('stopped'))).toEqual([
    'first stopped',
    'second stopped',
    'third stopped',
  ]);
  expect(pids.filter(isRunning)).toEqual([]);
});

test('When a process does not listen, it is killed after its time and the others still stop in order', async () => {
  await supervise();
  supervisor.add(role('deaf', { mode: 'stubborn', stage: 1, stopWithinMs: 300 }));
  supervisor.add(role('last', { stage: 2 }));
  for (const name of supervisor.names) await supervisor.start(name);
  const pid = supervisor.pid('deaf');
  const begun = Date.now();
  await supervisor.stopAll(5_000);
  expect(Date.now() - begun).toBeLessThan(4_000);
  expect(isRunning(pid)).toBe(false);
  expect(order().slice(-2)).toEqual(['deaf ignored SIGTERM', 'last stopped']);
});

test('When a process is killed, it stays dead until it is started again', async () => {
  await supervise(true);
  supervisor.add(role('one'));
  await supervisor.start('one');
  const before = supervisor.pid('one');
  await supervisor.kill('one');
  expect(isRunning(before)).toBe(false);
  expect(supervisor.state('one')).toBe('stopped');
  await supervisor.start('one');
  expect(supervisor.pid('one')).not.toBe(before);
  expect(events).toEqual([]);
});

test('When a process ends unasked, it is said, and it is started again where that is wanted', async () => {
  await supervise(true);
  supervisor.add(role('one'));
  await supervisor.start('one');
  const before = supervisor.pid('one')!;
  process.kill(before, 'SIGKILL');
  await vi.waitFor(() => expect(supervisor.pid('one')).not.toBe(before), 5_000);
  await vi.waitFor(() => expect(events.map(({ kind }) => kind)).toEqual(['crashed', 'restarted']), 5_000);
  expect(events[0]).toMatchObject({ name: 'one', exit: { signal: 'SIGKILL' }, againInMs: 0 });
});

test('When a process keeps ending, the pauses grow, and it comes up once its cause is gone', async () => {
  await supervise(true);
  supervisor.add(role('one', { mode: 'crashes' }));
  await supervisor.start('one');
  const pauses = () => events.flatMap((event) => (event.kind === 'crashed' ? [event.againInMs] : []));
  await vi.waitFor(() => expect(pauses().slice(0, 3)).toEqual([0, 500, 1000]), 10_000);
  writeFileSync(join(folder, 'healed'), '');
  await vi.waitFor(() => expect(supervisor.state('one')).toBe('running'), 10_000);
});

test('When restarts are not wanted, a crash is only said', async () => {
  await supervise(false);
  supervisor.add(role('one', { mode: 'crashes' }));
  await supervisor.start('one');
  await vi.waitFor(
    () =>
      expect(events).toEqual([
        { kind: 'crashed', name: 'one', exit: { code: 3, signal: null }, againInMs: null },
      ]),
    10_000,
  );
  expect(supervisor.state('one')).toBe('stopped');
});

test('When a process fails to start, the error quotes its log', async () => {
  await supervise();
  supervisor.add(role('one', { mode: 'fails' }));
  await expect(supervisor.start('one')).rejects.toThrow(
    /ended while starting \(exit code 1\)[^]*no such database/,
  );
  expect(supervisor.state('one')).toBe('stopped');
});

test('When a process is never ready, the start fails in time and the process is gone', async () => {
  await supervise();
  supervisor.add(role('one', { mode: 'never-ready', readyWithinMs: 1_000 }));
  const started = supervisor.start('one');
  await vi.waitFor(() => expect(existsSync(join(folder, 'one.pid'))).toBe(true), 10_000);
  const pid = Number(readFileSync(join(folder, 'one.pid'), 'utf8'));
  await expect(started).rejects.toThrow(/not ready after 1 s/);
  expect(isRunning(pid)).toBe(false);
});

test('When all is stopped while a process starts, the start is given up', async () => {
  await supervise();
  supervisor.add(role('one', { mode: 'never-ready' }));
  const started = supervisor.start('one');
  started.catch(() => undefined);
  await vi.waitFor(() => expect(existsSync(join(folder, 'one.pid'))).toBe(true), 10_000);
  await supervisor.stopAll(2_000);
  await expect(started).rejects.toThrow('The stack is being stopped');
  expect(isRunning(Number(readFileSync(join(folder, 'one.pid'), 'utf8')))).toBe(false);
});

test('When a command does not exist, it is said by name', async () => {
  await supervise();
  supervisor.add(
    role('one', { command: async () => ({ file: '/nonexistent', args: [], cwd: folder, env: {} }) }),
  );
  await expect(supervisor.start('one')).rejects.toThrow(/one cannot be started: .*ENOENT/);
});

async function startOther(): Promise<{ keeperPid: number; pids: number[] }> {
  writeFileSync(join(folder, 'claim'), '');
  const script = join(import.meta.dirname, 'fixtures', 'supervised.ts');
  other = spawn(process.execPath, ['--import', 'tsx', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(other.stdout!, 'data')) as [Buffer];
  const pids = ['first', 'stubborn', 'last'].map((name) =>
    Number(readFileSync(join(folder, `${name}.pid`), 'utf8')),
  );
  return { keeperPid: Number(String(line).split(' ')[1]), pids };
}

test('When the supervisor is killed with -9, nothing it started outlives it, and its claim is removed', async () => {
  const { keeperPid, pids } = await startOther();
  expect([...pids, keeperPid].map(isRunning)).toEqual([true, true, true, true]);
  other!.kill('SIGKILL');
  await vi.waitFor(() => expect([...pids, keeperPid].filter(isRunning)).toEqual([]), 5_000);
  expect(existsSync(join(folder, 'claim'))).toBe(false);
  // What has no parent to lose is stopped after those that have one.
  expect(order().at(-1)).toBe('last stopped');
});

test('When the keeper is killed first and the supervisor then, there is still no orphan', async () => {
  const { keeperPid, pids } = await startOther();
  process.kill(keeperPid, 'SIGKILL');
  const children = () =>
    readFileSync(`/proc/${other!.pid!}/task/${other!.pid!}/children`, 'utf8').trim().split(' ').map(Number);
  // A new keeper is there when the supervisor has four children again.
  await vi.waitFor(() => expect(children().filter((pid) => pid !== keeperPid)).toHaveLength(4), 5_000);
  // Its command has been executed, so it reads.
  await vi.waitFor(() =>
    expect(
      children().some((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('keeper.mjs')),
    ).toBe(true),
  );
  other!.kill('SIGKILL');
  await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), 5_000);
});

test('When a log line is a warning or worse, a person sees it; else not', () => {
  expect(warningIn('{"level":30,"msg":"fine"}')).toBeUndefined();
  expect(warningIn('{"level":40,"msg":"slow"}')).toBe('warning: slow');
  expect(warningIn('{"level":50,"msg":"failed","err":{"message":"why"}}')).toBe('error: failed: why');
  expect(warningIn('Trace: something else')).toBe('Trace: something else');
  expect(warningIn('(node:12) [DEP0040] DeprecationWarning: old')).toBeUndefined();
});
