import { describe, expect, it } from 'vitest';
import { Latencies } from './percentiles.ts';

describe('latencies', () => {
  it('give the percentiles of what was recorded, to three digits', () => {
    const latencies = new Latencies();
    for (let ms = 1; ms <= 1000; ms++) latencies.record(ms);
    const { samples, p50Ms, p95Ms, p99Ms, maxMs, meanMs } = latencies.summary();
    expect(samples).toBe(1000);
    expect(p50Ms / 500).toBeCloseTo(1, 2);
    expect(p95Ms / 950).toBeCloseTo(1, 2);
    expect(p99Ms / 990).toBeCloseTo(1, 2);
    expect(maxMs / 1000).toBeCloseTo(1, 2);
    expect(meanMs / 500.5).toBeCloseTo(1, 2);
  });

  it('tell tenths of a millisecond apart', () => {
    const latencies = new Latencies();
    latencies.record(0.2);
    latencies.record(0.3);
    expect(latencies.summary().p50Ms).toBeCloseTo(0.2, 2);
    expect(latencies.summary().maxMs).toBeCloseTo(0.3, 2);
  });

  it('keep what is out of bounds at the bound', () => {
    const latencies = new Latencies();
    latencies.record(-1);
    latencies.record(10_000_000);
    expect(latencies.samples).toBe(2);
    expect(latencies.summary().maxMs / 600_000).toBeCloseTo(1, 2);
  });

  it('are all zero without a sample', () => {
    expect(new Latencies().summary()).toMatchObject({ samples: 0, meanMs: 0, p50Ms: 0, p99Ms: 0 });
  });
});
