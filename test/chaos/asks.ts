/**
 * What senders and operators ask for after the accept, by the public API: each order as the judge keeps it, and how it is given.
 * Repeated with its key until it is answered.
 */
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { timeMsOf, type Clock } from '../../shared/clock.ts';
import { Problem } from '../../shared/errors.ts';
import { destination } from '../../shared/geodesy.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { PickupWindow } from '../../shared/schemas.ts';
import type { Order, Requested } from '../checker/index.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import type { Careful } from './careful.ts';
import type { PlannedRequest } from './plan.ts';
import { windowIn } from './requests.ts';

export const WHY = 'chaos';
/** A window moved to an earlier time begins so soon, one moved to a later time so much later than it did, seconds. */
const EARLIER_IN_S = 3 * 60;
const LATER_BY_S = 5 * 60;
/** Another dropoff lies this far from the first; one that is too far lies beyond all that the fleet flies. */
const ASIDE_M = 150;
const TOO_FAR_M = 40_000;

/** One delivery, as whoever asks for something knows it. */
export interface Followed {
  planned: PlannedRequest;
  id: DeliveryId;
  requested: Requested;
  /** Of the account that posted it. */
  sender: PublicApi;
  /** What is asked for is added here, with its answer. */
  orders: Order[];
}

/** What came of it. */
export interface Answer {
  answer: Order['answer'];
  reason?: string;
  /** Of an abort: the drone has turned round. */
  returning?: boolean;
}

/** An order that nobody has answered yet, and what gives it and waits for the answer. */
export interface Ask {
  order: Order;
  give: () => Promise<Answer>;
}

export interface AskOptions {
  operator: PublicApi;
  clock: Clock;
  careful: Careful;
}

/** What is asked for a delivery that is so far. */
export type Asking = (one: Followed, askedIn: DeliveryEvent['status'], options: AskOptions) => Ask;

export const cancel: Asking = ({ id, sender }, askedIn, { careful }) => ({
  order: { kind: 'cancel', answer: 'unknown', askedIn },
  give: () =>
    answerOf(
      careful,
      () => sender.cancelDelivery({ params: { delivery_id: id }, body: {} }),
      ({ cancellation }) => ({ answer: cancellation.outcome === 'cancelled' ? 'done' : 'pending' }),
    ),
});

/** By their number some are moved to an earlier time, some to a later. */
export const reschedule: Asking = (
  { id, sender, requested, planned: { number } },
  askedIn,
  { clock, careful },
) => {
  const toStartS = (timeMsOf(requested.pickupWindow?.start ?? '') - clock.nowMs()) / 1_000;
  const window = windowIn(number % 2 === 0 ? EARLIER_IN_S : Math.max(0, toStartS) + LATER_BY_S, clock);
  return {
    order: { kind: 'reschedule', window, answer: 'unknown', askedIn },
    give: () =>
      answerOf(
        careful,
        () =>
          sender.changeDelivery(
            { params: { delivery_id: id }, body: { pickup_window: window, why: WHY } },
            { idempotencyKey: `chaos-${number}-window` },
          ),
        // A 202, and a repetition while the list lags behind, show the old one.
        ({ pickup_window: shown }) => ({ answer: isWindow(shown, window) ? 'done' : 'pending' }),
      ),
  };
};

const changeDropoffBy =
  (distanceM: number): Asking =>
  ({ id, sender, requested, planned: { number } }, askedIn, { careful }) => {
    const dropoff = destination(requested.dropoff, (number * 67) % 360, distanceM);
    return {
      order: { kind: 'change_dropoff', dropoff, answer: 'unknown', askedIn },
      give: () =>
        answerOf(
          careful,
          () =>
            sender.changeDelivery(
              {
                params: { delivery_id: id },
                body: {
                  dropoff: { location: dropoff, contact: { email: 'recipient@example.com' } },
                  why: WHY,
                },
              },
              { idempotencyKey: `chaos-${number}-dropoff` },
            ),
          ({ dropoff: { location } }) => ({
            answer:
              location.latitude === dropoff.latitude && location.longitude === dropoff.longitude
                ? 'done'
                : 'pending',
          }),
        ),
    };
  };

export const changeDropoff = changeDropoffBy(ASIDE_M);
export const changeDropoffTooFar = changeDropoffBy(TOO_FAR_M);

export const reassign: Asking = ({ id, planned: { number } }, askedIn, { operator, careful }) => ({
  order: { kind: 'reassign', answer: 'unknown', askedIn },
  give: () =>
    answerOf(
      careful,
      () =>
        operator.reassignDrone(
          { params: { delivery_id: id }, body: { why: WHY } },
          { idempotencyKey: `chaos-${number}-reassign` },
        ),
      ({ outcome }) => ({ answer: outcome === 'reassigning' ? 'done' : 'pending' }),
    ),
});

export const abort: Asking = ({ id, planned: { number } }, askedIn, { operator, careful }) => ({
  order: { kind: 'abort', returning: false, answer: 'unknown', askedIn },
  give: () =>
    answerOf(
      careful,
      () =>
        operator.abortDelivery(
          { params: { delivery_id: id }, body: { why: WHY } },
          { idempotencyKey: `chaos-${number}-abort` },
        ),
      ({ outcome }) => ({
        answer: outcome === 'pending' ? 'pending' : 'done',
        returning: outcome === 'returning',
      }),
    ),
});

/**
 * Calls until there is an answer.
 * @throws {Problem} what nobody who asks for this may be answered
 */
export async function answerOf<T>(
  careful: Careful,
  call: () => Promise<T>,
  read: (answer: T) => Answer,
): Promise<Answer> {
  try {
    return read(await careful.untilAnswered(call));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // Too late, or it cannot be flown: the delivery goes on as it was.
    if (['conflict', 'unserviceable'].includes(error.slug)) {
      // What a request itself is wrong about is said by field.
      const reason = error.reason ?? error.errors?.[0]?.field;
      return { answer: 'refused', ...(reason !== undefined && { reason }) };
    }
    if (error.retryable) return { answer: 'unknown' };
    throw error;
  }
}

const isWindow = (shown: PickupWindow | null, asked: PickupWindow): boolean =>
  shown !== null &&
  timeMsOf(shown.start) === timeMsOf(asked.start) &&
  timeMsOf(shown.end) === timeMsOf(asked.end);
