/** What the reconciler sees of a delivery, for tests of what it makes of that. */
import type { Examination } from '../../activities/examination.ts';
import { newId } from '../../shared/ids.ts';

/** A delivery that failed as it was terminated, of which nothing is held or asked any more; unless told. */
export function examined(
  delivery: Partial<NonNullable<Examination['delivery']>> = {},
  rest: Partial<Omit<Examination, 'delivery'>> = {},
): Examination {
  return {
    isCarried: false,
    workflow: 'terminated',
    termination: null,
    delivery: {
      status: 'failed',
      failure_reason: 'workflow_terminated',
      complete: false,
      compensation: 'pending',
      sequence: 7,
      account_id: newId('account'),
      price: { amount: 500, currency: 'USD' },
      return_price: { amount: 500, currency: 'USD' },
      ...delivery,
    },
    interventions: [],
    held: [],
    downDroneIds: [],
    captured: null,
    now: '2026-03-01T12:00:00Z',
    ...rest,
  };
}
