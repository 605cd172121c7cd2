import { describe, expect, it } from 'vitest';
import { familyOf, parseStat } from './cpu.ts';

describe('CPU time by role', () => {
  it('is read from a line of /proc, whatever the process is called', () => {
    const line =
      '4711 (postgres: a) b (c) S 42 4711 4711 0 -1 4194560 100 200 0 0 1234 66 500 50 20 0 1 0 100 0 0';
    expect(parseStat(line)).toEqual({ pid: 4711, parent: 42, ownS: 13, endedChildrenS: 5.5 });
  });

  it('counts a role with its descendants, but not the roles that it started', () => {
    const process = (pid: number, parent: number) => ({ pid, parent, ownS: 1, endedChildrenS: 0 });
    const all = [process(1, 0), process(2, 1), process(3, 2), process(4, 1), process(5, 9)];
    const pids = (root: number) => familyOf(root, all, new Set([1, 4])).map((one) => one.pid);
    expect(pids(1)).toEqual([1, 2, 3]);
    expect(pids(4)).toEqual([4]);
  });
});
