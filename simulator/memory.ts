/**
 * What an aircraft writes down before it says it: milestones and photos that nobody has acknowledged outlive its
 * computer. Without it an
 * aircraft that was killed between loading and telling would come back not knowing what is in its bay.
 */
import { appendFileSync, closeSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { DroneId } from '../shared/ids.ts';
import type { UnsaidFact } from './aircraft.ts';

export interface Memory {
  /** What it had to say when its computer stopped, oldest first. */
  unsaid(droneId: DroneId): readonly UnsaidFact[];
  /** Written before anybody can see what they tell of. */
  keep(droneId: DroneId, unsaid: readonly UnsaidFact[]): void;
  close(): void;
}

/** Of aircraft that are never restarted. */
export const FORGETFUL: Memory = { unsaid: () => [], keep: () => undefined, close: () => undefined };

interface Line {
  drone_id: DroneId;
  unsaid: readonly UnsaidFact[];
}

/** So many lines more than there are drones, and the file is written anew. */
const SPARE_LINES = 10_000;

/**
 * A file of JSON lines, the last one of each drone counts. Throws when the file cannot be written, or holds what no aircraft
 * has written. For one process at a time.
 */
export function fileMemory(path: string): Memory {
  const kept = new Map(linesOf(path).map(({ drone_id, unsaid }) => [drone_id, unsaid]));
  let file = rewrite();
  let lines = kept.size;

  function rewrite(): number {
    for (const [droneId, unsaid] of kept) if (unsaid.length === 0) kept.delete(droneId);
    const draft = `${path}.draft`;
    writeFileSync(draft, [...kept].map(([drone_id, unsaid]) => written({ drone_id, unsaid })).join(''));
    renameSync(draft, path);
    return openSync(path, 'a');
  }

  return {
    unsaid: (droneId) => kept.get(droneId) ?? [],
    keep(droneId, unsaid) {
      kept.set(droneId, unsaid);
      appendFileSync(file, written({ drone_id: droneId, unsaid }));
      lines += 1;
      if (lines < kept.size + SPARE_LINES) return;
      closeSync(file);
      file = rewrite();
      lines = kept.size;
    },
    close: () => {
      closeSync(file);
    },
  };
}

const written = (line: Line) => `${JSON.stringify(line)}\n`;

function linesOf(path: string): Line[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  // Killed in the middle of a line: what that one tells of nobody has seen.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      try {
        return JSON.parse(line) as Line;
      } catch {
        throw new Error(`${path}, line ${index + 1} is not what an aircraft writes. Remove the file.`);
      }
    });
}
