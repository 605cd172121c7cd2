/** A delivery as callers see it, put together from its parts; and the parts, with personal data on its own. Pure. */
import { timeMsOf } from '../../../shared/clock.ts';
import type { Location, Stop } from '../../../shared/schemas.ts';
import type { Delivery, DeliveryStatus, Eta } from '../contract/index.ts';
import type { DeliveryState, Requested } from './timeline.ts';

/** What the sender asked for, without anything that tells who a person is or how to reach them. */
export type RequestedImpersonal = Omit<
  Requested,
  'id' | 'account_id' | 'livemode' | 'external_id' | 'created_at' | 'pickup' | 'dropoff' | 'metadata'
> & { pickup: { location: Location }; dropoff: { location: Location } };

/** The rest of it. The metadata are here because callers write into them what they like. */
export interface Personal {
  pickup: Omit<Stop, 'location'>;
  dropoff: Omit<Stop, 'location'>;
  metadata: Record<string, string>;
}

/** The columns that identify a delivery. */
export interface Identity {
  id: Delivery['id'];
  account_id: Delivery['account_id'];
  livemode: boolean;
  external_id: string | null;
  created_at: string;
}

export function partsOf(requested: Requested): {
  identity: Identity;
  impersonal: RequestedImpersonal;
  personal: Personal;
} {
  const { id, account_id, livemode, external_id, created_at, pickup, dropoff, metadata, ...rest } = requested;
  const { location: from, ...pickupPersonal } = pickup;
  const { location: to, ...dropoffPersonal } = dropoff;
  return {
    identity: { id, account_id, livemode, external_id, created_at },
    impersonal: { ...rest, pickup: { location: from }, dropoff: { location: to } },
    personal: { pickup: pickupPersonal, dropoff: dropoffPersonal, metadata },
  };
}

/** @param nowMs what the delivery's clock shows at the moment that is shown */
export function deliveryView(
  identity: Identity,
  impersonal: RequestedImpersonal,
  personal: Personal | null,
  state: DeliveryState,
  nowMs: number,
): Delivery {
  const { pickup, dropoff, ...rest } = impersonal;
  const { dropoff: changed, ...progress } = state;
  return {
    object: 'delivery',
    ...identity,
    ...rest,
    pickup: { ...pickup, ...personal?.pickup },
    dropoff: { ...(changed ?? dropoff), ...personal?.dropoff },
    metadata: personal?.metadata ?? {},
    // Written before there were windows, and proof of delivery, a state has none.
    ...BEFORE,
    ...progress,
    imminent: isImminent(state.status, state.eta, nowMs),
  };
}

const BEFORE = {
  pickup_window: null,
  return_price: null,
  confirmation_status: 'not_required',
  confirmation_due_at: null,
  undeliverable_reason: null,
} as const;

const IMMINENT_MS = 60_000;
const ON_THE_WAY: ReadonlySet<DeliveryStatus> = new Set([
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
]);

/** At most a minute from the dropoff by ETA, with the package on its way there. */
export function isImminent(status: DeliveryStatus, eta: Eta, nowMs: number): boolean {
  return ON_THE_WAY.has(status) && eta.dropoff_at !== null && timeMsOf(eta.dropoff_at) - nowMs <= IMMINENT_MS;
}
