/**
 * `npm run bench`: what the system does a second, as ratios to floors measured in the same run on the same machine.
 *
 * Every section starts the whole stack on fresh data, each role a process of its own, and measures it from outside.
 */
import { Argument, Command, InvalidArgumentError } from 'commander';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as prettier from 'prettier';
import { createStepReporter, explain } from '../local/progress.ts';
import { PROJECT_ROOT } from '../local/roles.ts';
import { type Figure, figureTable, machineLine } from './figures.ts';
import { thisMachine } from './machine.ts';
import { type BenchReport, benchmarksPage, cpuRows, type SectionReport, totalCores } from './report.ts';
import { accepts } from './sections/accepts.ts';
import { burst } from './sections/burst.ts';
import { deliveries } from './sections/deliveries.ts';
import { latency } from './sections/latency.ts';
import { profile } from './sections/profile.ts';
import type { Section, SectionContext } from './sections/section.ts';
import { BENCH_DIRECTORY } from './system.ts';

const SECTIONS: Readonly<Record<string, { title: string; run: Section }>> = {
  deliveries: { title: 'Deliveries completed', run: deliveries },
  latency: { title: 'One delivery', run: latency },
  accepts: { title: 'Accepts', run: accepts },
  burst: { title: 'A burst with Temporal down', run: burst },
};
const PROFILE = 'profile';
const ALL = [...Object.keys(SECTIONS), PROFILE];

interface Options {
  quick: boolean;
  inFlight?: number[];
  writeDocs: boolean;
}

async function main(): Promise<void> {
  const program = new Command()
    .name('npm run bench --')
    .description('Measures the system against floors in the same run')
    .addArgument(new Argument('[section...]', 'what to measure').choices(ALL).default(ALL, 'everything'))
    .option('--quick', 'a smoke run: everything, briefly', false)
    .option('--in-flight <levels>', 'of the deliveries, comma-separated (default: 1,16,64)', levels)
    .option('--write-docs', 'write docs/benchmarks.md from this run', false)
    .parse();
  await run(program.processedArgs[0] as string[], program.opts<Options>());
}

function levels(text: string): number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.every((one) => Number.isInteger(one) && one > 0)) return numbers;
  throw new InvalidArgumentError('Numbers above 0, separated by commas.');
}

async function run(sections: string[], options: Options): Promise<void> {
  const startedAt = new Date();
  const context: SectionContext = { quick: options.quick, inFlight: options.inFlight, say: sayer() };
  const reports: SectionReport[] = [];
  for (const name of sections) {
    const section = SECTIONS[name];
    if (section === undefined) continue;
    const report = { name, title: section.title, ...(await section.run(context)) };
    show(report);
    reports.push(report);
  }
  const profiles = sections.includes(PROFILE) ? await profile(context) : [];
  const report: BenchReport = {
    startedAt: startedAt.toISOString(),
    tookS: (Date.now() - startedAt.getTime()) / 1000,
    quick: options.quick,
    machine: thisMachine(),
    sections: reports,
    profiles,
  };
  await keep(report, options);
  for (const [role, { busyS, places }] of profiles) {
    const most = places.map(({ what, share }) => `${what} ${(share * 100).toFixed(0)} %`).join(', ');
    console.log(`profile of ${role}, ${busyS.toFixed(1)} s busy: ${most}`);
  }
  const figures = reports.flatMap((one) => one.figures);
  console.log(`\n${figureTable(figures)}\n`);
  console.log(machineLine(figures));
}

function show({ title, figures, cpu, remarks }: { title: string; figures: Figure[] } & SectionReport): void {
  console.log(`\n${title}\n${figureTable(figures)}`);
  for (const remark of remarks) console.log(`- ${remark}`);
  for (const use of cpu) {
    const roles = cpuRows(use).map(([role, each, cores]) => `${role} ${each} ms (${cores})`);
    console.log(`CPU, ${use.of}: ${totalCores(use).toFixed(2)} cores; each, by role: ${roles.join(', ')}`);
  }
}

async function keep(report: BenchReport, { writeDocs }: Options): Promise<void> {
  await mkdir(BENCH_DIRECTORY, { recursive: true });
  const file = join(BENCH_DIRECTORY, `${report.startedAt.replaceAll(':', '-')}.json`);
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`\nkept in ${file}`);
  if (!writeDocs) return;
  const page = join(PROJECT_ROOT, 'docs', 'benchmarks.md');
  const style = await prettier.resolveConfig(page);
  await writeFile(page, await prettier.format(benchmarksPage(report), { ...style, parser: 'markdown' }));
  console.log(`written: ${page}`);
}

/** Says what goes on: each thing once. */
function sayer(): (what: string) => void {
  const reporter = createStepReporter();
  let last = '';
  return (what) => {
    if (what === last) return;
    last = what;
    reporter.stop();
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K… ${what}`);
    else process.stderr.write(`… ${what}\n`);
  };
}

process.once('SIGINT', () => process.exit(130));
main().catch((error: unknown) => {
  console.error(explain(error));
  process.exitCode = 1;
});
