/** The matrix of one test file: a lab with its chart, cases that are sailed and judged, and the page that must say what came of them. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { Tables } from '../../checker/held-rows.ts';
import { Lab } from '../lab.ts';
import { type Case, Chart } from './cases.ts';
import { committedRows, type Row, rowOf, ROWS_FOLDER, type Section } from './page.ts';
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

  static async open(): Promise<Matrix> {
    const lab = await Lab.open({ build: { workflowsPath: WORKFLOWS } });
    const tables = new Tables(lab.databaseUrl);
    return new Matrix({ lab, tables }, await Chart.draw({ lab, tables }));
  }

  async close(): Promise<void> {
    await this.tables.close();
    await this.lab.close();
  }

  /** Sails the cases: nothing may be wrong with any of them, and the page says what came of each. */
  async expectClean(section: Section, name: string, cases: readonly Case[]): Promise<void> {
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
    if (folder !== undefined) return keep(folder, section, name, rows);
    const committed = committedRows(section);
    // As `npm run docs:matrix` wrote it: what changes there is to be looked at.
    expect(rows.map((row) => committed.get(row.id))).toEqual(rows);
  }
}

/** Whether the matrix is red with this: something is wrong with it, or it is not what the page says. */
export function isRed(section: Section, { id }: Case, voyage: Voyage): boolean {
  const row = committedRows(section).get(id);
  if (!row) throw new Error(`The page has no case ${id}.`);
  return voyage.violations.length > 0 || JSON.stringify(rowOf(id, voyage)) !== JSON.stringify(row);
}

/** For `npm run docs:matrix`. */
async function keep(folder: string, section: Section, name: string, rows: Row[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, `${section}.${name.replaceAll(/\W+/g, '_')}.json`), JSON.stringify(rows));
}
