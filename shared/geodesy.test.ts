import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bearingDeg, chordM, destination, distanceM, interpolate } from './geodesy.ts';
import type { Location } from './schemas.ts';

/** Half the circumference over the poles: no two points are further apart (WGS 84). */
const HALF_MERIDIAN_M = 20_003_931.4586;

const anywhere: fc.Arbitrary<Location> = fc.record({
  latitude: fc.double({ min: -90, max: 90, noNaN: true }),
  longitude: fc.double({ min: -180, max: 180, noNaN: true }),
});
const MILLIMETRE = 1e-3;

describe('geodesy', () => {
  it('agrees with published geodesics', () => {
    // The example of GeographicLib's own documentation: Wellington to Salamanca.
    const wellington = { latitude: -41.32, longitude: 174.81 };
    const salamanca = { latitude: 40.96, longitude: -5.5 };
    expect(distanceM(wellington, salamanca)).toBeCloseTo(19_959_679.267, 3);
    // One degree along the equator is exactly a 360th of the equator.
    expect(distanceM({ latitude: 0, longitude: 0 }, { latitude: 0, longitude: 1 })).toBeCloseTo(
      (2 * Math.PI * 6_378_137) / 360,
      6,
    );
    // The quarter meridian of WGS 84.
    expect(distanceM({ latitude: 0, longitude: 17 }, { latitude: 90, longitude: 0 })).toBeCloseTo(
      HALF_MERIDIAN_M / 2,
      3,
    );
  });

  it('measures the same distance in both directions, zero only to itself, and no more than half round the earth', () => {
    fc.assert(
      fc.property(anywhere, anywhere, (a, b) => {
        expect(distanceM(a, a)).toBeLessThan(MILLIMETRE);
        expect(Math.abs(distanceM(a, b) - distanceM(b, a))).toBeLessThan(MILLIMETRE);
        expect(distanceM(a, b)).toBeLessThanOrEqual(HALF_MERIDIAN_M + MILLIMETRE);
      }),
    );
  });

  it('never makes a detour shorter than the straight way', () => {
    fc.assert(
      fc.property(anywhere, anywhere, anywhere, (a, b, c) => {
        expect(distanceM(a, c)).toBeLessThanOrEqual(distanceM(a, b) + distanceM(b, c) + MILLIMETRE);
      }),
    );
  });

  it('arrives at b when it flies the bearing and the distance to b', () => {
    fc.assert(
      fc.property(anywhere, anywhere, (a, b) => {
        const bearing = bearingDeg(a, b);
        expect(bearing).toBeGreaterThanOrEqual(0);
        expect(bearing).toBeLessThan(360);
        expect(distanceM(destination(a, bearing, distanceM(a, b)), b)).toBeLessThan(MILLIMETRE);
      }),
    );
  });

  it('is no shorter than the straight line, and on a short way as long', () => {
    fc.assert(
      fc.property(anywhere, anywhere, (a, b) => {
        expect(chordM(a, b)).toBeLessThanOrEqual(distanceM(a, b) + MILLIMETRE);
      }),
    );
    const bearings = fc.double({ min: 0, max: 360, noNaN: true });
    fc.assert(
      fc.property(
        anywhere,
        bearings,
        fc.double({ min: 0, max: 100_000, noNaN: true }),
        (a, bearing, metres) => {
          expect(Math.abs(chordM(a, destination(a, bearing, metres)) - metres)).toBeLessThan(1.1);
        },
      ),
    );
  });

  it('divides the way in the given proportion', () => {
    fc.assert(
      fc.property(anywhere, anywhere, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, fraction) => {
        const between = interpolate(a, b, fraction);
        const whole = distanceM(a, b);
        expect(distanceM(a, between)).toBeCloseTo(whole * fraction, 2);
        expect(distanceM(between, b)).toBeCloseTo(whole * (1 - fraction), 2);
      }),
    );
  });

  it('clamps a fraction outside the way to its ends', () => {
    const a = { latitude: 47.6, longitude: -122.3 };
    const b = { latitude: 47.7, longitude: -122.2 };
    expect(interpolate(a, b, -0.1)).toEqual(a);
    expect(interpolate(a, b, 1.1)).toEqual(b);
  });

  it('crosses the antimeridian the short way', () => {
    const west = { latitude: 51, longitude: 179.9 };
    const east = { latitude: 51, longitude: -179.9 };
    expect(distanceM(west, east)).toBeLessThan(15_000);
    expect(bearingDeg(west, east)).toBeCloseTo(90, 0);
    const middle = interpolate(west, east, 0.5);
    expect(Math.abs(middle.longitude)).toBeCloseTo(180, 6);
    expect(destination(west, 90, 20_000).longitude).toBeLessThan(-179);
  });

  it('flies over a pole', () => {
    const here = { latitude: 89.9, longitude: 0 };
    const there = { latitude: 89.9, longitude: 180 };
    expect(bearingDeg(here, there)).toBeCloseTo(0, 6);
    expect(interpolate(here, there, 0.5).latitude).toBeCloseTo(90, 6);
  });
});
