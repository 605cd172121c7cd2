import { describe, expect, it } from 'vitest';
import { TelemetryBuffer } from './telemetry-buffer.ts';
import { telemetrySample } from './aircraft.ts';
import { parked, START_MS } from './test/missions.ts';

const sampleAt = (second: number) => telemetrySample(parked(), START_MS + second * 1000);

describe('telemetry that could not be radioed', () => {
  it('stays in order when it is put back', () => {
    const buffer = new TelemetryBuffer();
    buffer.add(sampleAt(0));
    buffer.add(sampleAt(1));
    const unsent = buffer.take();
    expect(buffer.size).toBe(0);
    buffer.add(sampleAt(2));
    buffer.putBack(unsent);
    expect(buffer.take()).toEqual([sampleAt(0), sampleAt(1), sampleAt(2)]);
  });

  it('is thinned when there is too much of it: from the oldest to the newest, the older the sparser', () => {
    const buffer = new TelemetryBuffer();
    for (let second = 0; second < 5_000; second += 1) buffer.add(sampleAt(second));
    const kept = buffer.take().map((sample) => (Date.parse(sample.recorded_at) - START_MS) / 1000);
    expect(kept.length).toBeLessThanOrEqual(120);
    expect(kept.at(-1)).toBe(4_999);
    expect(kept).toEqual([...kept].sort((a, b) => a - b));
    expect(kept[0]).toBe(0);
    const recent = kept.filter((second) => second >= 4_900);
    expect(recent.length).toBeGreaterThan(kept.length / 3);
  });
});
