/**
 * Contract of the drone service: the fleet, reservations under contention, missions, telemetry, milestones, live position
 * and ETA. `internal` is for activities and the api's operators; `aircraft` is what the public drone endpoints pass on.
 */
import { type Static, Type } from 'typebox';
import { defineContract } from '../../../shared/http/contract.ts';
import { idSchema } from '../../../shared/ids.ts';
import {
  Closed,
  ClockSettingsSchema,
  Location,
  Nullable,
  OneOf,
  Page,
  PageQuery,
  PackageSize,
  Timestamp,
} from '../../../shared/schemas.ts';
import { CONFIRMATION_KINDS } from '../../delivery/contract/confirmation.ts';

export const DRONE_STATES = [
  'idle',
  'held',
  'committed',
  'returning',
  'charging',
  'maintenance',
  'grounded',
  'lost',
] as const;
export type DroneState = (typeof DRONE_STATES)[number];

/** An aircraft type. The energy model and its source: energy.ts. */
export const DroneModel = Closed(
  {
    id: idSchema('model'),
    name: Type.String(),
    empty_mass_kg: Type.Number({ description: 'Airframe with battery, without payload' }),
    max_payload_kg: Type.Number(),
    /** The largest package its bay takes. */
    max_package_size: PackageSize,
    bay_slots: Type.Integer({ description: 'Small packages it takes; a medium counts 2, a large 4' }),
    cruise_speed_mps: Type.Number({ description: 'Airspeed in cruise' }),
    climb_speed_mps: Type.Number(),
    descent_speed_mps: Type.Number(),
    cruise_altitude_m: Type.Number({ description: 'Above ground' }),
    battery_capacity_wh: Type.Number(),
    hover_power_w: Type.Number({ description: 'Empty, at sea level' }),
    cruise_power_w: Type.Number({ description: 'Empty, at cruise speed' }),
    charge_power_w: Type.Number(),
    /** Battery that must be left at landing, 0–1. */
    reserve_fraction: Type.Number(),
  },
  { title: 'DroneModel' },
);
export type DroneModel = Static<typeof DroneModel>;

export const Base = Closed(
  {
    id: idSchema('base'),
    name: Type.String(),
    location: Location,
    pads: Type.Integer({ minimum: 1 }),
  },
  { title: 'Base' },
);
export type Base = Static<typeof Base>;

export const Drone = Type.Object(
  {
    object: Type.Literal('drone'),
    id: idSchema('drone'),
    name: Type.String(),
    model_id: idSchema('model'),
    base_id: idSchema('base'),
    state: OneOf(DRONE_STATES),
    state_reason: Nullable(Type.String()),
    position: Location,
    altitude_m: Type.Number({ description: 'Above ground' }),
    /** 0–1 of capacity. */
    battery: Type.Number({ minimum: 0, maximum: 1 }),
    speed_mps: Type.Number(),
    flight_mode: Type.String(),
    reservation_id: Nullable(idSchema('reservation')),
    delivery_id: Nullable(idSchema('delivery')),
    last_seen_at: Nullable(Timestamp),
  },
  { title: 'Drone' },
);
export type Drone = Static<typeof Drone>;

/** One leg of a mission: where to, and what to do when the link is lost on the way. */
export const MissionLeg = Closed(
  {
    /** `to_pickup` empty, `to_dropoff` loaded, `home` empty; a return flight is `to_return`. */
    kind: OneOf(['to_pickup', 'to_dropoff', 'to_return', 'home'] as const),
    to: Location,
    distance_m: Type.Number(),
    duration_s: Type.Number({ description: 'Climb, cruise and descent' }),
    on_link_loss: OneOf(['continue', 'return_to_base', 'land_now'] as const),
  },
  { title: 'MissionLeg' },
);
export type MissionLeg = Static<typeof MissionLeg>;

