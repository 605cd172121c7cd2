/** The fallback: a carrier drives it. A carrier's delivery walks the same states, told by its milestones. */
import type { BookingState } from '../../services/carrier/contract/index.ts';
import type { DeliveryStatus } from '../../services/delivery/contract/status.ts';
import { isoTime } from '../../shared/clock.ts';
import type { BookingId } from '../../shared/ids.ts';
import type { Instead } from './assignment.ts';
import { type Ending, failed } from './endings.ts';
import { refusal } from './happenings.ts';
import { cancelQuestion } from './native-cancel.ts';
import { refused } from './orders.ts';
import { lookAgainInMs } from './overdue.ts';
import { type DeliveryRun, nameOf } from './run.ts';
import { plainStep } from './steps.ts';

const CANCEL_BOOKING = 'cancel_booking';

/** Statuses that a booking's states stand for. */
const STATUS_OF: Partial<Record<BookingState, DeliveryStatus>> = {
  enroute_to_pickup: 'enroute_to_pickup',
  arrived_at_pickup: 'arrived_at_pickup',
  picked_up: 'picked_up',
  enroute_to_dropoff: 'enroute_to_dropoff',
  arrived_at_dropoff: 'arrived_at_dropoff',
  delivered: 'delivered',
};

interface Booked {
  bookingId: BookingId;
  bookKey: string;
  dropoffEtaMs: number;
}

/** @throws {Ended} cancelled, or failed when the carrier refuses, is too dear, or fails */
export async function goByCarrier(run: DeliveryRun, instead: Instead): Promise<Ending> {
  const booked = await book(run, instead);
  return followBooking(run, booked);
}

async function book(run: DeliveryRun, instead: Instead): Promise<Booked> {
  const { record, compensations, happenings, input } = run;
  happenings.reschedules.close('carrier_booked');
  const job = {
    ...run.ids,
    pickup: input.pickup,
    dropoff: input.dropoff,
    weight_kg: run.payloadKg,
    clock: input.clock,
  };
  record.waiting('a carrier’s quote', null);
  const quote = await run.beforeDispatch(() =>
    plainStep(
      'quoteCarrier',
      { key: record.key('quote'), ...job, deadline: input.deadline },
      'ask the carrier for a quote',
    ),
  );
  if (quote.outcome === 'refused') {
    throw failed('carrier_unavailable', `${instead.detail} The carrier refused: ${quote.detail}`);
  }
  const cap = run.authorized?.preferences.carrier_price_cap ?? input.price;
  if (quote.price.currency !== cap.currency || quote.price.amount > cap.amount) {
    throw failed(
      'carrier_unavailable',
      `${instead.detail} The carrier asks ${quote.price.amount} ${quote.price.currency}, above the cap of ${cap.amount} ${cap.currency}.`,
    );
  }
  const bookKey = record.key('book');
  const bookCarrier = compensations.prepare('bookCarrier', {
    input: { key: bookKey, ...job, quote_id: quote.quote_id },
    summary: `book ${quote.carrier}`,
    undo: { kind: CANCEL_BOOKING, bookKey },
    leaves: `A booking with ${quote.carrier} may still stand.`,
  });
  const answer = await run.beforeDispatch(bookCarrier);
  if (answer.outcome === 'refused') {
    throw failed(
      'carrier_unavailable',
      `${instead.detail} The carrier would not be booked: ${answer.detail}`,
    );
  }
  const { booking } = answer;
  record.state.bookingId = booking.id;
  record.state.droneId = null;
  run.happenings.followBooking(booking.id);
  await record.change('confirmed', {
    data: {
      fulfilment: 'carrier',
      carrier: booking.carrier,
      carrier_price: booking.price,
      why: instead.reason,
    },
    patch: {
      fulfilment: 'carrier',
      booking_id: booking.id,
      drone_id: null,
      eta: { status: 'confirmed', pickup_at: booking.pickup_eta, dropoff_at: booking.dropoff_eta },
    },
  });
  record.showPhase({
    fulfilment: 'carrier',
    baseId: null,
    pickupEta: new Date(booking.pickup_eta),
    dropoffEta: new Date(booking.dropoff_eta),
  });
  return { bookingId: booking.id, bookKey, dropoffEtaMs: Date.parse(booking.dropoff_eta) };
}

