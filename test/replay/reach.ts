/**
 * What of the workflow code the golden histories reach: V8 counts what it runs while they are replayed. What none of them reaches
 * could be changed without any replay noticing.
 */
import type { WorkflowBundle } from '@temporalio/worker';
import { readFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { SourceMap, type SourceMapPayload } from 'node:module';
import path from 'node:path';
import { WORKFLOWS_PATH } from '../../workers/bundle.ts';
import { replay, type ReplayErrors } from './replay.ts';

export interface Reach {
  /** What the replay came to, by file of a history. */
  errors: ReplayErrors;
  /** Functions that no history calls, as `delivery/flight.ts onCancel`. */
  functions: string[];
  /** Lines that no history runs, of functions that are called, by source below `workflows/`. */
  lines: ReadonlyMap<string, readonly number[]>;
}

/** Replays every history and counts. In this thread, so that the workflow code is within reach of its inspector. */
export async function reachOf(bundle: WorkflowBundle): Promise<Reach> {
  if (!('code' in bundle)) throw new Error('The code of the bundle is needed');
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    const errors = await replay(bundle, { inThisThread: true });
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const scripts = result.filter(({ url }) => url.includes('workflow-bundle'));
    if (scripts.length === 0) throw new Error('V8 has not seen the workflow bundle');
    return {
      errors,
      ...(await unreached(
        new Bundle(bundle.code),
        scripts.flatMap((one) => one.functions),
      )),
    };
  } finally {
    session.disconnect();
  }
}

interface Counted {
  functionName: string;
  /** The first is the whole function; later ones are parts of earlier ones. Offsets in characters. */
  ranges: { startOffset: number; endOffset: number; count: number }[];
}

async function unreached(
  bundle: Bundle,
  counted: readonly Counted[],
): Promise<{ functions: string[]; lines: Map<string, number[]> }> {
  const functions = new Set<string>();
  const lines = new Map<string, Set<number>>();
  for (const { functionName, ranges } of counted) {
    const [whole, ...parts] = ranges;
    if (!whole) continue;
    if (whole.count === 0) {
      if (bundle.isPlaceholder(whole)) continue;
      const place = bundle.sourceOf(whole.startOffset);
      // Also the bundler makes functions: what it exports, getters. Those have no name in the source.
      const text = place && (await sourceLine(place.source, place.line));
      if (place && functionName !== '' && text?.includes(functionName)) {
        functions.add(`${place.source} ${functionName}`);
      }
      continue;
    }
    for (const part of parts.filter((one) => one.count === 0)) {
      for (const { source, line } of bundle.linesOf(part.startOffset, part.endOffset)) {
        lines.set(source, (lines.get(source) ?? new Set()).add(line));
      }
    }
  }
  return {
    functions: [...functions].sort(),
    lines: new Map([...lines].sort().map(([source, all]) => [source, [...all].sort((a, b) => a - b)])),
  };
}

interface Place {
  /** Below `workflows/`. */
  source: string;
  /** From 1. */
  line: number;
}

/** The bundled code, and where in the sources it comes from. */
class Bundle {
  readonly #code: string;
  readonly #map: SourceMap;
  readonly #lineStarts: number[] = [0];

  constructor(code: string) {
    this.#code = code;
    const [, base64] =
      /\/\/# sourceMappingURL=data:application\/json[^,]*;base64,([\w+/=]+)/.exec(code) ?? [];
    if (base64 === undefined) throw new Error('The bundle has no source map');
    this.#map = new SourceMap(JSON.parse(Buffer.from(base64, 'base64').toString()) as SourceMapPayload);
    for (let at = code.indexOf('\n'); at >= 0; at = code.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1);
  }

  /** `() => undefined`: there until somebody puts another in its place. */
  isPlaceholder({ startOffset, endOffset }: { startOffset: number; endOffset: number }): boolean {
    return /^\(\)\s*=>\s*undefined$/.test(this.#code.slice(startOffset, endOffset));
  }

  /** Undefined for code that is not of ours. */
  sourceOf(offset: number): Place | undefined {
    const line = this.#lineAt(offset);
    const entry = this.#map.findEntry(line, offset - (this.#lineStarts[line] ?? 0));
    if (!('originalSource' in entry) || entry.originalSource.includes('/node_modules/')) return undefined;
    const [, source] = /\/workflows\/(.+\.ts)$/.exec(entry.originalSource) ?? [];
    return source === undefined ? undefined : { source, line: entry.originalLine + 1 };
  }

  /** The lines of ours that have code between two offsets. */
  linesOf(from: number, to: number): Place[] {
    const places = new Map<string, Place>();
    for (let line = this.#lineAt(from); line <= this.#lineAt(to - 1); line += 1) {
      const start = Math.max(from, this.#lineStarts[line] ?? 0);
      const end = Math.min(to, (this.#lineStarts[line + 1] ?? this.#code.length) - 1);
      const first = this.#code.slice(start, end).search(/[^\s{}();]/);
      const place = first < 0 ? undefined : this.sourceOf(start + first);
      if (place) places.set(`${place.source}:${place.line}`, place);
    }
    return [...places.values()];
  }

  #lineAt(offset: number): number {
    let [low, high] = [0, this.#lineStarts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

const sources = new Map<string, string[]>();
async function sourceLine(source: string, line: number): Promise<string | undefined> {
  const text =
    sources.get(source) ??
    (await readFile(path.join(path.dirname(WORKFLOWS_PATH), source), 'utf8')).split('\n');
  sources.set(source, text);
  return text[line - 1];
}
