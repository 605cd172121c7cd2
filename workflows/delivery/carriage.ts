/** The fallback: a carrier is asked what it would take, and booked within the account's price cap; then it is on its way. */
import { patched } from '@temporalio/workflow';
import type { Booking } from '../../services/carrier/contract/index.ts';
import type { Instead } from './assignment.ts';
import { type Booked, CANCEL_BOOKING, CarrierJourney } from './carrier-journey.ts';
import { type Ending, failed } from './endings.ts';
import type { DeliveryRun } from './run.ts';
import { plainStep, type StepOutput } from './steps.ts';

type Quoted = Extract<StepOutput<'quoteCarrier'>, { outcome: 'quoted' }>;

/** @throws {Ended} cancelled, or failed when the carrier refuses, is too dear, or fails */
export async function goByCarrier(run: DeliveryRun, instead: Instead): Promise<Ending> {
  const booked = await book(run, instead);
  return new CarrierJourney(run, booked).follow();
}

/** So many quotes are asked for when each has expired before it could be booked. */
const QUOTES = 3;
/** Before, a delivery whose quote had expired failed. */
const ASKED_ANEW = 'ask-anew-for-an-expired-quote';

async function book(run: DeliveryRun, instead: Instead): Promise<Booked> {
  const { compensations } = run;
  closeChanges(run, 'carrier_being_asked');
  for (let quotes = 1; ; quotes += 1) {
    const quote = await quoteWithinCap(run, instead);
    const { bookKey, answer } = await bookQuote(run, quote);
    if (answer.outcome === 'booked') return confirm(run, instead, bookKey, answer.booking);
    if (answer.reason !== 'quote_expired' || quotes === QUOTES || !patched(ASKED_ANEW)) {
      throw failed(
        'carrier_unavailable',
        `${instead.detail} The carrier would not be booked: ${answer.detail}`,
      );
    }
    // A refusal stands under its key for good: there is nothing that could be cancelled.
    compensations.discharge(CANCEL_BOOKING);
  }
}

/** Its contract would know no other window and no other dropoff than it was asked for. */
function closeChanges({ happenings }: DeliveryRun, why: 'carrier_being_asked' | 'carrier_booked'): void {
  happenings.reschedules.close(why);
  happenings.dropoffs.close(why);
}

/** What is to be carried, as it was quoted and is booked. */
const jobOf = (run: DeliveryRun) => ({
  ...run.ids,
  pickup: run.input.pickup,
  dropoff: run.dropoff,
  weight_kg: run.payloadKg,
  clock: run.input.clock,
});

/** @throws {Ended} cancelled, or failed when the carrier refuses or is too dear */
async function quoteWithinCap(run: DeliveryRun, instead: Instead): Promise<Quoted> {
  const { record, input } = run;
  record.waiting('a carrier’s quote', null);
  const quote = await run.beforeDispatch(() =>
    plainStep(
      'quoteCarrier',
      {
        key: record.key('quote'),
        ...jobOf(run),
        deadline: input.deadline,
        pickup_window: run.pickupWindow,
      },
      'ask the carrier for a quote',
    ),
  );
  if (quote.outcome === 'refused') {
    throw failed('carrier_unavailable', `${instead.detail} The carrier refused: ${quote.detail}`);
  }
  const late = lateness(run, quote);
  if (late !== undefined && patched('a-late-quote-is-not-booked')) {
    throw failed('carrier_unavailable', `${instead.detail} The carrier would come too late: ${late}.`);
  }
  const cap = run.authorized?.preferences.carrier_price_cap ?? run.price;
  if (quote.price.currency !== cap.currency || quote.price.amount > cap.amount) {
    throw failed(
      'carrier_unavailable',
      `${instead.detail} The carrier asks ${quote.price.amount} ${quote.price.currency}, above the cap of ${cap.amount} ${cap.currency}.`,
    );
  }
  return quote;
}

/** Why what is quoted is of no use, in words; undefined when it keeps to the pickup window and the deadline. */
function lateness(
  { pickupWindow, input: { deadline } }: DeliveryRun,
  { pickup_eta, dropoff_eta }: Quoted,
): string | undefined {
  if (pickupWindow !== null && Date.parse(pickup_eta) > Date.parse(pickupWindow.end)) {
    return `at the pickup at ${pickup_eta}, whose window ends at ${pickupWindow.end}`;
  }
  if (deadline !== null && Date.parse(dropoff_eta) > Date.parse(deadline)) {
    return `at the dropoff at ${dropoff_eta}; the deadline is ${deadline}`;
  }
  return undefined;
}

/** @throws {Ended} cancelled */
async function bookQuote(run: DeliveryRun, { quote_id, carrier }: Quoted) {
  const bookKey = run.record.key('book');
  const bookCarrier = run.compensations.prepare('bookCarrier', {
    input: { key: bookKey, ...jobOf(run), quote_id },
    summary: `book ${carrier}`,
    undo: { kind: CANCEL_BOOKING, bookKey },
    leaves: `A booking with ${carrier} may still stand.`,
  });
  return { bookKey, answer: await run.beforeDispatch(bookCarrier) };
}

/** A carrier has taken it: the delivery is confirmed. */
async function confirm(
  run: DeliveryRun,
  instead: Instead,
  bookKey: string,
  booking: Booking,
): Promise<Booked> {
  const { record, happenings } = run;
  closeChanges(run, 'carrier_booked');
  record.state.bookingId = booking.id;
  record.state.droneId = null;
  happenings.followBooking(booking.id);
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