async function followBooking(run: DeliveryRun, booked: Booked): Promise<Ending> {
  const { record, happenings, policy, compensations } = run;
  let overdueAtMs = booked.dropoffEtaMs + policy.carrierSlackS * 1000;
  let overdue = 0;
  /** What a person was asked about a carrier that is late for the second time. */
  const question = record.interventionId('overdue_carrier');
  for (;;) {
    const happening = await happenings.next('the carrier', overdueAtMs);
    switch (happening.kind) {
      case 'carrier': {
        const { state, occurredAt } = happening.milestone;
        await record.resolveIntervention(question, 'goes_on', 'system', `the carrier goes on: ${state}`);
        if (state === 'failed') {
          throw failed('carrier_failed', 'The carrier could not carry it out.');
        }
        const status = STATUS_OF[state];
        if (status === undefined) break;
        await record.change(status, { occurredAtMs: Date.parse(occurredAt), data: { carrier_state: state } });
        if (status === 'picked_up') happenings.answerLate();
        if (status === 'delivered') {
          compensations.discharge(CANCEL_BOOKING);
          return { status: 'delivered', charged: 'delivered' };
        }
        break;
      }
      case 'cancel': {
        const { account_id, delivery_id } = run.ids;
        const { outcome } = await plainStep(
          'cancelBooking',
          { key: record.key('cancel_booking'), book_key: booked.bookKey, account_id, delivery_id },
          'cancel the carrier’s booking',
        );
        if (outcome === 'already_picked_up' || outcome === 'already_ended') {
          // Its milestone that says so is on the way.
          happenings.answerCancel(refusal('already_picked_up'));
          break;
        }
        compensations.discharge(CANCEL_BOOKING);
        throw run.cancelled('cancelled_after_dispatch');
      }
      case 'deadline': {
        overdue += 1;
        const expectedBy = isoTime(overdueAtMs);
        overdueAtMs = record.nowMs() + lookAgainInMs(policy.carrierSlackS, overdue);
        if (overdue === 1) {
          await record.note('overdue', { patch: { delayed: true }, data: { expected_by: expectedBy } });
        } else if (record.intervention(question) === undefined) {
          await record.openIntervention(overdueQuestion(question, expectedBy), { delayed: true });
        }
        break;
      }
      case 'abort':
        // It is past the pickup: all that the carrier's contract knows is a cancel before it.
        happenings.orders.answerAbort(
          refused('carrier_has_package', 'The carrier has the package and takes no order to bring it back.'),
        );
        break;
      case 'native_cancel':
        await cancelQuestion(record, 'carrier');
        break;
      case 'answered': {
        const { interventionId, answer, actor, why } = happening.command;
        const by = nameOf(actor);
        await record.resolveIntervention(interventionId, answer, by, why);
        if (interventionId !== question || answer === 'wait') break;
        if (answer === 'lost') throw failed('carrier_failed', `Given up by ${by}: ${why}`);
        compensations.discharge(CANCEL_BOOKING);
        await record.walkTo('delivered', { data: { by, why } });
        return { status: 'delivered', charged: 'delivered' };
      }
      case 'confirm':
      case 'reassign':
      case 'drone':
      case 'drone_available':
      case 'reschedule':
        break;
    }
  }
}

const overdueQuestion = (id: string, expectedBy: string) => ({
  id,
  kind: 'overdue',
  reason: `The carrier is overdue since ${expectedBy}.`,
  answers: [
    {
      answer: 'lost',
      effect: 'fails the delivery; nothing is charged, and the booking is cancelled if it still can be',
    },
    { answer: 'delivered', effect: 'ends it as delivered by hand; the price is charged' },
    { answer: 'wait', effect: 'goes on waiting for the carrier' },
  ],
});
