/** The same deliveries under V8's profiler: not to measure, but to say what each role spends its time on. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { closedLoop } from '../closed-loop.ts';
import { startFlights } from '../flight/index.ts';
import { type ProfileSummary, readProfiles, summarizeProfile, type ThreadProfile } from '../profile.ts';
import { BENCH_DIRECTORY, withSystem } from '../system.ts';
import type { SectionContext } from './section.ts';

const IN_FLIGHT = 16;
const DRONES = 64;
const POLL_AT_MOST_EVERY_MS = 10;
/** A profile is written once its process has heard the signal and put it together. */
const WRITTEN_WITHIN_MS = 5_000;
/** Not ours, and not Node. */
const FOREIGN = new Set(['postgres', 'temporal', 'temporal-ui']);
/** Threads that were idle are not worth a table. */
const BUSY_S = 0.5;

/** Summaries by role and thread, busiest first. */
export async function profile(context: SectionContext): Promise<[string, ProfileSummary][]> {
  const { quick, say, inFlight: [level = IN_FLIGHT] = [] } = context;
  const directory = join(BENCH_DIRECTORY, 'profiles');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const env = {
    NODE_OPTIONS: `--import=${new URL('../profiler.mjs', import.meta.url).href}`,
    BENCH_PROFILE_DIRECTORY: directory,
  };
  return withSystem(
    say,
    async (system) => {
      const flights = await startFlights(system, { drones: DRONES, pollEveryMs: POLL_AT_MOST_EVERY_MS });
      const roles = Object.entries(system.roots()).filter(([name]) => !FOREIGN.has(name));
      say(`${level} deliveries in flight under the profiler`);
      await closedLoop({
        inFlight: level,
        warmUpMs: quick ? 2_000 : 15_000,
        measureMs: quick ? 5_000 : 20_000,
        one: () => flights.one(),
        onWindow: async () => {
          for (const [, pid] of roles) process.kill(pid, 'SIGURG');
        },
      }).finally(() => flights.stop());
      await sleep(WRITTEN_WITHIN_MS);
      return summaries(new Map(roles.map(([name, pid]) => [pid, name])), await readProfiles(directory));
    },
    env,
  );
}

function summaries(
  roles: ReadonlyMap<number, string>,
  profiles: readonly ThreadProfile[],
): [string, ProfileSummary][] {
  return profiles
    .map(({ pid, thread, profile: found }): [string, ProfileSummary] => {
      const role = roles.get(pid) ?? `process ${pid}`;
      return [thread === 0 ? role : `${role}, thread ${thread}`, summarizeProfile(found)];
    })
    .filter(([, { busyS }]) => busyS >= BUSY_S)
    .sort(([, a], [, b]) => b.busyS - a.busyS);
}