export const Mission = Type.Object(
  {
    id: idSchema('mission'),
    /** Raised by every change (return, recall): an aircraft flies the newest. */
    version: Type.Integer({ minimum: 1 }),
    reservation_id: idSchema('reservation'),
    /** Fencing token: every milestone and the load-token request carry it. */
    reservation_token: Type.Integer({ minimum: 1 }),
    delivery_id: idSchema('delivery'),
    drone_id: idSchema('drone'),
    /**
     * `fly`: the legs; `lower`: the recipient has confirmed it: let it go at the dropoff, then come home; `recall`: come home without the package; `return`: bring the package back to `return_to`; `leave`: set
     * it down at the dropoff unattended, then come home.
     */
    command: OneOf(['fly', 'lower', 'recall', 'return', 'leave'] as const),
    pickup: Location,
    dropoff: Location,
    /** Where the package goes when it cannot be handed over: to the sender, also where it is picked up elsewhere. */
    return_to: Location,
    base: Location,
    payload_kg: Type.Number(),
    /** How long it may wait on the ground for the sender, seconds of the delivery's clock. */
    pickup_wait_s: Type.Number(),
    /** How long it may hover at the dropoff; then it brings the package back by itself. */
    dropoff_hover_s: Type.Number(),
    /**
     * With `pin`, `signature` and `barcode` it hovers at the dropoff with the package until it is told to `lower` it. With
     * `photo` it takes one when it lets the package go, and posts it before it tells that it has.
     */
    confirmation: OneOf(CONFIRMATION_KINDS),
    legs: Type.Array(MissionLeg),
    clock: ClockSettingsSchema,
    issued_at: Timestamp,
  },
  { title: 'Mission' },
);
export type Mission = Static<typeof Mission>;

export const RESERVATION_STATES = ['held', 'committed', 'released', 'expired', 'ended'] as const;
export const Reservation = Type.Object({
  id: idSchema('reservation'),
  step_key: Type.String(),
  token: Type.Integer(),
  delivery_id: idSchema('delivery'),
  account_id: idSchema('account'),
  livemode: Type.Boolean(),
  drone_id: idSchema('drone'),
  state: OneOf(RESERVATION_STATES),
  /** The pickup race: `none` → `granted` (the aircraft may load) → `loaded`; or `none` → `barred` (recalled first). */
  loading: OneOf(['none', 'granted', 'loaded', 'barred'] as const),
  /** Its job is done, or it was recalled empty: it only has to come home. Its landing ends the reservation. */
  homeward: Type.Boolean(),
  lease_expires_at: Nullable(Timestamp),
  created_at: Timestamp,
  ended_at: Nullable(Timestamp),
});
export type Reservation = Static<typeof Reservation>;

/** A delivery's place in the line for a drone. */
export const WaitingPlace = Type.Object({
  delivery_id: idSchema('delivery'),
  /** The reserve step that joined the line; releasing it leaves the line. */
  step_key: Type.String(),
  account_id: idSchema('account'),
  livemode: Type.Boolean(),
  expedited: Type.Boolean(),
  /** Wall time. */
  joined_at: Timestamp,
});
export type WaitingPlace = Static<typeof WaitingPlace>;

/**
 * Facts of a flight. Those marked * change the status, or answer the workflow, and reach it as `droneMilestone` signals, numbered 1, 2, 3
 * … per reservation without a gap.
 */
export const MILESTONE_KINDS = [
  'took_off', // * enroute_to_pickup
  'arrived_at_pickup', // *
  'loaded', // * picked_up
  'departed_pickup', // * enroute_to_dropoff
  'arrived_at_dropoff', // *
  'released', // * delivered (at the dropoff) or, on a return flight, returned
  'dropoff_blocked', // * nobody can receive it there: the workflow decides (return or leave)
  'turned_back', // * enroute_to_return; `detail.eta_return_at`, RFC 3339, is the service's
  'arrived_at_return', // *
  'recalled_empty', // * answer to a recall that was pending: nothing aboard
  'rerouted', // * it flies to the dropoff in `detail.dropoff`, as the newest mission says
  'reroute_refused', // * it does not: `detail.dropoff`, and why in `detail.reason`
  'failed', // * the drone cannot go on; `detail.cause`, `detail.aboard`
  'set_down', // * it has failed, landed safely and let go of the package, which lies at `position`: ends the reservation
  'landed', // home and empty: ends the reservation; drone service only
] as const;
export type MilestoneKind = (typeof MILESTONE_KINDS)[number];

