/**
 * What Temporal's histories tell of a workflow that was reset: why, and what was asked of its runs before and answered, which the
 * server asks of the new run again.
 */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import proto from '@temporalio/proto';

// A CommonJS module without static exports: only its default can be imported.
const { WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;
type Event = proto.temporal.api.history.v1.IHistoryEvent;

/** An update that was accepted, as it was asked and answered. */
export interface PastUpdate {
  name: string;
  id: string;
  command: unknown;
  /** Undefined: it was not answered. */
  answer: unknown;
}

export interface PastRuns {
  /** As whoever reset it gave it. */
  reason: string;
  /** The oldest first. Of one that was asked of several runs, the first answer that is none in words (`pending`). */
  updates: PastUpdate[];
  /** Updates that the new run has in the part of its history that it was given: it has dealt with them itself. */
  inItsHistory: string[];
}

/** Of a run that a reset began; undefined for any other. */
export async function readPastRuns(
  client: Client,
  workflowId: string,
  runId: string,
): Promise<PastRuns | undefined> {
  const events = await eventsOf(client, workflowId, runId);
  const reset = resetOf(events, runId);
  if (!reset) return undefined;
  const updates = new Map<string, PastUpdate>();
  for (const run of await runsBefore(client, workflowId, reset.baseRunId)) {
    for (const one of await updatesIn(client, run)) {
      const known = updates.get(one.id);
      if (!known || !isSettled(known)) updates.set(one.id, one);
    }
  }
  const own = events.slice(0, reset.index);
  return {
    reason: reset.reason,
    updates: [...updates.values()],
    inItsHistory: own.flatMap((event) => acceptedIn(event)?.id ?? []),
  };
}

/** Answered, and not only that the answer is still to come. */
const isSettled = ({ answer }: PastUpdate): boolean => answer !== undefined && !isPending(answer);

const isPending = (answer: unknown) => (answer as { outcome?: string } | null)?.outcome === 'pending';

/** The reset that made a run. */
function resetOf(events: readonly Event[], runId: string) {
  const index = events.findLastIndex(({ workflowTaskFailedEventAttributes: failed }) => {
    const isReset = failed?.cause === WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW;
    return isReset && failed.newRunId === runId;
  });
  const failed = events[index]?.workflowTaskFailedEventAttributes;
  if (!failed) return undefined;
  return { index, baseRunId: failed.baseRunId ?? '', reason: failed.failure?.message ?? '' };
}

/** The histories of the run that was reset, of those that went on for it, and of those that it was a reset of; the oldest first. */
async function runsBefore(client: Client, workflowId: string, runId: string): Promise<Event[][]> {
  const runs: Event[][] = [];
  for (let next = runId; next !== '';) {
    const events = await eventsOf(client, workflowId, next);
    if (runs.length === 0) {
      const before = resetOf(events, next);
      if (before) runs.push(...(await runsBefore(client, workflowId, before.baseRunId)));
    }
    runs.push(events);
    next = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? '';
  }
  return runs;
}

/** None when the namespace's retention has taken it. */
async function eventsOf(client: Client, workflowId: string, runId: string): Promise<Event[]> {
  try {
    return (await client.workflow.getHandle(workflowId, runId).fetchHistory()).events ?? [];
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}

/** An update that the event accepts; where its request was written down before, without that. */
function acceptedIn({ workflowExecutionUpdateAcceptedEventAttributes: accepted }: Event) {
  const id = accepted?.acceptedRequest?.meta?.updateId ?? accepted?.protocolInstanceId;
  return id ? { id, request: accepted?.acceptedRequest } : undefined;
}

async function updatesIn(client: Client, events: readonly Event[]): Promise<PastUpdate[]> {
  const { loadedDataConverter } = client.options;
  const first = async (payloads: Parameters<typeof decodeArrayFromPayloads>[1]) =>
    (await decodeArrayFromPayloads(loadedDataConverter, payloads))[0];
  const requests = new Map(
    events.flatMap(({ workflowExecutionUpdateAdmittedEventAttributes: admitted }) => {
      const id = admitted?.request?.meta?.updateId;
      return id ? [[id, admitted.request] as const] : [];
    }),
  );
  const answers = new Map(
    events.flatMap(({ workflowExecutionUpdateCompletedEventAttributes: completed }) => {
      const id = completed?.meta?.updateId;
      const success = completed?.outcome?.success;
      return id && success ? [[id, success.payloads] as const] : [];
    }),
  );
  const updates: PastUpdate[] = [];
  for (const event of events) {
    const accepted = acceptedIn(event);
    if (!accepted) continue;
    const { id } = accepted;
    const input = (accepted.request ?? requests.get(id))?.input;
    const answer = answers.get(id);
    updates.push({
      id,
      name: input?.name ?? '',
      command: await first(input?.args?.payloads),
      answer: answer && (await first(answer)),
    });
  }
  return updates;
}
