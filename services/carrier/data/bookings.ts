/**
 * Bookings in the database. A booking changes its state only by comparing and setting, so that a booking, its cancellation and
 * its milestones may arrive twice, late, or at once.
 */
import { type ClockSettings, isoTime } from '../../../shared/clock.ts';
import type { AccountId, BookingId, DeliveryId } from '../../../shared/ids.ts';
import type { PageRequest } from '../../../shared/page.ts';
import type { Money } from '../../../shared/schemas.ts';
import type { Booking as BookingRow, PrismaClient } from '../../../prisma/carrier/generated/client.ts';
import { BOOKING_STATES, type Booking, type BookingState } from '../contract/index.ts';
import { isEnded, type Promised } from '../domain/adapter.ts';
import type { Quote } from './quotes.ts';

type RefusalReason = 'quote_expired' | 'unavailable' | 'cancelled';

/** What stands under a book step's key. `requested`: the carrier was or is being asked. */
export interface BookingRecord {
  id: BookingId;
  deliveryId: string;
  quoteId: string | null;
  state: BookingState | 'requested' | 'refused' | 'never_booked';
  refusal: { reason: RefusalReason; detail: string } | null;
  cancelKey: string | null;
  clock: ClockSettings | null;
  /** For callers; null while it is none. */
  booking: Booking | null;
}

export interface BookStep {
  id: BookingId;
  stepKey: string;
  accountId: AccountId;
  deliveryId: DeliveryId;
  livemode: boolean;
  quote: Quote & { answer: { price: Money } & Promised };
  clock: ClockSettings;
  nowMs: number;
}

const OPEN_STATES = BOOKING_STATES.filter((state) => !isEnded(state));
const ENDED_STATES = BOOKING_STATES.filter(isEnded);

