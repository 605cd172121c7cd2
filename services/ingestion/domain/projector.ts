/**
 * Tells the delivery service what was accepted (event 1) or cancelled before its start (event 2), whether Temporal is up
 * or not. What this process has just accepted goes at once, from memory; what that missed is found in the table.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { WallClock } from '../../../shared/clock.ts';
import { messageOf, Problem } from '../../../shared/errors.ts';
import type { Client } from '../../../shared/http/client.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { Logger } from '../../../shared/logger.ts';
import { backoffWithJitterMs, Pump } from '../../../shared/pump.ts';
import type { deliveryContract } from '../../delivery/contract/index.ts';
import { claimToProject, markProjected, type ProjectClaim, putOffProjection } from '../data/requests.ts';
import { type AcceptedDocument, cancelledPatch } from './accepted.ts';

export interface ProjectorOptions {
  database: PrismaClient;
  delivery: Client<typeof deliveryContract>;
  logger: Logger;
  wall: WallClock;
  /** Deliveries in one call, at most 100. */
  batch: number;
  /** How long a claim keeps others off; longer than a call may take. */
  leaseMs: number;
  /** Settles when the accepts leave room for other work. */
  letAcceptsPass: () => Promise<void>;
}

const LOOK_EVERY_MS = 1_000;
const ROW_BACKOFF_MS = { first: 1_000, longest: 60_000 };
/** What waits in memory at most; the rest is found in the table. */
const MAX_FRESH = 2_000;
const PROJECT_WITHIN_MS = 2_000;

/** How long a fresh row is left to the process that accepted it. */
export const FRESH_MS = 5_000;

export class Projector {
  readonly pump: Pump;
  readonly #options: ProjectorOptions;
  readonly #fresh = new Map<DeliveryId, AcceptedDocument>();
  readonly #underWay = new Map<DeliveryId, Promise<void>>();
  readonly #putOff = new Set<DeliveryId>();

  constructor(options: ProjectorOptions) {
    this.#options = options;
    this.pump = new Pump({
      name: 'projector',
      logger: options.logger,
      lookEveryMs: LOOK_EVERY_MS,
      round: () => this.#round(),
    });
  }

