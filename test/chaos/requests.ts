/** What is posted for each kind of request, by which account, and what is to go wrong with it in the air. */
import { type Clock, isoTime } from '../../shared/clock.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import type { Location, PickupWindow } from '../../shared/schemas.ts';
import type { OrderFailure } from '../../simulator/contract.ts';
import type { Requested } from '../checker/index.ts';
import { HOPS as HOPS_OF_FOUR_BASES } from '../e2e/traffic.ts';
import type { RequestKind } from './kinds.ts';
import type { PlannedRequest } from './plan.ts';

/** The whole fleet is wanted, so there are hops close to every base. */
const HOPS: readonly (readonly [Location, Location])[] = [
  ...HOPS_OF_FOUR_BASES,
  [
    { latitude: 47.5835, longitude: -122.331 },
    { latitude: 47.587, longitude: -122.328 },
  ],
  [
    { latitude: 47.5035, longitude: -122.2 },
    { latitude: 47.507, longitude: -122.197 },
  ],
];

/**
 * How long a drone of a run may be silent before it counts as lost, over the minute of its delivery's clock: wall milliseconds. With
 * the usual ten seconds, which are five minutes of a clock that runs thirty times as fast, one that is silent before the pickup
 * would always be replaced for being late there, and never because it is lost.
 */
export const LINK_LOSS_GRACE_MS = 7_000;
const LINK_LOSS_S = 60;
/** So much longer is silent who is to count as lost: it is looked for every second or so, by a service that is killed too. */
const LOST_FOR_WALL_S = 7;

/** Well past the timer of its link, seconds of a clock that runs at this rate. */
const silentForS = (clockRate: number) =>
  LINK_LOSS_S + (LINK_LOSS_GRACE_MS / 1_000 + LOST_FOR_WALL_S) * clockRate;

/** What is to go wrong in the air with a request of this kind; undefined: nothing. */
export function failureOf(kind: RequestKind, clockRate: number): OrderFailure | undefined {
  const silent = { failure: 'lost_link', for_s: silentForS(clockRate) } as const;
  const failures: Partial<Record<RequestKind, OrderFailure>> = {
    undeliverable_return: { failure: 'dropoff_blocked' },
    undeliverable_leave: { failure: 'dropoff_blocked' },
    drone_fails_before_pickup: { failure: 'motor_failure', stage: 'to_pickup', at: 0.6 },
    drone_fails_with_package: { failure: 'motor_failure', stage: 'to_dropoff', at: 0.5 },
    drone_crashes: { failure: 'crash', stage: 'to_dropoff', at: 0.5 },
    silent_to_pickup: { ...silent, stage: 'to_pickup', at: 0.1 },
    // As late as may be before it is loaded: until then it has asked for its token and got it.
    silent_at_pickup: { ...silent, stage: 'at_pickup', at: 0.9 },
    silent_with_package: { ...silent, stage: 'to_dropoff', at: 0.3 },
    link_lost: { failure: 'lost_link', stage: 'to_dropoff', at: 0.2, for_s: 60 },
    sender_absent: { failure: 'sender_absent' },
    recipient_absent: { failure: 'recipient_absent' },
  };
  return failures[kind];
}

/** Of so many requests, whatever else they show, the first few ask for a proof; a package that may be left cannot have a PIN. */
const PROVEN_ONE_IN = 10;
const PROOF_OF = ['pin', 'signature', 'photo'] as const;

/** A pickup is planned ten minutes ahead of its window; so long it is scheduled before that, and more by its number. */
const SCHEDULED_S = { scheduled: 14 * 60, rescheduled: 30 * 60 } as const;
const WINDOW_S = 90 * 60;

export function accountOf(kind: RequestKind): 'standard' | 'carrierFallback' | 'tinyCredit' | 'suspended' {
  if (kind.startsWith('carrier')) return 'carrierFallback';
  if (kind === 'no_credit') return 'tinyCredit';
  return kind === 'suspended' ? 'suspended' : 'standard';
}

/** @param clock the deliveries': for their windows */
export function requestOf({ kind, hop, number }: PlannedRequest, clock: Clock): CreateDeliveryRequest {
  const [pickup, dropoff] = HOPS[hop % HOPS.length]!;
  const asked = kind === 'undeliverable_leave' ? undefined : PROOF_OF[number % PROVEN_ONE_IN];
  const confirmation = kind === 'recipient_absent' ? 'pin' : asked;
  const waitS = kind === 'scheduled' || kind === 'rescheduled' ? SCHEDULED_S[kind] : undefined;
  return {
    pickup: { location: pickup },
    dropoff: { location: dropoff, contact: { email: 'recipient@example.com' } },
    packages: packagesOf(kind, number),
    external_id: `chaos-${number}`,
    ...(waitS !== undefined && { pickup_window: windowIn(waitS + (number % 5) * 60, clock) }),
    ...(kind === 'undeliverable_leave' && { undeliverable_action: 'leave' as const }),
    ...(confirmation && { confirmation }),
    ...(number % 17 === 0 && { expedited: true }),
  };
}

/** A window that begins in so many seconds of the clock. */
export function windowIn(seconds: number, clock: Clock): PickupWindow {
  const startMs = clock.nowMs() + seconds * 1_000;
  return { start: isoTime(startMs), end: isoTime(startMs + WINDOW_S * 1_000) };
}

/** What of a request decides what is due. */
export function requestedBy(request: CreateDeliveryRequest): Requested {
  return {
    pickup: request.pickup.location,
    dropoff: request.dropoff.location,
    weightKg: request.packages.reduce((sum, one) => sum + one.weight_kg, 0),
    expedited: request.expedited ?? false,
    pickupWindow: request.pickup_window ?? null,
    confirmation: request.confirmation ?? 'none',
    undeliverableAction: request.undeliverable_action ?? 'return',
  };
}

function packagesOf(kind: RequestKind, number: number): CreateDeliveryRequest['packages'] {
  const small = { size: 'small', weight_kg: 0.5 + (number % 3) * 0.5 } as const;
  switch (kind) {
    case 'heavy':
      return [{ size: 'large', weight_kg: 7.5 }];
    case 'two_packages':
      return [small, { size: 'small', weight_kg: 0.4 }];
    case 'carrier':
    case 'carrier_cancelled':
    case 'carrier_fails': {
      // Each fits a drone, and together they are not too heavy; but no bay takes all three.
      const large = { size: 'large', weight_kg: 2 } as const;
      return [large, large, large];
    }
    default:
      return [small];
  }
}
