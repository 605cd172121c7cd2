/** What the steps quote, book, cancel and write off answer. A carrier's refusal is an outcome, not an error. */
import {
  type ClockSettings,
  clockTimeMs,
  isoTime,
  wallTimeMs,
  type WallClock,
} from '../../../shared/clock.ts';
import { conflict, notFound, Problem } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import { newId } from '../../../shared/ids.ts';
import type { carrierContract } from '../contract/index.ts';
import type { BookingRecord, BookingStore } from '../data/bookings.ts';
import { carriedOf, type JobTimes, type Quote, type QuoteStore } from '../data/quotes.ts';
import type { CarrierAdapter, CarrierJob } from './adapter.ts';

type Contract = typeof carrierContract;
type JobBody = Omit<BodyOf<Contract, 'quote'>, 'deadline' | 'pickup_window'>;

export interface BookingsOptions {
  quotes: QuoteStore;
  bookings: BookingStore;
  carrier: CarrierAdapter;
  wallMs: WallClock;
  /** The stack's clock, for what belongs to no delivery that is known here. */
  clock: ClockSettings;
  /** A booking has just been confirmed: somebody has to follow it. */
  onBooked: () => void;
}

export function carrierBookings({ quotes, bookings, carrier, wallMs, clock, onBooked }: BookingsOptions) {
  return {
    async quote(stepKey: string, body: BodyOf<Contract, 'quote'>): Promise<Output<Contract['quote']>> {
      const nowMs = nowOn(body.clock, wallMs());
      const job = jobOf(body, timesOf(body));
      let quote = await quotes.findByKey(stepKey);
      if (!quote) {
        const answer = await carrier.quote(job, nowMs);
        const id = newId('quote');
        await quotes.keep({
          id,
          stepKey,
          accountId: body.account_id,
          job,
          carrier: carrier.name,
          answer,
          nowMs,
        });
        quote = await quotes.findByKey(stepKey);
        if (!quote) throw new Error(`The quote ${stepKey} was neither written nor found`);
      }
      assertSameDelivery(quote, body.delivery_id);
      const { answer } = quote;
      if ('refused' in answer) return { outcome: 'refused', reason: answer.refused, detail: answer.detail };
      return {
        outcome: 'quoted',
        quote_id: quote.id,
        carrier: quote.carrier,
        price: answer.price,
        pickup_eta: isoTime(answer.pickupEtaMs),
        dropoff_eta: isoTime(answer.dropoffEtaMs),
        expires_at: isoTime(answer.expiresAtMs),
      };
    },

    /**
     * The carrier is asked between two writes: `requested` before, the result after. A step that is repeated because the first
     * try died in between asks again under the same reference, which the carrier knows.
     */
    async book(stepKey: string, body: BodyOf<Contract, 'book'>): Promise<Output<Contract['book']>> {
      const nowMs = nowOn(body.clock, wallMs());
      const quote = await quotes.find(body.quote_id);
      if (quote?.deliveryId !== body.delivery_id) throw notFound('quote of this delivery', body.quote_id);
      if (!isOffer(quote)) throw conflict('quote_refused', 'The carrier refused this quote.');
      const job = jobOf(body, quote.times);
      assertAsQuoted(quote, job);

      let record = await bookings.findByKey(stepKey);
      if (!record) {
        const refusal =
          nowMs > quote.answer.expiresAtMs
            ? {
                reason: 'quote_expired' as const,
                detail: `The quote expired at ${isoTime(quote.answer.expiresAtMs)}.`,
              }
            : null;
        const step = {
          id: newId('booking'),
          stepKey,
          accountId: body.account_id,
          deliveryId: body.delivery_id,
          livemode: body.livemode,
          quote,
          clock: body.clock,
          nowMs,
        };
        await bookings.begin(step, refusal);
        record = await found(stepKey);
      }
      if (record.deliveryId !== body.delivery_id || (record.quoteId ?? quote.id) !== quote.id) {
        throw new Problem('idempotency-key-reused', { detail: 'This book step ran before for another job.' });
      }
      if (record.state === 'requested') record = await request(record, stepKey, job, nowMs);
      return answerOf(record);
    },

    /** Settled by the carrier, where pickup and cancellation compete; written down here afterwards. */
    async cancel(
      cancelKey: string,
      body: BodyOf<Contract, 'cancelBooking'>,
    ): Promise<Output<Contract['cancelBooking']>> {
      const { book_key: bookKey, delivery_id: deliveryId, account_id: accountId } = body;
      let record = await bookings.findByKey(bookKey);
      if (!record) {
        const id = newId('booking');
        const nowMs = nowOn(clock, wallMs());
        if (await bookings.forbid({ id, bookKey, accountId, deliveryId, cancelKey, nowMs })) {
          return { outcome: 'never_booked' };
        }
        record = await found(bookKey);
      }
      assertSameDelivery(record, deliveryId);
      const settled = settledAnswer(record, cancelKey);
      if (settled) return { outcome: settled };

      const nowMs = nowOn(record.clock ?? clock, wallMs());
      const answer = await carrier.cancel(record.id, nowMs);
      if (answer !== 'cancelled') return { outcome: answer };
      if (await bookings.cancel(record.id, cancelKey, nowMs)) return { outcome: 'cancelled' };
      record = await found(bookKey);
      const outcome = settledAnswer(record, cancelKey);
      if (!outcome) throw new Error(`The booking ${record.id} is ${record.state} after it was cancelled`);
      return { outcome };
    },

    /** A person has given the package up for lost while the carrier has it: the booking is closed, whatever becomes of it. */
    async writeOff(
      writeOffKey: string,
      body: BodyOf<Contract, 'writeOffBooking'>,
    ): Promise<Output<Contract['writeOffBooking']>> {
      const { book_key: bookKey, delivery_id: deliveryId, account_id: accountId } = body;
      const nowMs = nowOn(clock, wallMs());
      const step = { id: newId('booking'), bookKey, accountId, deliveryId, cancelKey: writeOffKey, nowMs };
      const forbidden = (await bookings.findByKey(bookKey)) === undefined && (await bookings.forbid(step));
      if (forbidden) return { outcome: 'never_booked' };
      const record = await found(bookKey);
      assertSameDelivery(record, deliveryId);
      if (record.state === 'requested') {
        throw conflict('not_booked', 'The carrier has not taken the job yet: it can be cancelled.');
      }
      const endedMs = nowOn(record.clock ?? clock, wallMs());
      if (await bookings.writeOff(record.id, writeOffKey, endedMs)) return { outcome: 'written_off' };
      const { state, cancelKey } = await found(bookKey);
      if (state === 'lost') {
        return { outcome: cancelKey === writeOffKey ? 'written_off' : 'already_written_off' };
      }
      const wasTaken = state !== 'never_booked' && state !== 'refused';
      return { outcome: wasTaken ? 'already_ended' : 'never_booked' };
    },
  };

  async function request(
    record: BookingRecord,
    stepKey: string,
    job: CarrierJob,
    nowMs: number,
  ): Promise<BookingRecord> {
    const answer = await carrier.book(record.id, job, nowMs);
    if ('refused' in answer) {
      // Cancelled by a step that has not written it down yet, and may have died in between.
      const reason = answer.refused === 'cancelled' ? 'cancelled' : 'unavailable';
      await bookings.refuse(record.id, { reason, detail: answer.detail }, nowMs);
      return found(stepKey);
    }
    // How soon something happens is for the carrier to say, so the first look is at once.
    await bookings.confirm(record.id, answer, wallMs());
    onBooked();
    const now = await found(stepKey);
    // Cancelled while the carrier was being asked: it may have heard of the cancellation first.
    if (now.state === 'cancelled') await carrier.cancel(record.id, nowMs);
    return now;
  }

  async function found(stepKey: string): Promise<BookingRecord> {
    const record = await bookings.findByKey(stepKey);
    if (!record) throw new Error(`The booking ${stepKey} was neither written nor found`);
    return record;
  }
}

