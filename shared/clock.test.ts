import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clockTimeMs, firstWallMs } from './clock.ts';

const YEAR_2026_MS = 1_790_000_000_000;

test('Whoever waits until the first wall millisecond of a time finds that it has come', () => {
  const aroundNow = fc.integer({ min: 0, max: 10_000_000_000 }).map((ms) => YEAR_2026_MS + ms);
  fc.assert(
    fc.property(
      aroundNow,
      aroundNow,
      fc.double({ min: 0.01, max: 2000, noNaN: true }),
      fc.double({ min: 0, max: 10_000_000, noNaN: true }),
      (anchorWallMs, anchorMs, rate, afterMs) => {
        const clock = { anchorWallMs, anchorMs, rate };
        const wallMs = firstWallMs(clock, anchorMs + afterMs);
        expect(Number.isInteger(wallMs)).toBe(true);
        expect(clockTimeMs(clock, wallMs)).toBeGreaterThanOrEqual(anchorMs + afterMs);
        expect(clockTimeMs(clock, wallMs - 2)).toBeLessThan(anchorMs + afterMs);
      },
    ),
    { numRuns: 2000 },
  );
});
