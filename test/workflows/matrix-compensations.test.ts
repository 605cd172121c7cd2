/**
 * The compensation matrix, second part: every wait × cancel, abort and deadline, every compensation × how it fails, and the proof that
 * the matrix sees a compensation that is missing. See docs/compensation-matrix.md. In virtual time.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMPENSATIONS, type CompensationKind, type Wait, WAITS } from '../../workflows/delivery/registry.ts';
import { casesOfCompensation, casesOfWait, mutations, withoutIt } from './matrix/cases.ts';
import { isRed, Matrix } from './matrix/matrix.ts';
import { committedRows, ROWS_FOLDER } from './matrix/page.ts';
import { sail } from './matrix/voyage.ts';

const KINDS = Object.keys(COMPENSATIONS) as CompensationKind[];
const WAIT_NAMES = Object.keys(WAITS) as Wait[];
const LONG_MS = 180_000;

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
    const voyages = await sail(
      matrix,
      removals.flatMap((one) => [one.needs.plan, withoutIt(one)]),
      { withinMs: 60 * 60 * 1000 },
    );
    matrix.lab.rest();
    const found = removals.map(({ step, needs, section, isLast }, at) => {
      const [whole, mutant] = voyages.slice(2 * at);
      if (!whole || !mutant) throw new Error('two sailed for each');
      return {
        step,
        whole: isRed(section, needs, whole),
        mutant: isRed(section, needs, mutant),
        isSeenToBeLeft: mutant.violations.some((one) => LEFT.test(one)) || !leavesSomething(kind, isLast),
      };
    });
    expect(found).toEqual(
      removals.map(({ step }) => ({ step, whole: false, mutant: true, isSeenToBeLeft: true })),
    );
  });
});

const LEFT = /^(left at its end: |set down \d+ m from where it was to be)/;

/**
 * A drone that is released comes home too: only the calls tell that nobody has recalled it. And only the last change of the dropoff is
 * where the drone goes.
 */
const leavesSomething = (kind: CompensationKind, isLast: boolean): boolean =>
  kind !== 'recall_drone' && (kind !== 'undo_reroute' || isLast);

it.skipIf(process.env[ROWS_FOLDER] !== undefined)('the page has no case that there is not', () => {
  const { chart } = matrix;
  const waits = WAIT_NAMES.flatMap((wait) => casesOfWait(chart, wait));
  const compensations = KINDS.flatMap((kind) => casesOfCompensation(chart, kind));
  expect([...committedRows('waits').keys()]).toEqual(waits.map(({ id }) => id));
  expect([...committedRows('compensations').keys()]).toEqual(compensations.map(({ id }) => id));
});
