/**
 * The clock port. Every delivery has a clock that its deadlines, leases, drone and timestamps follow; live it is the wall
 * clock (rate 1). A time-lapse demo runs at a higher rate, so that everything tells one story. Pure: workflows use it too.
 */

/** A clock as data: at wall time `anchorWallMs` it showed `anchorMs`, and it runs `rate` times as fast as the wall. */
export interface ClockSettings {
  /** Wall time of the anchor, Unix milliseconds. */
  anchorWallMs: number;
  /** What the clock showed at the anchor, Unix milliseconds. */
  anchorMs: number;
  /** Clock milliseconds per wall millisecond, > 0. */
  rate: number;
}

/** The live clock: shows the wall time. */
export const LIVE_CLOCK: ClockSettings = { anchorWallMs: 0, anchorMs: 0, rate: 1 };

/** What the clock shows at a wall time. Both in Unix milliseconds. */
export function clockTimeMs(clock: ClockSettings, wallMs: number): number {
  return clock.anchorMs + (wallMs - clock.anchorWallMs) * clock.rate;
}

/** The wall time at which the clock shows `timeMs`. Both in Unix milliseconds. */
export function wallTimeMs(clock: ClockSettings, timeMs: number): number {
  return clock.anchorWallMs + (timeMs - clock.anchorMs) / clock.rate;
}

/**
 * The first whole wall millisecond at which the clock shows `timeMs` or later: whoever looks again then does not come too early,
 * however the division was rounded.
 */
export function firstWallMs(clock: ClockSettings, timeMs: number): number {
  const wallMs = Math.ceil(wallTimeMs(clock, timeMs));
  return clockTimeMs(clock, wallMs) < timeMs ? wallMs + 1 : wallMs;
}

/** How many wall milliseconds a span of the clock's time takes. Never negative. */
export function wallDurationMs(clock: ClockSettings, durationMs: number): number {
  return Math.max(0, durationMs / clock.rate);
}

/** A source of wall time. Production passes `Date.now`; a time-skipping test passes its server's time. */
export type WallClock = () => number;

/** A running clock: settings over a source of wall time. */
export interface Clock {
  readonly settings: ClockSettings;
  /** What the clock shows now, Unix milliseconds. */
  nowMs(): number;
  now(): Date;
}

export function runningClock(settings: ClockSettings, wall: WallClock = Date.now): Clock {
  const nowMs = () => clockTimeMs(settings, wall());
  return { settings, nowMs, now: () => new Date(nowMs()) };
}

/** RFC 3339 UTC with milliseconds. */
export function isoTime(timeMs: number): string {
  return new Date(Math.round(timeMs)).toISOString();
}

/**
 * An RFC 3339 time as Unix milliseconds. A leap second, which RFC 3339 allows and JavaScript does not know, counts as the
 * last millisecond before it.
 * @throws {RangeError} when it is no time
 */
export function timeMsOf(rfc3339: string): number {
  const timeMs = Date.parse(rfc3339.toUpperCase().replace(/:60(?:\.\d+)?/, ':59.999'));
  if (Number.isNaN(timeMs)) throw new RangeError(`${rfc3339} is not an RFC 3339 time`);
  return timeMs;
}
