/**
 * Whether the manifest has lost or changed a line since it was first committed. A clone without its past (shallow, or no clone
 * at all) has nothing to compare with; the manifest still holds the files to their hashes there.
 */
import { execa, ExecaError } from 'execa';
import { type Manifest, MANIFEST, parseManifest, readManifest } from './manifest.ts';

/** Tags of releases: what they have is in the field, so no new generation may drop it. */
const RELEASES = 'v*';

export interface Comparison {
  /** Of these commits, or releases, the manifest was compared; empty where there is no git. */
  compared: string[];
  /** What has been lost since, in plain words. */
  lost: string[];
}

/** Compares the folder's manifest with what every commit of its generation, and every release, has in it. */
export async function linesLostSinceCommitted(folder: string): Promise<Comparison> {
  if (!(await isInGit(folder))) return { compared: [], lost: [] };
  const now = await readManifest(folder);
  const commits = await lines(folder, 'log', '--full-history', '--format=%H', '--', MANIFEST);
  const releases = await lines(folder, 'tag', '--list', RELEASES, '--merged', 'HEAD');
  const compared: string[] = [];
  const lost = new Set<string>();
  const compare = async (revision: string, isRelease: boolean) => {
    const then = await manifestAt(folder, revision);
    if (!then || !(isRelease || then.generation === now.generation)) return;
    compared.push(revision);
    for (const [file, sha256] of then.entries) {
      const present = now.entries.get(file);
      if (present === sha256) continue;
      const since = isRelease ? `release ${revision}` : revision.slice(0, 12);
      lost.add(`${file} ${present === undefined ? 'has disappeared' : 'was changed'} since ${since}`);
    }
  };
  for (const commit of commits) await compare(commit, false);
  for (const release of releases) await compare(release, true);
  return { compared, lost: [...lost] };
}

/** Undefined where a commit deleted it. */
async function manifestAt(folder: string, revision: string): Promise<Manifest | undefined> {
  const { stdout, exitCode } = await execa('git', ['show', `${revision}:./${MANIFEST}`], {
    cwd: folder,
    reject: false,
  });
  return exitCode === 0 ? parseManifest(stdout) : undefined;
}

async function isInGit(folder: string): Promise<boolean> {
  try {
    await execa('git', ['rev-parse', '--verify', 'HEAD'], { cwd: folder, env: { LC_ALL: 'C' } });
    return true;
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    // No git, no clone, or nothing committed yet. Anything else (a clone of another owner, say) must be seen.
    if (error.code === 'ENOENT' || /not a git repository|Needed a single revision/.test(error.message)) {
      return false;
    }
    throw error;
  }
}

async function lines(folder: string, ...command: string[]): Promise<string[]> {
  const { stdout } = await execa('git', command, { cwd: folder });
  return stdout.split('\n').filter((line) => line !== '');
}
