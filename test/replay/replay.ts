/** Replays golden histories with a bundle of workflow code, as a worker of that build would have to. */
import { type ReplayResult, type ReplayWorkerOptions, Worker, type WorkflowBundle } from '@temporalio/worker';
import { historyFiles, readHistory, replayDataConverter } from './histories.ts';

/** By file: the error that a worker of this build would meet, or undefined when all is well. */
export type ReplayErrors = ReadonlyMap<string, ReplayResult['error']>;

export interface ReplayOptions {
  /** All unless told. */
  files?: readonly string[];
  /** Not in a thread of its own: for the inspector. */
  inThisThread?: boolean;
}

export async function replay(
  workflowBundle: WorkflowBundle,
  { files, inThisThread = false }: ReplayOptions = {},
): Promise<ReplayErrors> {
  const errors = new Map<string, ReplayResult['error']>();
  const all = files ?? (await historyFiles());
  const histories = async function* () {
    for (const file of all) yield { workflowId: file, history: await readHistory(file) };
  };
  const options: ReplayWorkerOptions & { debugMode: boolean } = {
    workflowBundle,
    dataConverter: replayDataConverter,
    debugMode: inThisThread,
  };
  for await (const { workflowId, error } of Worker.runReplayHistories(options, histories())) {
    errors.set(workflowId, error);
  }
  return errors;
}
