import { hash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accountContract, type Principal } from '../../services/account/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import { silentLogger } from '../../test/support/service.ts';
import { type StandIn, standIn } from '../../test/support/stand-in.ts';
import { createKeyring, type Keyring, type KeyringOptions } from './keyring.ts';

const KEY = 'dd_live_known_key_0123456789';
const aPrincipal = (changes: Partial<Principal> = {}): Principal => ({
  key_id: newId('apiKey'),
  role: 'business',
  account_id: newId('account'),
  account_state: 'active',
  drone_id: null,
  livemode: true,
  name: 'test',
  ...changes,
});

let account: StandIn<typeof accountContract>;
let keyring: Keyring;
let nowMs = 0;
/** What the account service knows, by key. */
let principals: Map<string, Principal>;
let asked: string[];

beforeEach(async () => {
  nowMs = 1_000_000;
  principals = new Map([[KEY, aPrincipal()]]);
  asked = [];
  account = await standIn(accountContract, {
    resolveKey: async ({ body: { key } }) => {
      asked.push(key);
      const principal = principals.get(key);
      if (!principal) throw new Problem('unauthorized');
      return principal;
    },
    recentKeys: async () => ({
      data: [...principals].map(([key, principal]) => ({
        key_hash: hash('sha256', key, 'hex'),
        principal,
      })),
    }),
  });
});
afterEach(async () => {
  keyring.stop();
  await account.close();
});

function withKeyring(options: Partial<KeyringOptions> = {}): void {
  keyring = createKeyring({
    account: account.client,
    logger: silentLogger,
    wall: () => nowMs,
    trustMs: 30_000,
    unknownMs: 5_000,
    outageMs: 86_400_000,
    ...options,
  });
}

describe('The keyring', () => {
  it('asks once for many at the same time, and then answers at once', async () => {
    withKeyring();
    const answers = await Promise.all(Array.from({ length: 50 }, async () => keyring.resolve(KEY)));
    expect(new Set(answers.map((one) => one?.key_id)).size).toBe(1);
    expect(asked).toHaveLength(1);
    expect(keyring.resolve(KEY)).not.toBeInstanceOf(Promise);
  });

  it('checks a key in use ahead of time, without letting anybody wait', async () => {
    withKeyring();
    await keyring.resolve(KEY);
    nowMs += 16_000;
    principals.set(KEY, aPrincipal({ account_state: 'suspended' }));
    expect((keyring.resolve(KEY) as Principal).account_state).toBe('active');
    await expect.poll(() => (keyring.resolve(KEY) as Principal).account_state).toBe('suspended');
    expect(asked).toHaveLength(2);
  });

  it('asks again for a key that was not used for longer than it is trusted: revoked means revoked', async () => {
    withKeyring();
    await keyring.resolve(KEY);
    principals.clear();
    nowMs += 30_000;
    expect(await keyring.resolve(KEY)).toBeNull();
  });

  it('remembers for a short while that nobody has a key', async () => {
    withKeyring();
    expect(await keyring.resolve('nobody')).toBeNull();
    expect(keyring.resolve('nobody')).toBeNull();
    expect(asked).toHaveLength(1);
    principals.set('nobody', aPrincipal());
    nowMs += 5_000;
    expect(await keyring.resolve('nobody')).not.toBeNull();
  });

  it('lets a known key work while the account service is down, for a day', async () => {
    withKeyring();
    const before = await keyring.resolve(KEY);
    await account.cut();
    nowMs += 23 * 3_600_000;
    expect(await keyring.resolve(KEY)).toEqual(before);
    // Just failed: nobody waits for another failure.
    expect(keyring.resolve(KEY)).toEqual(before);
    nowMs += 3_600_000;
    await expect(async () => keyring.resolve(KEY)).rejects.toMatchObject({ status: 503 });
  });

  it('hears of a suspension as soon as the account service is back', async () => {
    withKeyring();
    await keyring.resolve(KEY);
    await account.cut();
    nowMs += 60_000;
    await keyring.resolve(KEY);
    await account.mend();
    principals.set(KEY, aPrincipal({ account_state: 'suspended' }));
    nowMs += 2_000;
    expect((await keyring.resolve(KEY))?.account_state).toBe('suspended');
  });

  it('does not know what to say of a key it has never seen while the account service is down', async () => {
    withKeyring();
    await account.cut();
    await expect(async () => keyring.resolve(KEY)).rejects.toMatchObject({ slug: 'unavailable' });
    await account.mend();
    expect(await keyring.resolve(KEY)).not.toBeNull();
  });

  it('knows the newest keys before they are presented', async () => {
    const { resolveKey, recentKeys } = account.client;
    let isAnswered = false;
    withKeyring({
      account: {
        resolveKey,
        async recentKeys(request) {
          const answer = await recentKeys(request);
          isAnswered = true;
          return answer;
        },
      },
    });
    keyring.start();
    await expect.poll(() => isAnswered).toBe(true);
    await account.cut();
    expect((await keyring.resolve(KEY))?.role).toBe('business');
    expect(asked).toHaveLength(0);
  });

  it('keeps no more keys than it may, and guessed keys push out no real one', async () => {
    withKeyring({ capacity: 10 });
    await keyring.resolve(KEY);
    for (let n = 0; n < 50; n += 1) await keyring.resolve(`guess ${n}`);
    expect(keyring.resolve(KEY)).not.toBeInstanceOf(Promise);
  });
});
