/** A run as it is kept (JSON) and as it is published (docs/benchmarks.md). */
import { type Figure, figureMarkdown, markdownRows, short } from './figures.ts';
import type { Machine } from './machine.ts';
import type { ProfileSummary } from './profile.ts';
import type { CpuUse } from './sections/section.ts';

export interface SectionReport {
  name: string;
  title: string;
  figures: Figure[];
  cpu: CpuUse[];
  remarks: string[];
}

export interface BenchReport {
  startedAt: string;
  tookS: number;
  quick: boolean;
  machine: Machine;
  sections: SectionReport[];
  /** Busiest role first; empty when nothing was profiled. */
  profiles: [string, ProfileSummary][];
}

/** CPU milliseconds per completed thing, by role, dearest first. */
export function cpuRows({
  completed,
  windowS,
  byRole,
}: CpuUse): [role: string, msEach: string, cores: string][] {
  return Object.entries(byRole)
    .filter(([, seconds]) => seconds > 0.005 * windowS)
    .sort(([, a], [, b]) => b - a)
    .map(([role, seconds]) => [
      role,
      completed === 0 ? '–' : short((seconds * 1000) / completed),
      (seconds / windowS).toFixed(2),
    ]);
}

export function totalCores({ byRole, windowS }: CpuUse): number {
  return Object.values(byRole).reduce((sum, seconds) => sum + seconds, 0) / windowS;
}

/** The page docs/benchmarks.md. */
export function benchmarksPage(report: BenchReport): string {
  const { machine, startedAt, tookS } = report;
  const parts = [
    '# Benchmarks',
    'Written by `npm run bench -- --write-docs`; do not edit. Absolute figures are those of one machine; what travels are the ratios, each to a floor measured on the same machine in the same run. Nothing here is a test: no threshold on time fails a build.',
    `Run of ${startedAt.slice(0, 10)}, ${Math.round(tookS / 60)} minutes${report.quick ? ', **a smoke run: its figures say little**' : ''}, on ${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, ${machine.platform}, Node ${machine.node}. Everything shared these cores: Postgres, Temporal, every role, and the client that measured.`,
    ...report.sections.flatMap(sectionMarkdown),
    ...profileMarkdown(report.profiles),
    HOW_TO_RUN,
  ];
  return `${parts.join('\n\n')}\n`;
}

function sectionMarkdown({ title, figures, cpu, remarks }: SectionReport): string[] {
  return [
    `## ${title}`,
    figureMarkdown(figures),
    remarks.map((remark) => `- ${remark}`).join('\n'),
    ...cpu.flatMap((use) =>
      use.completed === 0
        ? []
        : [
            `CPU, ${use.of} (${use.completed} completed, ${totalCores(use).toFixed(2)} cores busy):`,
            markdownRows(['role', 'ms each', 'cores'], cpuRows(use)),
          ],
    ),
  ];
}

function profileMarkdown(profiles: BenchReport['profiles']): string[] {
  if (profiles.length === 0) return [];
  return [
    '## What dominates',
    "From V8's profiles of each role with 16 deliveries in flight: self time, as a part of the role's time that was not idle.",
    ...profiles.flatMap(([role, { busyS, places, functions }]) => [
      `### ${role} (${busyS.toFixed(1)} s busy)`,
      markdownRows(
        ['place', 'part', 'function', 'part'],
        places.map((place, index) => {
          const other = functions[index];
          return [
            place.what,
            percent(place.share),
            other ? `\`${other.what}\`` : '',
            other ? percent(other.share) : '',
          ];
        }),
      ),
    ]),
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

const HOW_TO_RUN = `## Running it

    npm run bench                          # everything, about 20 minutes
    npm run bench -- --quick               # everything, briefly: does it still work?
    npm run bench -- deliveries latency    # only these; also: accepts, burst, profile
    npm run bench -- --write-docs          # everything, and this page

The bench starts stacks of its own on free ports and fresh data under \`.local/bench\`, one after the other, and needs nothing
else to run on the machine. Results are kept as JSON in \`.local/bench/\`.

How actions are counted: \`bench/billable-actions.ts\`, by the rules of <https://docs.temporal.io/cloud/actions>.`;