export const DRONE_FAILURE_CAUSES = [
  'motor_failure',
  'crash',
  'link_lost',
  'low_battery',
  'operator',
  'other',
] as const;

export const Milestone = Closed({
  sequence: Type.Integer({ minimum: 1 }),
  kind: OneOf(MILESTONE_KINDS),
  reservation_id: idSchema('reservation'),
  reservation_token: Type.Integer(),
  drone_id: idSchema('drone'),
  occurred_at: Timestamp,
  recorded_at: Timestamp,
  position: Nullable(Location),
  detail: Type.Record(Type.String(), Type.Unknown()),
});
export type Milestone = Static<typeof Milestone>;

export const TelemetrySample = Closed(
  {
    recorded_at: Timestamp,
    position: Location,
    altitude_m: Type.Number({ minimum: -500, maximum: 10_000 }),
    speed_mps: Type.Number({ minimum: 0, maximum: 200 }),
    battery: Type.Number({ minimum: 0, maximum: 1 }),
    flight_mode: OneOf([
      'parked',
      'climb',
      'cruise',
      'hover',
      'descent',
      'on_ground',
      'charging',
      'emergency',
    ] as const),
  },
  { title: 'TelemetrySample' },
);
export type TelemetrySample = Static<typeof TelemetrySample>;

export const ReservationEta = Closed({ pickup_at: Timestamp, dropoff_at: Timestamp, home_at: Timestamp });

/** Why a drone was or was not chosen, with its numbers. */
export const Candidate = Closed(
  {
    drone_id: idSchema('drone'),
    verdict: OneOf([
      'chosen',
      'later_arrival',
      'busy',
      'too_heavy',
      'too_big',
      'out_of_range',
      'low_battery',
      'too_late',
      'excluded',
      'unavailable',
    ] as const),
    /** At the pickup, were it sent at once. */
    arrival_at: Nullable(Timestamp),
    /** At the dropoff, sent so that it is at the pickup when that begins; null when not computed. */
    dropoff_at: Nullable(Timestamp),
    distance_m: Type.Number(),
    battery: Type.Number(),
    /** What is left at landing after the worst branch, 0–1; null when not computed. */
    battery_at_landing: Nullable(Type.Number()),
  },
  { title: 'Candidate' },
);
export type Candidate = Static<typeof Candidate>;

const DroneParams = Closed({ drone_id: idSchema('drone') });

/** Why a drone is not sent. */
export const DISPATCH_REFUSALS = [
  'lease_expired',
  'released',
  'recalled',
  'low_battery',
  'drone_unfit',
] as const;
export type DispatchRefusal = (typeof DISPATCH_REFUSALS)[number];

/** Why a flight does not get another dropoff. */
export const REROUTE_REFUSALS = [
  'out_of_range',
  'after_deadline',
  'arrived_at_dropoff',
  'returning',
  'recalled',
  'drone_down',
  'drone_unreachable',
  'change_pending',
  'ended',
  'undone',
] as const;

/** What whoever has fetched a drone found in its bay. */
export const PackageAboard = Type.Boolean({
  description:
    'With `maintenance`: whether its package was found in it. Needed when the drone was allowed to load and never said whether it did; otherwise what it said holds',
});
/** Where they left it. */
export const PackageAt = Type.Object(Location.properties, {
  additionalProperties: false,
  description:
    'With `maintenance`, of a drone with its package aboard: where the package was taken out of it and lies, for another drone to take up',
});
const ReservationParams = Closed({ reservation_id: idSchema('reservation') });

const job = {
  delivery_id: idSchema('delivery'),
  account_id: idSchema('account'),
  livemode: Type.Boolean(),
  pickup: Location,
  dropoff: Location,
  payload_kg: Type.Number({ exclusiveMinimum: 0 }),
  package_sizes: Type.Array(PackageSize, { minItems: 1, maxItems: 20 }),
};

