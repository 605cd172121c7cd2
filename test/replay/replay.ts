/** Replays histories with a bundle of workflow code, as a worker of that build would have to. */
import type { DataConverter } from '@temporalio/common';
import { type ReplayResult, type ReplayWorkerOptions, Worker, type WorkflowBundle } from '@temporalio/worker';
import { type History, historyFiles, readHistory, replayDataConverter } from './histories.ts';

/**
 * When a replay of all of them is given up: hundreds of histories, on a machine that does much else. 120 s was too short for that
 * (CI's, beside the tests of chaos); alone it takes a third of it.
 */
export const REPLAY_WITHIN_MS = 600_000;

/** By file, or by the name that was given: the error that a worker of this build would meet, or undefined when all is well. */
export type ReplayErrors = ReadonlyMap<string, ReplayResult['error']>;

export interface ReplayOptions {
  /** All unless told. */
  files?: readonly string[];
  /** Not in a thread of its own: for the inspector. */
  inThisThread?: boolean;
}

/** The golden histories. */
export async function replay(
  workflowBundle: WorkflowBundle,
  { files, inThisThread = false }: ReplayOptions = {},
): Promise<ReplayErrors> {
  const all = files ?? (await historyFiles());
  const histories = async function* () {
    for (const file of all) yield { name: file, history: await readHistory(file) };
  };
  const options = { workflowBundle, dataConverter: replayDataConverter, debugMode: inThisThread };
  return replayEach(histories(), options);
}

/** Any histories, by the key that they were written with. */
export async function replayEach(
  histories: AsyncIterable<{ name: string; history: History }>,
  options: ReplayWorkerOptions & {
    workflowBundle: WorkflowBundle;
    dataConverter: DataConverter;
    debugMode?: boolean;
  },
): Promise<ReplayErrors> {
  const errors = new Map<string, ReplayResult['error']>();
  const named = async function* () {
    for await (const { name, history } of histories) yield { workflowId: name, history };
  };
  for await (const { workflowId, error } of Worker.runReplayHistories(options, named())) {
    errors.set(workflowId, error);
  }
  return errors;
}
