// Waits until its standard input closes, which it does when the process at the other end is gone, even by kill -9.
// Then ends the Postgres server in the folder given, and removes the folder. Plain Node, to start fast and stay small.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const directory = process.argv[2];
process.stdin.resume();
process.stdin.on('error', () => undefined);
process.stdin.on('close', clearUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);

async function clearUp() {
  // A server that was being spawned when we were told has not written its number yet.
  for (let tries = 0; serverPid() === undefined && tries < 10; tries += 1) {
    if (!initialized()) break;
    await delay(50);
  }
  const pid = serverPid();
  if (pid !== undefined) await end(pid);
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
}

function serverPid() {
  try {
    return Number(readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  } catch {
    return undefined;
  }
}

function initialized() {
  try {
    return readFileSync(join(directory, 'data', 'PG_VERSION')).length > 0;
  } catch {
    return false;
  }
}

/** SIGQUIT: at once, without a checkpoint; nobody will read this data again. */
async function end(pid) {
  for (let tries = 0; tries < 200; tries += 1) {
    try {
      process.kill(pid, tries === 0 ? 'SIGQUIT' : tries === 100 ? 'SIGKILL' : 0);
    } catch {
      return;
    }
    await delay(50);
  }
}
