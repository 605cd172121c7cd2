import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startThrowawayPostgres, type ThrowawayPostgres } from '../../local/throwaway-postgres.ts';
import { withClient } from '../../prisma/provision.ts';
import { postgresAdminUrl } from '../support/postgres.ts';
import type { PlannedAct } from './plan.ts';
import { signalTree } from './process-tree.ts';
import { noStrikes, strike, untilThereIsWork } from './strikes.ts';

let server: ThrowawayPostgres;
let client: pg.Client;
/** The process that the stack knows of; each session has another one. */
let postmaster: number;

beforeAll(async () => {
  server = await startThrowawayPostgres();
  client = new pg.Client({ connectionString: server.adminUrl });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ file: string }>(`SELECT pg_read_file('postmaster.pid') AS file`);
  postmaster = Number(rows[0]?.file.split('\n')[0]);
});

afterAll(async () => {
  // Stopped, it would not hear that it is to end.
  await signalTree(postmaster, 'SIGCONT');
  await client.end();
  await server.stop();
});

/** The time that a query takes on another server, many times over: one that were not stopped would long have answered. */
async function meanwhile(): Promise<void> {
  await withClient(postgresAdminUrl(), async (other) => {
    for (let queries = 0; queries < 200; queries += 1) await other.query('SELECT 1');
  });
}

test('When Postgres is stopped, a query on an open connection is not answered until it goes on', async () => {
  // The server, this session's backend, and some that it has for itself.
  expect(await signalTree(postmaster, 'SIGSTOP')).toBeGreaterThan(3);
  let isAnswered = false;
  const answer = client.query('SELECT 1').then(() => (isAnswered = true));
  await meanwhile();
  expect(isAnswered).toBe(false);
  await signalTree(postmaster, 'SIGCONT');
  expect(await answer).toBe(true);
});

const stop: PlannedAct = { kind: 'stop', victim: 'postgres', forMs: 1, atMs: 0 };
const kill: PlannedAct = { kind: 'kill', victim: 'worker', downMs: 0, atMs: 0 };

async function struck(acts: PlannedAct[], pid: (name: string) => number | undefined) {
  const said: string[] = [];
  const strikes = noStrikes();
  await strike({
    strikes,
    underWay: () => 10,
    stack: { pid, kill: async () => undefined, restart: async () => undefined },
    network: {
      proxy: () => {
        throw new Error('There are no links');
      },
    },
    acts,
    begunMs: Date.now(),
    signal: new AbortController().signal,
    say: (what) => said.push(what),
  });
  return { done: strikes.done, amidWork: strikes.amidWork, said: said.join('\n') };
}

test('A stop counts when its victim got the signal, and it goes on afterwards', async () => {
  const { done, amidWork } = await struck([stop], () => postmaster);
  expect(done).toEqual({ ...noStrikes().done, stop: 1 });
  expect(amidWork).toBe(1);
  expect((await client.query('SELECT 1')).rowCount).toBe(1);
});

test('Who has ended by itself is neither killed nor stopped, and that is said', async () => {
  const { done, amidWork, said } = await struck([stop, kill], () => undefined);
  expect(done).toEqual(noStrikes().done);
  expect(amidWork).toBe(0);
  expect(said).toContain('act 1 struck nobody: postgres had ended by itself');
  expect(said).toContain('act 2 struck nobody: worker had ended by itself');
});

test('One that has ended since its id was read gets no signal', async () => {
  // No process has an id that is larger than the largest.
  const most = process.platform === 'linux' ? await readFile('/proc/sys/kernel/pid_max', 'utf8') : '99999';
  expect(await signalTree(Number(most) + 1, 'SIGSTOP')).toBe(0);
});

test('The first act waits until there is something to be struck, or nothing more is posted', async () => {
  const { signal } = new AbortController();
  let underWay = 0;
  const never = new Promise<void>(() => undefined);
  await untilThereIsWork(() => (underWay += 1), never, signal);
  expect(underWay).toBe(10);
  await untilThereIsWork(() => 0, Promise.resolve(), signal);
});