export const droneContract = defineContract({
  ensureModel: {
    method: 'PUT',
    path: '/models/:model_id',
    summary: 'Creates or updates a model',
    params: Closed({ model_id: idSchema('model') }),
    body: DroneModel,
    response: DroneModel,
  },
  ensureBase: {
    method: 'PUT',
    path: '/bases/:base_id',
    summary: 'Creates or updates a base',
    params: Closed({ base_id: idSchema('base') }),
    body: Base,
    response: Base,
  },
  ensureDrone: {
    method: 'PUT',
    path: '/drones/:drone_id',
    summary: 'Registers a drone, parked and full at its base; its state is left alone when it exists',
    params: DroneParams,
    body: Closed({ name: Type.String(), model_id: idSchema('model'), base_id: idSchema('base') }),
    response: Drone,
  },
  listModels: {
    method: 'GET',
    path: '/models',
    summary: 'All models',
    response: Closed({ data: Type.Array(DroneModel) }),
  },
  listBases: {
    method: 'GET',
    path: '/bases',
    summary: 'All bases',
    response: Closed({ data: Type.Array(Base) }),
  },
  listDrones: {
    method: 'GET',
    path: '/drones',
    summary: 'The fleet',
    query: Closed({
      ...PageQuery,
      state: Type.Optional(Type.Array(OneOf(DRONE_STATES))),
      base_id: Type.Optional(idSchema('base')),
    }),
    response: Page(Drone),
  },
  getDrone: {
    method: 'GET',
    path: '/drones/:drone_id',
    summary: 'One drone',
    params: DroneParams,
    response: Drone,
  },
  setDroneState: {
    method: 'PUT',
    path: '/drones/:drone_id/state',
    summary: 'Operator: grounds a drone, sends it to maintenance, or clears it (back to idle)',
    params: DroneParams,
    body: Closed({
      state: OneOf(['idle', 'maintenance', 'grounded'] as const),
      reason: Type.String({ minLength: 1 }),
      package_aboard: Type.Optional(PackageAboard),
      package_at: Type.Optional(PackageAt),
      by: Type.String(),
    }),
    response: Drone,
  },
  limits: {
    method: 'GET',
    path: '/limits',
    summary: 'What the fleet can do at best: for refusals at the door',
    response: Closed({
      max_payload_kg: Type.Number(),
      max_distance_m: Type.Number(),
      max_package_size: Nullable(PackageSize),
      bases: Type.Array(Base),
    }),
  },
  reserve: {
    method: 'POST',
    path: '/reservations',
    summary:
      'Reserves the drone that arrives earliest among those that can carry it there and back, atomically',
    description:
      '`unavailable`: able drones exist but none is free, or none that would be there in time (`pickup_by`, `deliver_by`; `detail` says which); with `wait` the delivery joins the waiting list and gets a `droneAvailable` signal when one frees itself. `infeasible`: no drone of the fleet can ever do it. Idempotent by key; after `release` with the same key it reserves nothing (`released`); a repeated `unavailable` says when its place in the line is gone.',
    body: Closed({
      ...job,
      /** Where the package goes back to; the pickup unless told. */
      return_to: Type.Optional(Location),
      clock: ClockSettingsSchema,
      expedited: Type.Boolean(),
      wait: Type.Boolean(),
      exclude_drone_ids: Type.Array(idSchema('drone'), { maxItems: 200 }),
      /** The delivery's clock. A drone that would be at the pickup before `pickup_from` is sent later. */
      pickup_from: Type.Optional(Timestamp),
      /** One that would be there later is no candidate: nobody hands the package over. */
      pickup_by: Type.Optional(Timestamp),
      /** Nor is one that would be at the dropoff later. */
      deliver_by: Type.Optional(Timestamp),
      lease_s: Type.Optional(
        Type.Number({ exclusiveMinimum: 0, description: 'Of the delivery’s clock; default 120' }),
      ),
    }),
    response: Type.Union([
      Closed({
        outcome: Type.Literal('reserved'),
        reservation_id: idSchema('reservation'),
        reservation_token: Type.Integer(),
        drone_id: idSchema('drone'),
        base_id: idSchema('base'),
        eta: ReservationEta,
        lease_expires_at: Timestamp,
        distance_m: Type.Number(),
      }),
      Closed({
        outcome: Type.Literal('unavailable'),
        detail: Type.String(),
        /** This answer is an old one, and the place in the line that it stood for is gone: nobody will be told of a drone. */
        left_line: Type.Optional(Type.Literal(true)),
      }),
      Closed({
        outcome: Type.Literal('infeasible'),
        reason: OneOf(['payload_too_heavy', 'out_of_range'] as const),
        detail: Type.String(),
      }),
      Closed({ outcome: Type.Literal('released') }),
    ]),
    idempotent: true,
  },
  release: {
    method: 'POST',
    path: '/reservations/release',
    summary:
      'Undoes the reserve step with this key: frees the drone, leaves the waiting list; also when the step never ran',
    description:
      'A drone that was dispatched is recalled first (see `recall`); one with the package aboard is not released: `loaded`.',
    body: Closed({ reserve_key: Type.String(), delivery_id: idSchema('delivery'), reason: Type.String() }),
    response: Closed({
      outcome: OneOf(['released', 'already_released', 'never_reserved', 'recalling', 'loaded'] as const),
    }),
    idempotent: true,
  },
  dispatch: {
    method: 'POST',
    path: '/reservations/dispatch',
    summary: 'Commits the reservation and issues the mission to the drone',
    description:
      'Refused when there is nothing left to dispatch: `lease_expired`, `released`, `recalled`. And when the drone cannot fly: `low_battery`, what is in its battery is not enough any more and its reservation has ended; `drone_unfit`, it is grounded, lost or in maintenance.',
    body: Closed({
      reserve_key: Type.String(),
      delivery_id: idSchema('delivery'),
      reservation_token: Type.Integer(),
      pickup_wait_s: Type.Number(),
      dropoff_hover_s: Type.Number(),
      /** `none` unless told. */
      confirmation: Type.Optional(OneOf(CONFIRMATION_KINDS)),
    }),
    response: Type.Union([
      Closed({ outcome: Type.Literal('dispatched'), mission_id: idSchema('mission'), eta: ReservationEta }),
      Closed({
        outcome: Type.Literal('refused'),
        reason: OneOf(DISPATCH_REFUSALS),
        detail: Type.String(),
      }),
    ]),
    idempotent: true,
  },
  recall: {
    method: 'POST',
    path: '/reservations/recall',
    summary: 'Settles the pickup race: asks for the drone back before it loads. Undoes the dispatch step',
    description:
      '`recalled`: it will never load, and flies home. `loaded`: too late, the package is aboard. `pending`: the aircraft holds the load token and has not said yet; settled by a `loaded` or `recalled_empty` milestone. `never_dispatched`: there was no mission. Idempotent, and each answer but `pending` is final.',
    body: Closed({ reserve_key: Type.String(), delivery_id: idSchema('delivery'), reason: Type.String() }),
    response: Closed({ outcome: OneOf(['recalled', 'loaded', 'pending', 'never_dispatched'] as const) }),
    idempotent: true,
  },
  returnToSender: {
    method: 'POST',
    path: '/reservations/return',
    summary: 'Turns a loaded drone round: it brings the package back to the sender',
    body: Closed({ reserve_key: Type.String(), delivery_id: idSchema('delivery'), reason: Type.String() }),
    response: Closed({
      outcome: OneOf(['returning', 'already_returning', 'not_loaded', 'ended'] as const),
      eta_return_at: Nullable(Timestamp),
    }),
    idempotent: true,
  },
  lowerPackage: {
    method: 'POST',
    path: '/reservations/lower',
    summary:
      'Tells a drone that waits at the dropoff for the recipient to let the package go: it is confirmed',
    description:
      '`too_late`: it has turned back, by itself or because it was told to. `not_there`: it has not arrived, or was not told to wait. Idempotent.',
    body: Closed({ reserve_key: Type.String(), delivery_id: idSchema('delivery') }),
    response: Closed({
      outcome: OneOf(['lowering', 'too_late', 'not_there', 'not_loaded', 'ended'] as const),
    }),
    idempotent: true,
  },
  reroute: {
    method: 'POST',
    path: '/reservations/reroute',
    summary: 'Gives a flight another dropoff, if it can be flown with the battery that is left and in time',
    description:
      '`planned`: it has not been sent; the new dropoff holds. `rerouting`: a newer mission version is on its way to the aircraft; a `rerouted` or `reroute_refused` milestone answers, or `arrived_at_dropoff` at the old one. `refused`: the old dropoff stands, with the reason; `after_deadline`, when it would be there later than `deadline`, the drone being sent at `take_off_at` (now, unless that lies ahead). Idempotent by key; after `undoReroute` with the same key it changes nothing.',
    body: Closed({
      reserve_key: Type.String(),
      delivery_id: idSchema('delivery'),
      dropoff: Location,
      deadline: Type.Optional(Timestamp),
      take_off_at: Type.Optional(Timestamp),
    }),
    response: Type.Union([
      Closed({ outcome: OneOf(['planned', 'rerouting'] as const), eta: ReservationEta }),
      Closed({
        outcome: Type.Literal('refused'),
        reason: OneOf(REROUTE_REFUSALS),
        detail: Type.String(),
      }),
    ]),
    idempotent: true,
  },
  undoReroute: {
    method: 'POST',
    path: '/reservations/reroute/undo',
    summary: 'Undoes the reroute step with this key: the flight leads to the dropoff before again',
    description:
      'Also when that step never ran, or is still under way. A flight that cannot be changed any more is left alone.',
    body: Closed({
      reserve_key: Type.String(),
      reroute_key: Type.String(),
      delivery_id: idSchema('delivery'),
    }),
    response: Closed({ outcome: OneOf(['undone', 'already_undone', 'never_rerouted', 'too_late'] as const) }),
    idempotent: true,
  },
  assessJob: {
    method: 'POST',
    path: '/jobs/assess',
    summary: 'Whether any drone of the fleet, full and at its base, could ever do a job. Reserves nothing',
    body: Closed({
      pickup: Location,
      dropoff: Location,
      payload_kg: Type.Number({ exclusiveMinimum: 0 }),
      package_sizes: Type.Array(PackageSize, { minItems: 1, maxItems: 20 }),
    }),
    response: Type.Union([
      Closed({ outcome: Type.Literal('feasible') }),
      Closed({
        outcome: Type.Literal('infeasible'),
        reason: OneOf(['payload_too_heavy', 'out_of_range'] as const),
        detail: Type.String(),
      }),
    ]),
  },
  leaveUnattended: {
    method: 'POST',
    path: '/reservations/leave',
    summary: 'Tells a drone at a blocked dropoff to set the package down unattended',
    body: Closed({ reserve_key: Type.String(), delivery_id: idSchema('delivery'), reason: Type.String() }),
    response: Closed({ outcome: OneOf(['leaving', 'not_loaded', 'ended'] as const) }),
    idempotent: true,
  },
  getReservation: {
    method: 'GET',
    path: '/reservations/:reservation_id',
    summary: 'One reservation',
    params: ReservationParams,
    response: Reservation,
  },
  listReservations: {
    method: 'GET',
    path: '/reservations',
    summary: 'Reservations, newest first',
    query: Closed({
      ...PageQuery,
      delivery_id: Type.Optional(idSchema('delivery')),
      open: Type.Optional(Type.Boolean({ description: 'held or committed' })),
    }),
    response: Page(Reservation),
  },
  listWaiting: {
    method: 'GET',
    path: '/waiting-list',
    summary: 'The deliveries that wait for a free drone, newest first',
    query: Closed({ ...PageQuery, delivery_id: Type.Optional(idSchema('delivery')) }),
    response: Page(WaitingPlace),
  },
  readMilestones: {
    method: 'GET',
    path: '/reservations/:reservation_id/milestones',
    summary: 'The signalled milestones of a reservation after a sequence number: fills a gap in the signals',
    params: ReservationParams,
    query: Closed({ after_sequence: Type.Integer({ minimum: 0 }) }),
    response: Closed({ data: Type.Array(Milestone) }),
  },
  explainAssignment: {
    method: 'GET',
    path: '/deliveries/:delivery_id/assignments',
    summary: 'Why which drone was chosen or refused, for each attempt',
    params: Closed({ delivery_id: idSchema('delivery') }),
    response: Closed({
      data: Type.Array(
        Closed({
          step_key: Type.String(),
          decided_at: Timestamp,
          outcome: Type.String(),
          detail: Type.String(),
          candidates: Type.Array(Candidate),
        }),
      ),
    }),
  },
  live: {
    method: 'GET',
    path: '/live',
    summary: 'Position and ETA of the drones on these deliveries, as last heard',
    query: Closed({ delivery_id: Type.Array(idSchema('delivery'), { minItems: 1, maxItems: 200 }) }),
    response: Closed({
      data: Type.Array(
        Closed({
          delivery_id: idSchema('delivery'),
          drone_id: idSchema('drone'),
          position: Location,
          altitude_m: Type.Number(),
          speed_mps: Type.Number(),
          battery: Type.Number(),
          flight_mode: Type.String(),
          recorded_at: Nullable(Timestamp),
          eta_pickup_at: Nullable(Timestamp),
          eta_dropoff_at: Nullable(Timestamp),
        }),
      ),
    }),
  },
});

