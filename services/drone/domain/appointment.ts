/** When a delivery has to be where, and whether a drone would make it: one that would not is no candidate. Pure. */
import { isoTime } from '../../../shared/clock.ts';
import type { MissionPlan } from '../contract/flight.ts';

/** Unix milliseconds by the delivery's clock; null: no matter when. */
export interface Appointment {
  nowMs: number;
  /** A drone that would be at the pickup earlier is sent so much later. */
  pickupFromMs: number | null;
  /** Nobody hands the package over later. */
  pickupByMs: number | null;
  /** At the dropoff no later. */
  deliverByMs: number | null;
}

/** A drone's arrivals, seconds from now: at the pickup, were it sent at once; at the dropoff, sent in time for the sender. */
export interface Arrivals {
  arrivalS: number;
  dropoffS: number;
}

/** When a drone with this plan is at the dropoff, seconds from now: sent at once, or in time for the sender. */
export function dropoffArrivalS({ timeline }: MissionPlan, appointment: Appointment | null): number {
  const fromS =
    appointment === null || appointment.pickupFromMs === null
      ? 0
      : (appointment.pickupFromMs - appointment.nowMs) / 1000;
  return timeline.atDropoffS + Math.max(0, fromS - timeline.atPickupS);
}

export function isLate(one: Arrivals, appointment: Appointment): boolean {
  return isLateForPickup(one, appointment) || isLateForDropoff(one, appointment);
}

/** Times are compared as they are written, to the millisecond. */
const timeMs = ({ nowMs }: Appointment, inS: number): number => Math.round(nowMs + inS * 1000);

function isLateForPickup({ arrivalS }: Arrivals, appointment: Appointment): boolean {
  const { pickupByMs } = appointment;
  return pickupByMs !== null && timeMs(appointment, arrivalS) > pickupByMs;
}

function isLateForDropoff({ dropoffS }: Arrivals, appointment: Appointment): boolean {
  const { deliverByMs } = appointment;
  return deliverByMs !== null && timeMs(appointment, dropoffS) > deliverByMs;
}

/**
 * Why none of those that are free and able will do, in words with the times; undefined when time is not the reason.
 * @param late those of them that would be late
 */
export function latenessDetail(late: readonly Arrivals[], appointment: Appointment): string | undefined {
  const { nowMs, pickupByMs, deliverByMs } = appointment;
  if (pickupByMs !== null && pickupByMs < nowMs) return `The pickup window ended at ${isoTime(pickupByMs)}.`;
  if (deliverByMs !== null && deliverByMs < nowMs) return `The deadline was ${isoTime(deliverByMs)}.`;
  if (late.length === 0) return undefined;
  const first = (arrivalsS: number[]) => isoTime(timeMs(appointment, Math.min(...arrivalsS)));
  const missPickup = late.filter((one) => isLateForPickup(one, appointment));
  const missDropoff = late.filter((one) => isLateForDropoff(one, appointment));
  const misses = [
    ...(missPickup.length > 0 && pickupByMs !== null
      ? [
          `at the pickup the first at ${first(missPickup.map((one) => one.arrivalS))}, where the window ends at ${isoTime(pickupByMs)}`,
        ]
      : []),
    ...(missDropoff.length > 0 && deliverByMs !== null
      ? [
          `at the dropoff the first at ${first(missDropoff.map((one) => one.dropoffS))}, where the deadline is ${isoTime(deliverByMs)}`,
        ]
      : []),
  ];
  return `Whichever is free for it (${late.length}) would be too late: ${misses.join('; ')}.`;
}
