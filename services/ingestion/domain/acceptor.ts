/** The durable accept: one statement makes a request safe, however many arrive at once. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import { isDatabaseUnavailable, isSerializationFailure } from '../../../prisma/client-options.ts';
import { Batcher } from '../../../shared/batcher.ts';
import { conflict, Problem } from '../../../shared/errors.ts';
import type { Delivery } from '../../delivery/contract/index.ts';
import { findByKey, findTwins, insertRequests, type NewRequest, type Twins } from '../data/accepts.ts';
import { requestedDelivery, type AcceptedDocument } from './accepted.ts';

/** Statements under way at once: two, so that one is prepared while the other is committed. */
const CONCURRENT_INSERTS = 2;
/** About a quarter of a megabyte. */
const MAX_BATCH = 128;
/** Of one that got into a deadlock with another process's batch. */
const MAX_TRIES = 3;

/** An accept that takes longer than this is taken to compete with the other work for the processor. */
const STRAINED_MS = 25;
/** How long the other work then rests between two of its rounds. */
const REST_MS = 50;

export interface Accepted {
  delivery: Delivery;
  /** The first answer again. */
  replayed: boolean;
}

export class Acceptor {
  readonly #database: PrismaClient;
  readonly #onAccepted: (documents: AcceptedDocument[]) => void;
  readonly #batcher: Batcher<NewRequest, Accepted>;
  /** How long accepts took of late, and when that was last measured; milliseconds of the process. */
  #tookMs = 0;
  #measuredAt = 0;

  /** @param onAccepted called with what was written, after it is committed */
  constructor(database: PrismaClient, onAccepted: (documents: AcceptedDocument[]) => void) {
    this.#database = database;
    this.#onAccepted = onAccepted;
    this.#batcher = new Batcher({
      run: (requests) => this.#acceptEach(requests),
      maxItems: MAX_BATCH,
      concurrency: CONCURRENT_INSERTS,
    });
  }

  /** Accepts that wait for a statement. */
  get waiting(): number {
    return this.#batcher.waiting;
  }

  /**
   * Settles when the request is committed, or was before.
   * @throws {Problem} 422 `idempotency-key-reused`; 409 `external_id_taken`
   */
  async accept(request: NewRequest): Promise<Accepted> {
    const beganAt = performance.now();
    const accepted = await this.#batcher.add(request);
    this.#measuredAt = performance.now();
    this.#tookMs += (this.#measuredAt - beganAt - this.#tookMs) / 8;
    return accepted;
  }

  /**
   * Accepts come first: settles at once when they are quick, after a rest when they are not. So a burst is accepted at
   * nearly full speed and carried out afterwards, and the other work still goes on.
   */
  async letAcceptsPass(): Promise<void> {
    const isRecent = performance.now() - this.#measuredAt < 4 * REST_MS;
    if (isRecent && this.#tookMs > STRAINED_MS) await delay(REST_MS);
  }

  /**
   * What an earlier accept with this key answered.
   * @throws {Problem} 422 `idempotency-key-reused`
   */
  async findReplay(
    key: { accountId: string; livemode: boolean; idempotencyKey: string },
    fingerprint: string,
  ): Promise<Delivery | undefined> {
    const found = await findByKey(this.#database, key);
    return found && replayOf(found, key.idempotencyKey, fingerprint);
  }

  async #acceptEach(requests: NewRequest[]): Promise<(Accepted | Error)[]> {
    try {
      return await this.#acceptTogether(requests);
    } catch (error) {
      if (error instanceof Problem || isDatabaseUnavailable(error)) throw error;
      // Another process took the same keys in another order, or one request spoils the statement for the others.
      return Promise.all(requests.map((request) => this.#acceptAlone(request)));
    }
  }

  async #acceptAlone(request: NewRequest): Promise<Accepted | Error> {
    for (let tries = 1; ; tries += 1) {
      try {
        const [accepted] = await this.#acceptTogether([request]);
        return accepted ?? new Error('An accept was left without an answer');
      } catch (error) {
        if (tries < MAX_TRIES && isSerializationFailure(error)) continue;
        return error instanceof Error ? error : new Error(String(error));
      }
    }
  }

  async #acceptTogether(requests: NewRequest[]): Promise<(Accepted | Error)[]> {
    const written = await insertRequests(this.#database, requests);
    const isWritten = ({ document }: NewRequest): boolean => written.has(document.creation.id);
    if (written.size > 0) this.#onAccepted(requests.filter(isWritten).map(({ document }) => document));
    const refused = requests.filter((request) => !isWritten(request));
    const twins = refused.length > 0 ? await findTwins(this.#database, refused) : [];
    const answers = new Map(refused.map((request, place) => [request, answerToTwin(request, twins[place])]));
    return requests.map(
      (request) => answers.get(request) ?? { delivery: requestedDelivery(request.document), replayed: false },
    );
  }
}

/** A repetition is answered before the external id is looked at: it has the same one. */
function answerToTwin(request: NewRequest, twins: Twins | undefined): Accepted | Problem {
  const { idempotencyKey, fingerprint, document } = request;
  try {
    if (twins?.sameKey && idempotencyKey !== null)
      return { delivery: replayOf(twins.sameKey, idempotencyKey, fingerprint), replayed: true };
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  if (twins?.sameExternalId)
    return conflict(
      'external_id_taken',
      `The external_id ${document.creation.external_id ?? ''} is that of ${twins.sameExternalId}.`,
    );
  return new Problem('request-in-progress', {
    detail: 'Another request with this key or external_id is being accepted.',
    retryAfterS: 1,
  });
}

function replayOf(
  found: { fingerprint: string; document: AcceptedDocument },
  idempotencyKey: string,
  fingerprint: string,
): Delivery {
  if (found.fingerprint === fingerprint) return requestedDelivery(found.document);
  throw new Problem('idempotency-key-reused', {
    detail: `The key ${idempotencyKey} was used for another request, which became ${found.document.creation.id}.`,
  });
}
