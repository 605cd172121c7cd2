/**
 * A small history in which nothing is wrong: delivered, with a PIN too, cancelled, failed in several ways, flown back, lost, sender
 * absent, by carrier.
 */
import type { Account, CreditNote } from '../../services/account/contract/index.ts';
import type { FleetLimits, Order } from './history.ts';
import {
  add,
  at,
  BACK,
  FEE,
  FLOWN,
  FLOWN_BACK,
  LOADED,
  PICKUP,
  type Planted,
  PRICE,
  SENT,
} from './kept-delivery.ts';

/** Ten kilometres at best, from a base beside the pickup. */
const LIMITS: FleetLimits = {
  max_payload_kg: 5,
  max_distance_m: 10_000,
  bases: [{ location: PICKUP } as FleetLimits['bases'][number]],
};

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
    limits: LIMITS,
    proofs: [{ deliveryId: 'del_pin', kind: 'pin', confirmedAt: at(3.5) }],
    carrierAnswers: [],
    accounts: [
      {
        id: 'acc_1',
        state: 'active',
        credit_limit: { amount: 1_000_000, currency: 'USD' },
        preferences: { carrier_fallback: true, carrier_price_cap: null },
      } as unknown as Account,
      ...(['acc_drones', 'acc_poor'] as const).map(
        (id) =>
          ({
            id,
            state: 'active',
            credit_limit: { amount: id === 'acc_poor' ? 100 : 1_000_000, currency: 'USD' },
            preferences: { carrier_fallback: false, carrier_price_cap: null },
          }) as unknown as Account,
      ),
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
    // For an hour after its drone had failed no other one was free.
    endsMin: 64,
    loading: 'none',
    charge: 0,
    changes: { account_id: 'acc_drones' as never, failure_reason: 'no_drone_available' },
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
    questions: [{ kind: 'drone_down', answer: 'lost', atMin: 7 }],
    changes: { failure_reason: 'package_lost' },
  });
  add(history, 'del_absent', {
    statuses: [...SENT, 'arrived_at_pickup', 'failed'],
    drone: 'drn_6',
    beginsMin: 0,
    endsMin: 13,
    loading: 'barred',
    charge: FEE,
    changes: { failure_reason: 'sender_absent' },
  });
  add(history, 'del_pin', {
    statuses: FLOWN,
    drone: 'drn_7',
    beginsMin: 0,
    loading: 'loaded',
    charge: PRICE.amount,
    changes: { confirmation: 'pin', confirmation_status: 'confirmed' },
  });
  add(history, 'del_poor', {
    statuses: ['created', 'failed'],
    drone: null,
    beginsMin: 0,
    loading: 'none',
    charge: 0,
    changes: { account_id: 'acc_poor' as never, failure_reason: 'credit_exceeded' },
  });
  add(history, 'del_carrier', {
    statuses: FLOWN,
    drone: null,
    byCarrier: true,
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
