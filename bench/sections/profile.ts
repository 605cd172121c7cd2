/** The same deliveries under V8's profiler: not to measure, but to say what each role spends its time on. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { closedLoop } from '../closed-loop.ts';
import { startFlights } from '../flight/index.ts';
import { type ProfileSummary, readProfiles, summarizeProfile } from '../profile.ts';
import { BENCH_DIRECTORY, withSystem } from '../system.ts';
import type { SectionContext } from './section.ts';

const IN_FLIGHT = 16;
const DRONES = 64;
const POLL_AT_MOST_EVERY_MS = 10;
/** A profile is written when its process has ended. */
const WRITTEN_WITHIN_MS = 500;

/** Summaries by role, busiest first. */
export async function profile({
  quick,
  say,
  inFlight: [level = IN_FLIGHT] = [],
}: SectionContext): Promise<[string, ProfileSummary][]> {
  const directory = join(BENCH_DIRECTORY, 'profiles');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const env = { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${directory}` };
  const roots = await withSystem(
    say,
    async (system) => {
      const flights = await startFlights(system, { drones: DRONES, pollEveryMs: POLL_AT_MOST_EVERY_MS });
      say(`${level} deliveries in flight under the profiler`);
      await closedLoop({
        inFlight: level,
        warmUpMs: 1_000,
        measureMs: quick ? 5_000 : 20_000,
        one: () => flights.one(),
      }).finally(() => flights.stop());
      return system.roots();
    },
    env,
  );
  await sleep(WRITTEN_WITHIN_MS);
  const profiles = await readProfiles(directory);
  return Object.entries(roots)
    .flatMap(([role, pid]): [string, ProfileSummary][] => {
      const found = profiles.get(pid);
      return found ? [[role, summarizeProfile(found)]] : [];
    })
    .sort(([, a], [, b]) => b.busyS - a.busyS);
}
