import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canTransition,
  DELIVERY_STATUSES,
  type DeliveryStatus,
  isFinal,
} from '../../services/delivery/contract/status.ts';
import { legalPath } from './record.ts';

describe('legalPath', () => {
  it('walks only legal transitions, never through another ending', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...DELIVERY_STATUSES),
        fc.constantFrom(...DELIVERY_STATUSES),
        (from, to) => {
          let path: DeliveryStatus[];
          try {
            path = legalPath(from, to);
          } catch {
            return;
          }
          expect(from === to ? path : path.at(-1)).toEqual(from === to ? [] : to);
          path.reduce((previous, next) => {
            expect(canTransition(previous, next)).toBe(true);
            return next;
          }, from);
          expect(path.slice(0, -1).some(isFinal)).toBe(false);
        },
      ),
    );
  });

  it('finds the way that a person reports for a package in the air', () => {
    expect(legalPath('enroute_to_dropoff', 'delivered')).toEqual(['arrived_at_dropoff', 'delivered']);
    expect(legalPath('picked_up', 'returned')).toEqual([
      'enroute_to_return',
      'arrived_at_return',
      'returned',
    ]);
    expect(() => legalPath('delivered', 'returned')).toThrow('no legal way');
  });
});
