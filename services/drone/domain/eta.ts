/** Where a flight will be when, from where it is: recomputed whenever somebody asks. Pure. */
import { isoTime } from '../../../shared/clock.ts';
import { distanceM } from '../../../shared/geodesy.ts';
import type { Location } from '../../../shared/schemas.ts';
import { DROPOFF_ALTITUDE_M, HANDLING, legProfile } from '../contract/flight.ts';
import type { DroneModel } from '../contract/index.ts';
import type { Phase } from './reservation.ts';

export interface EtaQuestion {
  phase: Phase;
  /** It will not bring anything any more: recalled, or a replacement flies. */
  barred: boolean;
  pickup: Location;
  dropoff: Location;
  position: Location;
  altitudeM: number;
  /** When it was there, by the delivery's clock; null when it has not been heard. */
  recordedAtMs: number | null;
}

export interface LiveEta {
  pickupAt: string | null;
  dropoffAt: string | null;
}

/**
 * Arrivals at the stops that are still ahead; null for one that is behind, or is no longer flown to. A position that has
 * grown old is flown on from: the estimate stays, and is never before `nowMs`.
 */
export function liveEta(model: DroneModel, at: EtaQuestion, nowMs: number): LiveEta {
  if (at.barred) return NOWHERE;
  const heardMs = Math.min(at.recordedAtMs ?? nowMs, nowMs);
  const fromAltitudeM = Math.max(0, at.altitudeM);
  const delivery = legProfile(model, at.pickup, at.dropoff, { toAltitudeM: DROPOFF_ALTITUDE_M });
  const afterPickupS = HANDLING.loadingS + delivery.durationS;
  const time = (ms: number) => isoTime(Math.max(ms, nowMs));
  switch (at.phase) {
    case 'on_base':
    case 'to_pickup': {
      // Parked, it has yet to set out: its position is as good now as when it was told.
      const fromMs = at.phase === 'on_base' ? nowMs : heardMs;
      const { durationS } = legProfile(model, snapped(at.position, at.pickup), at.pickup, { fromAltitudeM });
      const pickupMs = Math.max(fromMs + durationS * 1000, nowMs);
      return { pickupAt: isoTime(pickupMs), dropoffAt: isoTime(pickupMs + afterPickupS * 1000) };
    }
    case 'at_pickup':
      return { pickupAt: null, dropoffAt: time(nowMs + afterPickupS * 1000) };
    case 'loaded':
      return { pickupAt: null, dropoffAt: time(nowMs + delivery.durationS * 1000) };
    case 'to_dropoff': {
      const { durationS } = legProfile(model, snapped(at.position, at.dropoff), at.dropoff, {
        fromAltitudeM,
        toAltitudeM: DROPOFF_ALTITUDE_M,
      });
      return { pickupAt: null, dropoffAt: time(heardMs + durationS * 1000) };
    }
    default:
      return NOWHERE;
  }
}

const NOWHERE: LiveEta = { pickupAt: null, dropoffAt: null };

/** A fix is off by some metres: above its stop the aircraft only goes down, and does not climb to cruise once more. */
const ABOVE_STOP_WITHIN_M = 30;

function snapped(position: Location, stop: Location): Location {
  return distanceM(position, stop) <= ABOVE_STOP_WITHIN_M ? stop : position;
}
