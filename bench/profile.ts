/** Reads V8's CPU profiles: which package, and which file of ours, a role spends its time in. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

export interface ProfileShare {
  what: string;
  /** Of the time that was not idle, 0–1. */
  share: number;
}

export interface ProfileSummary {
  busyS: number;
  places: ProfileShare[];
  functions: ProfileShare[];
}

const TOP = 12;

/** Where the time went by place (package, our file, Node itself, garbage collection) and by function; self time only. */
export function summarizeProfile({ nodes, samples, timeDeltas }: CpuProfile): ProfileSummary {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const byPlace = new Map<string, number>();
  const byFunction = new Map<string, number>();
  let busyUs = 0;
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id);
    const tookUs = timeDeltas[index] ?? 0;
    if (!frame || frame.functionName === '(idle)') continue;
    busyUs += tookUs;
    const place = placeOf(frame);
    const name = `${frame.functionName || '(anonymous)'} ${frame.url === '' ? '' : `in ${place}:${frame.lineNumber + 1}`}`;
    byPlace.set(place, (byPlace.get(place) ?? 0) + tookUs);
    byFunction.set(name.trim(), (byFunction.get(name.trim()) ?? 0) + tookUs);
  }
  const top = (times: Map<string, number>): ProfileShare[] =>
    [...times]
      .sort(([, a], [, b]) => b - a)
      .slice(0, TOP)
      .map(([what, us]) => ({ what, share: us / busyUs }));
  return { busyS: busyUs / 1e6, places: top(byPlace), functions: top(byFunction) };
}

function placeOf({ url, functionName }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'V8 and native code';
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (inPackage !== undefined) return inPackage;
  if (url.startsWith('node:')) return url;
  const ours =
    /\/((?:activities|api|bench|local|prisma|services|shared|simulator|workers|workflows)\/.*)$/.exec(url);
  return ours?.[1] ?? url;
}

/** Profiles written with `--cpu-prof` into a directory, by process id. */
export async function readProfiles(directory: string): Promise<Map<number, CpuProfile>> {
  const profiles = new Map<number, CpuProfile>();
  for (const name of await readdir(directory)) {
    // CPU.<date>.<time>.<pid>.<thread>.<sequence>.cpuprofile
    const [, , , pid] = name.split('.');
    if (!name.endsWith('.cpuprofile') || pid === undefined) continue;
    const text = await readFile(join(directory, name), 'utf8');
    const profile = JSON.parse(text) as CpuProfile;
    const known = profiles.get(Number(pid));
    // A worker's threads write a file each: the busiest is the one to look at.
    if (!known || profile.samples.length > known.samples.length) profiles.set(Number(pid), profile);
  }
  return profiles;
}
