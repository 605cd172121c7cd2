/** Leads deliveries down their paths and keeps their histories: as tests, so that a path that no longer goes that way says so. */
import { afterAll, afterEach, beforeAll, inject, it } from 'vitest';
import { Lab, type LabOptions } from '../../workflows/lab.ts';
import { LabDelivery } from '../../workflows/lab-delivery.ts';
import { commandsOf } from '../commands.ts';
import {
  addHistory,
  fileOf,
  type History,
  historyFiles,
  type HistoryName,
  nameOf,
  readHistory,
  REPLAY_KEYS,
} from '../histories.ts';
import { type Path, Scenes } from '../paths/scenes.ts';

export interface RecordingOptions {
  /** Also paths that have a history: what they do otherwise than in all of them is added beside these. */
  again: boolean;
  /** Only paths whose name contains one of these; all when there is none. */
  only: readonly string[];
}

declare module 'vitest' {
  interface ProvidedContext {
    recording: RecordingOptions;
  }
}

/** Far more than a path takes, also on a busy machine. */
const TIMEOUT_MS = 120_000;

/** Declares a test for every path that is to be recorded. */
export async function recordPaths(
  paths: Readonly<Record<string, Path>>,
  options: LabOptions = {},
): Promise<void> {
  const { again, only } = inject('recording');
  const recorded = (await historyFiles()).map(nameOf);
  const wanted = Object.entries(paths).filter(
    ([name]) =>
      (only.length === 0 || only.some((part) => name.includes(part))) &&
      (again || !recorded.some((one) => one.path === name)),
  );
  if (wanted.length === 0) {
    it('has them all', () => undefined);
    return;
  }
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open({ ...options, payloadKeys: REPLAY_KEYS });
  }, TIMEOUT_MS);
  afterEach(() => lab.rest());
  afterAll(() => lab.close());

  it.each(wanted)(
    '%s',
    async (path, follow) => {
      const followed = await follow(new Scenes(lab));
      if (followed instanceof LabDelivery) await followed.untilComplete();
      const histories = await runsOf(lab, followed instanceof LabDelivery ? followed.id : followed);
      const before = recorded.filter((one) => one.path === path);
      if (await isKnown(histories, before)) return;
      const recording = Math.max(0, ...before.map((one) => one.recording)) + 1;
      for (const [index, history] of histories.entries()) {
        await addHistory({ path, recording, run: index + 1 }, history);
      }
    },
    TIMEOUT_MS,
  );
}

/** The histories of a workflow's runs, first to last. One that was reset has only the run that went on. */
async function runsOf({ temporal }: Lab, workflowId: string): Promise<History[]> {
  const { runId: lastRunId, raw } = await temporal.workflow.getHandle(workflowId).describe();
  const histories: History[] = [];
  for (let runId = raw.workflowExecutionInfo?.firstRunId || lastRunId; ;) {
    const history = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const next = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    const isReset = !next && runId !== lastRunId;
    if (!isReset) histories.push(history);
    if (runId === lastRunId) return histories;
    runId = next || lastRunId;
  }
}

/** Whether one of the recordings has the same commands in all its runs: then there is nothing new to replay. */
async function isKnown(histories: readonly History[], before: readonly HistoryName[]): Promise<boolean> {
  const commands = JSON.stringify(histories.map(commandsOf));
  for (const recording of new Set(before.map((one) => one.recording))) {
    const runs = before.filter((one) => one.recording === recording).sort((a, b) => a.run - b.run);
    const known = await Promise.all(runs.map(async (one) => commandsOf(await readHistory(fileOf(one)))));
    if (JSON.stringify(known) === commands) return true;
  }
  return false;
}
