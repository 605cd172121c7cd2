/** The ports of a server that we run, kept with its data: a second start finds its peers and bookmarks where they were. */
import { randomInt } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { TemporalSetupError } from './plan.ts';

export const LOOPBACK = '127.0.0.1';

/** The server writes its members' ports into a `smallint` column of Postgres: a higher one keeps it from starting. */
export const HIGHEST_SERVER_PORT = 32_767;
/** Where a port without a preference is looked for: under what systems hand out for outgoing connections. */
const FREE_RANGE = { from: 20_000, to: HIGHEST_SERVER_PORT } as const;

export interface PortWish {
  /** Which port: the key under which it is kept. */
  name: string;
  /** Demanded by the environment, with the variable's name: taken means an error, not another port. */
  demanded?: { variable: string; port: number | undefined } | undefined;
  /** Used when free and nothing was kept from an earlier start. */
  preferred?: number | undefined;
}

/** @throws TemporalSetupError when a demanded port is taken. */
export async function choosePorts<N extends string>(
  stateDirectory: string,
  wishes: (PortWish & { name: N })[],
): Promise<Record<N, number>> {
  const path = join(stateDirectory, 'ports.json');
  const kept = await readKeptPorts(path);
  const ports = {} as Record<N, number>;
  for (const { name, demanded, preferred } of wishes) {
    const wished = demanded?.port ?? kept[name] ?? preferred;
    const free = await chooseFreePort(wished, Object.values<number>(ports));
    if (demanded?.port !== undefined && free !== demanded.port) {
      throw new TemporalSetupError(
        `Port ${demanded.port} (${demanded.variable}) is taken by another process. Stop that process or set ${demanded.variable} to another port.`,
      );
    }
    ports[name] = free;
  }
  await mkdir(stateDirectory, { recursive: true });
  await writeFile(`${path}.${process.pid}`, JSON.stringify(ports, null, 2));
  await rename(`${path}.${process.pid}`, path);
  return ports;
}

/**
 * `preferred` if it is free, else another that a server can use: a random one, so that two starts seldom choose the same.
 * Only looks; until something listens on it the port can still be lost to another process.
 */
export async function chooseFreePort(preferred?: number, exclude: number[] = []): Promise<number> {
  if (preferred !== undefined && !exclude.includes(preferred) && (await isFree(preferred))) {
    chosenHere.add(preferred);
    return preferred;
  }
  for (;;) {
    const port = randomInt(FREE_RANGE.from, FREE_RANGE.to + 1);
    if (exclude.includes(port) || chosenHere.has(port) || !(await isFree(port))) continue;
    chosenHere.add(port);
    return port;
  }
}

/** Chosen by this process: whoever it is for may listen only much later, after others have been chosen for. */
const chosenHere = new Set<number>();

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function readKeptPorts(path: string): Promise<Record<string, number>> {
  try {
    const kept: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof kept !== 'object' || kept === null) return {};
    return Object.fromEntries(
      Object.entries(kept).filter((entry): entry is [string, number] => Number.isInteger(entry[1])),
    );
  } catch {
    return {};
  }
}
