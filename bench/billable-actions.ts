/**
 * What a workflow costs, counted from its history: events, and the billable actions of Temporal Cloud.
 *
 * The rules are those of https://docs.temporal.io/cloud/actions (read in 2026), as far as a history shows them:
 * - a workflow start, a signal, an update, a timer, an upsert of search attributes, a side effect: one each;
 * - an activity: one for each time it was started or retried;
 * - local activities: "All Local Activities associated with one Workflow Task count as a single Action", because all markers
 *   recorded by one workflow task count as one; each further heartbeat of such a task counts as one more;
 * - search attributes given at the start, and the upsert of `TemporalChangeVersion`, are free.
 * Queries, rejected updates and activity heartbeats are billed too but stand in no history.
 */
import proto from '@temporalio/proto';

// A CommonJS module without static exports: only its default can be imported.
const { EventType } = proto.temporal.api.enums.v1;

/** The part of a history event that the count needs; `temporal.api.history.v1.IHistoryEvent` fits it. */
export type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

export interface WorkflowCost {
  events: number;
  actions: number;
  /** Actions by what they are for; adds up to `actions`. */
  byKind: Record<string, number>;
  workflowTasks: number;
  localActivities: number;
}

/** Counts one closed or running workflow's history. */
export function countCost(history: readonly HistoryEvent[]): WorkflowCost {
  const byKind: Record<string, number> = {};
  const add = (kind: string, count = 1) => (byKind[kind] = (byKind[kind] ?? 0) + count);
  const tasksWithMarkers = new Set<string>();
  let workflowTasks = 0;
  let localActivities = 0;

  for (const [index, event] of history.entries()) {
    switch (event.eventType) {
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        add('workflow started');
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        add('signal');
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
        add('update');
        break;
      case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED:
        add('options updated');
        break;
      case EventType.EVENT_TYPE_TIMER_STARTED:
        add('timer');
        break;
      case EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        if (!isVersionOnly(event)) add('search attribute upsert');
        break;
      case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
        add('activity', event.activityTaskStartedEventAttributes?.attempt ?? 1);
        break;
      case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
        add('child workflow', 2);
        break;
      case EventType.EVENT_TYPE_MARKER_RECORDED: {
        const marker = event.markerRecordedEventAttributes;
        if (marker?.markerName === LOCAL_ACTIVITY_MARKER) localActivities += 1;
        tasksWithMarkers.add(String(marker?.workflowTaskCompletedEventId));
        break;
      }
      case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: {
        workflowTasks += 1;
        // A task that is followed by the next one, with nothing in between, only asked for more time.
        const next = history[index + 1]?.eventType;
        if (next === EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED) add('workflow task heartbeat');
        break;
      }
      default:
    }
  }
  if (tasksWithMarkers.size > 0) add('local activities of a workflow task', tasksWithMarkers.size);
  const actions = Object.values(byKind).reduce((sum, count) => sum + count, 0);
  return { events: history.length, actions, byKind, workflowTasks, localActivities };
}

/** How the SDKs built on Temporal's Rust core name the marker of a local activity. */
const LOCAL_ACTIVITY_MARKER = 'core_local_activity';

function isVersionOnly(event: HistoryEvent): boolean {
  const fields = event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields ?? {};
  const names = Object.keys(fields);
  return names.length === 1 && names[0] === 'TemporalChangeVersion';
}
