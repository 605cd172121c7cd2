/**
 * The proof of the promise: kill any process at any moment, in any order, and every delivery ends once with nothing left held.
 * The plan's seed is fixed, so that a red run can be told from an unlucky one; `npm run chaos` draws a new one each time.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeData } from '../../local/data.ts';
import type { ChaosReport } from './outcome.ts';
import { describeFaults, describeRun } from './report.ts';
import { runChaos } from './run.ts';
import { shownIn } from './shown.ts';
import { CI_SIZE } from './sizes.ts';

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

test('What was planned was done: every request was posted, every kill, stop, cut and stall struck', () => {
  const { strikes, plan, history } = report;
  for (const kind of ['kill', 'stop', 'cut', 'stall'] as const) {
    expect(strikes.done[kind], kind).toBe(plan.acts.filter((act) => act.kind === kind).length);
  }
  expect(strikes.done.kill).toBe(CI_SIZE.kills);
  // A system that has nothing to do shows nothing when it is struck.
  expect(strikes.amidWork).toBeGreaterThan(plan.acts.length / 2);
  expect(history.accepted.length + report.refused).toBe(CI_SIZE.deliveries);
  expect(report.refused).toBe(plan.requests.filter(({ kind }) => kind === 'suspended').length);
});

test('What the kinds of request are named after came to pass: every ending, every order, and what is lost and found', () => {
  const missed = shownIn(report.history).filter(({ times, isCertain }) => isCertain && times === 0);
  expect(missed.map(({ what }) => what)).toEqual([]);
  // More than half of the requests are of kinds that end delivered when nothing breaks. In time-lapse an outage of seconds lasts
  // minutes, so some of them wait too long for a drone; runs deliver half of all. One with less than a third proves little.
  const { deliveries } = report.history;
  const delivered = deliveries.filter(({ status }) => status === 'delivered');
  expect(delivered.length).toBeGreaterThan(CI_SIZE.deliveries / 3);
});

test('Every history of every delivery was replayed', () => {
  const { workflows = [], deliveries } = report.history;
  expect(report.replayed.deliveries).toBe(workflows.length);
  const withWorkflow = new Set(workflows.map(({ deliveryId }) => deliveryId));
  const without = deliveries.filter(({ id }) => !withWorkflow.has(id));
  // Nothing was begun for what was cancelled before its start.
  expect(without.map(({ status }) => status).filter((status) => status !== 'cancelled')).toEqual([]);
  expect(withWorkflow.size).toBeGreaterThan(CI_SIZE.deliveries * 0.9);
});

test('The witnesses were awake: they saw packages in aircraft, and events through streams that broke', () => {
  expect(report.history.seenAboard.length).toBeGreaterThan(0);
  expect(report.history.subscribers.length).toBeGreaterThan(2);
  expect(report.streamBreaks).toBeGreaterThan(0);
});
