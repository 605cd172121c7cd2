/** The workflow code as it is can take up every delivery that any build since the first release has begun. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { workflowBundle } from '../../workers/bundle.ts';
import { COMPENSATIONS, STEPS } from '../../workflows/delivery/registry.ts';
import * as messages from '../../workflows/messages.ts';
import { commandsOf } from './commands.ts';
import { historyFiles, HISTORIES, nameOf, readHistory, replayDataConverter } from './histories.ts';
import { doubtAbout, linesLostSinceCommitted } from './lost-lines.ts';
import { discrepancies } from './manifest.ts';
import { PATH_NAMES } from './paths/index.ts';
import { type Reach, reachOf } from './reach.ts';
import { REPLAY_WITHIN_MS } from './replay.ts';
import { RETIRED } from './retired.ts';

const files = await historyFiles();

describe('the golden histories', () => {
  it('are all there, unchanged', async () => {
    expect(await discrepancies(HISTORIES)).toEqual([]);
  });

  it('have lost none since they were committed', async ({ skip }) => {
    const { lost, ...comparison } = await linesLostSinceCommitted(HISTORIES);
    expect(lost).toEqual([]);
    const doubt = doubtAbout(comparison);
    if (doubt === undefined) return;
    // Continuous integration can fetch what is missing. Who has no clone cannot: that is said, and counted as skipped.
    if (process.env['CI'] === 'true' && comparison.past !== 'none') expect.fail(doubt);
    console.warn(doubt);
    skip(doubt);
  });

  it('are of every path: `npm run histories:record` adds what is missing', () => {
    const recorded = new Set(files.map((file) => nameOf(file).path));
    expect(PATH_NAMES.filter((path) => !recorded.has(path))).toEqual([]);
  });

  it('have every step, every compensation and every update in them', async () => {
    const commands = new Set<string>();
    for (const file of files) for (const one of commandsOf(await readHistory(file))) commands.add(one);
    const activities = [...Object.keys(STEPS), ...Object.values(COMPENSATIONS)];
    const missing = activities.filter(
      (one) => !commands.has(`activity ${one}`) && !commands.has(`marker core_local_activity ${one}`),
    );
    const updates = Object.entries(messages).flatMap(([name, value]) =>
      name.endsWith('_UPDATE') && typeof value === 'string' ? [value] : [],
    );
    expect(updates.length).toBeGreaterThan(5);
    expect([...missing, ...updates.filter((one) => !commands.has(`accept ${one}`))]).toEqual([]);
  });
});

/** What no replay can reach: an update is checked when it comes, and not again; ids are for those who start a workflow. */
const NOT_REPLAYED = [
  /^messages\.ts /,
  /^delivery\/(commands|shapes)\.ts /,
  'delivery/handled.ts knows',
  'delivery/doors.ts checkReschedule',
  'reconcile/questions.ts get state',
  // For the next run, after thousands of events.
  'reconcile/questions.ts get asked',
  'reconcile/questions.ts intervention',
  'reconcile/workflow.ts validator',
];

describe('the workflow code', () => {
  let reach: Reach;
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('WARN') });
    reach = await reachOf(await workflowBundle(replayDataConverter.failureConverterPath));
  }, REPLAY_WITHIN_MS);

  it.each(files.filter((file) => !(file in RETIRED)))('replays %s', (file) => {
    expect(reach.errors.has(file)).toBe(true);
    expect(reach.errors.get(file)).toBeUndefined();
  });

  it('replays none of those that are retired: they are not to be for convenience', () => {
    const retired = Object.keys(RETIRED);
    expect(retired.filter((file) => reach.errors.get(file) === undefined)).toEqual([]);
  });

  it('has no function that no history reaches: a path in test/replay/paths leads there', () => {
    const unreached = reach.functions.filter(
      (name) => !NOT_REPLAYED.some((one) => (typeof one === 'string' ? one === name : one.test(name))),
    );
    expect(unreached).toEqual([]);
  });
});
