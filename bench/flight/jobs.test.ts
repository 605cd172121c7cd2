import { Value } from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import { distanceM } from '../../shared/geodesy.ts';
import { jobs } from './jobs.ts';

describe('the jobs of the bench', () => {
  const take = (count: number) => Array.from({ length: count }, jobs());

  it('are valid requests over distances that a drone flies', () => {
    for (const job of take(200)) {
      expect(Value.Check(CreateDeliveryRequest, job)).toBe(true);
      const metres = distanceM(job.pickup.location, job.dropoff.location);
      expect(metres).toBeGreaterThan(499);
      expect(metres).toBeLessThan(2_001);
    }
  });

  it('are different from each other and the same in every run', () => {
    const places = new Set(take(100).map((job) => JSON.stringify(job.pickup.location)));
    expect(places.size).toBe(100);
    expect(take(20)).toEqual(take(20));
  });
});
