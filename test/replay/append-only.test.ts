/** The guard of the golden histories: whatever is done to a folder of them, it is seen. In clones made for the purpose. */
import { execa } from 'execa';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { doubtAbout, linesLostSinceCommitted } from './lost-lines.ts';
import { adopt, discrepancies, MANIFEST } from './manifest.ts';

let root: string;
let clone: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'histories-'));
  clone = join(root, 'clone');
  folder = join(clone, 'histories');
  await mkdir(folder, { recursive: true });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const put = (file: string, content: string) => writeFile(join(folder, file), content);
const remove = (file: string) => rm(join(folder, file));
/** As the recorder does at its end. */
const record = (generation = 'first') => adopt(folder, () => generation);
const lost = async () => (await linesLostSinceCommitted(folder)).lost;

async function git(...command: string[]): Promise<void> {
  const env = {
    // Nobody's own configuration, hooks or signatures.
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_AUTHOR_NAME: 'test',
    GIT_AUTHOR_EMAIL: 'test@example.com',
    GIT_COMMITTER_NAME: 'test',
    GIT_COMMITTER_EMAIL: 'test@example.com',
  };
  await execa('git', command, { cwd: clone, env });
}

async function commit(): Promise<void> {
  await git('add', '--all');
  await git('commit', '--allow-empty', '-m', 'a commit');
}

/** A clone in which two histories are committed. */
async function committed(): Promise<void> {
  await git('init', '--initial-branch=main');
  await put('a@1.json.gz', 'a');
  await put('b@1.json.gz', 'b');
  await record();
  await commit();
}

/** The file gets another content, and the manifest its hash: what the manifest alone cannot tell. */
async function forge(file: string): Promise<void> {
  const listed = (await readFile(join(folder, MANIFEST), 'utf8')).split('\n');
  await put(MANIFEST, listed.filter((line) => !line.endsWith(`  ${file}`)).join('\n'));
  await put(file, 'forged');
  await record();
  expect(await discrepancies(folder)).toEqual([]);
}

describe('the manifest tells', () => {
  beforeEach(async () => {
    await put('a@1.json.gz', 'a');
    await put('b@1.json.gz', 'b');
    expect(await record()).toEqual(['a@1.json.gz', 'b@1.json.gz']);
  });

  it('that all is well', async () => {
    expect(await discrepancies(folder)).toEqual([]);
    expect(await linesLostSinceCommitted(folder)).toEqual({ past: 'none', compared: [], lost: [] });
  });

  it('what was changed, has disappeared or was never recorded', async () => {
    await put('a@1.json.gz', 'A');
    await remove('b@1.json.gz');
    await put('c@1.json.gz', 'c');
    expect(await discrepancies(folder)).toEqual([
      'a@1.json.gz was changed',
      'b@1.json.gz has disappeared',
      'c@1.json.gz is not in the manifest',
    ]);
  });

  it('that it is missing, is no manifest or names a file twice', async () => {
    const text = await readFile(join(folder, MANIFEST), 'utf8');
    await put(MANIFEST, text.replace('# generation first\n', ''));
    await expect(discrepancies(folder)).rejects.toThrow('does not say its generation');
    await put(MANIFEST, `${text}nonsense\n`);
    await expect(discrepancies(folder)).rejects.toThrow('"nonsense"');
    await put(MANIFEST, text + text);
    await expect(discrepancies(folder)).rejects.toThrow('lists a@1.json.gz twice');
    await remove(MANIFEST);
    await expect(discrepancies(folder)).rejects.toThrow('ENOENT');
  });

  it('nothing new of what it has: recording again adds lines after those that are there', async () => {
    const before = await readFile(join(folder, MANIFEST), 'utf8');
    expect(await record('second')).toEqual([]);
    await put('a@2.json.gz', 'a, otherwise');
    expect(await record('second')).toEqual(['a@2.json.gz']);
    const after = await readFile(join(folder, MANIFEST), 'utf8');
    expect(after.startsWith(before)).toBe(true);
  });
});

