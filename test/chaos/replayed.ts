/**
 * Every history of a run, replayed by the code that made it. A worker that dies leaves its workflows to another one, which has
 * nothing but their histories: one that does not replay is a delivery that stands still for good, whether it was met in this
 * run or not.
 */
import type { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { workflowBundle } from '../../workers/bundle.ts';
import { replayEach } from '../replay/replay.ts';

export interface Replayed {
  histories: number;
  /** Each that does not replay, and why. */
  errors: string[];
}

export async function replayAll(client: Client, dataConverter: DataConverter): Promise<Replayed> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const bundle = await workflowBundle(dataConverter.failureConverterPath);
  const histories = async function* () {
    for await (const { workflowId, runId } of client.workflow.list()) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      yield { name: `${workflowId} (run ${runId})`, history };
    }
  };
  const results = await replayEach(histories(), { workflowBundle: bundle, dataConverter });
  const errors = [...results].flatMap(([name, error]) =>
    error === undefined ? [] : [`${name} does not replay: ${error.message}`],
  );
  return { histories: results.size, errors };
}
