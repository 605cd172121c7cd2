import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { newId } from '../shared/ids.ts';
import type { UnsaidMilestone } from './aircraft.ts';
import { fileMemory, type Memory } from './memory.ts';

let directory: string;
let path: string;
const open: Memory[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drone-delivery-memory-'));
  path = join(directory, 'aircraft.jsonl');
});
afterEach(async () => {
  for (const memory of open.splice(0)) memory.close();
  await rm(directory, { recursive: true, force: true });
});

function opened(): Memory {
  const memory = fileMemory(path);
  open.push(memory);
  return memory;
}

const [first, second] = [newId('drone'), newId('drone')];
const milestone = (sequence: number): UnsaidMilestone => ({
  kind: 'milestone',
  body: {
    reservation_id: newId('reservation'),
    reservation_token: 1,
    aircraft_sequence: sequence,
    kind: 'took_off',
    occurred_at: '2026-03-01T12:00:00.000Z',
    position: { latitude: 47.6, longitude: -122.1 },
  },
});

it('knows nothing at first, and afterwards the last that each aircraft has written', () => {
  const memory = opened();
  expect(memory.unsaid(first)).toEqual([]);
  const [one, two] = [milestone(1), milestone(2)];
  memory.keep(first, [one]);
  memory.keep(second, [two]);
  memory.keep(first, [one, two]);
  const again = opened();
  expect(again.unsaid(first)).toEqual([one, two]);
  expect(again.unsaid(second)).toEqual([two]);
});

it('forgets what has been acknowledged, and does not grow with it', async () => {
  const memory = opened();
  for (let count = 0; count < 30_000; count += 1) memory.keep(first, count % 2 === 0 ? [milestone(1)] : []);
  expect((await readFile(path, 'utf8')).split('\n').length).toBeLessThan(11_000);
  expect(opened().unsaid(first)).toEqual([]);
  expect(await readFile(path, 'utf8')).toBe('');
});

it('outlives a kill in the middle of a line', async () => {
  const one = milestone(1);
  opened().keep(first, [one]);
  await appendFile(path, '{"drone_id":"dr');
  const again = opened();
  expect(again.unsaid(first)).toEqual([one]);
  again.keep(second, [one]);
  expect(opened().unsaid(second)).toEqual([one]);
});

it('names the line that it cannot read', async () => {
  await writeFile(path, 'not ours\n');
  expect(() => fileMemory(path)).toThrow(/line 1 is not what an aircraft writes/);
});
