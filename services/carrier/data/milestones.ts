/** Milestones in the database, and the order in which bookings are looked at. Wall times are those of the service's wall. */
import { type ClockSettings, isoTime } from '../../../shared/clock.ts';
import type { BookingId, DeliveryId } from '../../../shared/ids.ts';
import type { PrismaClient } from '../../../prisma/carrier/generated/client.ts';
import type { BookingState } from '../contract/index.ts';
import { type CarrierStep, isEnded } from '../domain/adapter.ts';

/** A booking that it is time to look at. */
export interface DueBooking {
  id: BookingId;
  deliveryId: DeliveryId;
  clock: ClockSettings;
  /** The last milestone recorded. */
  sequence: number;
  failedLooks: number;
}

export interface Milestone {
  sequence: number;
  state: BookingState;
  occurredAtMs: number;
  recordedAtMs: number;
}

export function milestoneStore(prisma: PrismaClient) {
  return {
    /** Takes bookings that are due, for the time of the lease: nobody else gets them, unless this process dies of it. */
    async claimDue(wallMs: number, leaseMs: number, limit: number): Promise<DueBooking[]> {
      return prisma.$queryRaw<DueBooking[]>`
        UPDATE booking SET next_look_at = ${isoTime(wallMs + leaseMs)}::timestamptz
         WHERE id IN (SELECT id FROM booking
                       WHERE next_look_at <= ${isoTime(wallMs)}::timestamptz
                       ORDER BY next_look_at LIMIT ${limit}
                         FOR UPDATE SKIP LOCKED)
        RETURNING id, delivery_id AS "deliveryId", clock, sequence, failed_looks AS "failedLooks"`;
    },

    /** Wall time of the next look, Unix milliseconds; null when no booking is under way. */
    async nextLookMs(): Promise<number | null> {
      const [row] = await prisma.$queryRaw<{ next: Date | null }[]>`
        SELECT min(next_look_at) AS next FROM booking WHERE next_look_at IS NOT NULL`;
      return row?.next?.getTime() ?? null;
    },

    /** Numbers and keeps what is new of a booking's steps. Nothing, when another process was quicker. */
    async record(booking: DueBooking, steps: readonly CarrierStep[], recordedAtMs: number): Promise<void> {
      const fresh = steps.slice(booking.sequence);
      const last = fresh.at(-1);
      if (!last) return;
      const numbered = fresh.map((step, index) => ({
        sequence: booking.sequence + index + 1,
        state: step.state,
        occurred_at: isoTime(step.atMs),
      }));
      await prisma.$executeRaw`
        WITH moved AS (
          UPDATE booking
             SET state = ${last.state}, sequence = ${steps.length}::int,
                 ended_at = ${isEnded(last.state) ? isoTime(last.atMs) : null}::timestamptz
           WHERE id = ${booking.id} AND sequence = ${booking.sequence}::int AND state NOT IN ('cancelled', 'lost')
          RETURNING id, account_id, livemode
        )
        INSERT INTO milestone (booking_id, sequence, account_id, livemode, state, occurred_at, recorded_at)
        SELECT moved.id, step.sequence, moved.account_id, moved.livemode, step.state, step.occurred_at,
               ${isoTime(recordedAtMs)}::timestamptz
          FROM moved, jsonb_to_recordset(${JSON.stringify(numbered)}::jsonb)
                        AS step(sequence int, state text, occurred_at timestamptz)`;
    },

    /** What the workflow has not acknowledged, in order. */
    async unacknowledged(bookingId: BookingId): Promise<Milestone[]> {
      const rows = await prisma.milestone.findMany({
        where: { bookingId, acknowledgedAt: null },
        orderBy: { sequence: 'asc' },
      });
      return rows.map(milestoneOf);
    },

    async acknowledge(
      bookingId: BookingId,
      sequence: number,
      acknowledgement: 'signalled' | 'gone',
      wallMs: number,
    ): Promise<void> {
      await prisma.milestone.updateMany({
        where: { bookingId, sequence, acknowledgedAt: null },
        data: { acknowledgedAt: isoTime(wallMs), acknowledgement },
      });
    },

    /** The look is done. A booking that was cancelled or written off meanwhile is not looked at again. */
    async lookAgain(
      bookingId: BookingId,
      next: { atWallMs: number | null; failedLooks: number },
    ): Promise<void> {
      await prisma.booking.updateMany({
        where: { id: bookingId, state: { notIn: ['cancelled', 'lost'] } },
        data: {
          nextLookAt: next.atWallMs === null ? null : isoTime(next.atWallMs),
          failedLooks: next.failedLooks,
        },
      });
    },

    async after(bookingId: BookingId, sequence: number): Promise<Milestone[]> {
      const rows = await prisma.milestone.findMany({
        where: { bookingId, sequence: { gt: sequence } },
        orderBy: { sequence: 'asc' },
      });
      return rows.map(milestoneOf);
    },
  };
}

export type MilestoneStore = ReturnType<typeof milestoneStore>;

function milestoneOf(row: {
  sequence: number;
  state: string;
  occurredAt: Date;
  recordedAt: Date;
}): Milestone {
  return {
    sequence: row.sequence,
    state: row.state as BookingState,
    occurredAtMs: row.occurredAt.getTime(),
    recordedAtMs: row.recordedAt.getTime(),
  };
}
