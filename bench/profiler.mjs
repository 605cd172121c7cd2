// Preloaded into a role (`NODE_OPTIONS=--import=…/bench/profiler.mjs`): SIGURG starts V8's profiler in all of its threads,
// the next SIGURG writes what it saw to $BENCH_PROFILE_DIRECTORY/<pid>.<thread>.cpuprofile.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

const directory = process.env['BENCH_PROFILE_DIRECTORY'];
if (directory) {
  const session = new Session();
  session.connect();
  // Microseconds between two samples.
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: 500 });
  let isRunning = false;
  const toggle = () => {
    isRunning = !isRunning;
    if (isRunning) {
      session.post('Profiler.start');
      return;
    }
    session.post('Profiler.stop', (error, result) => {
      if (error) console.error('The profile cannot be read', error);
      else
        writeFileSync(
          join(directory, `${process.pid}.${threadId}.cpuprofile`),
          JSON.stringify(result.profile),
        );
    });
  };
  // Signals reach the main thread only. SIGURG, because roles go down on the usual ones and it is ignored otherwise.
  const others = new BroadcastChannel('bench-profiler');
  others.onmessage = toggle;
  others.unref();
  if (isMainThread) {
    process.on('SIGURG', () => {
      toggle();
      others.postMessage('toggle');
    });
  }
}
