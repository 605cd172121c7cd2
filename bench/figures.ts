/** What a bench run says: figures, each beside its floor and its aim. Absolute numbers are this machine's; ratios travel. */
import Table from 'cli-table3';

export interface Aim {
  /** In words: `≥ 0.6 × floor`. */
  says: string;
  met: boolean;
}

export interface Figure {
  /** Stable, for machines: `deliveries_16`. */
  id: string;
  name: string;
  value: number;
  unit: string;
  floor?: { name: string; value: number };
  /** Value by floor. */
  ratio?: number;
  aim?: Aim;
  note?: string;
}

export type Comparison = 'at least' | 'at most';

/** A figure that is judged by its ratio to a floor. */
export function ratioFigure(
  figure: Pick<Figure, 'id' | 'name' | 'value' | 'unit' | 'note'> & {
    floor: { name: string; value: number };
  },
  aim?: { is: Comparison; ratio: number },
): Figure {
  const ratio = figure.floor.value === 0 ? 0 : figure.value / figure.floor.value;
  return { ...figure, ratio, ...(aim && { aim: aimOf(aim.is, aim.ratio, ratio, ' × floor') }) };
}

/** A figure that is judged by itself. */
export function plainFigure(
  figure: Pick<Figure, 'id' | 'name' | 'value' | 'unit' | 'note'>,
  aim?: { is: Comparison; value: number },
): Figure {
  return { ...figure, ...(aim && { aim: aimOf(aim.is, aim.value, figure.value, ` ${figure.unit}`) }) };
}

function aimOf(is: Comparison, bound: number, value: number, unit: string): Aim {
  const met = is === 'at least' ? value >= bound : value <= bound;
  return { says: `${is === 'at least' ? '≥' : '≤'} ${bound}${unit}`, met };
}

/** Three significant digits, but never fewer than the integer has. */
export function short(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

const HEAD = ['figure', 'value', 'floor', 'ratio', 'aim', 'met'];

function cells(figure: Figure): string[] {
  const { name, value, unit, floor, ratio, aim } = figure;
  return [
    name,
    `${short(value)} ${unit}`.trim(),
    floor ? `${short(floor.value)} (${floor.name})` : '–',
    ratio === undefined ? '–' : ratio.toFixed(2),
    aim?.says ?? '–',
    aim === undefined ? '–' : aim.met ? 'yes' : 'NO',
  ];
}

/** For a terminal. */
export function figureTable(figures: readonly Figure[]): string {
  const table = new Table({ head: HEAD, style: { head: [], border: [] } });
  table.push(...figures.map(cells));
  return table.toString();
}

/** For a Markdown page. */
export function markdownRows(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

export function figureMarkdown(figures: readonly Figure[]): string {
  return markdownRows(HEAD, figures.map(cells));
}

/** One line for a machine: `bench deliveries_16=12.3 ratio=0.71 met=yes; …` */
export function machineLine(figures: readonly Figure[]): string {
  const parts = figures.map(({ id, value, ratio, aim }) =>
    [
      `${id}=${Number(value.toPrecision(4))}`,
      ...(ratio === undefined ? [] : [`ratio=${ratio.toFixed(3)}`]),
      ...(aim === undefined ? [] : [`met=${aim.met ? 'yes' : 'no'}`]),
    ].join(' '),
  );
  return `bench ${parts.join('; ')}`;
}
