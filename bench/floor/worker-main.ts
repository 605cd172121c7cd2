/** The worker of the floor, as a process of its own like the delivery worker, with the same tuning of the SDK. */
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { Type } from 'typebox';
import { fileURLToPath } from 'node:url';
import { parseEnv } from '../../shared/config.ts';
import { createLogger } from '../../shared/logger.ts';
import { runRole } from '../../shared/role.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { createDeliveryWorker } from '../../workers/worker.ts';
import { FLOOR_TASK_QUEUE } from './messages.ts';

const Environment = Type.Object({ TEMPORAL_ADDRESS: Type.String(), TEMPORAL_NAMESPACE: Type.String() });

const logger = createLogger({ role: 'bench-floor' });
await runRole(logger, async () => {
  const env = parseEnv(Environment);
  Runtime.install({ shutdownSignals: [], logger: new DefaultLogger('WARN') });
  const connection = await NativeConnection.connect({ address: env.TEMPORAL_ADDRESS });
  const worker = await createDeliveryWorker({
    connection,
    namespace: env.TEMPORAL_NAMESPACE,
    taskQueue: FLOOR_TASK_QUEUE,
    workflowBundle: await workflowBundle(undefined, fileURLToPath(new URL('workflow.ts', import.meta.url))),
    activities: { nothing: async () => undefined },
  });
  const running = worker.run();
  return {
    url: null,
    async close() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await running;
      await connection.close();
    },
  };
});
