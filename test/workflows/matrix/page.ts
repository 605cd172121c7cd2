/** docs/compensation-matrix.md: written from a run, and read again by the tests that must come to the same. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { stepOf } from './cases.ts';
import type { Voyage } from './voyage.ts';

/** The environment variable that names where a run leaves its rows instead of comparing them with the page. */
export const ROWS_FOLDER = 'MATRIX_ROWS';
export const PAGE = path.join(import.meta.dirname, '../../../docs/compensation-matrix.md');

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
}

export function rowOf(id: string, { end, charged, calls, asked }: Voyage): Row {
  return {
    id,
    end,
    charged: (charged.amount / 100).toFixed(2),
    calls: UNDONE_ASIDE.test(id)
      ? [calls.filter((one) => !isOfAChange(one)), calls.filter(isOfAChange)].map(callsShown).join(' ‖ ')
      : callsShown(calls),
    // How often the same is asked in turn depends on when it is looked: once is enough to know.
    asked:
      asked
        .map(({ kind, answer }) => `${kind}: ${answer}`)
        .filter((one, at, all) => one !== all[at - 1])
        .join(', ') || '–',
  };
}

/** A change of the dropoff that is cancelled with the delivery is undone while the delivery is: in no order. */
const UNDONE_ASIDE = /^(reroute|reauthorize)\/\d+ · cancelled/;
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

const CELLS = ['id', 'end', 'charged', 'calls', 'asked'] as const satisfies (keyof Row)[];
const CODE: ReadonlySet<keyof Row> = new Set(['end', 'calls']);

/** The rows of a section as Markdown. */
export function tableOf(rows: readonly Row[]): string {
  const cells = rows.map((row) => CELLS.map((cell) => (CODE.has(cell) ? `\`${row[cell]}\`` : row[cell])));
  const lines = [
    ['Case', 'Ends', 'Charged', 'Calls, in the order of their first attempts', 'Asked of a person: answered'],
    CELLS.map(() => '---'),
    ...cells,
  ];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** The rows of a section of the committed page, by their id. */
export function committedRows(section: Section): Map<string, Row> {
  const page = readFileSync(PAGE, 'utf8');
  const [, after = ''] = page.split(`\n## ${SECTIONS[section]}\n`);
  const [own = ''] = after.split('\n## ');
  const rows = own
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => {
      const [id = '', end = '', charged = '', calls = '', asked = ''] = line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'));
      return { id, end, charged, calls, asked };
    });
  return new Map(rows.map((row) => [row.id, row]));
}
