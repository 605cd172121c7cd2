/**
 * Tells workflows of milestones: at once after the commit, from memory, and again from the outbox whatever could not be
 * told. In order for each reservation, and by one process at a time; a repetition is harmless, the workflow knows the numbers.
 */
import type { DeliveryId, ReservationId } from '../../../shared/ids.ts';
import type { Logger } from '../../../shared/logger.ts';
import { Pump } from '../../../shared/pump.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import { DRONE_MILESTONE_SIGNAL, type DroneMilestoneSignal } from '../../../workflows/messages.ts';
import type { Milestone } from '../contract/index.ts';
import type { Database } from '../data/database.ts';
import type { Committed } from '../data/flights.ts';
import { claimOwing, readMilestones, settleSignals } from '../data/signals.ts';
import { sendWithin } from './send.ts';

/** A process that dies while it signals is relieved after this, wall milliseconds. */
export const CLAIM_MS = 15_000;
const SWEEP_SIZE = 50;
const CONCURRENCY = 8;

export interface MilestoneSignalsOptions {
  database: Database;
  workflows: DeliveryWorkflows;
  logger: Logger;
  wall: () => number;
  /** This process. */
  claimant: string;
  lookEveryMs: number;
}

export class MilestoneSignals {
  readonly pump: Pump;
  readonly #options: MilestoneSignalsOptions;
  /** Reservations that this process is signalling for, and whether more has come meanwhile. */
  readonly #underWay = new Map<ReservationId, { more: boolean; done: Promise<void> }>();

  constructor(options: MilestoneSignalsOptions) {
    this.#options = options;
    this.pump = new Pump({
      name: 'milestone-signals',
      logger: options.logger,
      lookEveryMs: options.lookEveryMs,
      round: () => this.#sweep(),
    });
  }

  /** Just committed: told right away, unless another process is telling, or nobody can be told at the moment. */
  push(reservation: { id: ReservationId; deliveryId: DeliveryId }, committed: Committed): void {
    const [first] = committed.toSignal;
    if (first === undefined || !committed.claimed) return;
    const current = this.#underWay.get(reservation.id);
    if (current) {
      current.more = true;
      return;
    }
    if (this.pump.failures > 0) return;
    const { signalledSequence, toSignal } = committed;
    const isNext = first.sequence === signalledSequence + 1;
    this.#begin(reservation, signalledSequence, isNext ? toSignal : undefined).catch(() => this.pump.nudge());
  }

  /** Tells everything that is owed. */
  async runDue(): Promise<void> {
    await Promise.allSettled([...this.#underWay.values()].map((one) => one.done));
    await this.pump.runDue();
  }

  async stop(): Promise<void> {
    await this.pump.stop();
    await Promise.allSettled([...this.#underWay.values()].map((one) => one.done));
  }

  async #sweep(): Promise<boolean> {
    const { database, claimant, wall } = this.#options;
    const now = wall();
    const owing = await claimOwing(database, {
      claimant,
      wall: new Date(now),
      until: new Date(now + CLAIM_MS),
      except: [...this.#underWay.keys()],
      limit: SWEEP_SIZE,
    });
    const [probe, ...others] = owing.map(
      (one) => () =>
        this.#begin({ id: one.reservationId, deliveryId: one.deliveryId }, one.signalledSequence, undefined),
    );
    // One goes ahead: while nobody can be told, the others need not find that out too.
    await probe?.();
    while (others.length > 0) await Promise.all(others.splice(0, CONCURRENCY).map((begin) => begin()));
    return owing.length === SWEEP_SIZE;
  }

  #begin(
    reservation: { id: ReservationId; deliveryId: DeliveryId },
    signalledSequence: number,
    known: readonly Milestone[] | undefined,
  ): Promise<void> {
    const entry = { more: false, done: Promise.resolve() };
    this.#underWay.set(reservation.id, entry);
    entry.done = this.#tell(reservation, signalledSequence, known, entry).finally(() =>
      this.#underWay.delete(reservation.id),
    );
    return entry.done;
  }

  async #tell(
    { id, deliveryId }: { id: ReservationId; deliveryId: DeliveryId },
    signalledSequence: number,
    known: readonly Milestone[] | undefined,
    entry: { more: boolean },
  ): Promise<void> {
    const { database, claimant, logger } = this.#options;
    let done = signalledSequence;
    let batch = known;
    try {
      for (;;) {
        takeMore(entry);
        batch ??= await readMilestones(database, id, done);
        for (const milestone of batch) {
          await this.#send(deliveryId, milestone);
          done = milestone.sequence;
        }
        batch = undefined;
        const { owesMore } = await settleSignals(database, id, done, { claimant, giveUp: false });
        // No gap between this look and the end of the entry: what comes later begins anew.
        if (!owesMore && !takeMore(entry)) return;
      }
    } catch (error) {
      logger.debug({ err: error, reservation_id: id }, 'a milestone could not be signalled yet');
      // Best effort: without it the claim runs out by itself.
      await settleSignals(database, id, done, { claimant, giveUp: true }).catch(() => undefined);
      throw error;
    }
  }

  /** A workflow that has ended needs no signal any more: that is as good as told. */
  async #send(deliveryId: DeliveryId, milestone: Milestone): Promise<void> {
    const payload: DroneMilestoneSignal = {
      reservationId: milestone.reservation_id,
      reservationToken: milestone.reservation_token,
      sequence: milestone.sequence,
      kind: milestone.kind,
      droneId: milestone.drone_id,
      occurredAt: milestone.occurred_at,
      recordedAt: milestone.recorded_at,
      position: milestone.position,
      detail: milestone.detail,
    };
    await sendWithin(this.#options.workflows.signal(deliveryId, DRONE_MILESTONE_SIGNAL, payload));
  }
}

/** Whether more has come since the last time this was asked. */
function takeMore(entry: { more: boolean }): boolean {
  const { more } = entry;
  entry.more = false;
  return more;
}
