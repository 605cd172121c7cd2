/**
 * Every history of a run, replayed by the code that made it. A worker that dies leaves its workflows to another one, which has
 * nothing but their histories: one that does not replay is a delivery that stands still for good, whether it was met in this
 * run or not.
 */
import { availableParallelism } from 'node:os';
import type { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { messageOf } from '../../shared/errors.ts';
import { isId } from '../../shared/ids.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import type { WorkflowRun } from '../checker/index.ts';
import { toldInShort } from '../replay/commands.ts';
import type { History } from '../replay/histories.ts';
import { replayEach } from '../replay/replay.ts';

export interface Replayed {
  /** Of deliveries: one for each of their runs. */
  deliveries: number;
  /** Of the reconciler and its sweeps. */
  others: number;
  /** Each that does not replay, and why. */
  errors: string[];
}

/** Histories that are read ahead of those that are replayed. */
const READ_AHEAD = 8;
/** More threads do not help: Temporal has to send the histories. */
const AT_ONCE = Math.min(2, availableParallelism());
const SAY_EVERY_MS = 10_000;

type Run = Pick<WorkflowRun, 'workflowId' | 'runId'>;

/**
 * @param deliveries every run of a delivery's workflow, as it was looked up: Temporal's list lags behind
 * @param say told now and then how far it is
 */
export async function replayAll(
  client: Client,
  dataConverter: DataConverter,
  deliveries: readonly Run[],
  say: (what: string) => void,
): Promise<Replayed> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const options = { workflowBundle: await workflowBundle(dataConverter.failureConverterPath), dataConverter };
  const others: Run[] = [];
  for await (const { workflowId, runId } of client.workflow.list()) {
    if (!isId('delivery', workflowId)) others.push({ workflowId, runId });
  }
  const runs = [...deliveries, ...others];
  const progress = saying((count) => say(`replayed ${count} of ${runs.length} histories`));
  const histories = readAhead(runs, READ_AHEAD, async ({ workflowId, runId }) => ({
    name: nameOf({ workflowId, runId }),
    history: await client.workflow.getHandle(workflowId, runId).fetchHistory(),
  }));
  // One iterator for all: each thread takes the next history when it has done the one before.
  const results = await Promise.all(
    Array.from({ length: AT_ONCE }, () => replayEach(counted(histories, progress), options)),
  );
  const errors = new Map(results.flatMap((one) => [...one]));
  const failing = runs.filter((run) => errors.get(nameOf(run)) !== undefined);
  const told = new Map<string, string>();
  for (const run of failing) told.set(nameOf(run), await tell(client, run));
  return {
    deliveries: deliveries.filter((run) => errors.has(nameOf(run))).length,
    others: others.filter((run) => errors.has(nameOf(run))).length,
    errors: runs.map(nameOf).flatMap((name) => {
      if (!errors.has(name)) return [`${name} was not replayed`];
      const error = errors.get(name);
      return error === undefined ? [] : [`${name} does not replay: ${error.message}${told.get(name) ?? ''}`];
    }),
  };
}

/** Its history in short, as the run's database may be gone when somebody looks for the cause. Whatever else is found is told without it. */
async function tell(client: Client, { workflowId, runId }: Run): Promise<string> {
  try {
    return `\n    ${toldInShort(await client.workflow.getHandle(workflowId, runId).fetchHistory())}`;
  } catch (error) {
    return ` (its history could not be read again: ${messageOf(error)})`;
  }
}

const nameOf = ({ workflowId, runId }: Run) => `${workflowId} (run ${runId})`;

/** What is made of each item, in their order, the next few being made already. */
export async function* readAhead<T, R>(
  items: readonly T[],
  ahead: number,
  read: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const reading: Promise<R>[] = [];
  for (const item of items) {
    const next = read(item);
    // Whoever awaits it hears of its failure; until then nobody does.
    next.catch(() => undefined);
    reading.push(next);
    if (reading.length < ahead) continue;
    const first = reading.shift();
    if (first) yield await first;
  }
  for (const one of reading) yield await one;
}

async function* counted(
  histories: AsyncIterable<{ name: string; history: History }>,
  onNext: () => void,
): AsyncGenerator<{ name: string; history: History }> {
  for await (const one of histories) {
    yield one;
    onNext();
  }
}

/** Counts, and says so now and then. */
function saying(say: (count: number) => void): () => void {
  let count = 0;
  let saidMs = Date.now();
  return () => {
    count += 1;
    if (Date.now() - saidMs < SAY_EVERY_MS) return;
    saidMs = Date.now();
    say(count);
  };
}
