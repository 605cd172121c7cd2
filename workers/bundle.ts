/**
 * The workflow bundle. Bundling takes seconds, so it is kept, named by everything that goes into it: the sources that workflow
 * code may import and the SDK's version. A changed source makes a new bundle; an old one is never taken for it.
 */
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundle } from '@temporalio/worker';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Where workflow code may import from (lint sees to it). */
const SOURCES = ['workflows', 'shared', 'services', 'workers/bundle.ts'];
const CACHE = path.join(ROOT, 'node_modules', '.cache', 'workflow-bundles');

export const WORKFLOWS_PATH = path.join(ROOT, 'workflows', 'index.ts');

/** The bundle of a workflows entry, from the cache when nothing has changed. */
export async function workflowBundle(
  failureConverterPath: string | undefined,
  workflowsPath: string = WORKFLOWS_PATH,
): Promise<WorkflowBundle> {
  const file = path.join(CACHE, `${await fingerprint(failureConverterPath, workflowsPath)}.js`);
  try {
    return { code: await readFile(file, 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const bundle = await bundleWorkflowCode({
    workflowsPath,
    ...(failureConverterPath !== undefined && { failureConverterPath }),
    logger: new DefaultLogger('WARN'),
  });
  await mkdir(CACHE, { recursive: true });
  // Written beside it and renamed: another worker that starts now reads all of it or nothing.
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, bundle.code);
  await rename(partial, file);
  return bundle;
}

async function fingerprint(failureConverterPath: string | undefined, workflowsPath: string): Promise<string> {
  const hash = createHash('sha256');
  const { version } = createRequire(import.meta.url)('@temporalio/workflow/package.json') as {
    version: string;
  };
  hash.update(`${version}\n${process.version}\n${failureConverterPath ?? ''}\n${workflowsPath}\n`);
  const files = (await Promise.all(SOURCES.map(sourcesIn))).flat();
  for (const file of [...new Set([...files, workflowsPath])].sort()) {
    hash.update(`${file}\n`).update(await readFile(path.resolve(ROOT, file)));
  }
  return hash.digest('hex').slice(0, 32);
}

async function sourcesIn(place: string): Promise<string[]> {
  if (place.endsWith('.ts')) return [place];
  const entries = await readdir(path.join(ROOT, place), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.(ts|cjs)$/.test(entry.name) && !entry.name.endsWith('.test.ts'))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
}
