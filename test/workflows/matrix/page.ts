/** docs/compensation-matrix.md, and the chart: written from a run, and read again by the tests that must come to the same. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Charted, stepOf } from './chart.ts';
import type { Voyage } from './voyage.ts';

/** The environment variable that names where a run leaves its rows instead of comparing them with the page. */
export const ROWS_FOLDER = 'MATRIX_ROWS';
export const PAGE = path.join(import.meta.dirname, '../../../docs/compensation-matrix.md');
export const CHART = 'chart.json';

/** While the page is being written, the chart that has just been drawn. */
export function committedChart(): Charted {
  const folder = process.env[ROWS_FOLDER] ?? import.meta.dirname;
  return JSON.parse(readFileSync(path.join(folder, CHART), 'utf8')) as Charted;
}

export const SECTIONS = {
  journeys: 'Journeys',
  steps: 'Steps',
  waits: 'Waits',
  compensations: 'Compensations',
} as const;
export type Section = keyof typeof SECTIONS;

export interface Row {
  /** `reserve/2 · refused before it acts` */
  id: string;
  end: string;
  charged: string;
  /** The keys of its calls, in the order of their first attempts; `‖` stands between what goes on at the same time. */
  calls: string;
  /** What a person was asked, and answered. */
  asked: string;
  /** What an order at a wait was answered, or what it went on with when the time was over; only of waits. */
  cameOfIt: string;
}

export function rowOf(id: string, { end, charged, calls, asked, cameOfIt }: Voyage): Row {
  return {
    id,
    cameOfIt,
    end,
    charged: (charged.amount / 100).toFixed(2),
    calls: UNDONE_ASIDE.test(id)
      ? [calls.filter((one) => !isOfAChange(one)), calls.filter(isOfAChange)]
          .map(callsShown)
          .filter((shown) => shown !== '')
          .join(' ‖ ')
      : callsShown(calls),
    // How often the same is asked in turn depends on when it is looked: once is enough to know.
    asked:
      asked
        .map(({ kind, answer }) => `${kind}: ${answer}`)
        .filter((one, at, all) => one !== all[at - 1])
        .join(', ') || '–',
  };
}

/**
 * A change of the dropoff that is cancelled with the delivery is undone while the delivery is, and one that takes too long on the ground
 * while the delivery goes on: in no order.
 */
const UNDONE_ASIDE = /^(reroute|reauthorize)\/\d+ · cancelled|^assessJob · times out/;
const isOfAChange = ({ key, refersTo }: Voyage['calls'][number]): boolean =>
  /\/undo_reroute\/\d+$/.test(key) ||
  (/\/void_authorization\/\d+$/.test(key) && /\/reauthorize\//.test(refersTo ?? ''));

/** Reads, which have no key, and events are left out, but for one that was disturbed. `✗`: it never succeeded. */
function callsShown(calls: Voyage['calls']): string {
  const shown = new Map<string, boolean>();
  for (const { activity, key, result, hit } of calls) {
    if (key === '' || (activity === 'appendEvents' && !hit && !shown.has(stepOf(key)))) continue;
    shown.set(stepOf(key), shown.get(stepOf(key)) === true || result === 'ok');
  }
  return [...shown].map(([step, succeeded]) => (succeeded ? step : `${step} ✗`)).join(' → ');
}

const COLUMNS = {
  id: 'Case',
  cameOfIt: 'What comes of it at once',
  end: 'Ends',
  charged: 'Charged',
  calls: 'Calls, in the order of their first attempts',
  asked: 'Asked of a person: answered',
} as const satisfies Record<keyof Row, string>;
const CODE: ReadonlySet<keyof Row> = new Set(['end', 'calls']);

const cellsOf = (section: Section): (keyof Row)[] =>
  (Object.keys(COLUMNS) as (keyof Row)[]).filter((cell) => cell !== 'cameOfIt' || section === 'waits');

/** The rows of a section as Markdown. */
export function tableOf(section: Section, rows: readonly Row[]): string {
  const columns = cellsOf(section);
  const lines = [
    columns.map((cell) => COLUMNS[cell]),
    columns.map(() => '---'),
    ...rows.map((row) => columns.map((cell) => (CODE.has(cell) ? `\`${row[cell]}\`` : row[cell]))),
  ];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** The rows of a section of the committed page, by their id. */
export function committedRows(section: Section): Map<string, Row> {
  const page = readFileSync(PAGE, 'utf8');
  const [, after = ''] = page.split(`\n## ${SECTIONS[section]}\n`);
  const [own = ''] = after.split('\n## ');
  const columns = cellsOf(section);
  const rows = own
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line): Row => {
      const cells = line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'));
      const cell = (name: keyof Row) => cells[columns.indexOf(name)] ?? '';
      return {
        id: cell('id'),
        cameOfIt: cell('cameOfIt'),
        end: cell('end'),
        charged: cell('charged'),
        calls: cell('calls'),
        asked: cell('asked'),
      };
    });
  return new Map(rows.map((row) => [row.id, row]));
}
