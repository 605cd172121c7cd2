import { expect, test } from 'vitest';
import { toldInShort } from './commands.ts';
import type { History } from './histories.ts';

test('A history is told in short: what came, and what was commanded, by its workflow tasks', () => {
  const data = (marked: object) => ({ payloads: [{ data: Buffer.from(JSON.stringify(marked)) }] });
  const history = {
    events: [
      { workflowExecutionStartedEventAttributes: {} },
      { workflowTaskScheduledEventAttributes: {} },
      { workflowTaskStartedEventAttributes: {} },
      { workflowTaskCompletedEventAttributes: {} },
      {
        markerRecordedEventAttributes: {
          markerName: 'core_patch',
          details: { 'patch-data': data({ id: 'a-change' }) },
        },
      },
      { eventId: 7, activityTaskScheduledEventAttributes: { activityType: { name: 'reserveDrone' } } },
      { timerStartedEventAttributes: {} },
      { activityTaskStartedEventAttributes: {} },
      { activityTaskFailedEventAttributes: { scheduledEventId: 7 } },
      { workflowExecutionSignaledEventAttributes: { signalName: 'droneAvailable' } },
      { timerFiredEventAttributes: {} },
      { workflowTaskStartedEventAttributes: {} },
      { workflowTaskTimedOutEventAttributes: {} },
      { workflowTaskStartedEventAttributes: {} },
      { workflowTaskCompletedEventAttributes: {} },
      { workflowExecutionCompletedEventAttributes: {} },
    ],
  };
  expect(toldInShort(history as unknown as History)).toBe(
    '¶ → marker core_patch a-change, activity reserveDrone, timer, reserveDrone failed, signal droneAvailable, timer fired ¶, task timed out ¶ → complete',
  );
});
