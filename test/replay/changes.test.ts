/** What a change of the workflow does to deliveries under way: the golden histories tell, and `patched` is the way out. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, it } from 'vitest';
import { PATCHED_PAUSE, UNPATCHED_PAUSE } from './changes.ts';
import { commandsOf } from './commands.ts';
import { type Edit, editedBundle } from './edited-bundle.ts';
import { historyFiles, readHistory } from './histories.ts';
import { replay, REPLAY_WITHIN_MS } from './replay.ts';

/** The commands of each history. */
const commands = new Map<string, string[]>();
/** Enough to show what a careless change does. */
let some: string[];
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  for (const file of await historyFiles()) commands.set(file, commandsOf(await readHistory(file)));
  some = [...commands.keys()].filter((_, index) => index % 3 === 0);
});

/** Changes of which each alters what is commanded, and the histories that meet it: those with a command like this. */
const CARELESS: {
  what: string;
  edits: readonly Edit[];
  met: RegExp;
  isElsewhere?: RegExp;
  isMetBy?: RegExp;
}[] = [
  // A run that only takes a package over reserves its drone at another place. One that was reset with a carrier comes there, and
  // asks for no drone.
  {
    what: 'a timer that is new',
    edits: UNPATCHED_PAUSE,
    met: /reserveDrone$/,
    isElsewhere: /^taken-over.*\.run[2-9]/,
    isMetBy: /^reset-with-a-carrier@/,
  },
  {
    what: 'a short step that became a durable one',
    edits: [
      {
        file: 'delivery/registry.ts',
        find: `registerPackages: { how: 'short'`,
        replace: `registerPackages: { how: 'plain'`,
      },
    ],
    met: /registerPackages$/,
  },
];

describe('a change without `patched`', () => {
  it.each(CARELESS)(
    '$what: is a determinism violation in every history that meets it, and only there',
    async ({ edits, met, isElsewhere, isMetBy }) => {
      const results = await replay(await editedBundle(edits), { files: some });
      const red = [...results].filter(([, error]) => error !== undefined);
      for (const [, error] of red) expect(error).toBeInstanceOf(DeterminismViolationError);
      const meeting = some.filter(
        (file) =>
          isElsewhere?.test(file) !== true &&
          (isMetBy?.test(file) === true || commands.get(file)?.some((one) => met.test(one))),
      );
      expect(red.map(([file]) => file)).toEqual(meeting);
      expect(red.length).toBeGreaterThan(10);
      expect(red.length).toBeLessThan(some.length);
    },
    REPLAY_WITHIN_MS,
  );
});

describe('the same change with `patched`', () => {
  it(
    'replays every history',
    async () => {
      const results = await replay(await editedBundle(PATCHED_PAUSE));
      expect(results.size).toBe(commands.size);
      expect([...results].filter(([, error]) => error !== undefined)).toEqual([]);
    },
    REPLAY_WITHIN_MS,
  );
});

describe('an edit', () => {
  it(
    'of what is not there any more is no edit, but an error',
    async () => {
      const edit = { file: 'delivery/saga.ts', find: 'what was never there', replace: '' };
      await expect(editedBundle([edit])).rejects.toThrow();
    },
    REPLAY_WITHIN_MS,
  );
});