/** What an aircraft (or a fleet gateway) does, through the public drone endpoints. */
export const aircraftContract = defineContract({
  postTelemetry: {
    method: 'POST',
    path: '/aircraft/telemetry',
    summary:
      'Telemetry of one or many drones; answers the newest mission version of each, so that changes are noticed',
    body: Closed({
      drones: Type.Array(
        Closed({
          drone_id: idSchema('drone'),
          samples: Type.Array(TelemetrySample, { minItems: 1, maxItems: 600 }),
        }),
        { minItems: 1, maxItems: 200 },
      ),
    }),
    response: Closed({
      accepted: Type.Integer(),
      missions: Type.Array(
        Closed({ drone_id: idSchema('drone'), mission_id: idSchema('mission'), version: Type.Integer() }),
      ),
      /** Drones that are not registered: nothing of theirs was accepted. */
      unknown: Type.Array(idSchema('drone')),
    }),
    status: 202,
  },
  getMission: {
    method: 'GET',
    path: '/aircraft/drones/:drone_id/mission',
    summary:
      'The mission this drone is to fly now, or null; with `wait_ms` waits for one newer than `after_version`',
    params: DroneParams,
    query: Closed({
      wait_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: 30_000, default: 0 })),
      after_version: Type.Optional(Type.Integer({ minimum: 0 })),
      mission_id: Type.Optional(idSchema('mission')),
    }),
    response: Closed({
      mission: Nullable(Mission),
      /** What this aircraft has told of the mission's reservation, in its own order: where a restarted one goes on. */
      told: Type.Array(
        Closed({
          aircraft_sequence: Type.Integer({ minimum: 1 }),
          kind: OneOf(MILESTONE_KINDS),
          occurred_at: Timestamp,
        }),
      ),
    }),
  },
  requestLoadToken: {
    method: 'POST',
    path: '/aircraft/drones/:drone_id/load-token',
    summary: 'Asks whether this drone may load now. One drone per delivery only, never after a recall',
    params: DroneParams,
    body: Closed({ reservation_id: idSchema('reservation'), reservation_token: Type.Integer() }),
    response: Type.Union([
      Closed({ outcome: Type.Literal('granted'), load_token: Type.String() }),
      Closed({
        outcome: Type.Literal('refused'),
        reason: OneOf(['recalled', 'stale_reservation', 'not_at_pickup'] as const),
      }),
    ]),
  },
  postMilestone: {
    method: 'POST',
    path: '/aircraft/drones/:drone_id/milestones',
    summary:
      'A fact told by the aircraft. Idempotent by the aircraft’s own sequence per reservation; a stale token is acknowledged and ignored',
    params: DroneParams,
    body: Closed({
      reservation_id: idSchema('reservation'),
      reservation_token: Type.Integer(),
      aircraft_sequence: Type.Integer({ minimum: 1 }),
      kind: OneOf(MILESTONE_KINDS),
      occurred_at: Timestamp,
      position: Location,
      /** Only with `loaded`. */
      load_token: Type.Optional(Type.String()),
      detail: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
    response: Closed({
      outcome: OneOf(['recorded', 'duplicate', 'ignored', 'refused'] as const),
      reason: Nullable(Type.String()),
    }),
  },
});
