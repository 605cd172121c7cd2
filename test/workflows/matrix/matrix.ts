/** The matrix of one test file: a lab with a chart, cases that are sailed and judged, and the page that must say what came of them. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { Tables } from '../../checker/held-rows.ts';
import { Lab } from '../lab.ts';
import { type Case, casesOfJourneys } from './cases.ts';
import { Chart, type Charted } from './chart.ts';
import { CHART, committedChart, committedRows, type Row, rowOf, ROWS_FOLDER, type Section } from './page.ts';
import { sail, type Sea, type Voyage } from './voyage.ts';

const WORKFLOWS = path.join(import.meta.dirname, 'workflows.ts');

export class Matrix implements Sea {
  readonly lab: Lab;
  readonly tables: Tables;
  readonly chart: Chart;

  private constructor({ lab, tables }: Sea, chart: Chart) {
    this.lab = lab;
    this.tables = tables;
    this.chart = chart;
  }

  /** With the chart as it was committed: whether that is true is for the one who draws it to say. */
  static async open(): Promise<Matrix> {
    return new Matrix(await openSea(), new Chart(committedChart()));
  }

  /** With a chart of its own, drawn on the journeys when nothing disturbs them. */
  static async draw(): Promise<{ matrix: Matrix; journeys: readonly Voyage[] }> {
    const sea = await openSea();
    const journeys = await sail(
      sea,
      casesOfJourneys().map(({ plan }) => plan),
      { watched: true },
    );
    sea.lab.rest();
    return { matrix: new Matrix(sea, Chart.of(journeys)), journeys };
  }

  async close(): Promise<void> {
    await this.tables.close();
    await this.lab.close();
  }

  /** The second part of the matrix goes by what is committed. */
  async expectChartAsCommitted(): Promise<void> {
    const { charted } = this.chart;
    const folder = process.env[ROWS_FOLDER];
    if (folder === undefined) expect(charted).toEqual(committedChart());
    else await keep(folder, CHART, charted);
  }

  /** Sails the cases: nothing may be wrong with any of them, and the page says what came of each. */
  async expectClean(section: Section, name: string, cases: readonly Case[]): Promise<void> {
    expect(cases.length).toBeGreaterThan(0);
    const voyages = await sail(
      this,
      cases.map(({ plan }) => plan),
    );
    this.lab.rest();
    await this.expectAsOnPage(section, name, cases, voyages);
  }

  async expectAsOnPage(
    section: Section,
    name: string,
    cases: readonly Case[],
    voyages: readonly Voyage[],
  ): Promise<void> {
    const rows = cases.flatMap(({ id }, at) => (voyages[at] ? [rowOf(id, voyages[at])] : []));
    const wrong = cases.flatMap(({ id }, at) =>
      (voyages[at]?.violations ?? []).map((one) => `${id}: ${one}`),
    );
    expect(wrong).toEqual([]);
    const folder = process.env[ROWS_FOLDER];
    if (folder !== undefined) return keep(folder, `${section}.${name.replaceAll(/\W+/g, '_')}.json`, rows);
    const committed = committedRows(section);
    // As `npm run docs:matrix` wrote it: what changes there is to be looked at.
    expect(rows.map((row) => committed.get(row.id))).toEqual(rows);
  }
}

async function openSea(): Promise<Sea> {
  const lab = await Lab.shared({ workflowsPath: WORKFLOWS });
  return { lab, tables: new Tables(lab.databaseUrl) };
}

/** Whether the matrix is red with this: something is wrong with it, or it is not what the page says. */
export function isRed(section: Section, { id }: Case, voyage: Voyage): boolean {
  const row = committedRows(section).get(id);
  if (!row) throw new Error(`The page has no case ${id}.`);
  return voyage.violations.length > 0 || JSON.stringify(rowOf(id, voyage)) !== JSON.stringify(row);
}

/** For `npm run docs:matrix`. */
async function keep(folder: string, file: string, what: readonly Row[] | Charted): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, file), JSON.stringify(what));
}
