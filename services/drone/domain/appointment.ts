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

/** @param arrivalS at the pickup, seconds from now, were it sent at once */
export function isLateForPickup(arrivalS: number, { nowMs, pickupByMs }: Appointment): boolean {
  return pickupByMs !== null && timeMs(nowMs, arrivalS) > pickupByMs;
}

/** When a drone with this plan is at the dropoff, seconds from now: sent at once, or in time for the sender. */
export function dropoffArrivalS({ timeline }: MissionPlan, appointment: Appointment | null): number {
  const fromS =
    appointment === null || appointment.pickupFromMs === null
      ? 0
      : (appointment.pickupFromMs - appointment.nowMs) / 1000;
  return timeline.atDropoffS + Math.max(0, fromS - timeline.atPickupS);
}

export function isLateForDropoff(arrivalS: number, { nowMs, deliverByMs }: Appointment): boolean {
  return deliverByMs !== null && timeMs(nowMs, arrivalS) > deliverByMs;
}

/** To the millisecond, as times are written. */
const timeMs = (nowMs: number, inS: number): number => Math.round(nowMs + inS * 1000);

/** A drone that is free and able and would be late: for the dropoff where its arrival there was reckoned, else for the pickup. */
export interface Late {
  /** Seconds from now. */
  arrivalS: number | null;
  dropoffS: number | null;
}

/** Why none of those that are free will do, in words with the times; undefined when time is not the reason. */
export function latenessDetail(
  late: readonly Late[],
  { nowMs, pickupByMs, deliverByMs }: Appointment,
): string | undefined {
  if (pickupByMs !== null && pickupByMs < nowMs) return `The pickup window ended at ${isoTime(pickupByMs)}.`;
  if (deliverByMs !== null && deliverByMs < nowMs) return `The deadline was ${isoTime(deliverByMs)}.`;
  if (late.length === 0) return undefined;
  const firstAt = (arrivals: readonly number[]) => isoTime(timeMs(nowMs, Math.min(...arrivals)));
  const toDropoff = late.flatMap((one) => one.dropoffS ?? []);
  const toPickup = late.flatMap((one) => (one.dropoffS === null ? (one.arrivalS ?? []) : []));
  const first = [
    ...(toPickup.length > 0 && pickupByMs !== null
      ? [`the first at the pickup at ${firstAt(toPickup)}, where the window ends at ${isoTime(pickupByMs)}`]
      : []),
    ...(toDropoff.length > 0 && deliverByMs !== null
      ? [`the first at the dropoff at ${firstAt(toDropoff)}; the deadline is ${isoTime(deliverByMs)}`]
      : []),
  ];
  return `Whichever is free for it (${late.length}) would be too late: ${first.join('; ')}.`;
}
