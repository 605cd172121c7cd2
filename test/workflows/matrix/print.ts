// `npm run docs:matrix`: runs the compensation matrix, and writes docs/compensation-matrix.md and the chart from what came of it.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as prettier from 'prettier';
import { COMPENSATIONS, STEPS, WAITS } from '../../../workflows/delivery/registry.ts';
import { CHART, PAGE, type Row, ROWS_FOLDER, type Section, SECTIONS, tableOf } from './page.ts';

const INTRODUCTION = `# The compensation matrix

Every step, wait and compensation of the delivery workflow × what can happen to it: how the delivery ends, what is charged, and what is called in
which order. \`✗\`: the call never succeeded. After each case nothing is left of it in any service's tables: no reservation, mission, place in
the line, authorization, package or booking; while an intervention about a compensation is open, it names exactly what is. Calls that were taken
for dead arrive after everything, and do nothing. Every write reaches its service with the key of its step, in the order of the calls.

Written by \`npm run docs:matrix\` from a run; the same tests fail when a run comes to something else. The cases are made from
\`workflows/delivery/registry.ts\`, so a new step is here without anyone remembering it.
`;

const ABOUT: Record<Section, string> = {
  journeys: 'The ways on which the cases are met, when nothing disturbs them.',
  steps: 'Each step on the first journey that reaches it, its repetition on the first that repeats it.',
  waits:
    'A cancel, an abort by an operator, and a deadline that is over before anything happens: each while the delivery waits for that, and nothing else is done to it until it has taken effect. Where only a person ends the wait, there is no deadline.',
  compensations:
    'The step that is undone acts and is refused; a person has the cause removed and answers `retry`.',
};

const UNDONE = [
  '| Step | Undone by | Why nothing is needed |',
  '| --- | --- | --- |',
  ...Object.entries(STEPS).map(
    ([step, { undoneBy, ...rest }]) =>
      `| \`${step}\` | ${undoneBy === null ? '–' : `\`${undoneBy}\``} | ${'because' in rest ? rest.because : ''} |`,
  ),
].join('\n');

const folder = await mkdtemp(path.join(tmpdir(), 'matrix-'));
try {
  // The second part goes by the chart that the first one draws.
  for (const part of ['matrix-steps', 'matrix-compensations']) {
    const { status } = spawnSync('npm', ['test', '--', `test/workflows/${part}.test.ts`], {
      stdio: 'inherit',
      env: { ...process.env, [ROWS_FOLDER]: folder },
    });
    if (status !== 0) throw new Error('The matrix is red: the page stays as it was.');
  }
  const names: Record<Section, string[]> = {
    journeys: ['all'],
    steps: Object.keys(STEPS),
    waits: Object.keys(WAITS),
    compensations: Object.keys(COMPENSATIONS),
  };
  const files = await readdir(folder);
  const sections = await Promise.all(
    (Object.keys(SECTIONS) as Section[]).map(async (section) => {
      const rows: Row[] = [];
      for (const name of names[section]) {
        const file = `${section}.${name.replaceAll(/\W+/g, '_')}.json`;
        if (!files.includes(file)) throw new Error(`There are no rows of ${name}.`);
        rows.push(...(JSON.parse(await readFile(path.join(folder, file), 'utf8')) as Row[]));
      }
      return `## ${SECTIONS[section]}\n\n${ABOUT[section]}\n\n${tableOf(section, rows)}\n`;
    }),
  );
  const page = [INTRODUCTION, `## What undoes what\n\n${UNDONE}\n`, ...sections].join('\n');
  await write(PAGE, page);
  await write(path.join(import.meta.dirname, CHART), await readFile(path.join(folder, CHART), 'utf8'));
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function write(file: string, text: string): Promise<void> {
  const options = await prettier.resolveConfig(file);
  await writeFile(file, await prettier.format(text, { ...options, filepath: file }));
}
