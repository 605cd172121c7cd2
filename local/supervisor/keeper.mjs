// The keeper outlives the supervisor for a few seconds, and only when that was killed: then it stops, in order, whatever
// the supervisor had started. It hears of every process over its standard input, which closes when the supervisor is gone.
// Plain Node in a session of its own: it starts fast, stays small, and a Ctrl-C in the terminal passes it by.
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { beginningOf, isSameProcess } from './process-identity.mjs';

const POLL_MS = 25;

/** By number: `{ pid, beginning, stage, signal, withinMs }`. */
const kept = new Map();
/** Files that say that the stack runs. */
let claims = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
process.stdin.on('error', () => undefined);
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const told = JSON.parse(line);
  if (told.op === 'keep') kept.set(told.pid, { ...told, beginning: beginningOf(told.pid) });
  else if (told.op === 'forget') kept.delete(told.pid);
  else if (told.op === 'claims') claims = told.files;
});
lines.on('close', stopAll);

async function stopAll() {
  const orphans = [...kept.values()].filter(isRunning);
  const stages = [...new Set(orphans.map((one) => one.stage))].sort((a, b) => a - b);
  for (const stage of stages) await Promise.all(orphans.filter((one) => one.stage === stage).map(stop));
  for (const file of claims) rmSync(file, { force: true });
  process.exit(0);
}

async function stop(one) {
  signal(one, one.signal);
  for (const deadline = Date.now() + one.withinMs; isRunning(one) && Date.now() < deadline;)
    await delay(POLL_MS);
  signal(one, 'SIGKILL');
}

function signal(one, name) {
  if (!isRunning(one)) return;
  try {
    process.kill(one.pid, name);
  } catch {
    // Gone in this very moment.
  }
}

function isRunning({ pid, beginning }) {
  return isSameProcess(pid, beginning);
}
