/**
 * All that a delivery knows, as data, for the run that goes on where this one ends. It is only ever carried from a wait in which
 * nothing is in flight: no step under way, no drone or carrier sent, no update unanswered.
 */
import type { DroneId } from '../../shared/ids.ts';
import type { Money, PickupWindow, Stop } from '../../shared/schemas.ts';
import type { Awaiting, Authorized, PackageOnGround, Raise } from './run.ts';
import type { Compensation } from './compensation.ts';
import type { HandledAnswers } from './handled.ts';
import type { CarriedHappenings } from './happenings.ts';
import type { CarriedRecord } from './record.ts';

export interface CarriedDelivery {
  record: CarriedRecord;
  happenings: CarriedHappenings;
  compensations: Compensation[];
  handled: HandledAnswers;
  authorized: Authorized;
  /** Absent in what was carried before a dropoff could be changed. */
  raises?: Raise[];
  dropoff?: Stop;
  price?: Money;
  pickupWindow: PickupWindow | null;
  awaiting: Awaiting | null;
  failedDrones: DroneId[];
  reassignments: number;
  /** Absent in what was carried while each drone that was not sent counted as failed. */
  unsentInARow?: number;
  /** Absent in what was carried before another drone could take a package over. */
  returnPrice?: Money | null;
  packageOnGround?: PackageOnGround | null;
}