type Offered = Quote & { answer: Exclude<Quote['answer'], { refused: string }> };
const isOffer = (quote: Quote): quote is Offered => !('refused' in quote.answer);

function answerOf({ state, booking, refusal, id }: BookingRecord): Output<Contract['book']> {
  if (state === 'cancelled' || state === 'never_booked') {
    return {
      outcome: 'refused',
      reason: 'cancelled',
      detail: 'The delivery was abandoned before this was done.',
    };
  }
  if (refusal) return { outcome: 'refused', ...refusal };
  if (!booking) throw new Error(`The booking ${id} is ${state} after the carrier has answered`);
  return { outcome: 'booked', booking };
}

/** What a cancel step answers without asking the carrier; undefined when it has to. */
function settledAnswer(
  { state, cancelKey: cancelledBy }: BookingRecord,
  cancelKey: string,
): Output<Contract['cancelBooking']>['outcome'] | undefined {
  // A repetition answers what the first call did.
  const isRepetition = cancelledBy === cancelKey;
  switch (state) {
    case 'never_booked':
      return isRepetition ? 'never_booked' : 'already_cancelled';
    case 'cancelled':
      return isRepetition ? 'cancelled' : 'already_cancelled';
    case 'refused':
      return 'never_booked';
    case 'delivered':
    case 'failed':
    case 'lost':
      return 'already_ended';
    default:
      return undefined;
  }
}

