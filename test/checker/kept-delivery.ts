/** One delivery as every service keeps it when nothing went wrong with it: what sound histories are made of. */
import type { Authorization } from '../../services/account/contract/index.ts';
import type { Booking } from '../../services/carrier/contract/index.ts';
import type {
  Delivery,
  DeliveryEvent,
  DeliveryStatus,
  Intervention,
} from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import type { Package } from '../../services/package/contract/index.ts';
import type { FlownMilestone, History, Order } from './history.ts';

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

export const SENT: DeliveryStatus[] = ['created', 'confirmed', 'enroute_to_pickup'];
export const LOADED: DeliveryStatus[] = [...SENT, 'arrived_at_pickup', 'picked_up', 'enroute_to_dropoff'];
export const FLOWN: DeliveryStatus[] = [...LOADED, 'arrived_at_dropoff', 'delivered'];
export const FLOWN_BACK: DeliveryStatus[] = [
  ...LOADED,
  'arrived_at_dropoff',
  'enroute_to_return',
  'arrived_at_return',
  'returned',
];

type Step = Pick<DeliveryEvent, 'type' | 'status'> & { data?: DeliveryEvent['data'] };

/** One a minute; those of its end from `endsMin` on. */
function eventsOf(
  id: string,
  { statuses, questions = [], endsMin }: Pick<Told, 'statuses' | 'questions' | 'endsMin'>,
): DeliveryEvent[] {
  const walked = statuses.map((status): Step => ({ type: `delivery.${status}`, status }));
  const [before, end] = [walked.slice(0, -1), walked.at(-1)!];
  const asked = questions.flatMap(({ kind, answer }): Step[] => [
    { type: 'delivery.intervention_opened', status: before.at(-1)!.status, data: { kind } },
    {
      type: 'delivery.intervention_resolved',
      status: before.at(-1)!.status,
      data: { kind, answer, by: PERSON, why: 'test' },
    },
  ]);
  const settled: Step = { type: 'delivery.settled', status: end.status };
  const begun = [...before, ...asked];
  return [...begun, end, settled].map(({ type, status, data = {} }, index) => {
    const time = at(index < begun.length ? index : Math.max(index, endsMin ?? 0));
    return {
      object: 'event',
      id: `evt_${id}_${index + 1}`,
      delivery_id: id,
      sequence: index + 1,
      type,
      status,
      occurred_at: time,
      recorded_at: time,
      data,
    } as unknown as DeliveryEvent;
  });
}

const PERSON = 'operator:key_1';

function interventionsOf(id: string, { questions = [] }: Pick<Told, 'questions'>): Intervention[] {
  return questions.map(({ kind, answer, atMin }) => ({
    id: interventionId(id, kind),
    kind,
    reason: 'test',
    answers: [],
    opened_at: at(atMin),
    resolved_at: at(atMin),
    resolution: { answer, by: PERSON, why: 'test' },
  }));
}

export const interventionId = (id: string, kind: string) => `int_${id}_${kind}`;

type ToldMilestone = Pick<FlownMilestone, 'kind' | 'position'> & { detail?: FlownMilestone['detail'] };

/** What an aircraft told on a flight that ended in this status. */
function toldOn(status: DeliveryStatus, loading: Reservation['loading']): ToldMilestone[] {
  const isLoaded = loading === 'loaded';
  return [
    { kind: 'took_off', position: PICKUP },
    ...(isLoaded || status === 'failed' ? [{ kind: 'arrived_at_pickup', position: PICKUP }] : []),
    ...(isLoaded ? [{ kind: 'loaded', position: PICKUP }] : []),
    ...(status === 'delivered' ? [{ kind: 'released', position: DROPOFF }] : []),
    ...(status === 'returned'
      ? [
          { kind: 'dropoff_blocked', position: DROPOFF },
          { kind: 'turned_back', position: DROPOFF, detail: { reason: 'told_to' } },
          { kind: 'released', position: PICKUP },
        ]
      : []),
    { kind: 'landed', position: null },
  ];
}

interface Told {
  statuses: readonly DeliveryStatus[];
  /** Null: a carrier took it, or nobody. */
  drone: string | null;
  byCarrier?: boolean;
  beginsMin: number;
  /** Of its last status, minutes; as soon as may be unless told. */
  endsMin?: number;
  /** What people were asked before it ended, and answered. */
  questions?: { kind: string; answer: string; atMin: number }[];
  loading: Reservation['loading'];
  charge: number;
  orders?: Order[];
  changes?: Partial<Delivery>;
}

