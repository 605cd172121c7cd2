/**
 * The reservation as the rules see it, and what a rule answers: a transition. Rules are pure functions from a flight to a
 * transition; the data layer commits it with one compare-and-set, so that of two rules that race, one sees the other's result.
 */
import { type ClockSettings, clockTimeMs } from '../../../shared/clock.ts';
import type {
  AccountId,
  BaseId,
  DeliveryId,
  DroneId,
  MissionId,
  ReservationId,
} from '../../../shared/ids.ts';
import type { Location } from '../../../shared/schemas.ts';
import type { ConfirmationKind } from '../../delivery/contract/confirmation.ts';
import type {
  Base,
  DroneModel,
  DroneState,
  MilestoneKind,
  Mission,
  MissionLeg,
  Reservation as ReservationView,
} from '../contract/index.ts';

export type ReservationState = ReservationView['state'];
export type Loading = ReservationView['loading'];
export type MissionCommand = Mission['command'];

/** Where the flight is, by the milestones told. `down`: it cannot go on. */
export type Phase =
  | 'on_base'
  | 'to_pickup'
  | 'at_pickup'
  | 'loaded'
  | 'to_dropoff'
  | 'at_dropoff'
  | 'to_return'
  | 'at_return'
  | 'homeward'
  | 'down';

export type EndReason =
  | 'released'
  | 'lease_expired'
  | 'drone_unfit'
  | 'low_battery'
  | 'landed'
  | 'drone_failed'
  | 'package_set_down'
  | 'cleared_by_operator'
  | 'recovered_by_operator';

export interface Reservation {
  id: ReservationId;
  stepKey: string;
  token: number;
  deliveryId: DeliveryId;
  accountId: AccountId;
  livemode: boolean;
  droneId: DroneId;
  baseId: BaseId;
  clock: ClockSettings;
  pickup: Location;
  /** Where it flies: a change holds from when the aircraft has taken it. */
  dropoff: Location;
  /** Where the package goes back to when it cannot be handed over: the pickup, unless that is not where the sender is. */
  returnTo: Location;
  /** Offered to the aircraft, which has not said yet whether it flies there; null: nothing is. */
  nextDropoff: Location | null;
  payloadKg: number;
  state: ReservationState;
  loading: Loading;
  loadToken: string | null;
  phase: Phase;
  aboard: boolean;
  jobDone: boolean;
  /** By the delivery's clock. */
  leaseExpiresAt: Date;
  /** The same moment on the wall. */
  leaseWall: Date;
  recalledAt: Date | null;
  endedAt: Date | null;
  endReason: EndReason | null;
  createdAt: Date;
  missionId: MissionId | null;
  /** 0 before the dispatch. */
  missionVersion: number;
  /** Of the newest mission version. */
  command: MissionCommand | null;
  pickupWaitS: number | null;
  dropoffHoverS: number | null;
  /** Null before the dispatch. */
  confirmation: ConfirmationKind | null;
  silenceMs: number;
  heardWall: Date | null;
  linkLostAt: Date | null;
  lastAircraftSequence: number;
  lastSequence: number;
  signalledSequence: number;
  revision: number;
}

/** A reservation with the drone that flies it, as last heard. */
export interface Flight {
  reservation: Reservation;
  drone: {
    state: DroneState;
    stateReason: string | null;
    position: Location;
    altitudeM: number;
    battery: number;
    recordedAt: Date | null;
    heardWall: Date | null;
  };
  base: Base;
  model: DroneModel;
}

/** A fact to be written; its numbers are given when it is. */
export interface NewMilestone {
  kind: MilestoneKind;
  occurredAt: Date;
  position: Location | null;
  detail: Record<string, unknown>;
  /** The workflow is told. */
  signalled: boolean;
  aircraftSequence: number | null;
}

export interface NewMission {
  command: MissionCommand;
  legs: MissionLeg[];
  /** ISO times that were promised with it. */
  eta: Record<string, string> | null;
  stepKey: string | null;
}

type Mutable = Pick<
  Reservation,
  | 'dropoff'
  | 'nextDropoff'
  | 'state'
  | 'loading'
  | 'loadToken'
  | 'phase'
  | 'aboard'
  | 'jobDone'
  | 'recalledAt'
  | 'endedAt'
  | 'endReason'
  | 'pickupWaitS'
  | 'dropoffHoverS'
  | 'confirmation'
  | 'heardWall'
  | 'linkLostAt'
>;

/** What a rule decided: everything is written together or not at all. */
export interface Transition {
  change: Partial<Mutable>;
  mission?: NewMission;
  milestones?: NewMilestone[];
  /** The drone's new state. When the reservation closes, the drone lets go of it. */
  drone?: { state: DroneState; reason: string | null };
  /** The reroute step that asked for it, to be remembered with what it was answered. */
  reroute?: { stepKey: string; before: Location; answer: Record<string, unknown> };
}

/** Now, by the delivery's clock. */
export function clockNow(reservation: Pick<Reservation, 'clock'>, wallMs: number): Date {
  return new Date(Math.round(clockTimeMs(reservation.clock, wallMs)));
}

export function isOpen({ state }: Pick<Reservation, 'state'>): boolean {
  return state === 'held' || state === 'committed';
}

/** Two transitions as one; the second's word counts where both say something. */
export function merge(first: Transition, second: Transition): Transition {
  const mission = second.mission ?? first.mission;
  const drone = second.drone ?? first.drone;
  return {
    change: { ...first.change, ...second.change },
    milestones: [...(first.milestones ?? []), ...(second.milestones ?? [])],
    ...(mission && { mission }),
    ...(drone && { drone }),
  };
}
