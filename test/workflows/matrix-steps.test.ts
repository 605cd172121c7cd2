/** The compensation matrix, first part: every step × what can happen to it. See docs/compensation-matrix.md. In virtual time. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STEPS, type StepName, type Wait, WAITS } from '../../workflows/delivery/registry.ts';
import { casesOfJourneys, casesOfStep } from './matrix/cases.ts';
import { Matrix } from './matrix/matrix.ts';
import { committedRows, ROWS_FOLDER } from './matrix/page.ts';
import type { Voyage } from './matrix/voyage.ts';

const STEP_NAMES = Object.keys(STEPS) as StepName[];
const LONG_MS = 180_000;

let matrix: Matrix;
let undisturbed: readonly Voyage[];
beforeAll(async () => {
  ({ matrix, journeys: undisturbed } = await Matrix.draw());
}, LONG_MS);
afterAll(() => matrix.close());

describe('journeys', () => {
  it('reach every step and every wait of the registry', () => {
    const { chart } = matrix;
    expect(STEP_NAMES.filter((step) => chart.callsOf(step).length === 0)).toEqual([]);
    const waits = Object.keys(WAITS) as Wait[];
    expect(waits.filter((wait) => !chart.wayTo(wait))).toEqual([]);
    // Whatever has a time in the policy is seen to have it.
    expect(
      waits.filter((wait) => WAITS[wait].within !== null && chart.wayTo(wait)?.isBounded !== true),
    ).toEqual([]);
  });

  it('go as the chart says by which the second part finds its cases', () => matrix.expectChartAsCommitted());

  it('end as the page says when nothing disturbs them', async () => {
    await matrix.expectAsOnPage('journeys', 'all', casesOfJourneys(), undisturbed);
  });
});

describe('every step, whatever happens to it', () => {
  it.each(STEP_NAMES)('%s: nothing is left', { timeout: LONG_MS }, async (step) => {
    await matrix.expectClean('steps', step, casesOfStep(matrix.chart, step));
  });

  it.skipIf(process.env[ROWS_FOLDER] !== undefined)('the page has no case that there is not', () => {
    const cases = STEP_NAMES.flatMap((step) => casesOfStep(matrix.chart, step));
    expect([...committedRows('steps').keys()]).toEqual(cases.map(({ id }) => id));
    expect([...committedRows('journeys').keys()]).toEqual(casesOfJourneys().map(({ id }) => id));
  });
});
