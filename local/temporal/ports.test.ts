import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chooseFreePort, choosePorts, HIGHEST_SERVER_PORT } from './ports.ts';

let directory: string;
let taken: Server;
let takenPort: number;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ports-test-'));
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  takenPort = (taken.address() as AddressInfo).port;
});
afterEach(async () => {
  taken.close();
  await rm(directory, { recursive: true, force: true });
});

describe('the ports of a server', () => {
  it('are the preferred ones when free, others when taken, and never the same twice', async () => {
    const free = await chooseFreePort();
    const ports = await choosePorts(directory, [
      { name: 'frontend', preferred: free },
      { name: 'ui', preferred: takenPort },
      { name: 'history', preferred: free },
    ]);
    expect(ports.frontend).toBe(free);
    expect(ports.ui).not.toBe(takenPort);
    expect(new Set(Object.values(ports)).size).toBe(3);
  });

  it('fit the column that the server keeps its members in', async () => {
    for (let tries = 0; tries < 50; tries++)
      expect(await chooseFreePort()).toBeLessThanOrEqual(HIGHEST_SERVER_PORT);
  });

  it('stay the same on the next start', async () => {
    const wishes = [{ name: 'frontend' }, { name: 'history' }];
    const first = await choosePorts(directory, wishes);
    expect(await choosePorts(directory, wishes)).toEqual(first);
  });

  it('are an error when one that was demanded is taken', async () => {
    const demanded = { variable: 'TEMPORAL_PORT', port: takenPort };
    await expect(choosePorts(directory, [{ name: 'frontend', demanded }])).rejects.toThrow(
      `Port ${takenPort} (TEMPORAL_PORT) is taken by another process.`,
    );
  });
});
