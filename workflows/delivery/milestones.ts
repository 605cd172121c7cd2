/**
 * Milestones of the flight, or the carrier's booking, that is followed: those that were told, sorted and given in their order, and
 * those whose signals have not come, fetched.
 */
import type { BookingId, ReservationId } from '../../shared/ids.ts';
import type { CarrierMilestoneSignal, DroneMilestoneSignal } from '../messages.ts';
import { OrderedInbox } from './inbox.ts';
import { shortStep, StepFailed } from './steps.ts';

interface FollowedFlight {
  reservationId: ReservationId;
  reservationToken: number;
  inbox: OrderedInbox<DroneMilestoneSignal>;
}

interface FollowedBooking {
  bookingId: BookingId;
  inbox: OrderedInbox<CarrierMilestoneSignal>;
}

/** Signals that came for a flight or booking that is not known yet, or not any more. */
export interface CarriedMilestones {
  unsorted: DroneMilestoneSignal[];
  unsortedCarrier: CarrierMilestoneSignal[];
}

export type MilestoneHappening =
  { kind: 'drone'; milestone: DroneMilestoneSignal } | { kind: 'carrier'; milestone: CarrierMilestoneSignal };

export class Milestones {
  /** Signals may come before the answer that tells whose they are: they are kept, and sorted when it is known. */
  private unsorted: DroneMilestoneSignal[];
  private unsortedCarrier: CarrierMilestoneSignal[];
  private flight: FollowedFlight | undefined;
  private booking: FollowedBooking | undefined;

  constructor({ unsorted, unsortedCarrier }: CarriedMilestones = { unsorted: [], unsortedCarrier: [] }) {
    this.unsorted = unsorted;
    this.unsortedCarrier = unsortedCarrier;
  }

  carried(): CarriedMilestones {
    return { unsorted: this.unsorted, unsortedCarrier: this.unsortedCarrier };
  }

  get hasFlight(): boolean {
    return this.flight !== undefined;
  }

  get hasBooking(): boolean {
    return this.booking !== undefined;
  }

  droneMilestone(signal: DroneMilestoneSignal): void {
    this.unsorted.push(signal);
    this.sort();
  }

  carrierMilestone(signal: CarrierMilestoneSignal): void {
    this.unsortedCarrier.push(signal);
    this.sort();
  }

  /** From now on only this flight's milestones count. */
  follow(reservationId: ReservationId, reservationToken: number): void {
    this.flight = { reservationId, reservationToken, inbox: new OrderedInbox() };
    this.sort();
  }

  followBooking(bookingId: BookingId): void {
    this.booking = { bookingId, inbox: new OrderedInbox() };
    this.sort();
  }

  /** No flight is followed any more: what it still says is ignored. */
  unfollow(): void {
    this.flight = undefined;
  }

  /** The next one in order, or undefined while it has not come. */
  take(): MilestoneHappening | undefined {
    const milestone = this.flight?.inbox.take();
    if (milestone) return { kind: 'drone', milestone };
    const carried = this.booking?.inbox.take();
    return carried && { kind: 'carrier', milestone: carried };
  }

  get hasNext(): boolean {
    return this.flight?.inbox.hasNext === true || this.booking?.inbox.hasNext === true;
  }

  /** Later ones came but the next did not: it must be fetched. */
  get hasGap(): boolean {
    return this.flight?.inbox.hasGap === true || this.booking?.inbox.hasGap === true;
  }

  /** Asks the services for milestones whose signals have not come. True when there was one that is next. */
  async fetchMissed(): Promise<boolean> {
    try {
      return await this.fetchFromServices();
    } catch (error) {
      // Refused for good: nothing is learnt, and the wait's own deadline says what becomes of it.
      if (error instanceof StepFailed) return false;
      throw error;
    }
  }

  private async fetchFromServices(): Promise<boolean> {
    if (this.flight) {
      const { reservationId, reservationToken, inbox } = this.flight;
      const missed = await shortStep(
        'readDroneMilestones',
        { reservationId, afterSequence: inbox.lastSequence },
        'read milestones whose signals have not come',
      );
      for (const one of missed) {
        inbox.add({
          reservationId,
          reservationToken,
          sequence: one.sequence,
          kind: one.kind,
          droneId: one.drone_id,
          occurredAt: one.occurred_at,
          recordedAt: one.recorded_at,
          position: one.position,
          detail: one.detail,
        });
      }
      return inbox.hasNext;
    }
    if (this.booking) {
      const { bookingId, inbox } = this.booking;
      const missed = await shortStep(
        'readCarrierMilestones',
        { bookingId, afterSequence: inbox.lastSequence },
        'read carrier milestones whose signals have not come',
      );
      for (const one of missed) {
        const { sequence, state, occurred_at: occurredAt, recorded_at: recordedAt } = one;
        inbox.add({ bookingId, sequence, state, occurredAt, recordedAt });
      }
      return inbox.hasNext;
    }
    return false;
  }

  private sort(): void {
    const { flight, booking } = this;
    if (flight) {
      for (const signal of this.unsorted) {
        const ours =
          signal.reservationId === flight.reservationId &&
          signal.reservationToken === flight.reservationToken;
        if (ours) flight.inbox.add(signal);
      }
      this.unsorted = [];
    }
    if (booking) {
      for (const signal of this.unsortedCarrier) {
        if (signal.bookingId === booking.bookingId) booking.inbox.add(signal);
      }
      this.unsortedCarrier = [];
    }
  }
}
