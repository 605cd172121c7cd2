/**
 * The proof of the promise: kill any process at any moment, in any order, and every delivery ends once with nothing left held.
 * The plan's seed is fixed, so that a red run can be told from an unlucky one; `npm run chaos` draws a new one each time.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeData } from '../../local/data.ts';
import { describeFaults, describeRun } from './report.ts';
import { CI_SIZE } from './sizes.ts';
import { type ChaosReport, runChaos } from './run.ts';

const RUN_WITHIN_MS = 900_000;

let directory: string;
let report: ChaosReport;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drone-delivery-chaos-'));
  report = await runChaos({
    ...CI_SIZE,
    seed: '1',
    spared: [],
    directory,
    say: () => undefined,
  });
  console.log(describeRun(report));
}, RUN_WITHIN_MS);

afterAll(async () => {
  await removeData(directory);
  await rm(directory, { recursive: true, force: true });
});

test('When everything is killed, stopped and cut off in turns, no delivery is lost, doubled or left half done', () => {
  expect(describeFaults(report)).toBe('');
});

test('What was planned was done: every kill, stop and cut, and most deliveries got somewhere', () => {
  const { strikes, plan, history } = report;
  for (const kind of ['kill', 'stop', 'cut', 'stall'] as const) {
    expect(strikes.done[kind], kind).toBe(plan.acts.filter((act) => act.kind === kind).length);
  }
  expect(strikes.done.kill).toBe(CI_SIZE.kills);
  expect(history.accepted.length + report.refused).toBe(CI_SIZE.deliveries);
  const statuses = history.deliveries.map(({ status }) => status);
  expect(statuses).toEqual(expect.arrayContaining(['delivered', 'cancelled', 'failed']));
  // In time-lapse an outage of seconds lasts minutes, so some wait too long for a drone; a run where most do proves little.
  expect(statuses.filter((status) => status === 'delivered').length).toBeGreaterThan(CI_SIZE.deliveries / 3);
  // What the kinds of request are named after did come to pass: carriers carried, and orders were obeyed.
  expect(history.bookings.some(({ state }) => state === 'delivered')).toBe(true);
  for (const kind of ['cancel', 'change_dropoff', 'reschedule', 'reassign', 'abort', 'terminate'] as const) {
    const given = history.accepted.flatMap(({ orders = [] }) => orders.filter((one) => one.kind === kind));
    expect(
      given.some(({ answer }) => answer === 'done'),
      kind,
    ).toBe(true);
  }
  expect(report.replayed.histories).toBeGreaterThanOrEqual(history.accepted.length);
  // Somebody who loads was looked at, somebody whose stream broke was listened to: the witnesses were awake.
  expect(history.seenAboard.length).toBeGreaterThan(0);
  expect(history.subscribers.length).toBeGreaterThan(2);
  expect(report.streamBreaks).toBeGreaterThan(0);
});
