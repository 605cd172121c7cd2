/**
 * Which pickup windows can be served. Pure: the door asks it before the accept, the workflow when a window is moved, so that
 * both say the same.
 */
import { isoTime, timeMsOf } from '../../../shared/clock.ts';
import type { FieldError } from '../../../shared/errors.ts';
import type { PickupWindow } from '../../../shared/schemas.ts';

/** A pickup may begin at most this far ahead, seconds: 30 days. A delivery's policy may say otherwise (`scheduleAheadS`). */
export const SCHEDULE_AHEAD_S = 30 * 24 * 3600;

export interface WindowLimits {
  /** What the delivery's clock shows, Unix milliseconds. */
  nowMs: number;
  aheadS?: number;
  /** Dropoff no later than, RFC 3339. */
  deadline: string | null;
}

/**
 * Every reason why a well-formed window cannot be served, by field, each with what would be right; empty: it can. A window that
 * has begun and not ended is served at once.
 */
export function windowRefusals(
  { start, end }: PickupWindow,
  { nowMs, aheadS = SCHEDULE_AHEAD_S, deadline }: WindowLimits,
): FieldError[] {
  const startMs = timeMsOf(start);
  const endMs = timeMsOf(end);
  const latestMs = nowMs + aheadS * 1000;
  const errors: FieldError[] = [];
  if (startMs > latestMs) {
    errors.push({
      field: 'pickup_window.start',
      message: `must be at most ${days(aheadS)} days ahead: no later than ${isoTime(latestMs)}`,
    });
  }
  if (endMs <= startMs) {
    errors.push({ field: 'pickup_window.end', message: 'must be after pickup_window.start' });
  } else if (endMs <= nowMs) {
    errors.push({
      field: 'pickup_window.end',
      message: `must be in the future: the window is over at ${isoTime(nowMs)}`,
    });
  }
  if (deadline !== null && timeMsOf(deadline) <= startMs) {
    errors.push({
      field: 'pickup_window.start',
      message: `must be before the deadline, ${isoTime(timeMsOf(deadline))}`,
    });
  }
  return errors;
}

/** The same window in UTC with milliseconds, as we write times. */
export function utcWindow({ start, end }: PickupWindow): PickupWindow {
  return { start: isoTime(timeMsOf(start)), end: isoTime(timeMsOf(end)) };
}

export function sameWindow(one: PickupWindow | null, other: PickupWindow | null): boolean {
  if (one === null || other === null) return one === other;
  return timeMsOf(one.start) === timeMsOf(other.start) && timeMsOf(one.end) === timeMsOf(other.end);
}

const days = (seconds: number): string => String(Math.round((seconds / 86_400) * 100) / 100);
