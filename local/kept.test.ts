import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clockTimeMs } from '../shared/clock.ts';
import { parsePayloadKeys } from '../shared/temporal/codec.ts';
import { keptClock } from './kept-clock.ts';
import { keptSecrets } from './secrets.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kept-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('The kept clock', () => {
  const path = () => join(folder, 'clock.json');
  const at = (wallMs: number) => () => wallMs;

  test('shows the wall time when nobody asks for another rate', async () => {
    const clock = await keptClock(path(), undefined, at(5_000));
    expect(clockTimeMs(clock, 7_000)).toBe(7_000);
  });

  test('begins a time-lapse with the wall time', async () => {
    const clock = await keptClock(path(), 60, at(5_000));
    expect(clockTimeMs(clock, 5_000)).toBe(5_000);
    expect(clockTimeMs(clock, 6_000)).toBe(65_000);
  });

  test('goes on unchanged after a restart', async () => {
    const first = await keptClock(path(), 60, at(5_000));
    expect(await keptClock(path(), undefined, at(9_000))).toEqual(first);
    expect(await keptClock(path(), 60, at(9_000))).toEqual(first);
  });

  test('goes on from what it shows when the rate changes', async () => {
    await keptClock(path(), 60, at(5_000));
    const slower = await keptClock(path(), 1, at(6_000));
    expect(slower.rate).toBe(1);
    expect(clockTimeMs(slower, 6_000)).toBe(65_000);
  });
});

describe('The kept secrets', () => {
  const path = () => join(folder, 'secrets.json');

  test('are made once, for nobody else to read, and fit their users', async () => {
    const secrets = await keptSecrets(path(), ['acc_1']);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(parsePayloadKeys(secrets.payloadKeys).activeKeyId).toBe('k1');
    expect(secrets.databasePasswords.account.owner).not.toBe(secrets.databasePasswords.account.runtime);
    const keys = [secrets.operatorKey, secrets.droneKey, secrets.accountKeys['acc_1']!];
    expect(new Set(keys).size).toBe(3);
    for (const key of keys) expect(key).toMatch(/^dd_\w+_[\w-]{32}$/);
    expect(await keptSecrets(path(), ['acc_1'])).toEqual(secrets);
  });

  test('gain a key for a new account and leave the others alone', async () => {
    const before = await keptSecrets(path(), ['acc_1']);
    const after = await keptSecrets(path(), ['acc_1', 'acc_2']);
    expect(after.accountKeys['acc_1']).toBe(before.accountKeys['acc_1']);
    expect(after.accountKeys['acc_2']).toBeDefined();
  });

  test('are never replaced when their file is damaged: the data would be lost', async () => {
    writeFileSync(path(), '{"payloadKeys":');
    await expect(keptSecrets(path(), [])).rejects.toThrow(/not readable JSON/);
    expect(readFileSync(path(), 'utf8')).toBe('{"payloadKeys":');
  });
});
