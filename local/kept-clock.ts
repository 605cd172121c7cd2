/** The clock of a local stack, kept with its data: a restart goes on with the same clock, so that no deadline jumps. */
import { readFile } from 'node:fs/promises';
import { Type } from 'typebox';
import { type ClockSettings, clockTimeMs, LIVE_CLOCK } from '../shared/clock.ts';
import { compileCheck } from '../shared/http/validation.ts';
import { writePrivate } from './private-file.ts';

const checkKept = compileCheck(
  Type.Object({
    anchorWallMs: Type.Number(),
    anchorMs: Type.Number(),
    rate: Type.Number({ exclusiveMinimum: 0 }),
  }),
);

/**
 * The kept clock; with another `rate` it goes on from what it shows now. A first start at rate 1 shows the wall time, and
 * at another rate begins with it.
 */
export async function keptClock(
  path: string,
  rate: number | undefined,
  wall: () => number = Date.now,
): Promise<ClockSettings> {
  const kept = await readKept(path);
  const clock = goOn(kept ?? LIVE_CLOCK, rate, wall());
  await writePrivate(path, `${JSON.stringify(clock, null, 2)}\n`);
  return clock;
}

function goOn(clock: ClockSettings, rate: number | undefined, wallMs: number): ClockSettings {
  if (rate === undefined || rate === clock.rate) return clock;
  return { anchorWallMs: wallMs, anchorMs: clockTimeMs(clock, wallMs), rate };
}

async function readKept(path: string): Promise<ClockSettings | undefined> {
  try {
    const checked = checkKept(JSON.parse(await readFile(path, 'utf8')));
    return checked.ok ? checked.value : undefined;
  } catch {
    return undefined;
  }
}
