import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canTransition, DELIVERY_STATUSES } from '../../services/delivery/contract/status.ts';
import { stepsOnTo } from './carrier-statuses.ts';

const TOLD = [
  'enroute_to_pickup',
  'arrived_at_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
  'delivered',
] as const;

describe('What a carrier tells', () => {
  it('leads on by every step that it left out, and back by none', () => {
    expect(stepsOnTo('confirmed', 'enroute_to_pickup')).toEqual(['enroute_to_pickup']);
    expect(stepsOnTo('enroute_to_pickup', 'enroute_to_dropoff')).toEqual([
      'arrived_at_pickup',
      'picked_up',
      'enroute_to_dropoff',
    ]);
    for (const late of ['picked_up', 'arrived_at_pickup', 'enroute_to_pickup'] as const)
      expect(stepsOnTo('picked_up', late)).toEqual([]);
    for (const status of ['cancelled', 'failed', 'returned', 'enroute_to_return'] as const)
      expect(stepsOnTo(status, 'delivered')).toEqual([]);
  });

  it('in any order, with any repetition, is a walk that the state machine allows', () => {
    fc.assert(
      fc.property(fc.constantFrom(...DELIVERY_STATUSES), fc.array(fc.constantFrom(...TOLD)), (from, told) => {
        let status = from;
        for (const one of told) {
          for (const step of stepsOnTo(status, one)) {
            expect(canTransition(status, step), `${status} → ${step}`).toBe(true);
            status = step;
          }
        }
      }),
    );
  });
});
