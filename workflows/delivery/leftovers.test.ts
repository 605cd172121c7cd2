import type * as temporal from '@temporalio/workflow';
import { describe, expect, it, vi } from 'vitest';
import type { Examination } from '../../activities/examination.ts';
import { newId } from '../../shared/ids.ts';
import { examined } from '../../test/support/examination.ts';
import type * as look from '../reconcile/look.ts';

const server = vi.hoisted(() => ({ isHistoryLong: false }));
vi.mock('@temporalio/workflow', async (original) => ({
  ...(await original<typeof temporal>()),
  patched: () => true,
  condition: async () => true,
  allHandlersFinished: () => true,
  workflowInfo: () => ({ continueAsNewSuggested: server.isHistoryLong }),
}));
const examineDelivery = vi.hoisted(() => vi.fn<() => Promise<Examination>>());
vi.mock('../reconcile/look.ts', async (original) => ({
  ...(await original<typeof look>()),
  examineDelivery,
}));
const { undoLeftovers } = await import('./leftovers.ts');

const seen = examined({ failure_reason: 'step_failed' }, { workflow: 'running' });

/** A service that does not say what it holds, for so many looks. */
function silentFor(looks: number): void {
  examineDelivery.mockReset();
  for (let one = 0; one < looks; one += 1) {
    examineDelivery.mockResolvedValueOnce({ ...seen, unread: ['drone'] });
  }
  examineDelivery.mockResolvedValue(seen);
}

describe('what is left of a delivery that was reset', () => {
  it('is waited for until nothing is', async () => {
    server.isHistoryLong = false;
    silentFor(20);
    expect(await undoLeftovers(newId('delivery'), { completes: false })).toBe(true);
    expect(examineDelivery.mock.calls.length).toBeGreaterThan(20);
  });

  it('is left to the reconciler once the history is as long as one may be', async () => {
    server.isHistoryLong = true;
    silentFor(20);
    expect(await undoLeftovers(newId('delivery'), { completes: false })).toBe(false);
    expect(examineDelivery.mock.calls.length).toBeLessThan(5);
  });
});
