/** Reads V8's CPU profiles: which package, and which file of ours, a role spends its time in. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

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
    if (!frame || isNotWork(frame)) continue;
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

/** Idle, or the profiler itself: the inspector starts and stops it in a native `dispatch`. */
function isNotWork({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): boolean {
  return functionName === '(idle)' || (functionName === 'dispatch' && url === '');
}

function placeOf({ url, functionName }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName.startsWith('(') ? functionName : 'V8 and native code';
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (inPackage !== undefined) return inPackage;
  if (url.startsWith('node:')) return url;
  const ours =
    /\/((?:activities|api|bench|local|prisma|services|shared|simulator|workers|workflows)\/.*)$/.exec(url);
  // The SDK's part of the bundle and ours are one file.
  if (url.includes('workflow-bundle-')) return 'workflow bundle';
  return ours?.[1] ?? basename(url);
}

export interface ThreadProfile {
  pid: number;
  /** 0: the main thread. */
  thread: number;
  profile: CpuProfile;
}

/** The profiles that profiler.mjs has written into a directory: `<pid>.<thread>.cpuprofile`. */
export async function readProfiles(directory: string): Promise<ThreadProfile[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'));
  return Promise.all(
    names.map(async (name) => {
      const [pid, thread] = name.split('.').map(Number);
      const profile = JSON.parse(await readFile(join(directory, name), 'utf8')) as CpuProfile;
      return { pid: pid ?? 0, thread: thread ?? 0, profile };
    }),
  );
}