export function bookingStore(prisma: PrismaClient) {
  return {
    async findByKey(stepKey: string): Promise<BookingRecord | undefined> {
      const row = await prisma.booking.findUnique({ where: { stepKey } });
      return row ? recordOf(row) : undefined;
    },

    /** What the book step starts with: asking the carrier, or a refusal. Keeps what stands under the key already. */
    async begin(step: BookStep, refusal: BookingRecord['refusal']): Promise<void> {
      const { quote } = step;
      await prisma.booking.createMany({
        data: {
          id: step.id,
          stepKey: step.stepKey,
          quoteId: quote.id,
          accountId: step.accountId,
          deliveryId: step.deliveryId,
          livemode: step.livemode,
          state: refusal ? 'refused' : 'requested',
          refusalReason: refusal?.reason ?? null,
          refusalDetail: refusal?.detail ?? null,
          carrier: quote.carrier,
          amount: BigInt(quote.answer.price.amount),
          currency: quote.answer.price.currency,
          pickupEta: new Date(quote.answer.pickupEtaMs),
          dropoffEta: new Date(quote.answer.dropoffEtaMs),
          clock: { ...step.clock },
          createdAt: isoTime(step.nowMs),
          endedAt: refusal ? isoTime(step.nowMs) : null,
        },
        skipDuplicates: true,
      });
    },

    /** The carrier took it. Changes nothing unless it is still `requested`. */
    async confirm(id: BookingId, promised: Promised, lookAtWallMs: number): Promise<void> {
      await prisma.booking.updateMany({
        where: { id, state: 'requested' },
        data: {
          state: 'booked',
          pickupEta: new Date(promised.pickupEtaMs),
          dropoffEta: new Date(promised.dropoffEtaMs),
          nextLookAt: new Date(lookAtWallMs),
        },
      });
    },

    /** The carrier did not take it. Changes nothing unless it is still `requested`. */
    async refuse(
      id: BookingId,
      refusal: NonNullable<BookingRecord['refusal']>,
      nowMs: number,
    ): Promise<void> {
      await prisma.booking.updateMany({
        where: { id, state: 'requested' },
        data: {
          state: 'refused',
          refusalReason: refusal.reason,
          refusalDetail: refusal.detail,
          endedAt: new Date(nowMs),
        },
      });
    },

    /** Makes sure that a book step that never ran will do nothing. False when something stands under its key. */
    async forbid(step: {
      id: BookingId;
      bookKey: string;
      accountId: AccountId;
      deliveryId: DeliveryId;
      cancelKey: string;
      nowMs: number;
    }): Promise<boolean> {
      const { count } = await prisma.booking.createMany({
        data: {
          id: step.id,
          stepKey: step.bookKey,
          accountId: step.accountId,
          deliveryId: step.deliveryId,
          state: 'never_booked',
          cancelKey: step.cancelKey,
          createdAt: isoTime(step.nowMs),
          endedAt: isoTime(step.nowMs),
        },
        skipDuplicates: true,
      });
      return count > 0;
    },

    /** After the carrier has agreed. True when this call did it. */
    async cancel(id: BookingId, cancelKey: string, nowMs: number): Promise<boolean> {
      const { count } = await prisma.booking.updateMany({
        where: { id, state: { in: ['requested', 'booked', 'enroute_to_pickup', 'arrived_at_pickup'] } },
        data: { state: 'cancelled', cancelKey, endedAt: isoTime(nowMs), nextLookAt: null },
      });
      return count > 0;
    },

    /** Given up for lost. True when this call did it; not while the carrier is still being asked to take it. */
    async writeOff(id: BookingId, writeOffKey: string, nowMs: number): Promise<boolean> {
      const { count } = await prisma.booking.updateMany({
        where: { id, state: { in: OPEN_STATES } },
        data: { state: 'lost', cancelKey: writeOffKey, endedAt: isoTime(nowMs), nextLookAt: null },
      });
      return count > 0;
    },

    async find(id: BookingId): Promise<Booking | undefined> {
      const row = await prisma.booking.findUnique({ where: { id } });
      return (row && recordOf(row).booking) ?? undefined;
    },

    async page(
      { limit, before }: PageRequest<'booking'>,
      filter: { deliveryId?: DeliveryId; open?: boolean },
    ): Promise<Booking[]> {
      const states =
        filter.open === undefined ? [...BOOKING_STATES] : filter.open ? OPEN_STATES : ENDED_STATES;
      const rows = await prisma.booking.findMany({
        where: {
          state: { in: states },
          ...(before !== undefined && { id: { lt: before } }),
          ...(filter.deliveryId !== undefined && { deliveryId: filter.deliveryId }),
        },
        orderBy: { id: 'desc' },
        take: limit + 1,
      });
      return rows.flatMap((row) => recordOf(row).booking ?? []);
    },
  };
}

export type BookingStore = ReturnType<typeof bookingStore>;

function recordOf(row: BookingRow): BookingRecord {
  return {
    id: row.id as BookingId,
    deliveryId: row.deliveryId,
    quoteId: row.quoteId,
    state: row.state as BookingRecord['state'],
    refusal:
      row.refusalReason === null
        ? null
        : {
            reason: row.refusalReason as RefusalReason,
            detail: row.refusalDetail ?? '',
          },
    cancelKey: row.cancelKey,
    clock: row.clock as ClockSettings | null,
    booking: bookingOf(row),
  };
}

function bookingOf(row: BookingRow): Booking | null {
  const { livemode, carrier, amount, currency, pickupEta, dropoffEta } = row;
  const state = BOOKING_STATES.find((known) => known === row.state);
  if (state === undefined || livemode === null || carrier === null) return null;
  if (amount === null || currency === null || !pickupEta || !dropoffEta) return null;
  return {
    id: row.id as BookingId,
    step_key: row.stepKey,
    delivery_id: row.deliveryId as DeliveryId,
    account_id: row.accountId as AccountId,
    livemode,
    state,
    carrier,
    price: { amount: Number(amount), currency },
    pickup_eta: isoTime(pickupEta.getTime()),
    dropoff_eta: isoTime(dropoffEta.getTime()),
    created_at: isoTime(row.createdAt.getTime()),
    ended_at: row.endedAt ? isoTime(row.endedAt.getTime()) : null,
  };
}
