/** The missions that a drone is given: the delivery's flights, and what changes them on the way. Pure. */
import { isoTime } from '../../../shared/clock.ts';
import type { ReservationEta } from '../contract/index.ts';
import {
  DROPOFF_ALTITUDE_M,
  legProfile,
  type MissionPlan,
  missionLeg,
  planMission,
} from '../contract/flight.ts';
import type { Flight, NewMission } from './reservation.ts';
import type { Static } from 'typebox';

/**
 * The waits that a drone must be able to afford to be chosen, seconds: what a sender and a recipient are given by
 * Fabrikam's operating rules. A dispatch may ask for other ones; the mission carries those.
 */
export const PLANNED_WAITS = { pickupWaitS: 600, dropoffHoverS: 120 } as const;

export type Eta = Static<typeof ReservationEta>;

export function etaOf(plan: MissionPlan, fromMs: number): Eta {
  return {
    pickup_at: isoTime(fromMs + plan.timeline.atPickupS * 1000),
    dropoff_at: isoTime(fromMs + plan.timeline.atDropoffS * 1000),
    home_at: isoTime(fromMs + plan.timeline.homeS * 1000),
  };
}

/** The whole delivery from where the drone is now. */
export function deliveryPlan({ reservation, drone, base, model }: Flight): MissionPlan {
  return planMission(model, {
    base: base.location,
    start: drone.position,
    startAltitudeM: Math.max(0, drone.altitudeM),
    pickup: reservation.pickup,
    dropoff: reservation.dropoff,
    returnTo: reservation.returnTo,
    payloadKg: reservation.payloadKg,
    ...PLANNED_WAITS,
  });
}

/** Home from where it is now, without the package. */
export function recallMission({ drone, base, model }: Flight): NewMission {
  const home = legProfile(model, drone.position, base.location, {
    fromAltitudeM: Math.max(0, drone.altitudeM),
  });
  return { command: 'recall', legs: [missionLeg('home', home)], eta: null, stepKey: null };
}

/** On with the delivery from the pickup: the package went aboard while a recall was on its way. */
export function resumedMission({ reservation, base, model }: Flight): NewMission {
  const { pickup } = reservation;
  const dropoff = reservation.nextDropoff ?? reservation.dropoff;
  return {
    command: 'fly',
    legs: [
      missionLeg('to_dropoff', legProfile(model, pickup, dropoff, { toAltitudeM: DROPOFF_ALTITUDE_M })),
      missionLeg('home', legProfile(model, dropoff, base.location, { fromAltitudeM: DROPOFF_ALTITUDE_M })),
    ],
    eta: null,
    stepKey: null,
  };
}

/** The package back to the sender, from where the drone is now; then home. */
export function returnMission({ reservation, drone, base, model }: Flight): {
  mission: NewMission;
  flightS: number;
} {
  const back = legProfile(model, drone.position, reservation.returnTo, {
    fromAltitudeM: Math.max(0, drone.altitudeM),
  });
  const home = legProfile(model, reservation.returnTo, base.location);
  return {
    mission: {
      command: 'return',
      legs: [missionLeg('to_return', back), missionLeg('home', home)],
      eta: null,
      stepKey: null,
    },
    flightS: back.durationS,
  };
}

/** Let the package go where it hovers, then home. */
export function lowerMission({ reservation, base, model }: Flight): NewMission {
  const home = legProfile(model, reservation.dropoff, base.location, { fromAltitudeM: DROPOFF_ALTITUDE_M });
  return { command: 'lower', legs: [missionLeg('home', home)], eta: null, stepKey: null };
}

/** Set the package down at the dropoff, then home. */
export function leaveMission({ reservation, drone, base, model }: Flight): NewMission {
  const { dropoff, phase } = reservation;
  const there = legProfile(model, drone.position, dropoff, {
    fromAltitudeM: Math.max(0, drone.altitudeM),
    toAltitudeM: DROPOFF_ALTITUDE_M,
  });
  const home = legProfile(model, dropoff, base.location, { fromAltitudeM: DROPOFF_ALTITUDE_M });
  return {
    command: 'leave',
    legs: [...(phase === 'at_dropoff' ? [] : [missionLeg('to_dropoff', there)]), missionLeg('home', home)],
    eta: null,
    stepKey: null,
  };
}