describe('git tells', () => {
  it('that all is well, also after more were added', async () => {
    await committed();
    await put('c@1.json.gz', 'c');
    await record();
    expect(await lost()).toEqual([]);
    await commit();
    const comparison = await linesLostSinceCommitted(folder);
    expect(comparison).toMatchObject({ past: 'complete', lost: [] });
    expect(comparison.compared).toHaveLength(2);
    expect(doubtAbout(comparison)).toBeUndefined();
  });

  it.each(['before it is committed', 'after it was committed', 'many commits later'])(
    'that the manifest was changed with a history: %s',
    async (when) => {
      await committed();
      await forge('a@1.json.gz');
      if (when !== 'before it is committed') await commit();
      if (when === 'many commits later') for (const _ of [1, 2, 3]) await commit();
      expect(await lost()).toEqual([expect.stringMatching(/^a@1\.json\.gz was changed since [0-9a-f]{12}$/)]);
    },
  );

  it('that the manifest lost a history', async () => {
    await committed();
    const text = await readFile(join(folder, MANIFEST), 'utf8');
    await put(
      MANIFEST,
      text
        .split('\n')
        .filter((line) => !line.includes('b@1'))
        .join('\n'),
    );
    await remove('b@1.json.gz');
    await commit();
    expect(await discrepancies(folder)).toEqual([]);
    expect(await lost()).toEqual([expect.stringMatching(/^b@1\.json\.gz has disappeared since /)]);
  });

  it('what a merge dropped of what a branch had added', async () => {
    await committed();
    await git('checkout', '-b', 'branch');
    await put('c@1.json.gz', 'c');
    await record();
    await commit();
    await git('checkout', 'main');
    await commit();
    await git('merge', '--strategy=ours', '-m', 'a merge', 'branch');
    expect(await lost()).toEqual([expect.stringMatching(/^c@1\.json\.gz has disappeared since /)]);
  });

  it('that a generation was begun anew, unless it is among those that were given up', async () => {
    await committed();
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await put('a@1.json.gz', 'recorded anew');
    await record('second');
    await commit();
    expect(await lost()).toEqual([
      expect.stringMatching(/^a@1\.json\.gz was changed since /),
      expect.stringMatching(/^b@1\.json\.gz has disappeared since /),
    ]);
    const without = await linesLostSinceCommitted(folder, { first: 'nothing of it was in the field' });
    expect(without.lost).toEqual([]);
    expect(without.compared).toHaveLength(1);
  });

  it('what a release has, whatever the generation', async () => {
    await committed();
    await git('tag', 'v1.0.0');
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await put('a@1.json.gz', 'recorded anew');
    await record('second');
    await commit();
    const { lost } = await linesLostSinceCommitted(folder, { first: 'begun anew all the same' });
    expect(lost).toEqual([
      'a@1.json.gz was changed since release v1.0.0',
      'b@1.json.gz has disappeared since release v1.0.0',
    ]);
  });

  it('how much it knows: that a clone is shallow, is none, or has never had a manifest', async () => {
    await committed();
    await forge('a@1.json.gz');
    await commit();
    await git('clone', '--depth=1', pathToFileURL(clone).href, join(root, 'shallow'));
    const shallow = await linesLostSinceCommitted(join(root, 'shallow', 'histories'));
    expect(shallow).toMatchObject({ past: 'shallow', lost: [] });
    expect(shallow.compared).toHaveLength(1);
    expect(doubtAbout(shallow)).toContain('git fetch --unshallow');

    await rm(join(clone, '.git'), { recursive: true });
    await git('init', '--initial-branch=main');
    await git('commit', '--allow-empty', '-m', 'a project of somebody else');
    const foreign = await linesLostSinceCommitted(folder);
    expect(foreign).toEqual({ past: 'complete', compared: [], lost: [] });
    expect(doubtAbout(foreign)).toContain('No commit of this clone has a manifest');

    await rename(join(clone, '.git'), join(root, 'put-aside'));
    const none = await linesLostSinceCommitted(folder);
    expect(none).toEqual({ past: 'none', compared: [], lost: [] });
    expect(doubtAbout(none)).toContain('no git clone');
  });
});