function jobOf(body: JobBody, times: JobTimes): CarrierJob {
  return {
    deliveryId: body.delivery_id,
    livemode: body.livemode,
    pickup: body.pickup,
    dropoff: body.dropoff,
    weightKg: body.weight_kg,
    ...times,
  };
}

const LATEST_MS = Date.parse('9999-12-31T00:00:00Z');

/** What the delivery's clock shows, in whole milliseconds. */
function nowOn(clock: ClockSettings, wallMs: number): number {
  const nowMs = Math.round(clockTimeMs(clock, wallMs));
  const backMs = wallTimeMs(clock, nowMs);
  if (nowMs > 0 && nowMs < LATEST_MS && Number.isFinite(backMs)) return nowMs;
  throw malformed('clock', 'must show a time between 1970 and 9999');
}

function timesOf({ deadline, pickup_window }: BodyOf<Contract, 'quote'>): JobTimes {
  return {
    deadlineMs: timeOf('deadline', deadline),
    pickupFromMs: timeOf('pickup_window.start', pickup_window?.start ?? null),
    pickupByMs: timeOf('pickup_window.end', pickup_window?.end ?? null),
  };
}

function timeOf(field: string, time: string | null): number | null {
  if (time === null) return null;
  const timeMs = Date.parse(time);
  if (timeMs > 0 && timeMs < LATEST_MS) return timeMs;
  throw malformed(field, 'must be a time between 1970 and 9999');
}

function malformed(field: string, message: string): Problem {
  return new Problem('invalid-request', { detail: `${field} ${message}`, errors: [{ field, message }] });
}

function assertAsQuoted(quote: Quote, job: CarrierJob): void {
  const carried = Object.entries(carriedOf(job)) as [keyof Quote['carried'], number][];
  if (carried.some(([what, value]) => quote.carried[what] !== value)) {
    throw conflict('other_job', 'The places or the weight are not those that were quoted.');
  }
}

function assertSameDelivery(record: { deliveryId: string }, deliveryId: string): void {
  if (record.deliveryId !== deliveryId) {
    throw new Problem('idempotency-key-reused', { detail: 'This step belongs to another delivery.' });
  }
}
