/**
 * A carrier that exists only here, behind the same adapter as a real one. Its bookings progress by themselves on the
 * delivery's clock; its books are in the database, so that they survive the process.
 */
import { isoTime } from '../../../shared/clock.ts';
import type { PrismaClient } from '../../../prisma/carrier/generated/client.ts';
import {
  type CarrierAdapter,
  type CarrierJob,
  type CancelledJob,
  type CarrierRefusal,
  type CarrierStatus,
  type CarrierStep,
  CarrierUnreachable,
  type Promised,
} from '../domain/adapter.ts';
import {
  COURIER,
  failingItinerary,
  failingLateItinerary,
  itineraryOf,
  lockedFrom,
  offerFor,
  promiseOf,
} from './rules.ts';

export interface SimulatedBehaviour {
  available: boolean;
  fail_next_bookings: number;
  fail_next_after_pickup: number;
  lose_next_answers: number;
  price_percent: number;
}

export interface SimulatedCarrier extends CarrierAdapter {
  /** Tells it how to behave from now on; what is left out stays as it is. */
  behave(change: Partial<SimulatedBehaviour>): Promise<SimulatedBehaviour>;
}

const UNAVAILABLE: CarrierRefusal = {
  refused: 'unavailable',
  detail: 'The courier takes no jobs at the moment.',
};

export function simulatedCarrier(prisma: PrismaClient): SimulatedCarrier {
  /** What of a job has come to pass by now, written down so that nobody can undo it. */
  const advance = async (reference: string, nowMs: number) => {
    const [row] = await prisma.$queryRaw<{ itinerary: Step[]; reached: number; cancelled: boolean }[]>`
      UPDATE simulated_job
         SET reached = CASE WHEN cancelled_at IS NOT NULL THEN reached ELSE greatest(reached, (
               SELECT count(*)::int FROM jsonb_array_elements(itinerary) AS step
                WHERE (step ->> 'at')::double precision <= ${nowMs}::double precision)) END
       WHERE reference = ${reference}
      RETURNING itinerary, reached, cancelled_at IS NOT NULL AS cancelled`;
    return row && { ...row, itinerary: row.itinerary.map(({ state, at }) => ({ state, atMs: at })) };
  };

  /** What was answered to the booking under this reference; undefined when there is none. */
  const known = async (reference: string, job: CarrierJob): Promise<Promised | CancelledJob | undefined> => {
    const row = await prisma.simulatedJob.findUnique({ where: { reference } });
    if (!row) return undefined;
    if (row.cancelledAt) return { refused: 'cancelled', detail: 'The courier’s job was cancelled.' };
    return promiseOf(itineraryOf(job, row.createdAt.getTime()));
  };

  return {
    name: COURIER.name,

    async quote(job, nowMs) {
      const { available, pricePercent } = await prisma.simulation.findUniqueOrThrow({ where: { id: 1 } });
      return available ? offerFor(job, nowMs, pricePercent) : UNAVAILABLE;
    },

    async book(reference, job, nowMs) {
      const before = await known(reference, job);
      if (before) return before;
      // Later than the quote, so the deadline may be out of reach by now.
      const offer = offerFor(job, nowMs);
      if ('refused' in offer) return offer;
      const normal = itineraryOf(job, nowMs);
      const failing = failingItinerary(normal);
      const failingLate = failingLateItinerary(normal);
      // The row of the simulation is locked, so that of several bookings at once exactly as many fail as were told to.
      const [row] = await prisma.$queryRaw<{ available: boolean; taken: boolean; loses: boolean }[]>`
        WITH told AS (
          SELECT available, fail_next_bookings > 0 AS fails,
                 fail_next_bookings = 0 AND fail_next_after_pickup > 0 AS fails_late, lose_next_answers > 0 AS loses
            FROM simulation WHERE id = 1 FOR UPDATE
        ), taken AS (
          INSERT INTO simulated_job (reference, itinerary, locked_from, created_at)
          SELECT ${reference},
                 CASE WHEN fails THEN ${toJson(failing)}::jsonb WHEN fails_late THEN ${toJson(failingLate)}::jsonb
                   ELSE ${toJson(normal)}::jsonb END,
                 CASE WHEN fails THEN ${lockedFrom(failing)}::int ELSE ${lockedFrom(normal)}::int END,
                 ${isoTime(nowMs)}::timestamptz
            FROM told WHERE available
          ON CONFLICT (reference) DO NOTHING
          RETURNING reference
        ), counted AS (
          UPDATE simulation
             SET fail_next_bookings = fail_next_bookings - told.fails::int,
                 fail_next_after_pickup = fail_next_after_pickup - told.fails_late::int,
                 lose_next_answers = lose_next_answers - told.loses::int
            FROM told, taken WHERE id = 1
        )
        SELECT told.available, EXISTS (SELECT FROM taken) AS taken, told.loses FROM told`;
      if (row?.taken) {
        if (row.loses) throw new CarrierUnreachable('The courier’s answer was lost');
        // One that is to fail does not know it yet.
        return promiseOf(normal);
      }
      return (await known(reference, job)) ?? UNAVAILABLE;
    },

    async cancel(reference, nowMs) {
      await advance(reference, nowMs);
      const cancelled = await prisma.$executeRaw`
        INSERT INTO simulated_job AS it (reference, itinerary, locked_from, cancelled_at, created_at)
        VALUES (${reference}, '[]', 1, ${isoTime(nowMs)}::timestamptz, ${isoTime(nowMs)}::timestamptz)
        ON CONFLICT (reference) DO UPDATE SET cancelled_at = coalesce(it.cancelled_at, excluded.cancelled_at)
         WHERE it.reached < it.locked_from`;
      if (cancelled > 0) return 'cancelled';
      const status = statusOf(await advance(reference, nowMs));
      return status.askAgainAtMs === null ? 'already_ended' : 'already_picked_up';
    },

    async status(reference, nowMs) {
      return statusOf(await advance(reference, nowMs));
    },

    async behave(change) {
      const row = await prisma.simulation.update({
        where: { id: 1 },
        data: {
          ...(change.available !== undefined && { available: change.available }),
          ...(change.fail_next_bookings !== undefined && { failNextBookings: change.fail_next_bookings }),
          ...(change.fail_next_after_pickup !== undefined && {
            failNextAfterPickup: change.fail_next_after_pickup,
          }),
          ...(change.lose_next_answers !== undefined && { loseNextAnswers: change.lose_next_answers }),
          ...(change.price_percent !== undefined && { pricePercent: change.price_percent }),
        },
      });
      return {
        available: row.available,
        fail_next_bookings: row.failNextBookings,
        fail_next_after_pickup: row.failNextAfterPickup,
        lose_next_answers: row.loseNextAnswers,
        price_percent: row.pricePercent,
      };
    },
  };
}

/** A step of an itinerary as it is stored. */
interface Step {
  state: CarrierStep['state'];
  at: number;
}

const toJson = (itinerary: readonly CarrierStep[]): string =>
  JSON.stringify(itinerary.map(({ state, atMs }): Step => ({ state, at: atMs })));

function statusOf(
  job: { itinerary: CarrierStep[]; reached: number; cancelled: boolean } | undefined,
): CarrierStatus {
  if (!job) return { steps: [], askAgainAtMs: null };
  return {
    steps: job.itinerary.slice(0, job.reached),
    askAgainAtMs: job.cancelled ? null : (job.itinerary[job.reached]?.atMs ?? null),
  };
}
