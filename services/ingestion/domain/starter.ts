/**
 * Starts workflows: at once when Temporal keeps up, from the backlog when it did not. Each row is claimed, started, marked.
 *
 * Once claimed a row stays `starting` until its workflow is known to run, because a start without an answer may have
 * happened. Starting again is harmless (`already_started` is success) as long as Temporal remembers the workflow's id:
 * that is for the namespace's retention after the workflow ended. Later, the delivery's read model is asked first.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { WallClock } from '../../../shared/clock.ts';
import { conflict, messageOf, notFound } from '../../../shared/errors.ts';
import type { Client } from '../../../shared/http/client.ts';
import type { Logger } from '../../../shared/logger.ts';
import { backoffWithJitterMs, Pump } from '../../../shared/pump.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { deliveryContract } from '../../delivery/contract/index.ts';
import {
  claimToStart,
  findRequest,
  markStarted,
  markToStartAgain,
  putOffStart,
  type RequestState,
  type StartClaim,
} from '../data/requests.ts';
import { workflowInput } from './accepted.ts';
import { readDelivery } from './read-model.ts';

export interface StarterOptions {
  database: PrismaClient;
  workflows: DeliveryWorkflows;
  delivery: Client<typeof deliveryContract>;
  logger: Logger;
  wall: WallClock;
  /** Starts under way at once. Small, so that a backlog does not starve the accepts. */
  concurrency: number;
  /** With more workflow tasks waiting for a worker than this, starts slow down. */
  maxTasksWaiting: number;
  /** How long a claim keeps others off; longer than a start may take. */
  leaseMs: number;
  /** A start without an answer counts as failed after this; it may have happened all the same. */
  timeoutMs: number;
  /** The namespace's retention: how long Temporal surely knows a workflow that has ended. */
  retentionMs: number;
  /** Sees to it that the delivery service knows them: their workflows will write there. */
  project: (claims: readonly StartClaim[]) => Promise<void>;
  /** Settles when the accepts leave room for other work. */
  letAcceptsPass: () => Promise<void>;
  /** Told of each row and how its start went. */
  onOutcome: (outcome: StartOutcome) => void;
}

export type StartOutcome = 'started' | 'already_started' | 'reconciled' | 'failed';

const LOOK_EVERY_MS = 1_000;
/** How often the workers are looked at while they are behind, and how long a round waits for them at most. */
const LOOK_AT_WORKERS_EVERY_MS = 50;
const WAIT_FOR_WORKERS_MS = 1_000;
/** A row that cannot be started, while others can. */
const ROW_BACKOFF_MS = { first: 1_000, longest: 60_000 };

export class Starter {
  readonly pump: Pump;
  readonly #options: StarterOptions;
  /** Rows that this process put off. */
  readonly #putOff = new Set<DeliveryId>();

  constructor(options: StarterOptions) {
    this.#options = options;
    this.pump = new Pump({
      name: 'workflow starter',
      logger: options.logger,
      lookEveryMs: LOOK_EVERY_MS,
      round: () => this.#round(),
    });
  }

  /**
   * Starts a delivery again whose workflow Temporal has lost. Harmless when it has not: a workflow that it knows is not started twice.
   * @throws {Problem} 404 for an unknown delivery; 409 when it has begun, or was cancelled before
   */
  async startAgain(deliveryId: DeliveryId): Promise<RequestState> {
    const { database, delivery, wall } = this.#options;
    const request = await findRequest(database, deliveryId);
    if (!request) throw notFound('delivery', deliveryId);
    if (request.state === 'cancelled') {
      throw conflict('already_cancelled', 'The delivery was cancelled before its start.');
    }
    const events = (await readDelivery(delivery, deliveryId))?.sequence ?? 0;
    if (events > 1) throw conflict('has_begun', `The delivery has ${events} events: it has begun.`);
    if (await markToStartAgain(database, deliveryId, new Date(wall()))) this.pump.nudge();
    return request.state === 'started' ? 'starting' : request.state;
  }

