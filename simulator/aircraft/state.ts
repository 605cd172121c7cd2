/** What an aircraft is and does at a moment. Data only: everything that changes it is in the files beside. */
import type { droneOperations } from '../../api/contract/drones.ts';
import type { Input } from '../../shared/http/contract.ts';
import type { DroneId, ReservationId } from '../../shared/ids.ts';
import { isoTime } from '../../shared/clock.ts';
import type { Location } from '../../shared/schemas.ts';
import { energyWh } from '../../services/drone/contract/energy.ts';
import { HANDLING, legEnergyWh, type LegProfile, positionAt } from '../../services/drone/contract/flight.ts';
import type {
  aircraftContract,
  DroneModel,
  Mission,
  MissionLeg,
  TelemetrySample,
} from '../../services/drone/contract/index.ts';
import type { ArmedFault, Stage } from './faults.ts';

/** What the aircraft is doing. It changes only at events; between them everything follows from the time. */
export type Activity =
  /** At its base, charging until full. */
  | { kind: 'parked' }
  | { kind: 'flying'; leg: MissionLeg['kind']; profile: LegProfile }
  /** At the pickup, nobody there. */
  | { kind: 'awaiting_sender' }
  /** At the pickup with the sender, not allowed to load yet. */
  | { kind: 'awaiting_load_token' }
  | { kind: 'loading'; loadToken: string }
  /** Hovering at the dropoff until the recipient has confirmed it, at most until then; `absent`: nobody will. */
  | { kind: 'awaiting_confirmation'; absent: boolean; hoverUntilMs: number }
  /** Hovering at the dropoff, lowering the package; `blocked`: it will find that it cannot. */
  | { kind: 'releasing'; blocked: boolean; unattended: boolean; hoverUntilMs: number }
  /** Hovering at the dropoff until told what to do, at most until then. */
  | { kind: 'blocked'; hoverUntilMs: number }
  /** Back at the pickup with the package. */
  | { kind: 'unloading' }
  /** `safely`: it can still open its bay when it is down. */
  | { kind: 'emergency_landing'; profile: LegProfile; safely: boolean }
  /** On the ground somewhere, letting go of the package. */
  | { kind: 'setting_down' }
  /** On the ground somewhere; only people can help. */
  | { kind: 'down' };

export type MilestoneBody = Input<typeof aircraftContract.postMilestone>['body'];
export type PhotoBody = Input<typeof droneOperations.postPhoto>['body'];
export type LoadTokenBody = Input<typeof aircraftContract.requestLoadToken>['body'];

/** What the aircraft has to say to the drone service, oldest first, each until it is acknowledged. */
export type Outgoing = UnsaidFact | { kind: 'load_request'; body: LoadTokenBody };

/** What must be said, however late. The image of a photo is made when it is sent. */
export type UnsaidFact = UnsaidMilestone | { kind: 'photo'; body: Omit<PhotoBody, 'photo'> };

export interface UnsaidMilestone {
  kind: 'milestone';
  body: MilestoneBody;
}

/** What nobody has acknowledged and must not be forgotten, oldest first. */
export function unsaidFacts({ outbox }: Aircraft): UnsaidFact[] {
  return outbox.filter((message) => message.kind !== 'load_request');
}

/** The milestones that nobody has acknowledged, oldest first. */
export function unsaidMilestones({ outbox }: Aircraft): UnsaidMilestone[] {
  return outbox.filter((message) => message.kind === 'milestone');
}

export interface Aircraft {
  readonly id: DroneId;
  readonly model: DroneModel;
  readonly base: Location;
  readonly activity: Activity;
  /** How things stood when the activity began. Times are the clock's, Unix milliseconds. */
  readonly since: {
    readonly atMs: number;
    readonly location: Location;
    readonly altitudeM: number;
    readonly batteryWh: number;
  };
  /** What is aboard; 0 when empty. */
  readonly payloadKg: number;
  readonly mission: Mission | null;
  /** The reservation it flew for last: a late answer must not make it fly the same mission twice. */
  readonly lastReservationId: ReservationId | null;
  /** The last `aircraft_sequence` used in the mission's reservation. */
  readonly sequence: number;
  readonly faults: readonly ArmedFault[];
  /** Ids of the faults that have happened. */
  readonly happened: readonly string[];
  /** Cut off from the world until then. */
  readonly linkLostUntilMs: number | null;
  readonly outbox: readonly Outgoing[];
}

