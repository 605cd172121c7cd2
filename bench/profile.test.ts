import { describe, expect, it } from 'vitest';
import { summarizeProfile } from './profile.ts';

const frame = (id: number, functionName: string, url: string) => ({
  id,
  callFrame: { functionName, url, lineNumber: 9 },
});

describe('a summary of a CPU profile', () => {
  const summary = summarizeProfile({
    nodes: [
      frame(1, '(idle)', ''),
      frame(2, 'parse', 'file:///app/node_modules/@scope/parser/lib/index.js'),
      frame(3, 'accept', 'file:///app/services/ingestion/domain/acceptor.ts'),
      frame(4, '(garbage collector)', ''),
      frame(5, 'writev', 'node:internal/stream_base_commons'),
      frame(6, 'dispatch', ''),
      frame(7, 'saga', 'file:///app/workflow-bundle-2e0d24bf.js'),
      frame(8, 'run', '/app/somewhere/else.js'),
    ],
    samples: [1, 2, 2, 3, 4, 5, 1, 6, 7, 8],
    timeDeltas: [1000, 2000, 2000, 3000, 1000, 2000, 5000, 4000, 800, 200],
  });

  it('leaves out what was idle, and the profiler', () => {
    expect(summary.busyS).toBeCloseTo(0.011, 9);
  });

  it('names packages, our own files, Node and V8, dearest first', () => {
    expect(summary.places.map(({ what, share }) => [what, Math.round(share * 100)])).toEqual([
      ['@scope/parser', 36],
      ['services/ingestion/domain/acceptor.ts', 27],
      ['node:internal/stream_base_commons', 18],
      ['(garbage collector)', 9],
      ['workflow bundle', 7],
      ['else.js', 2],
    ]);
  });

  it('names functions with where they are', () => {
    expect(summary.functions[1]?.what).toBe('accept in services/ingestion/domain/acceptor.ts:10');
  });
});
