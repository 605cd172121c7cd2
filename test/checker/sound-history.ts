/**
 * A small history in which nothing is wrong: delivered, cancelled, failed, flown back, lost, sender absent, by carrier. And how to
 * change it, so that a fault can be planted in it.
 */
import { expect } from 'vitest';
import type { Account, Authorization, CreditNote } from '../../services/account/contract/index.ts';
import type { Booking } from '../../services/carrier/contract/index.ts';
import type { Delivery, DeliveryEvent, DeliveryStatus } from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import type { Package } from '../../services/package/contract/index.ts';
import type { AcceptedRequest, History, Order } from './history.ts';

/** 1001 m apart: 4.99 and 0.60 for the kilometre and 0.50 for the kilogram, in dollars. */
export const PICKUP = { latitude: 47.6, longitude: -122.3 };
export const DROPOFF = { latitude: 47.609, longitude: -122.3 };
/** As far again: 0.60 more. */
export const FARTHER = { latitude: 47.618, longitude: -122.3 };
export const PRICE = { amount: 609, currency: 'USD' };
export const FEE = 244;
/** The flight back from the dropoff. */
export const BACK = 60;
const AT = Date.parse('2026-03-01T12:00:00Z');
export const at = (minute: number) => new Date(AT + minute * 60_000).toISOString();
export const window = (fromMin: number) => ({ start: at(fromMin), end: at(fromMin + 60) });

/** What judge may change of a history: the same data, but not read-only. */
export type Planted = {
  -readonly [K in keyof History]: History[K] extends readonly (infer T)[] | undefined ? T[] : History[K];
};

const SENT: DeliveryStatus[] = ['created', 'confirmed', 'enroute_to_pickup'];
const LOADED: DeliveryStatus[] = [...SENT, 'arrived_at_pickup', 'picked_up', 'enroute_to_dropoff'];
export const FLOWN: DeliveryStatus[] = [...LOADED, 'arrived_at_dropoff', 'delivered'];
const FLOWN_BACK: DeliveryStatus[] = [
  ...LOADED,
  'arrived_at_dropoff',
  'enroute_to_return',
  'arrived_at_return',
  'returned',
];

function eventsOf(id: string, statuses: readonly DeliveryStatus[]): DeliveryEvent[] {
  return [...statuses.map((status) => ({ type: `delivery.${status}`, status })), SETTLED(statuses)].map(
    ({ type, status }, index) =>
      ({
        object: 'event',
        id: `evt_${id}_${index + 1}`,
        delivery_id: id,
        sequence: index + 1,
        type,
        status,
        occurred_at: at(index),
        recorded_at: at(index),
        data: {},
      }) as unknown as DeliveryEvent,
  );
}

const SETTLED = (statuses: readonly DeliveryStatus[]) => ({
  type: 'delivery.settled',
  status: statuses.at(-1)!,
});

/** What an aircraft told on a flight that ended in this status. */
function toldOn(status: DeliveryStatus, loading: Reservation['loading']) {
  const isLoaded = loading === 'loaded';
  return [
    { kind: 'took_off', position: PICKUP },
    ...(isLoaded || status === 'failed' ? [{ kind: 'arrived_at_pickup', position: PICKUP }] : []),
    ...(isLoaded ? [{ kind: 'loaded', position: PICKUP }] : []),
    ...(status === 'delivered' ? [{ kind: 'released', position: DROPOFF }] : []),
    ...(status === 'returned'
      ? [
          { kind: 'turned_back', position: DROPOFF },
          { kind: 'released', position: PICKUP },
        ]
      : []),
    { kind: 'landed', position: null },
  ];
}

interface Told {
  statuses: readonly DeliveryStatus[];
  /** Null: a carrier took it. */
  drone: string | null;
  beginsMin: number;
  loading: Reservation['loading'];
  charge: number;
  orders?: Order[];
  changes?: Partial<Delivery>;
}