export interface Observation {
  location: Location;
  altitudeM: number;
  speedMps: number;
  batteryWh: number;
  flightMode: TelemetrySample['flight_mode'];
}

/** More than a double can lose in Unix milliseconds. */
const ROUNDING_S = 1e-6;

/** Where the aircraft is and how it does at a moment of its present activity. */
export function observe(aircraft: Aircraft, atMs: number): Observation {
  const { activity, model, payloadKg, since } = aircraft;
  const elapsedS = Math.max(0, atMs - since.atMs) / 1000;
  const standing = (
    flightMode: TelemetrySample['flight_mode'],
    phase: 'ground' | 'hover' | null,
  ): Observation => ({
    location: since.location,
    altitudeM: since.altitudeM,
    speedMps: 0,
    batteryWh: drained(aircraft, phase === null ? 0 : energyWh(model, phase, payloadKg, elapsedS)),
    flightMode,
  });
  switch (activity.kind) {
    case 'parked': {
      const charged = since.batteryWh + (model.charge_power_w * elapsedS) / 3600;
      const full = charged >= model.battery_capacity_wh;
      return {
        ...standing(full ? 'parked' : 'charging', null),
        batteryWh: Math.min(charged, model.battery_capacity_wh),
      };
    }
    case 'flying':
    case 'emergency_landing': {
      const { profile } = activity;
      // At the moment of its arrival it is there, however the milliseconds were rounded.
      const flownS = elapsedS + ROUNDING_S >= profile.durationS ? profile.durationS : elapsedS;
      const { location, altitudeM, speedMps, phase } = positionAt(profile, flownS);
      return {
        location,
        altitudeM,
        speedMps,
        batteryWh: drained(aircraft, legEnergyWh(model, profile, payloadKg, flownS)),
        flightMode: activity.kind === 'flying' ? phase : 'emergency',
      };
    }
    case 'awaiting_sender':
    case 'awaiting_load_token':
    case 'loading':
    case 'unloading':
      return standing('on_ground', 'ground');
    case 'awaiting_confirmation':
    case 'releasing':
    case 'blocked':
      return standing('hover', 'hover');
    case 'setting_down':
    case 'down':
      return standing('emergency', null);
  }
}

const drained = ({ since }: Aircraft, usedWh: number) => Math.max(0, since.batteryWh - usedWh);

/** What it would radio at this moment. */
export function telemetrySample(aircraft: Aircraft, atMs: number): TelemetrySample {
  const now = observe(aircraft, atMs);
  return {
    recorded_at: isoTime(atMs),
    position: now.location,
    altitude_m: now.altitudeM,
    speed_mps: now.speedMps,
    battery: Math.min(1, now.batteryWh / aircraft.model.battery_capacity_wh),
    flight_mode: now.flightMode,
  };
}

/** Which part of a mission an activity belongs to; `null`: none. */
export function stageOf(activity: Activity): Stage | null {
  switch (activity.kind) {
    case 'flying':
      return activity.leg;
    case 'awaiting_sender':
    case 'awaiting_load_token':
    case 'loading':
      return 'at_pickup';
    case 'awaiting_confirmation':
    case 'releasing':
    case 'blocked':
      return 'at_dropoff';
    case 'unloading':
      return 'at_return';
    case 'parked':
    case 'emergency_landing':
    case 'setting_down':
    case 'down':
      return null;
  }
}

/** How long a stage takes when nothing goes wrong, seconds. */
export function plannedStageS(activity: Activity): number {
  if (activity.kind === 'flying') return activity.profile.durationS;
  return stageOf(activity) === 'at_pickup' ? HANDLING.loadingS : HANDLING.releaseS;
}

/** It can hear and be heard. */
export function hasLink(aircraft: Aircraft): boolean {
  return aircraft.linkLostUntilMs === null;
}
