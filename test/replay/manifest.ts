/**
 * The manifest of the golden histories: every file with its SHA-256, one line each, only ever added to. It alone tells that a
 * history was changed or lost; that the manifest itself was changed, git tells (`lost-lines.ts`).
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const MANIFEST = 'MANIFEST';

export interface Manifest {
  /** Names a beginning from scratch, which is possible until a release has histories of it. */
  generation: string;
  /** SHA-256 by file name. */
  entries: ReadonlyMap<string, string>;
}

const HEADER =
  '# The golden histories, as `sha256sum` writes them. Only ever added to: see docs/deploying-workflows.md.';
const GENERATION = /^# generation (\S+)$/m;
const LINE = /^([0-9a-f]{64}) {2}(\S+)$/;

/** @throws {Error} naming a line that is none, or a file that is listed twice */
export function parseManifest(text: string): Manifest {
  const entries = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [, sha256, file] = LINE.exec(line) ?? [];
    if (sha256 === undefined || file === undefined)
      throw new Error(`${MANIFEST}, line ${index + 1}: "${line}"`);
    if (entries.has(file)) throw new Error(`${MANIFEST} lists ${file} twice`);
    entries.set(file, sha256);
  }
  const [, generation] = GENERATION.exec(text) ?? [];
  if (generation === undefined) throw new Error(`${MANIFEST} does not say its generation`);
  return { generation, entries };
}

export function formatManifest({ generation, entries }: Manifest): string {
  const lines = [...entries].map(([file, sha256]) => `${sha256}  ${file}`);
  return [HEADER, `# generation ${generation}`, ...lines, ''].join('\n');
}

/** The folder's manifest. @throws when there is none, or it is none */
export async function readManifest(folder: string): Promise<Manifest> {
  return parseManifest(await readFile(join(folder, MANIFEST), 'utf8'));
}

/** What in the folder is not as its manifest says, in plain words; empty when all is well. */
export async function discrepancies(folder: string): Promise<string[]> {
  const { entries } = await readManifest(folder);
  const files = await historyFiles(folder);
  const unlisted = files.filter((file) => !entries.has(file));
  const wrong: string[] = [];
  for (const [file, sha256] of entries) {
    if (!files.includes(file)) wrong.push(`${file} has disappeared`);
    else if (sha256Of(await readFile(join(folder, file))) !== sha256) wrong.push(`${file} was changed`);
  }
  return [...wrong, ...unlisted.map((file) => `${file} is not in the manifest`)];
}

/** Puts the files that are not listed yet into the manifest, which is made if there is none. Answers which. */
export async function adopt(folder: string, newGeneration: () => string): Promise<string[]> {
  const manifest = await readManifest(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { generation: newGeneration(), entries: new Map<string, string>() };
  });
  const added = (await historyFiles(folder)).filter((file) => !manifest.entries.has(file));
  if (added.length === 0) return added;
  const entries = new Map(manifest.entries);
  for (const file of added) entries.set(file, sha256Of(await readFile(join(folder, file))));
  await writeFile(join(folder, MANIFEST), formatManifest({ ...manifest, entries }));
  return added;
}

async function historyFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((file) => file !== MANIFEST).sort();
}

const sha256Of = (content: Buffer) => createHash('sha256').update(content).digest('hex');
