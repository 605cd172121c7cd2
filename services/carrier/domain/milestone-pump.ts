/**
 * Follows bookings: asks the carrier when something is due, numbers what has happened, and tells the delivery's workflow, in
 * order and at least once. Several processes may do so at once; it sleeps until the next due time and polls nothing.
 */
import { clockTimeMs, firstWallMs, isoTime, type WallClock } from '../../../shared/clock.ts';
import type { BookingId } from '../../../shared/ids.ts';
import type { Logger } from '../../../shared/logger.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import { CARRIER_MILESTONE_SIGNAL, type CarrierMilestoneSignal } from '../../../workflows/messages.ts';
import type { DueBooking, MilestoneStore } from '../data/milestones.ts';
import type { CarrierAdapter } from './adapter.ts';

export interface MilestonePumpOptions {
  milestones: MilestoneStore;
  carrier: CarrierAdapter;
  workflows: Pick<DeliveryWorkflows, 'signal'>;
  wallMs: WallClock;
  logger: Logger;
}

export interface MilestonePump {
  start(): void;
  /** Waits for the look under way, for a while: what it leaves undone, another process or the next start does. */
  stop(): Promise<void>;
  /** Something may be due sooner than thought. */
  wake(): void;
  /**
   * Does all that is due at the wall's time. For tests that move the wall themselves.
   * @returns wall time of what is due next, Unix milliseconds; null when no booking is under way.
   */
  runDue(): Promise<number | null>;
}

/** Wall milliseconds that a claimed booking is left to the process that claimed it. */
const LEASE_MS = 15_000;
const BATCH = 20;
/** A process looks at least this often, to take over what another one left when it died. */
const LONGEST_SLEEP_MS = 15_000;
const STOP_WITHIN_MS = 3_000;

/** Wall milliseconds until a look that failed is tried again: a quarter of a second, doubled each time, at most 10 s. */
const retryDelayMs = (failedLooks: number): number => Math.min(10_000, 250 * 2 ** Math.min(failedLooks, 10));

export function milestonePump(options: MilestonePumpOptions): MilestonePump {
  const { milestones, wallMs, logger } = options;
  let isStopped = false;
  let wakeUp: () => void = () => undefined;
  let isAwake = false;
  let looping: Promise<void> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  /** Claimed by this process, which could not say that it is done with them: the database was gone. */
  const unreleased = new Map<BookingId, number>();

  // One pass at a time, so that who calls it finds everything done that was due.
  const runDue = (): Promise<number | null> => {
    const pass = last.then(() => onePass());
    last = pass.catch(() => undefined);
    return pass;
  };

  async function onePass(): Promise<number | null> {
    for (const [id, failedLooks] of unreleased) {
      await milestones.lookAgain(id, { atWallMs: wallMs(), failedLooks });
      unreleased.delete(id);
    }
    for (;;) {
      const due = await milestones.claimDue(wallMs(), LEASE_MS, BATCH);
      await Promise.all(due.map((booking) => follow(booking)));
      if (due.length === 0 || isStopped) return milestones.nextLookMs();
    }
  }

  async function follow(booking: DueBooking): Promise<void> {
    try {
      const atWallMs = await look(options, booking);
      await milestones.lookAgain(booking.id, { atWallMs, failedLooks: 0 });
    } catch (error) {
      const failedLooks = booking.failedLooks + 1;
      const delayMs = retryDelayMs(booking.failedLooks);
      logger.warn({ err: error, booking: booking.id, failedLooks, delayMs }, 'could not follow a booking');
      await milestones
        .lookAgain(booking.id, { atWallMs: wallMs() + delayMs, failedLooks })
        .catch(() => unreleased.set(booking.id, failedLooks));
    }
  }

  async function loop(): Promise<void> {
    while (!isStopped) {
      isAwake = false;
      let sleepMs: number;
      try {
        const nextMs = await runDue();
        sleepMs = nextMs === null ? LONGEST_SLEEP_MS : Math.min(nextMs - wallMs(), LONGEST_SLEEP_MS);
      } catch (error) {
        logger.warn({ err: error }, 'could not follow bookings, trying again');
        sleepMs = 1_000;
      }
      await sleep(sleepMs);
    }
  }

  async function sleep(ms: number): Promise<void> {
    if (isStopped || isAwake) return;
    await new Promise<void>((resolve) => {
      // At least a moment, so that something that is always due cannot spin.
      const timer = setTimeout(resolve, Math.max(ms, 5));
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return {
    runDue,
    start() {
      looping ??= loop();
    },
    async stop() {
      isStopped = true;
      wakeUp();
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, STOP_WITHIN_MS)));
      await Promise.race([Promise.all([looping, last]), patience]);
      clearTimeout(timer);
    },
    wake() {
      isAwake = true;
      wakeUp();
    },
  };
}

/**
 * Asks the carrier, keeps what is new, and tells the workflow what it has not heard.
 * @returns wall time of the next look, Unix milliseconds; null when nothing follows.
 */
async function look(
  { milestones, carrier, workflows, wallMs }: MilestonePumpOptions,
  booking: DueBooking,
): Promise<number | null> {
  const nowMs = Math.round(clockTimeMs(booking.clock, wallMs()));
  const { steps, askAgainAtMs } = await carrier.status(booking.id, nowMs);
  await milestones.record(booking, steps, nowMs);
  for (const one of await milestones.unacknowledged(booking.id)) {
    const signal: CarrierMilestoneSignal = {
      bookingId: booking.id,
      sequence: one.sequence,
      state: one.state,
      occurredAt: isoTime(one.occurredAtMs),
      recordedAt: isoTime(one.recordedAtMs),
    };
    // A workflow that is gone needs to hear nothing any more, so that is an acknowledgement too.
    const acknowledgement = await workflows.signal(booking.deliveryId, CARRIER_MILESTONE_SIGNAL, signal);
    await milestones.acknowledge(booking.id, one.sequence, acknowledgement, wallMs());
  }
  return askAgainAtMs === null ? null : firstWallMs(booking.clock, askAgainAtMs);
}
