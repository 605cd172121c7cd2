/**
 * Whether the manifest has lost or changed a line since it was first committed. Only the past tells: a history that vanishes with
 * its line leaves nothing else behind. Where there is none to compare with (a shallow clone, no clone at all) that is said.
 */
import { execa, ExecaError } from 'execa';
import { GIVEN_UP } from './given-up.ts';
import { type Manifest, MANIFEST, parseManifest, readManifest } from './manifest.ts';

/** Tags of releases: what they have is in the field, so no new generation may drop it. */
const RELEASES = 'v*';

export interface Comparison {
  /** How much of it there is: all, as much as a shallow clone has, or nothing where there is no git. */
  past: 'complete' | 'shallow' | 'none';
  /** With these commits, or releases, the manifest was compared; empty where there is no git. */
  compared: string[];
  /** What has been lost since, in plain words. */
  lost: string[];
}

/**
 * Compares the folder's manifest with what every commit, and every release, has in it.
 * @param givenUp generations that were begun anew before anything of them was in the field, each with the reason
 */
export async function linesLostSinceCommitted(
  folder: string,
  givenUp: Readonly<Record<string, string>> = GIVEN_UP,
): Promise<Comparison> {
  if (!(await isInGit(folder))) return { past: 'none', compared: [], lost: [] };
  const isShallow = await lines(folder, 'rev-parse', '--is-shallow-repository');
  const now = await readManifest(folder);
  const commits = await lines(folder, 'log', '--full-history', '--format=%H', '--', MANIFEST);
  const releases = await lines(folder, 'tag', '--list', RELEASES, '--merged', 'HEAD');
  const compared: string[] = [];
  const lost = new Set<string>();
  const compare = async (revision: string, isRelease: boolean) => {
    const then = await manifestAt(folder, revision);
    if (!then || (!isRelease && then.generation in givenUp)) return;
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
  return { past: isShallow[0] === 'true' ? 'shallow' : 'complete', compared, lost: [...lost] };
}

/** What stands in the way of knowing that nothing is lost, and what to do about it; undefined when nothing does. */
export function doubtAbout({ past, compared }: Omit<Comparison, 'lost'>): string | undefined {
  switch (past) {
    case 'none':
      return 'This is no git clone: nobody can tell here whether golden histories have been lost. Run the tests in a clone.';
    case 'shallow':
      return (
        'This clone is shallow: what golden histories its missing commits had is not known. ' +
        'Fetch the rest: git fetch --unshallow --tags (GitHub Actions: actions/checkout with fetch-depth: 0).'
      );
    case 'complete':
      return compared.length > 0
        ? undefined
        : 'No commit of this clone has a manifest of golden histories: commit it, or clone the project itself.';
  }
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