/** One delivery as every service keeps it when nothing went wrong. */
export function add(history: Planted, id: string, told: Told): void {
  const events = eventsOf(id, told.statuses);
  const status = told.statuses.at(-1)!;
  const isCarried = status === 'delivered' || status === 'returned';
  history.accepted.push({
    key: `key-${id}`,
    answers: [id, id],
    requested: { pickup: PICKUP, dropoff: DROPOFF, weightKg: 1, expedited: false, pickupWindow: null },
    orders: told.orders ?? [],
  });
  history.events.push(...events);
  history.deliveries.push({
    id,
    account_id: 'acc_1',
    livemode: true,
    external_id: `ext-${id}`,
    pickup: { location: PICKUP },
    dropoff: { location: DROPOFF },
    packages: [{ id: `pkg_${id}`, weight_kg: 1 }],
    expedited: false,
    pickup_window: null,
    confirmation: 'none',
    confirmation_status: 'not_required',
    price: PRICE,
    return_price: status === 'returned' ? { ...PRICE, amount: BACK } : null,
    status,
    fulfilment: told.drone === null ? 'carrier' : 'drone',
    complete: true,
    compensation: isCarried ? 'none' : 'complete',
    sequence: events.length,
    interventions: [],
    cancellation_reason: status === 'cancelled' ? 'requested_by_sender' : null,
    failure_reason: null,
    charge: { ...PRICE, amount: told.charge },
    ...told.changes,
  } as unknown as Delivery);
  if (told.drone === null) addBooking(history, id, told.beginsMin);
  else addFlight(history, id, { ...told, drone: told.drone, status });
  const authorized = { delivery_id: id, account_id: 'acc_1', amount: PRICE };
  history.authorizations.push({
    ...authorized,
    id: `auth_${id}`,
    step_key: `${id}/authorize/1`,
    state: told.charge > 0 ? 'captured' : 'voided',
    captured: told.charge > 0 ? { ...PRICE, amount: Math.min(told.charge, PRICE.amount) } : null,
  } as Authorization);
  if (told.charge > PRICE.amount) {
    const raised = { ...PRICE, amount: told.charge - PRICE.amount };
    history.authorizations.push({
      ...authorized,
      id: `auth_${id}_raised`,
      step_key: `${id}/reauthorize/1`,
      state: 'captured',
      amount: raised,
      captured: raised,
    } as Authorization);
  }
  history.packages.push({
    id: `pkg_${id}`,
    delivery_id: id,
    state: isCarried ? 'registered' : 'void',
  } as unknown as Package);
  history.workflows?.push({ workflowId: id, runId: `run-${id}`, deliveryId: id, status: 'COMPLETED' });
}

function addFlight(
  history: Planted,
  id: string,
  told: { drone: string; status: DeliveryStatus; beginsMin: number; loading: Reservation['loading'] },
): void {
  history.reservations.push({
    id: `res_${id}`,
    token: 1,
    delivery_id: id,
    drone_id: told.drone,
    state: 'ended',
    loading: told.loading,
    created_at: at(told.beginsMin),
    ended_at: at(told.beginsMin + 10),
  } as Reservation);
  (history.dispatched as Set<string>).add(`res_${id}`);
  for (const [index, { kind, position }] of toldOn(told.status, told.loading).entries()) {
    history.milestones.push({
      reservationId: `res_${id}`,
      droneId: told.drone,
      deliveryId: id,
      kind,
      occurredAt: at(told.beginsMin + 1 + index),
      position,
    });
  }
  if (told.loading === 'loaded') history.seenAboard.push({ droneId: told.drone, deliveryId: id });
}

function addBooking(history: Planted, id: string, beginsMin: number): void {
  history.bookings.push({
    id: `bkg_${id}`,
    delivery_id: id,
    state: 'delivered',
    price: { amount: 500, currency: 'USD' },
    created_at: at(beginsMin),
    ended_at: at(beginsMin + 20),
  } as Booking);
}

export const CANCELLED: Order[] = [{ kind: 'cancel', answer: 'done' }];

