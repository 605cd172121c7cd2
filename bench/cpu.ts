/**
 * CPU time by role, from the kernel's own counters (Linux): what the machine was busy with while a figure was measured. On
 * two cores that is the whole story of a throughput.
 */
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';

/** Ticks a second in /proc: USER_HZ is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds by role. */
export type CpuByRole = Record<string, number>;

interface ProcessTimes {
  pid: number;
  parent: number;
  ownS: number;
  /** Of children that have ended and been waited for. */
  endedChildrenS: number;
}

export interface CpuMeter {
  /** CPU seconds since the meter was made, by role; empty where the kernel does not tell. */
  read(): Promise<CpuByRole>;
}

/**
 * Starts to count. `roots`: the first process of each role. Postgres' backends are told apart by whom they serve, as
 * `postgres for <user>`.
 */
export async function startCpuMeter(roots: Record<string, number>, postgresUrl: string): Promise<CpuMeter> {
  const before = await snapshot(roots, postgresUrl);
  return {
    async read() {
      const after = await snapshot(roots, postgresUrl);
      const byRole: CpuByRole = {};
      for (const [role, seconds] of Object.entries(after)) {
        byRole[role] = Math.max(0, seconds - (before[role] ?? 0));
      }
      return byRole;
    },
  };
}

async function snapshot(roots: Record<string, number>, postgresUrl: string): Promise<CpuByRole> {
  const processes = await processTimes();
  const users = processes.length === 0 ? new Map<number, string>() : await backendUsers(postgresUrl);
  const byRole: CpuByRole = {};
  const others = new Set(Object.values(roots));
  for (const [role, root] of Object.entries(roots)) {
    for (const one of familyOf(root, processes, others)) {
      const user = users.get(one.pid);
      const label = user === undefined ? role : `postgres for ${user}`;
      byRole[label] = (byRole[label] ?? 0) + one.ownS + one.endedChildrenS;
    }
  }
  return byRole;
}

/** All processes of this machine, or none where there is no /proc. */
async function processTimes(): Promise<ProcessTimes[]> {
  let entries: string[];
  try {
    entries = await readdir('/proc');
  } catch {
    return [];
  }
  const found = await Promise.all(entries.filter((name) => /^\d+$/.test(name)).map(timesOf));
  return found.filter((one) => one !== undefined);
}

async function timesOf(pid: string): Promise<ProcessTimes | undefined> {
  try {
    return parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // Ended since the directory was read.
    return undefined;
  }
}

/** One line of /proc/<pid>/stat: see proc_pid_stat(5). The name, in parentheses, may itself contain anything. */
export function parseStat(line: string): ProcessTimes {
  const afterName = line.slice(line.lastIndexOf(')') + 2).split(' ');
  // `afterName` begins with field 3; utime is field 14.
  const field = (number: number) => Number(afterName[number - 3] ?? 0);
  return {
    pid: Number.parseInt(line, 10),
    parent: field(4),
    ownS: (field(14) + field(15)) / TICKS_PER_SECOND,
    endedChildrenS: (field(16) + field(17)) / TICKS_PER_SECOND,
  };
}

/** A process and its descendants, but for those that are roots themselves: roles are children of who started them. */
export function familyOf(
  root: number,
  processes: readonly ProcessTimes[],
  roots: ReadonlySet<number>,
): ProcessTimes[] {
  const family = processes.filter((one) => one.pid === root);
  for (const member of family) {
    family.push(...processes.filter((one) => one.parent === member.pid && !roots.has(one.pid)));
  }
  return family;
}

async function backendUsers(postgresUrl: string): Promise<Map<number, string>> {
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number; usename: string }>(
      `SELECT pid, usename FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename IS NOT NULL`,
    );
    return new Map(rows.map((row) => [row.pid, row.usename]));
  } finally {
    await client.end();
  }
}
