/**
 * Whose key this is, from memory wherever possible. The account service knows; what it said is kept for a while, so that most
 * requests wait for nobody and a key that is known goes on working while that service is down. Only hashes of keys are kept.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { accountContract, Principal } from '../../services/account/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import type { Client } from '../../shared/http/client.ts';
import type { Logger } from '../../shared/logger.ts';

export interface KeyringOptions {
  account: Pick<Client<typeof accountContract>, 'resolveKey' | 'recentKeys'>;
  logger: Logger;
  /** Wall time, Unix milliseconds. */
  wall?: () => number;
  /** How long an answer is trusted: a suspension or a revoked key takes effect within it. Milliseconds. */
  trustMs?: number;
  /** How long a key nobody has is remembered as such. Milliseconds. */
  unknownMs?: number;
  /** How long a known key works while the account service is down. Milliseconds. */
  outageMs?: number;
  /** How often the keys made last are fetched before they are presented. Milliseconds. */
  foresightMs?: number;
  /** Keys kept. */
  capacity?: number;
}

export interface Keyring {
  /**
   * Who presents this key, null for nobody. A promise only when the account service has to be asked.
   * @throws {Problem} `unavailable` when it has to be asked and does not answer.
   */
  resolve(key: string): Principal | null | Promise<Principal | null>;
  /** Learns the keys that were made last, now and from time to time. */
  start(): void;
  stop(): void;
}

interface Known {
  principal: Principal;
  checkedAt: number;
  /** After a failed check: not before this. */
  nextCheckAt: number;
}

const HOUR_MS = 3_600_000;
/** After the account service failed, known keys are not checked for this long. */
const AFTER_FAILURE_MS = 2_000;

export function createKeyring({
  account,
  logger,
  wall = Date.now,
  trustMs = 30_000,
  unknownMs = 5_000,
  outageMs = 24 * HOUR_MS,
  foresightMs = 15_000,
  capacity = 20_000,
}: KeyringOptions): Keyring {
  const known = new LRUCache<string, Known>({ max: capacity });
  // Apart, so that guessed keys push out no real one.
  const unknown = new LRUCache<string, number>({ max: capacity });
  const underWay = new Map<string, Promise<Principal | null>>();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function learn(keyHash: string, principal: Principal): void {
    known.set(keyHash, { principal, checkedAt: wall(), nextCheckAt: 0 });
    unknown.delete(keyHash);
  }

  function isUnknown(keyHash: string): boolean {
    const since = unknown.get(keyHash);
    return since !== undefined && wall() - since < unknownMs;
  }

  /** Asks once, however many requests wait for it. */
  function ask(keyHash: string, key: string): Promise<Principal | null> {
    const running = underWay.get(keyHash);
    if (running) return running;
    const asking = account
      .resolveKey({ body: { key } })
      .then(
        (principal) => {
          learn(keyHash, principal);
          return principal;
        },
        (error: unknown) => {
          if (!(error instanceof Problem) || error.status !== 401) throw error;
          known.delete(keyHash);
          unknown.set(keyHash, wall());
          return null;
        },
      )
      .finally(() => underWay.delete(keyHash));
    underWay.set(keyHash, asking);
    return asking;
  }

  /** Asks; while the service is down, what was known of the key still holds. */
  async function check(keyHash: string, key: string, entry: Known | undefined): Promise<Principal | null> {
    try {
      return await ask(keyHash, key);
    } catch (error) {
      if (entry === undefined || wall() - entry.checkedAt >= outageMs) throw error;
      entry.nextCheckAt = wall() + AFTER_FAILURE_MS;
      return entry.principal;
    }
  }

  async function foresee(): Promise<void> {
    try {
      const { data } = await account.recentKeys({ query: {} });
      for (const { key_hash, principal } of data) learn(key_hash, principal);
    } catch (error) {
      logger.debug({ err: error }, 'could not learn the newest keys');
    }
    if (!stopped) timer = setTimeout(() => void foresee(), foresightMs).unref();
  }

  return {
    resolve(key) {
      const keyHash = hash('sha256', key, 'hex');
      const entry = known.get(keyHash);
      if (entry === undefined) return isUnknown(keyHash) ? null : check(keyHash, key, undefined);
      const now = wall();
      const age = now - entry.checkedAt;
      const waitsOutFailure = now < entry.nextCheckAt && age < outageMs;
      if (age >= trustMs) return waitsOutFailure ? entry.principal : check(keyHash, key, entry);
      // A key in use is checked ahead of time, so that no request has to wait for it.
      if (age >= trustMs / 2 && now >= entry.nextCheckAt && !underWay.has(keyHash)) {
        void check(keyHash, key, entry).catch(() => undefined);
      }
      return entry.principal;
    },
    start: () => void foresee(),
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