export function sound(): Planted {
  const history: Planted = {
    accepted: [],
    deliveries: [],
    events: [],
    feed: [],
    subscribers: [],
    reservations: [],
    dispatched: new Set<string>(),
    milestones: [],
    seenAboard: [],
    accounts: [
      {
        id: 'acc_1',
        credit_limit: { amount: 1_000_000, currency: 'USD' },
        preferences: { carrier_fallback: true, carrier_price_cap: null },
      } as unknown as Account,
    ],
    authorizations: [],
    creditNotes: [
      {
        id: 'crn_1',
        delivery_id: 'del_lost',
        amount: PRICE,
        reason: 'package_lost',
      } as unknown as CreditNote,
    ],
    bookings: [],
    packages: [],
    workflows: [],
    held: [],
    audit: [],
  };
  // The same drone, one after the other; the second is called back on its way to the pickup.
  add(history, 'del_1', { statuses: FLOWN, drone: 'drn_1', beginsMin: 0, loading: 'loaded', charge: 609 });
  add(history, 'del_2', {
    statuses: [...SENT, 'cancelled'],
    drone: 'drn_1',
    beginsMin: 10,
    loading: 'barred',
    charge: FEE,
    orders: CANCELLED,
  });
  add(history, 'del_3', {
    statuses: [...SENT, 'awaiting_drone', 'failed'],
    drone: 'drn_2',
    beginsMin: 0,
    loading: 'none',
    charge: 0,
    changes: { failure_reason: 'no_drone_available' },
  });
  add(history, 'del_back', {
    statuses: FLOWN_BACK,
    drone: 'drn_4',
    beginsMin: 0,
    loading: 'loaded',
    charge: PRICE.amount + BACK,
  });
  add(history, 'del_lost', {
    statuses: [...LOADED, 'failed'],
    drone: 'drn_5',
    beginsMin: 0,
    loading: 'loaded',
    charge: 0,
    changes: { failure_reason: 'package_lost' },
  });
  add(history, 'del_absent', {
    statuses: [...SENT, 'arrived_at_pickup', 'failed'],
    drone: 'drn_6',
    beginsMin: 0,
    loading: 'barred',
    charge: FEE,
    changes: { failure_reason: 'sender_absent' },
  });
  add(history, 'del_carrier', {
    statuses: FLOWN,
    drone: null,
    beginsMin: 0,
    loading: 'none',
    charge: PRICE.amount,
  });
  history.feed = history.events.map(({ delivery_id, sequence }, index) => ({
    position: index + 1,
    deliveryId: delivery_id,
    sequence,
  }));
  const effects = history.events.map((one) => ({
    deliveryId: one.delivery_id,
    sequence: one.sequence,
  }));
  history.subscribers = [
    { name: 'all', effects },
    { name: 'one', of: ['del_1'], effects: effects.filter(({ deliveryId }) => deliveryId === 'del_1') },
  ];
  return history;
}

export const delivery = (history: Planted, id: string) => history.deliveries.find((one) => one.id === id)!;
export const replace = <T>(items: T[], is: (item: T) => boolean, changes: Partial<T>) => {
  const index = items.findIndex(is);
  expect(index).toBeGreaterThanOrEqual(0);
  items[index] = { ...items[index]!, ...changes };
};
export const asked = (history: Planted, id: string, changes: Partial<AcceptedRequest>) => {
  replace(history.accepted, ({ answers }) => answers.includes(id), changes);
};
export const told = (history: Planted, id: string, ...orders: Order[]) => {
  asked(history, id, { orders });
};
/** Charges it so, everywhere alike: nothing but the tariff tells that it is wrong. */
export const charge = (history: Planted, id: string, amount: number, changes: Partial<Delivery> = {}) => {
  const isOurs = (one: Authorization) => one.delivery_id === id;
  const [first, ...raised] = history.authorizations.filter(isOurs);
  const rest = history.authorizations.filter((one) => !isOurs(one) || raised.includes(one));
  const captured = { ...PRICE, amount: Math.min(amount, PRICE.amount) };
  history.authorizations = [
    ...rest.map((one) =>
      raised.includes(one) && amount <= PRICE.amount
        ? { ...one, state: 'voided' as const, captured: null }
        : raised.includes(one)
          ? { ...one, captured: { ...PRICE, amount: amount - PRICE.amount } }
          : one,
    ),
    { ...first!, state: amount > 0 ? 'captured' : 'voided', captured: amount > 0 ? captured : null },
  ];
  replace(history.deliveries, (one) => one.id === id, { charge: { ...PRICE, amount }, ...changes });
};
/** Leaves an event out, or writes it twice, everywhere, so that only the numbers tell. */
export const inFeed = (history: Planted) =>
  (history.feed = (history.feed ?? []).map((one, index) => ({ ...one, position: index + 1 })));
