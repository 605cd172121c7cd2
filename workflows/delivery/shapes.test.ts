/** The shapes of commands and the services' schemas say the same of whatever comes, in both directions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCheck } from '../../shared/http/validation.ts';
import { Location, PickupWindow, Stop } from '../../shared/schemas.ts';
import { isStorable } from '../../shared/storable.ts';
import { isPlace, isWindow, stopErrors } from './shapes.ts';

const RUNS = 3_000;

/** What the services take and can keep. */
function taken(check: ReturnType<typeof compileCheck>, value: unknown): boolean {
  const texts: string[] = [];
  JSON.stringify(value, (key, item: unknown) => {
    texts.push(key, ...(typeof item === 'string' ? [item] : []));
    return item;
  });
  return check(value).ok && texts.every(isStorable);
}

const right = {
  degrees: (most: number) => fc.double({ min: -most, max: most, noNaN: true }),
  text: (minLength: number, maxLength: number) =>
    fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 30) }),
  phone: fc.stringMatching(/^\+[1-9][0-9]{6,14}$/),
  email: fc.emailAddress(),
};
/** Of a wrong kind, or just beyond a limit. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    ' ',
    0,
    -90,
    90.000001,
    180,
    -180.5,
    1e308,
    [],
    {},
    '\0',
    'a\ud800b',
  ),
  fc.constantFrom(
    '+14255550100',
    '14255550100',
    '+0123456',
    '+123456',
    '+1234567890123456',
    'a@b.c',
    'a@b',
    '@b.c',
  ),
  fc.constantFrom(200, 201, 254, 255, 500, 501, 1000, 1001).map((length) => 'x'.repeat(length)),
  fc.constantFrom(200, 201, 500, 501, 1000, 1001).map((length) => '🛩'.repeat(length)),
  fc.constantFrom(242, 243, 254).map((length) => `${'x'.repeat(length)}@example.com`),
  fc.jsonValue(),
  fc.string({ unit: 'binary' }),
);
/** Mostly right, so that one wrong part among right ones is common. */
const mostly = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ arbitrary, weight: 8 }, { arbitrary: odd, weight: 1 });
/** With another name in it now and then, or without one that it needs. */
const nearly = (arbitrary: fc.Arbitrary<Record<string, unknown>>, needed: readonly string[] = []) =>
  fc
    .tuple(
      arbitrary,
      fc.oneof(
        { arbitrary: fc.constant(undefined), weight: 12 },
        {
          arbitrary: fc.tuple(
            fc.oneof(fc.string(), fc.constantFrom('toString', '__proto__', ...needed)),
            odd,
          ),
          weight: 1,
        },
      ),
      fc.oneof(
        { arbitrary: fc.constant(undefined), weight: 12 },
        { arbitrary: fc.constantFrom('', ...needed), weight: 1 },
      ),
    )
    .map(([value, more, less]): Record<string, unknown> => {
      const kept = Object.entries(value).filter(([name]) => name !== less);
      return Object.fromEntries(more ? [...kept, more] : kept);
    });

const place = nearly(
  fc.record({ latitude: mostly(right.degrees(90)), longitude: mostly(right.degrees(180)) }),
  ['latitude', 'longitude'],
);
const contact = nearly(
  fc.record(
    { name: mostly(right.text(1, 200)), phone: mostly(right.phone), email: mostly(right.email) },
    { requiredKeys: [] },
  ),
);
const stop = nearly(
  fc.record(
    {
      location: mostly(place),
      address: mostly(right.text(1, 500)),
      contact: mostly(contact),
      notes: mostly(right.text(0, 1000)),
    },
    { requiredKeys: ['location'] },
  ),
  ['location'],
);
const hour = fc.tuple(
  fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }),
  fc.constantFrom('Z', 'z', '+05:30', '-0800', '+05', '', '+25:00'),
);
const time = fc.oneof(
  hour.map(([date, zone]) => date.toISOString().replace('Z', zone)),
  hour.map(([date, zone]) => date.toISOString().replace('T', ' ').replace('Z', zone)),
  fc.constantFrom(
    '2026-02-30T10:00:00Z',
    '2026-12-31T23:59:60Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01',
    '0000-01-01T00:00:00Z',
  ),
);
const window = nearly(fc.record({ start: mostly(time), end: mostly(time) }), ['start', 'end']);
/** As it comes: JSON. */
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

describe('What a command may hold is what the services take', () => {
  it('as a stop', () => {
    const check = compileCheck(Stop);
    let right = 0;
    fc.assert(
      fc.property(fc.oneof({ arbitrary: stop, weight: 20 }, { arbitrary: odd, weight: 1 }), (one) => {
        const value = asJson(one);
        const isTaken = taken(check, value);
        expect(stopErrors(value, 'dropoff').length === 0).toBe(isTaken);
        right += Number(isTaken);
      }),
      { numRuns: RUNS },
    );
    // Neither all right nor all wrong.
    expect(right).toBeGreaterThan(RUNS / 10);
    expect(right).toBeLessThan(RUNS * 0.9);
  });

  it('as a place', () => {
    const check = compileCheck(Location);
    fc.assert(
      fc.property(fc.oneof(place, odd), (one) => {
        const value = asJson(one);
        expect(isPlace(value)).toBe(taken(check, value));
      }),
      { numRuns: RUNS },
    );
  });

  it('as a pickup window, of times that are some', () => {
    const check = compileCheck(PickupWindow);
    const isInstant = (text: unknown) =>
      Number.isFinite(Date.parse(String(text).toUpperCase().replace(':60', ':59')));
    fc.assert(
      fc.property(fc.oneof({ arbitrary: window, weight: 20 }, { arbitrary: odd, weight: 1 }), (one) => {
        const value = asJson(one);
        const isTaken =
          taken(check, value) && Object.values(value as Record<string, unknown>).every(isInstant);
        expect(isWindow(value)).toBe(isTaken);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('A stop that is wrong', () => {
  it('is told by every part that is, and what would be right', () => {
    const wrong = {
      location: { latitude: 91, longitude: 0 },
      address: '',
      contact: { phone: '0425 555', email: 'nobody', fax: '1' },
      floor: 3,
    };
    expect(stopErrors(wrong, 'dropoff').map((one) => one.field)).toEqual([
      'dropoff.location',
      'dropoff.address',
      'dropoff.floor',
      'dropoff.contact.phone',
      'dropoff.contact.email',
      'dropoff.contact.fax',
    ]);
    expect(stopErrors({}, 'dropoff')).toEqual([{ field: 'dropoff.location', message: 'is required' }]);
    expect(JSON.stringify(stopErrors(wrong, 'dropoff'))).not.toContain('0425');
  });
});
