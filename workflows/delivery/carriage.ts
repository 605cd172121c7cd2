/** The fallback: a carrier is asked what it would take, and booked within the account's price cap; then it is on its way. */
import type { Instead } from './assignment.ts';
import { type Booked, CANCEL_BOOKING, CarrierJourney } from './carrier-journey.ts';
import { type Ending, failed } from './endings.ts';
import type { DeliveryRun } from './run.ts';
import { plainStep } from './steps.ts';

/** @throws {Ended} cancelled, or failed when the carrier refuses, is too dear, or fails */
export async function goByCarrier(run: DeliveryRun, instead: Instead): Promise<Ending> {
  const booked = await book(run, instead);
  return new CarrierJourney(run, booked).follow();
}

async function book(run: DeliveryRun, instead: Instead): Promise<Booked> {
  const { record, compensations, happenings, input } = run;
  happenings.reschedules.close('carrier_booked');
  happenings.dropoffs.close('carrier_booked');
  const job = {
    ...run.ids,
    pickup: input.pickup,
    dropoff: run.dropoff,
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
  const cap = run.authorized?.preferences.carrier_price_cap ?? run.price;
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
