// Lets the SDK download one of Temporal's programs into a directory. In a process of its own, so that a download that
// hangs can be ended, and nothing of the SDK's native runtime stays in ours. Arguments: `cli` or `test-server`, directory.
import { TestWorkflowEnvironment } from '@temporalio/testing';

// Nobody waits for the download any more.
process.once('disconnect', () => process.exit(1));

const [program, downloadDir] = process.argv.slice(2);
const executable = { type: 'cached-download', downloadDir, ttl: '3650 days' };
const environment =
  program === 'cli'
    ? await TestWorkflowEnvironment.createLocal({ server: { executable, ip: '127.0.0.1' } })
    : await TestWorkflowEnvironment.createTimeSkipping({ server: { executable } });
await environment.teardown();
process.exit(0);