/** One delivery as every service keeps it when nothing went wrong. */
export function add(history: Planted, id: string, told: Told): void {
  const events = eventsOf(id, told);
  const status = told.statuses.at(-1)!;
  const isCarried = status === 'delivered' || status === 'returned';
  history.accepted.push({
    key: `key-${id}`,
    answers: [id, id],
    requested: {
      pickup: PICKUP,
      dropoff: DROPOFF,
      weightKg: 1,
      expedited: false,
      pickupWindow: null,
      confirmation: told.changes?.confirmation ?? 'none',
      undeliverableAction: 'return',
    },
    orders: [
      ...(told.orders ?? []),
      ...(told.questions ?? []).map(({ kind, answer }): Order => ({
        kind: 'answer',
        answer: 'done',
        intervention: interventionId(id, kind),
        given: answer,
      })),
    ],
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
    deadline: null,
    undeliverable_action: 'return',
    undeliverable_reason: status === 'returned' ? 'dropoff_blocked' : null,
    left_unattended: false,
    confirmation: 'none',
    confirmation_status: 'not_required',
    price: PRICE,
    return_price: status === 'returned' ? { ...PRICE, amount: BACK } : null,
    status,
    fulfilment: told.drone !== null ? 'drone' : told.byCarrier ? 'carrier' : null,
    complete: true,
    compensation: isCarried ? 'none' : 'complete',
    sequence: events.length,
    interventions: interventionsOf(id, told),
    cancellation_reason: status === 'cancelled' ? 'requested_by_sender' : null,
    failure_reason: null,
    charge: { ...PRICE, amount: told.charge },
    ...told.changes,
  } as unknown as Delivery);
  if (told.byCarrier) addBooking(history, id, told.beginsMin);
  if (told.drone !== null) addFlight(history, id, { ...told, drone: told.drone, status });
  // Of an account that cannot pay nothing is set aside.
  if (told.changes?.failure_reason !== 'credit_exceeded') {
    addMoney(history, id, told.changes?.account_id ?? 'acc_1', told.charge);
  }
  history.packages.push({
    id: `pkg_${id}`,
    delivery_id: id,
    state: isCarried ? 'registered' : 'void',
  } as unknown as Package);
  history.workflows?.push({ workflowId: id, runId: `run-${id}`, deliveryId: id, status: 'COMPLETED' });
}

function addMoney(history: Planted, id: string, accountId: string, charge: number): void {
  const authorized = { delivery_id: id, account_id: accountId, amount: PRICE, created_at: at(0) };
  history.authorizations.push({
    ...authorized,
    id: `auth_${id}`,
    step_key: `${id}/authorize/1`,
    state: charge > 0 ? 'captured' : 'voided',
    captured: charge > 0 ? { ...PRICE, amount: Math.min(charge, PRICE.amount) } : null,
  } as Authorization);
  if (charge <= PRICE.amount) return;
  const raised = { ...PRICE, amount: charge - PRICE.amount };
  history.authorizations.push({
    ...authorized,
    id: `auth_${id}_raised`,
    step_key: `${id}/reauthorize/1`,
    state: 'captured',
    amount: raised,
    captured: raised,
  } as Authorization);
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
  for (const [index, { kind, position, detail = {} }] of toldOn(told.status, told.loading).entries()) {
    history.milestones.push({
      reservationId: `res_${id}`,
      droneId: told.drone,
      deliveryId: id,
      kind,
      occurredAt: at(told.beginsMin + 1 + index),
      position,
      detail,
      byAircraft: true,
    });
  }
  if (told.loading === 'loaded') history.seenAboard.push({ droneId: told.drone, deliveryId: id });
}

function addBooking(history: Planted, id: string, beginsMin: number): void {
  history.bookings.push({
    id: `bkg_${id}`,
    delivery_id: id,
    carrier: 'Courier',
    state: 'delivered',
    price: { amount: 500, currency: 'USD' },
    created_at: at(beginsMin),
    ended_at: at(beginsMin + 20),
  } as Booking);
  history.carrierAnswers.push({ deliveryId: id, outcome: 'quoted', amount: 500 });
}
