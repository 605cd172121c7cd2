import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { install, withCacheLock } from './cache.ts';

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'cache-test-'));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

describe('the lock of the cache', () => {
  it('lets one builder in at a time and tells the others whom they wait for', async () => {
    let inside = 0;
    let most = 0;
    const waitedFor: number[] = [];
    const build = () =>
      withCacheLock(
        cache,
        'build',
        async () => {
          most = Math.max(most, ++inside);
          await readdir(cache);
          inside--;
        },
        (owner) => waitedFor.push(owner),
      );
    await Promise.all([build(), build(), build()]);
    expect(most).toBe(1);
    expect(waitedFor).toContain(process.pid);
    expect(await readdir(cache)).toEqual([]);
  });

  it('is taken over from a builder that was killed', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    await writeFile(join(cache, 'build.lock'), String(dead));
    expect(await withCacheLock(cache, 'build', async () => 'built')).toBe('built');
  });

  it('is released by a build that fails', async () => {
    const failing = withCacheLock(cache, 'build', async () => Promise.reject(new Error('no compiler')));
    await expect(failing).rejects.toThrow('no compiler');
    expect(await withCacheLock(cache, 'build', async () => 'built')).toBe('built');
  });
});

describe('install', () => {
  it('puts a file or a directory in place at once, and keeps what another process put there', async () => {
    await writeFile(join(cache, 'made'), 'new');
    await install(join(cache, 'made'), join(cache, 'bin', 'tool'));
    expect(await readFile(join(cache, 'bin', 'tool'), 'utf8')).toBe('new');

    await mkdir(join(cache, 'first'));
    await writeFile(join(cache, 'first', 'jar'), 'first');
    await install(join(cache, 'first'), join(cache, 'server'));
    await mkdir(join(cache, 'second'));
    await writeFile(join(cache, 'second', 'jar'), 'second');
    await install(join(cache, 'second'), join(cache, 'server'));
    expect(await readFile(join(cache, 'server', 'jar'), 'utf8')).toBe('first');
  });
});