  /** These were accepted by this process just now. */
  accepted(documents: readonly AcceptedDocument[]): void {
    for (const document of documents) {
      // While the delivery service is down they are better off in the table, where they wait as long as it takes.
      if (this.pump.failures > 0 || this.#fresh.size >= MAX_FRESH) break;
      this.#fresh.set(document.creation.id, document);
    }
    this.pump.nudge();
  }

  /**
   * Sees to it that these are projected now, for somebody who needs them there. What fails is left to the pump.
   * @param rows as claimed by the caller, or of his own
   */
  async project(rows: readonly Omit<ProjectClaim, 'attempts'>[]): Promise<void> {
    const others = rows.flatMap((row) => this.#underWay.get(row.deliveryId) ?? []);
    const own = rows
      .filter((row) => row.cancellation !== null || !this.#underWay.has(row.deliveryId))
      .map((row) => ({ ...row, attempts: 0 }));
    for (const { deliveryId } of own) this.#fresh.delete(deliveryId);
    const results = await Promise.allSettled([...others, own.length > 0 ? this.#work(own) : undefined]);
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      this.#options.logger.debug({ err: messageOf(result.reason) }, 'projected later');
    }
  }

  /** As `project`, given up after a moment. */
  async projectSoon(row: Omit<ProjectClaim, 'attempts'>): Promise<void> {
    const stopWaiting = new AbortController();
    await Promise.race([
      this.project([row]),
      delay(PROJECT_WITHIN_MS, undefined, { signal: stopWaiting.signal, ref: false }).catch(() => undefined),
    ]);
    stopWaiting.abort();
    this.pump.nudge();
  }

  /** @throws when none of a round's rows could be projected */
  async #round(): Promise<boolean> {
    const { database, wall, batch, leaseMs, letAcceptsPass } = this.#options;
    await letAcceptsPass();
    const isDown = this.pump.failures > 0;
    if (isDown) this.#fresh.clear();
    const nowMs = wall();
    const claims =
      this.#fresh.size > 0
        ? this.#takeFresh(batch)
        : await claimToProject(database, {
            limit: isDown ? 1 : batch,
            now: new Date(nowMs),
            leaseUntil: new Date(nowMs + leaseMs),
          });
    if (claims.length === 0) return false;
    await this.#work(claims);
    if (isDown) await this.#bringForward();
    return true;
  }

  #takeFresh(count: number): ProjectClaim[] {
    const taken = [...this.#fresh.values()].slice(0, count);
    for (const { creation } of taken) this.#fresh.delete(creation.id);
    return taken.map((document) => ({
      deliveryId: document.creation.id,
      document,
      cancellation: null,
      projected: 0,
      attempts: 0,
    }));
  }

  /** @throws when none of them could be projected */
  async #work(claims: readonly ProjectClaim[]): Promise<void> {
    const work = this.#projectAndMark(claims);
    for (const { deliveryId } of claims) this.#underWay.set(deliveryId, work);
    try {
      await work;
    } finally {
      for (const { deliveryId } of claims)
        if (this.#underWay.get(deliveryId) === work) this.#underWay.delete(deliveryId);
    }
  }

  async #projectAndMark(claims: readonly ProjectClaim[]): Promise<void> {
    const { database } = this.#options;
    const failures = await this.#projectAll(claims);
    const done = claims.filter(({ deliveryId }) => !failures.has(deliveryId));
    const idsOf = (of: ProjectClaim[]): DeliveryId[] => of.map((claim) => claim.deliveryId);
    await markProjected(database, idsOf(done.filter((claim) => !claim.cancellation)), 1);
    await markProjected(database, idsOf(done.filter((claim) => claim.cancellation)), 2);
    await this.#putOffAll(claims.filter(({ deliveryId }) => failures.has(deliveryId)));
    const [firstFailure] = failures.values();
    if (done.length === 0) throw firstFailure ?? new Error('Nothing could be projected');
  }

  /** Answers what went wrong, by delivery. */
  async #projectAll(claims: readonly ProjectClaim[]): Promise<Map<DeliveryId, Error>> {
    const failures = new Map<DeliveryId, Error>();
    const note = (claim: ProjectClaim, error: unknown): void => {
      failures.set(claim.deliveryId, error instanceof Error ? error : new Error(String(error)));
      // A refusal will not go away by itself; an outage will, and the pump says so once.
      if (!(error instanceof Problem) || error.retryable) return;
      const details = { delivery_id: claim.deliveryId, attempts: claim.attempts, err: error.message };
      this.#options.logger.error(details, 'projection refused');
    };
    const unknown = claims.filter((claim) => claim.projected < 1);
    const [first] = unknown;
    if (first) {
      try {
        await this.#create(unknown);
      } catch (error) {
        if (unknown.length > 1 && error instanceof Problem && !error.retryable) {
          // One of them spoils it for the others.
          for (const claim of unknown) await this.#create([claim]).catch((why: unknown) => note(claim, why));
        } else for (const claim of unknown) note(claim, error);
      }
    }
    await Promise.all(
      claims
        .filter((claim) => !failures.has(claim.deliveryId))
        .map((claim) => this.#cancel(claim).catch((error: unknown) => note(claim, error))),
    );
    return failures;
  }

  async #create(claims: readonly ProjectClaim[]): Promise<void> {
    const deliveries = claims.map(({ document }) => document.creation);
    await this.#options.delivery.createDeliveries({ body: { deliveries } });
  }

  async #cancel({ document, cancellation }: ProjectClaim): Promise<void> {
    if (!cancellation) return;
    const { id } = document.creation;
    const { reason, actor, why, at } = cancellation;
    const event = {
      type: 'delivery.cancelled',
      status: 'cancelled' as const,
      occurred_at: at,
      data: { reason, by: actor, before_start: true, ...(why !== undefined && { why }) },
      patch: cancelledPatch(document, cancellation),
    };
    await this.#options.delivery.appendEvents(
      { params: { delivery_id: id }, body: { events: [event] } },
      { idempotencyKey: `${id}/cancel_before_start/1` },
    );
  }

  async #putOffAll(claims: readonly ProjectClaim[]): Promise<void> {
    const { database, wall } = this.#options;
    const nowMs = wall();
    const { first, longest } = ROW_BACKOFF_MS;
    const rows = claims.map(({ deliveryId, attempts }) => {
      this.#putOff.add(deliveryId);
      return { deliveryId, dueAt: new Date(nowMs + backoffWithJitterMs(attempts + 1, first, longest)) };
    });
    await putOffProjection(database, rows);
  }

  /** The delivery service is back: what was put off because it was down need not wait any longer. */
  async #bringForward(): Promise<void> {
    const dueAt = new Date(this.#options.wall());
    const rows = [...this.#putOff].map((deliveryId) => ({ deliveryId, dueAt }));
    this.#putOff.clear();
    await putOffProjection(this.#options.database, rows);
  }
}
