/** What the Temporal server of this run can do at best: a workflow of six plain activities and two signals, and no payloads. */
import { randomUUID } from 'node:crypto';
import { connectTemporal } from '../../shared/temporal/client.ts';
import { type BenchProcess, startBenchProcess } from '../process.ts';
import { FLOOR_SIGNAL, FLOOR_TASK_QUEUE, FLOOR_WORKFLOW } from './messages.ts';

export interface Floor {
  /** One workflow, from its start to its end, with both signals sent as soon as it is started. */
  one(): Promise<void>;
  pid: number;
  close(): Promise<void>;
}

/** Starts the floor's worker on the given Temporal server. */
export async function startFloor(temporal: { address: string; namespace: string }): Promise<Floor> {
  const worker: BenchProcess = await startBenchProcess('floor/worker-main.ts', {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    LOG_LEVEL: 'warn',
  });
  // No codec: a floor is the least that could be done, and there is nothing to encode.
  const { client, close } = connectTemporal(temporal);
  return {
    pid: worker.pid,
    async one() {
      const handle = await client.workflow.start(FLOOR_WORKFLOW, {
        workflowId: `bench-floor-${randomUUID()}`,
        taskQueue: FLOOR_TASK_QUEUE,
      });
      await Promise.all([handle.signal(FLOOR_SIGNAL), handle.signal(FLOOR_SIGNAL)]);
      await handle.result();
    },
    async close() {
      await close();
      await worker.stop();
    },
  };
}
