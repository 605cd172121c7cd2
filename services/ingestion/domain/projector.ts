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
import { type AcceptedDocument, cancelledPatch, type Cancellation } from './accepted.ts';

export interface ProjectorOptions {
  database: PrismaClient;
  delivery: Client<typeof deliveryContract>;
  logger: Logger;
  wall: WallClock;
  /** Calls under way at once. */
  concurrency: number;
  /** How long a claim keeps others off; longer than a call may take. */
  leaseMs: number;
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
  #fresh: AcceptedDocument[] = [];
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
    // While the delivery service is down they are better off in the table, where they wait as long as it takes.
    if (this.pump.failures === 0 && this.#fresh.length < MAX_FRESH) this.#fresh.push(...documents);
    this.pump.nudge();
  }

  /**
   * Projects a cancelled row at once, so that a read after the cancel shows it; given up after a moment, because the
   * table keeps it for the pump.
   */
  async cancelled(row: Omit<ProjectClaim, 'attempts'>): Promise<void> {
    const projection = this.#work([{ ...row, attempts: 0 }]).catch((error: unknown) => {
      this.#options.logger.debug({ delivery_id: row.deliveryId, err: messageOf(error) }, 'projected later');
    });
    const stopWaiting = new AbortController();
    await Promise.race([
      projection,
      delay(PROJECT_WITHIN_MS, undefined, { signal: stopWaiting.signal, ref: false }).catch(() => undefined),
    ]);
    stopWaiting.abort();
    this.pump.nudge();
  }

  /** @throws when none of a round's rows could be projected */
  async #round(): Promise<boolean> {
    const { database, wall, concurrency, leaseMs } = this.#options;
    const isDown = this.pump.failures > 0;
    if (isDown) this.#fresh = [];
    const fresh = this.#fresh.splice(0, concurrency).map(claimOf);
    const nowMs = wall();
    const claims =
      fresh.length > 0
        ? fresh
        : await claimToProject(database, {
            limit: isDown ? 1 : concurrency,
            now: new Date(nowMs),
            leaseUntil: new Date(nowMs + leaseMs),
          });
    if (claims.length === 0) return false;
    await this.#work(claims);
    if (isDown) await this.#bringForward();
    return true;
  }

  /** @throws when none of them could be projected */
  async #work(claims: readonly ProjectClaim[]): Promise<void> {
    const { database } = this.#options;
    const results = await Promise.all(claims.map((claim) => this.#projectOne(claim)));
    const failed = claims.filter((_, index) => results[index] !== undefined);
    const done = claims.filter((_, index) => results[index] === undefined);
    const idsOf = (of: ProjectClaim[]): DeliveryId[] => of.map((claim) => claim.deliveryId);
    await markProjected(database, idsOf(done.filter((claim) => !claim.cancellation)), 1);
    await markProjected(database, idsOf(done.filter((claim) => claim.cancellation)), 2);
    await this.#putOffAll(failed);
    if (done.length === 0) throw results[0] ?? new Error('Nothing could be projected');
  }

  /** Answers what went wrong, if anything did. */
  async #projectOne(claim: ProjectClaim): Promise<Error | undefined> {
    try {
      await this.#project(claim);
      return undefined;
    } catch (error) {
      const { deliveryId: delivery_id, attempts } = claim;
      const details = { delivery_id, attempts, err: messageOf(error) };
      // A refusal will not go away by itself; an outage will, and the pump says so once.
      if (error instanceof Problem && !error.retryable)
        this.#options.logger.error(details, 'projection refused');
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #project({ document, projected, cancellation }: ProjectClaim): Promise<void> {
    const { delivery } = this.#options;
    if (projected < 1) await delivery.createDelivery({ body: document.creation });
    if (cancellation) await this.#projectCancellation(document, cancellation);
  }

  async #projectCancellation(document: AcceptedDocument, cancellation: Cancellation): Promise<void> {
    const { id } = document.creation;
    await this.#options.delivery.appendEvents(
      {
        params: { delivery_id: id },
        body: {
          events: [
            {
              type: 'delivery.cancelled',
              status: 'cancelled',
              occurred_at: cancellation.at,
              data: { reason: cancellation.reason, by: cancellation.actor, before_start: true },
              patch: cancelledPatch(document, cancellation),
            },
          ],
        },
      },
      { idempotencyKey: `${id}/cancel_before_start/1` },
    );
  }

  async #putOffAll(claims: readonly ProjectClaim[]): Promise<void> {
    const { database, wall } = this.#options;
    const nowMs = wall();
    for (const { deliveryId } of claims) this.#putOff.add(deliveryId);
    await putOffProjection(
      database,
      claims.map(({ deliveryId, attempts }) => ({
        deliveryId,
        dueAt: new Date(
          nowMs + backoffWithJitterMs(attempts + 1, ROW_BACKOFF_MS.first, ROW_BACKOFF_MS.longest),
        ),
      })),
    );
  }

  /** The delivery service is back: what was put off because it was down need not wait any longer. */
  async #bringForward(): Promise<void> {
    const dueAt = new Date(this.#options.wall());
    const rows = [...this.#putOff].map((deliveryId) => ({ deliveryId, dueAt }));
    this.#putOff.clear();
    await putOffProjection(this.#options.database, rows);
  }
}

function claimOf(document: AcceptedDocument): ProjectClaim {
  return { deliveryId: document.creation.id, document, cancellation: null, projected: 0, attempts: 0 };
}
