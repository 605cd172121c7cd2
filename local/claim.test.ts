import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimDirectory, nameKeeper } from './claim.ts';
import { removeData } from './data.ts';
import { beginningOf } from './supervisor/process-identity.mjs';

let folder: string;
let path: string;
let other: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'claim-'));
  path = join(folder, 'stack.claim');
});

afterEach(() => {
  other?.kill('SIGKILL');
  other = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function otherProcess(): Promise<number> {
  other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log()'], { stdio: 'pipe' });
  await once(other.stdout!, 'data');
  return other.pid!;
}

const claimant = () => JSON.parse(readFileSync(path, 'utf8')) as { pid: number };

test('When a living process has the directory, the message names it and says what to do', async () => {
  await claimDirectory(path);
  expect(claimant().pid).toBe(process.pid);
  await expect(claimDirectory(path)).rejects.toThrow(
    new RegExp(`A stack runs in ${folder} already: process ${process.pid}.*kill ${process.pid}`),
  );
});

test('Who removes the data for a fresh start keeps the directory', async () => {
  await claimDirectory(path);
  mkdirSync(join(folder, 'postgres'));
  writeFileSync(join(folder, 'clock.json'), '{}');
  await removeData(folder);
  expect(readdirSync(folder)).toEqual(['stack.claim']);
  await expect(claimDirectory(path)).rejects.toThrow('already');
});

test('When the process that had the directory is gone, its claim is taken over', async () => {
  writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, beginning: '1', since: 'yesterday' }));
  await claimDirectory(path);
  expect(claimant().pid).toBe(process.pid);
});

test('When the number of that process belongs to another one now, its claim is taken over', async () => {
  const pid = await otherProcess();
  writeFileSync(path, JSON.stringify({ pid, beginning: 'another', since: 'yesterday' }));
  await claimDirectory(path);
  expect(claimant().pid).toBe(process.pid);
});

test('When a claim was cut short by a crash, it is taken over', async () => {
  writeFileSync(path, '{"pid":');
  await claimDirectory(path);
  expect(claimant().pid).toBe(process.pid);
});

test('When the keeper of a killed stack still stops processes, the next stack waits for it', async () => {
  const keeperPid = await otherProcess();
  writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, beginning: '1', since: 'yesterday' }));
  await nameKeeper(path, keeperPid);
  const told: string[] = [];
  const claimed = claimDirectory(path, (message) => {
    told.push(message);
    other!.kill('SIGKILL');
  });
  await claimed;
  expect(told).toEqual(['The last stack was killed: waiting until its processes have stopped']);
  expect(beginningOf(keeperPid)).toBeUndefined();
  expect(claimant().pid).toBe(process.pid);
});

test('When two start at once on a stale claim, one of them gets the directory', async () => {
  writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, beginning: '1', since: 'yesterday' }));
  const results = await Promise.allSettled([
    claimDirectory(path),
    claimDirectory(path),
    claimDirectory(path),
  ]);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});
