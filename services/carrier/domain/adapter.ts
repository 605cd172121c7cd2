/** What the service needs of a transport company. One adapter per company; the simulated one stands in `../simulated`. */
import type { BookingId, DeliveryId } from '../../../shared/ids.ts';
import type { Money, Stop } from '../../../shared/schemas.ts';
import type { BookingState } from '../contract/index.ts';

/** What is to be carried, from where to where. */
export interface CarrierJob {
  deliveryId: DeliveryId;
  livemode: boolean;
  pickup: Stop;
  dropoff: Stop;
  weightKg: number;
  /** At the dropoff no later than, Unix milliseconds on the delivery's clock; null: no matter when. */
  deadlineMs: number | null;
  /** The sender hands it over from then on, and no later than; null: at once, and no matter when. */
  pickupFromMs: number | null;
  pickupByMs: number | null;
}

/** When the carrier means to arrive, Unix milliseconds on the delivery's clock. */
export interface Promised {
  pickupEtaMs: number;
  dropoffEtaMs: number;
}

export interface CarrierOffer extends Promised {
  price: Money;
  expiresAtMs: number;
}

export interface CarrierRefusal {
  refused: 'too_heavy' | 'too_far' | 'too_late' | 'unavailable';
  /** In words, with the figures that decided. */
  detail: string;
}

/** What a booking under the reference of a job that was cancelled is answered, also where the cancellation came first. */
export interface CancelledJob {
  refused: 'cancelled';
  detail: string;
}

/** A step that a job has come to. */
export interface CarrierStep {
  state: Exclude<BookingState, 'booked' | 'cancelled' | 'lost'>;
  /** Unix milliseconds on the delivery's clock. */
  atMs: number;
}

export interface CarrierStatus {
  /** All so far, in their order. A company that gives a job up says so with `failed`. */
  steps: CarrierStep[];
  /** When to ask again, Unix milliseconds on the delivery's clock; null: nothing follows. */
  askAgainAtMs: number | null;
}

/**
 * A transport company. Every call may be repeated, and says in `nowMs` what the delivery's clock shows: a company that exists
 * goes by the wall's, a simulated one by this.
 *
 * @throws {CarrierUnreachable} from any call: it may or may not have had its effect
 */
export interface CarrierAdapter {
  /** As people know the company. */
  readonly name: string;
  quote(job: CarrierJob, nowMs: number): Promise<CarrierOffer | CarrierRefusal>;
  /** Books a job under our reference. */
  book(
    reference: BookingId,
    job: CarrierJob,
    nowMs: number,
  ): Promise<Promised | CarrierRefusal | CancelledJob>;
  /** Cancels a job that is not picked up yet; also one that the company has never heard of, which it then will not take. */
  cancel(reference: BookingId, nowMs: number): Promise<'cancelled' | 'already_picked_up' | 'already_ended'>;
  status(reference: BookingId, nowMs: number): Promise<CarrierStatus>;
}

/** The company does not answer, or its answer was lost. */
export class CarrierUnreachable extends Error {
  override readonly name = 'CarrierUnreachable';
}

/** Nothing follows. */
export function isEnded(state: BookingState): boolean {
  return state === 'delivered' || state === 'failed' || state === 'cancelled' || state === 'lost';
}
