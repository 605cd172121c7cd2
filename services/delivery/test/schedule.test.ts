import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isoTime } from '../../../shared/clock.ts';
import { sameWindow, SCHEDULE_AHEAD_S, utcWindow, windowRefusals } from '../contract/index.ts';

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
const at = (seconds: number) => isoTime(NOW_MS + seconds * 1000);
const window = (fromS: number, toS: number) => ({ start: at(fromS), end: at(toS) });
const fields = (fromS: number, toS: number, deadlineS: number | null = null) =>
  windowRefusals(window(fromS, toS), {
    nowMs: NOW_MS,
    deadline: deadlineS === null ? null : at(deadlineS),
  }).map((one) => one.field);

describe('a pickup window', () => {
  it.each([
    ['begins now', 0, 1],
    ['has begun', -3600, 1],
    ['begins 30 days ahead', SCHEDULE_AHEAD_S, SCHEDULE_AHEAD_S + 1],
  ])('that %s can be served', (_, from, to) => expect(fields(from, to)).toEqual([]));

  it.each([
    ['is over', -2, 0, ['pickup_window.end']],
    ['begins a second too far ahead', SCHEDULE_AHEAD_S + 1, SCHEDULE_AHEAD_S + 2, ['pickup_window.start']],
    ['has no length', 60, 60, ['pickup_window.end']],
    ['is wrong at both ends', SCHEDULE_AHEAD_S + 60, 1, ['pickup_window.start', 'pickup_window.end']],
  ])('that %s cannot', (_, from, to, wrong) => expect(fields(from, to)).toEqual(wrong));

  it('must begin before the deadline, and says until when', () => {
    expect(fields(60, 120, 61)).toEqual([]);
    expect(fields(60, 120, 60)).toEqual(['pickup_window.start']);
    const [refusal] = windowRefusals(window(60, 120), { nowMs: NOW_MS, deadline: at(30) });
    expect(refusal?.message).toBe(`must be before the deadline, ${at(30)}`);
  });

  it('says how far ahead is allowed, as the policy has it', () => {
    const [refusal] = windowRefusals(window(7_200, 9_000), { nowMs: NOW_MS, deadline: null, aheadS: 3_600 });
    expect(refusal).toEqual({
      field: 'pickup_window.start',
      message: `must be at most 0.04 days ahead: no later than ${at(3_600)}`,
    });
  });

  it('is the same in any time zone', () => {
    const there = { start: '2026-03-01T13:00:00+01:00', end: '2026-03-01T07:30:00-05:00' };
    const here = { start: '2026-03-01T12:00:00.000Z', end: '2026-03-01T12:30:00.000Z' };
    expect(utcWindow(there)).toEqual(here);
    expect(sameWindow(there, here)).toBe(true);
    expect(sameWindow(here, null)).toBe(false);
    expect(sameWindow(null, null)).toBe(true);
  });

  it('is served exactly when it is not over, has a length and begins in time', () => {
    const second = fc.integer({ min: -100, max: 100 });
    fc.assert(
      fc.property(second, second, fc.integer({ min: 1, max: 50 }), (from, to, aheadS) => {
        const refused = windowRefusals(window(from, to), { nowMs: NOW_MS, aheadS, deadline: null });
        expect(refused.length === 0).toBe(to > 0 && to > from && from <= aheadS);
      }),
    );
  });
});
