/**
 * Wakes deliveries that wait for a drone. It looks at who waits and what is free, never at what has just changed, so that no
 * wake-up can be lost: whoever commits last, a drone set free or a place taken on the list, looks after that.
 */
import type { Logger } from '../../../shared/logger.ts';
import { Pump } from '../../../shared/pump.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import { DRONE_AVAILABLE_SIGNAL } from '../../../workflows/messages.ts';
import type { CatalogCache } from '../data/catalog.ts';
import { type Database, Prisma } from '../data/database.ts';
import { readFleet } from '../data/fleet.ts';
import {
  claimOwedSignals,
  leaveWaitingList,
  lookAtLine,
  makeOffers,
  readWaiters,
  settleSignal,
} from '../data/waiting-list.ts';
import { OFFER_MS, offersFor } from '../domain/waiting-list.ts';
import { SEND_WITHIN_MS, within } from './within.ts';

/** Considered in one round; who is later in turn comes with the next. */
const ROUND_SIZE = 50;
/** A signal that could not be sent is tried again after this, by whichever process comes first, wall milliseconds. */
const RETRY_MS = 2_000;

export interface WaitingListOptions {
  database: Database;
  catalog: CatalogCache;
  workflows: Pick<DeliveryWorkflows, 'signal'>;
  logger: Logger;
  wall: () => number;
  lookEveryMs: number;
}

export class WaitingList {
  readonly pump: Pump;
  readonly #options: WaitingListOptions;
  #isAnybodyWaiting = false;

  constructor(options: WaitingListOptions) {
    this.#options = options;
    this.pump = new Pump({
      name: 'waiting-list',
      logger: options.logger,
      lookEveryMs: options.lookEveryMs,
      round: () => this.#round(),
    });
  }

  /** A drone may have become free, or a delivery has begun to wait. */
  nudge(): void {
    this.pump.nudge();
  }

  runDue(): Promise<void> {
    return this.pump.runDue();
  }

  /** When it looked last. */
  get isAnybodyWaiting(): boolean {
    return this.#isAnybodyWaiting;
  }

  async #round(): Promise<boolean> {
    const { database, wall } = this.#options;
    const now = new Date(wall());
    // Mostly nobody waits: then one look is all.
    const line = await lookAtLine(database, now);
    this.#isAnybodyWaiting = line.isAnybody;
    if (line.hasUnoffered) await this.#offer(now);
    return line.hasUnoffered || line.isOwedSignal ? this.#signal() : false;
  }

  async #offer(now: Date): Promise<void> {
    const { database, catalog } = this.#options;
    const waiters = await readWaiters(database, now, ROUND_SIZE);
    if (waiters.length === 0) return;
    const free = await readFleet(
      database,
      catalog,
      now,
      Prisma.sql`d.state IN ('idle', 'charging') AND d.reservation_id IS NULL`,
    );
    const offers = offersFor(waiters, free);
    if (offers.length > 0) await makeOffers(database, offers, now, new Date(now.getTime() + OFFER_MS));
  }

  /** True when it may go on: there was more than one round takes, or somebody is gone and leaves a drone to the next. */
  async #signal(): Promise<boolean> {
    const { database, workflows, wall } = this.#options;
    const now = wall();
    const owed = await claimOwedSignals(database, new Date(now), new Date(now + RETRY_MS), ROUND_SIZE);
    const results = await Promise.all(
      owed.map(async ({ deliveryId, stepKey }) => {
        const result = await within(workflows.signal(deliveryId, DRONE_AVAILABLE_SIGNAL, {}), SEND_WITHIN_MS);
        if (result === 'gone') await leaveWaitingList(database, deliveryId);
        else await settleSignal(database, deliveryId, stepKey);
        return result;
      }),
    );
    return owed.length === ROUND_SIZE || results.includes('gone');
  }
}
