/**
 * The compensation matrix, second part: every wait × cancel, abort and deadline, every compensation × how it fails, and the proof that
 * the matrix sees a compensation that is missing, a call that comes late and takes something, and one with a wrong key. See
 * docs/compensation-matrix.md. In virtual time.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMPENSATIONS, type CompensationKind, type Wait, WAITS } from '../../workflows/delivery/registry.ts';
import { casesOfCompensation, casesOfStep, casesOfWait, mutations, withoutIt } from './matrix/cases.ts';
import { forget, FORGETFUL } from './matrix/forgetful.ts';
import { JOURNEYS } from './matrix/journeys.ts';
import { isRed, Matrix } from './matrix/matrix.ts';
import { committedRows, ROWS_FOLDER } from './matrix/page.ts';
import { sail } from './matrix/voyage.ts';

const KINDS = Object.keys(COMPENSATIONS) as CompensationKind[];
const WAIT_NAMES = Object.keys(WAITS) as Wait[];
const LONG_MS = 180_000;
const HOUR_MS = 60 * 60 * 1000;

let matrix: Matrix;
beforeAll(async () => {
  matrix = await Matrix.open();
}, LONG_MS);
afterAll(() => matrix.close());

describe('every wait, cut short or too long', () => {
  it.each(WAIT_NAMES)('%s: nothing is left', { timeout: LONG_MS }, async (wait) => {
    await matrix.expectClean('waits', wait, casesOfWait(matrix.chart, wait));
  });
});

describe('every compensation, when it fails', () => {
  it.each(KINDS)(
    '%s: nothing is left, or an intervention names exactly what',
    { timeout: LONG_MS },
    async (kind) => {
      const cases = casesOfCompensation(matrix.chart, kind);
      expect(cases.length).toBeGreaterThan(0);
      await matrix.expectClean('compensations', kind, cases);
    },
  );
});

describe.skipIf(process.env[ROWS_FOLDER] !== undefined)('the saga without one of its compensations', () => {
  it.each(KINDS)('%s, of each step that it undoes: the matrix is red', { timeout: LONG_MS }, async (kind) => {
    const { chart } = matrix;
    const removals = mutations(chart).filter((one) => one.kind === kind);
    expect(removals.length).toBeGreaterThan(0);
    const [control] = removals;
    const [whole, ...mutants] = await sail(
      matrix,
      [...(control ? [control.needs.plan] : []), ...removals.map(withoutIt)],
      { withinMs: HOUR_MS },
    );
    matrix.lab.rest();
    // The others are whole in the first part, which runs the same workflows.
    expect(control && whole && isRed(control.section, control.needs, whole)).toBe(false);
    const found = removals.map(({ step, needs, section, isLast }, at) => {
      const mutant = mutants[at];
      return {
        step,
        isRed: mutant && isRed(section, needs, mutant),
        isSeenToBeLeft:
          mutant?.violations.some((one) => LEFT.test(one)) === true || !leavesSomething(kind, isLast),
      };
    });
    expect(found).toEqual(removals.map(({ step }) => ({ step, isRed: true, isSeenToBeLeft: true })));
  });
});

const LEFT = /^(left at its end: |set down \d+ m from where it was to be)/;

/**
 * A drone that is released comes home too: only the calls tell that nobody has recalled it. And only the last change of the dropoff is
 * where the drone goes.
 */
const leavesSomething = (kind: CompensationKind, isLast: boolean): boolean =>
  kind !== 'recall_drone' && (kind !== 'undo_reroute' || isLast);

describe.skipIf(process.env[ROWS_FOLDER] !== undefined)(
  'a service that has forgotten what was undone',
  () => {
    it.each(FORGETFUL)(
      'lets a late $activity act: the matrix is red, whatever time gives back',
      { timeout: LONG_MS },
      async (one) => {
        const needs = casesOfStep(matrix.chart, one.activity).find(({ id }) =>
          id.endsWith('/1 · cancelled before it acts, and acts late'),
        );
        if (!needs) throw new Error('there is no such case');
        const [voyage] = await sail(matrix, [
          { ...needs.plan, beforeWhatIsLate: (id) => forget(matrix.lab.databaseUrl, one, id) },
        ]);
        matrix.lab.rest();
        const taken = voyage?.violations.map((violation) => violation.replace(/del_\w+\//, ''));
        expect(taken).toContainEqual(
          expect.stringContaining(`taken by a call that came late: ${one.takes} (`),
        );
      },
    );
  },
);

it('an activity that calls its service with another key than its step’s: the matrix is red', async () => {
  const [journey] = JOURNEYS;
  if (!journey) throw new Error('there is no journey');
  const [voyage] = await sail(matrix, [{ journey, faults: [{ activity: 'capture', how: 'wrong_key' }] }]);
  matrix.lab.rest();
  const { deliveryId = '', violations } = voyage ?? {};
  expect(violations).toEqual([
    `capture of ${deliveryId}/capture/1 asked account.capture with the key ${deliveryId}/capture/10 instead of ${deliveryId}/capture/1`,
    `after ${deliveryId}/event_delivered/1 came ${deliveryId}/capture/10 instead of ${deliveryId}/capture/1`,
  ]);
});

it.skipIf(process.env[ROWS_FOLDER] !== undefined)('the page has no case that there is not', () => {
  const { chart } = matrix;
  const waits = WAIT_NAMES.flatMap((wait) => casesOfWait(chart, wait));
  const compensations = KINDS.flatMap((kind) => casesOfCompensation(chart, kind));
  expect([...committedRows('waits').keys()]).toEqual(waits.map(({ id }) => id));
  expect([...committedRows('compensations').keys()]).toEqual(compensations.map(({ id }) => id));
});