  /**
   * One handful of rows; while Temporal is down one row, to see whether it is back.
   * @throws when none of them could be started
   */
  async #round(): Promise<boolean> {
    const { database, wall, leaseMs, concurrency, project, letAcceptsPass } = this.#options;
    await letAcceptsPass();
    await this.#letWorkersCatchUp();
    const limit = this.pump.failures > 0 ? 1 : concurrency;
    const nowMs = wall();
    const claims = await claimToStart(database, {
      limit,
      now: new Date(nowMs),
      leaseUntil: new Date(nowMs + leaseMs),
    });
    if (claims.length === 0) return false;
    const projecting = project(claims.filter((claim) => claim.projected < 1));
    const results = await Promise.all(claims.map((claim) => this.#startOne(claim)));
    const started = claims.filter((_, index) => results[index] === undefined);
    const failed = claims.filter((_, index) => results[index] !== undefined);
    await markStarted(
      database,
      started.map((claim) => claim.deliveryId),
    );
    await this.#putOffAll(failed);
    await projecting;
    if (started.length === 0) throw results[0] ?? new Error('No workflow could be started');
    if (this.pump.failures > 0) await this.#bringForward();
    return claims.length === limit;
  }

  /**
   * What workers cannot take yet is better off in the table: there the expedited go first, a cancel is free, and nothing
   * competes with the accepts for the processor. A round waits only so long, because the server's figure is an estimate
   * and no delivery may hang on it.
   */
  async #letWorkersCatchUp(): Promise<void> {
    const { workflows, maxTasksWaiting } = this.#options;
    // While Temporal is down there is nobody to wait for: the start itself will tell.
    const areBehind = async () => (await workflows.tasksWaiting().catch(() => 0)) > maxTasksWaiting;
    const giveUpAt = performance.now() + WAIT_FOR_WORKERS_MS;
    while ((await areBehind()) && performance.now() < giveUpAt) await delay(LOOK_AT_WORKERS_EVERY_MS);
  }

  /** Answers what went wrong, if anything did. */
  async #startOne(claim: StartClaim): Promise<Error | undefined> {
    const { logger, onOutcome } = this.#options;
    try {
      onOutcome((await this.#hasRun(claim)) ? 'reconciled' : await this.#start(claim));
      return undefined;
    } catch (error) {
      onOutcome('failed');
      logger.debug({ delivery_id: claim.deliveryId, err: messageOf(error) }, 'workflow not started');
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #start({ document }: StartClaim): Promise<'started' | 'already_started'> {
    const { workflows, timeoutMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([workflows.start(workflowInput(document)), timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Whether the workflow has run although nobody marked it. Only asked when Temporal may have forgotten it: then it has
   * ended, and a workflow does not end without an event. A delivery that has none but the accept can be started (one
   * that still runs answers `already_started`).
   * @throws {Problem} when the delivery service does not know the delivery yet, or cannot be asked
   */
  async #hasRun({ deliveryId, startingSince, attempts }: StartClaim): Promise<boolean> {
    const { delivery, wall, retentionMs } = this.#options;
    if (attempts === 1 || wall() - startingSince.getTime() < retentionMs) return false;
    const { sequence } = await delivery.getDelivery({ params: { delivery_id: deliveryId } });
    return sequence > 1;
  }

  async #putOffAll(claims: readonly StartClaim[]): Promise<void> {
    const { database, wall } = this.#options;
    const nowMs = wall();
    for (const { deliveryId } of claims) this.#putOff.add(deliveryId);
    await putOffStart(
      database,
      claims.map(({ deliveryId, attempts }) => ({
        deliveryId,
        dueAt: new Date(nowMs + backoffWithJitterMs(attempts, ROW_BACKOFF_MS.first, ROW_BACKOFF_MS.longest)),
      })),
    );
  }

  /** Temporal is back: what was put off because it was down need not wait any longer. */
  async #bringForward(): Promise<void> {
    const dueAt = new Date(this.#options.wall());
    const rows = [...this.#putOff].map((deliveryId) => ({ deliveryId, dueAt }));
    this.#putOff.clear();
    await putOffStart(this.#options.database, rows);
  }
}
