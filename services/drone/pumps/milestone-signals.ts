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
import { claimOwing, type Owing, readMilestones, settleSignals } from '../data/signals.ts';
import { SEND_WITHIN_MS, within } from './within.ts';

/** A process that dies while it signals is relieved after this, wall milliseconds. */
export const CLAIM_MS = 15_000;
const SWEEP_SIZE = 50;
const CONCURRENCY = 8;
const STOP_WITHIN_MS = 2_000;

export interface MilestoneSignalsOptions {
  database: Database;
  workflows: Pick<DeliveryWorkflows, 'signal'>;
  logger: Logger;
  wall: () => number;
  /** This process. */
  claimant: string;
  lookEveryMs: number;
}

interface Telling {
  /** The last milestone that this process has had to itself to tell: what comes later may be another one's. */
  upTo: number;
  done: Promise<void>;
}

export class MilestoneSignals {
  readonly pump: Pump;
  readonly #options: MilestoneSignalsOptions;
  /** Reservations that this process is signalling for. */
  readonly #underWay = new Map<ReservationId, Telling>();

  constructor(options: MilestoneSignalsOptions) {
    this.#options = options;
    this.pump = new Pump({
      name: 'milestone-signals',
      logger: options.logger,
      lookEveryMs: options.lookEveryMs,
      round: () => this.#sweep(),
    });
  }

  /** While nobody can be told, what is committed is left to the outbox. */
  get isAtOnce(): boolean {
    return this.pump.failures === 0;
  }

  /** Just committed: told right away, unless another process is telling, or nobody can be told at the moment. */
  push(reservation: { id: ReservationId; deliveryId: DeliveryId }, committed: Committed): void {
    const [first] = committed.toSignal;
    const last = committed.toSignal.at(-1);
    if (first === undefined || last === undefined || !committed.claimed) return;
    const current = this.#underWay.get(reservation.id);
    if (current) {
      current.upTo = Math.max(current.upTo, last.sequence);
      return;
    }
    const { signalledSequence, toSignal } = committed;
    const isNext = first.sequence === signalledSequence + 1;
    this.#begin(reservation, signalledSequence, isNext ? toSignal : undefined).catch(() => this.pump.nudge());
  }

  /** Tells everything that is owed. */
  async runDue(): Promise<void> {
    await Promise.allSettled([...this.#underWay.values()].map((one) => one.done));
    await this.pump.runDue();
  }

  /** Lets what is under way end, for at most a few seconds: the outbox has the rest. */
  async stop(): Promise<void> {
    await this.pump.stop();
    const ended = Promise.allSettled([...this.#underWay.values()].map((one) => one.done));
    await within(ended, STOP_WITHIN_MS).catch(() => undefined);
  }

  async #sweep(): Promise<boolean> {
    const { database, claimant, wall } = this.#options;
    const now = wall();
    const owing = await claimOwing(database, {
      claimant,
      wall: new Date(now),
      until: new Date(now + CLAIM_MS),
      limit: SWEEP_SIZE,
    });
    const [probe, ...others] = owing;
    try {
      // One goes ahead: while nobody can be told, the others need not find that out too.
      if (probe) await this.#relieve(probe);
      while (others.length > 0) {
        const results = await Promise.allSettled(
          others.splice(0, CONCURRENCY).map((one) => this.#relieve(one)),
        );
        const failed = results.find((one) => one.status === 'rejected');
        if (failed) throw failed.reason;
      }
    } catch (error) {
      await Promise.all(others.map((one) => this.#giveUp(one.reservationId, one.signalledSequence)));
      throw error;
    }
    return owing.length === SWEEP_SIZE;
  }

  #relieve({ reservationId, deliveryId, signalledSequence, lastSequence }: Owing): Promise<void> {
    const current = this.#underWay.get(reservationId);
    if (!current) return this.#begin({ id: reservationId, deliveryId }, signalledSequence, undefined);
    // Its claim had run out, but it is still at it.
    current.upTo = Math.max(current.upTo, lastSequence);
    return current.done;
  }

  #begin(
    reservation: { id: ReservationId; deliveryId: DeliveryId },
    signalledSequence: number,
    known: readonly Milestone[] | undefined,
  ): Promise<void> {
    const entry: Telling = { upTo: signalledSequence, done: Promise.resolve() };
    this.#underWay.set(reservation.id, entry);
    entry.done = this.#tell(reservation, signalledSequence, known, entry);
    return entry.done;
  }

  async #tell(
    { id, deliveryId }: { id: ReservationId; deliveryId: DeliveryId },
    signalledSequence: number,
    known: readonly Milestone[] | undefined,
    entry: Telling,
  ): Promise<void> {
    const { database, claimant, logger } = this.#options;
    let done = signalledSequence;
    let batch = known;
    try {
      for (;;) {
        batch ??= await readMilestones(database, id, done);
        for (const milestone of batch) {
          await this.#send(deliveryId, milestone);
          done = milestone.sequence;
        }
        batch = undefined;
        const { owesMore } = await settleSignals(database, id, done, { claimant, giveUp: false });
        if (!owesMore && entry.upTo <= done) {
          // At once, without a turn of the loop in between: what comes later begins anew.
          this.#underWay.delete(id);
          return;
        }
      }
    } catch (error) {
      logger.debug({ err: error, reservation_id: id }, 'a milestone could not be signalled yet');
      // What is pushed meanwhile may have taken the claim anew.
      for (let upTo = -1; upTo < entry.upTo;) {
        upTo = entry.upTo;
        await this.#giveUp(id, done);
      }
      this.#underWay.delete(id);
      throw error;
    }
  }

  /** Leaves the rest to a later round. Best effort: without it the claim runs out by itself. */
  async #giveUp(id: ReservationId, signalledSequence: number): Promise<void> {
    const { database, claimant } = this.#options;
    await settleSignals(database, id, signalledSequence, { claimant, giveUp: true }).catch(() => undefined);
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
    await within(this.#options.workflows.signal(deliveryId, DRONE_MILESTONE_SIGNAL, payload), SEND_WITHIN_MS);
  }
}
