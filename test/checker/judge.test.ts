// The checker checked: a sound history has no fault, and each planted one is named, with its kind and its delivery.
import { expect, test } from 'vitest';
import type { Authorization } from '../../services/account/contract/index.ts';
import type { Delivery, DeliveryEvent, DeliveryStatus } from '../../services/delivery/contract/index.ts';
import type { Reservation } from '../../services/drone/contract/index.ts';
import type { Package } from '../../services/package/contract/index.ts';
import { FAULT_KINDS, type FaultKind, type History } from './history.ts';
import { describeFault, judge } from './judge.ts';

const PRICE = { amount: 1000, currency: 'USD' };
const AT = Date.parse('2026-03-01T12:00:00Z');
const at = (minute: number) => new Date(AT + minute * 60_000).toISOString();

/** What judge may change of a history: the same data, but not read-only. */
type Planted = {
  -readonly [K in keyof History]: History[K] extends readonly (infer T)[] | undefined ? T[] : History[K];
};

const FLOWN: DeliveryStatus[] = [
  'created',
  'confirmed',
  'enroute_to_pickup',
  'arrived_at_pickup',
  'picked_up',
  'enroute_to_dropoff',
  'arrived_at_dropoff',
  'delivered',
];

function eventsOf(id: string, statuses: DeliveryStatus[]): DeliveryEvent[] {
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

const SETTLED = (statuses: DeliveryStatus[]) => ({ type: 'delivery.settled', status: statuses.at(-1)! });

interface Told {
  statuses: DeliveryStatus[];
  drone: string;
  beginsMin: number;
  loading: Reservation['loading'];
  charge: number;
  changes?: Partial<Delivery>;
}

/** One delivery as every service keeps it when nothing went wrong. */
function add(history: Planted, id: string, told: Told): void {
  const events = eventsOf(id, told.statuses);
  const status = told.statuses.at(-1)!;
  const isCarried = status === 'delivered';
  history.accepted.push({ key: `key-${id}`, answers: [id, id] });
  history.events.push(...events);
  history.deliveries.push({
    id,
    account_id: 'acc_1',
    livemode: true,
    external_id: `ext-${id}`,
    packages: [{ id: `pkg_${id}` }],
    confirmation: 'none',
    confirmation_status: 'not_required',
    price: PRICE,
    status,
    fulfilment: 'drone',
    complete: true,
    compensation: isCarried ? 'none' : 'complete',
    sequence: events.length,
    interventions: [],
    cancellation_reason: status === 'cancelled' ? 'requested_by_sender' : null,
    failure_reason: null,
    charge: { ...PRICE, amount: told.charge },
    ...told.changes,
  } as unknown as Delivery);
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
  for (const [index, kind] of [
    'took_off',
    ...(told.loading === 'loaded' ? ['loaded'] : []),
    'landed',
  ].entries()) {
    history.milestones.push({
      reservationId: `res_${id}`,
      droneId: told.drone,
      deliveryId: id,
      kind,
      occurredAt: at(told.beginsMin + 1 + index),
    });
  }
  if (told.loading === 'loaded') history.seenAboard.push({ droneId: told.drone, deliveryId: id });
  history.authorizations.push({
    id: `auth_${id}`,
    step_key: `${id}/authorize/1`,
    delivery_id: id,
    state: told.charge > 0 ? 'captured' : 'voided',
    amount: PRICE,
    captured: told.charge > 0 ? { ...PRICE, amount: told.charge } : null,
  } as Authorization);
  history.packages.push({
    id: `pkg_${id}`,
    delivery_id: id,
    state: isCarried ? 'registered' : 'void',
  } as unknown as Package);
  history.workflows?.push({
    workflowId: id,
    runId: `run-${id}`,
    deliveryId: id,
    status: 'COMPLETED',
  });
}

function sound(): Planted {
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
    authorizations: [],
    bookings: [],
    packages: [],
    workflows: [],
    held: [],
  };
  // The same drone, one after the other; the second is called back on its way to the pickup.
  add(history, 'del_1', { statuses: FLOWN, drone: 'drn_1', beginsMin: 0, loading: 'loaded', charge: 1000 });
  add(history, 'del_2', {
    statuses: ['created', 'confirmed', 'enroute_to_pickup', 'cancelled'],
    drone: 'drn_1',
    beginsMin: 10,
    loading: 'barred',
    charge: 400,
  });
  add(history, 'del_3', {
    statuses: ['created', 'confirmed', 'enroute_to_pickup', 'awaiting_drone', 'failed'],
    drone: 'drn_2',
    beginsMin: 0,
    loading: 'none',
    charge: 0,
    changes: { failure_reason: 'no_drone_available' },
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

const delivery = (history: Planted, id: string) => history.deliveries.find((one) => one.id === id)!;
const replace = <T>(items: T[], is: (item: T) => boolean, changes: Partial<T>) => {
  const index = items.findIndex(is);
  expect(index).toBeGreaterThanOrEqual(0);
  items[index] = { ...items[index]!, ...changes };
};
/** Leaves an event out, or writes it twice, everywhere, so that only the numbers tell. */
const inFeed = (history: Planted) =>
  (history.feed = (history.feed ?? []).map((one, index) => ({ ...one, position: index + 1 })));

interface Plant {
  name: string;
  plant: (history: Planted) => void;
  kind: FaultKind;
  of: string | null;
  says: RegExp;
}

const PLANTS: Plant[] = [
  {
    name: 'a loss: accepted, and nowhere',
    plant: (history) => history.accepted.push({ key: 'key-4', answers: ['del_4'] }),
    kind: 'lost',
    of: 'del_4',
    says: /does not know it/,
  },
  {
    name: 'a double: one key, two deliveries',
    plant: (history) => (history.accepted[0] = { key: 'key-del_1', answers: ['del_1', 'del_9'] }),
    kind: 'double',
    of: 'del_1',
    says: /key-del_1 was answered with 2 deliveries: del_1, del_9/,
  },
  {
    name: 'a double: one external id, two deliveries',
    plant: (history) => replace(history.deliveries, ({ id }) => id === 'del_2', { external_id: 'ext-del_1' }),
    kind: 'double',
    of: 'del_1',
    says: /2 deliveries of .*ext-del_1/,
  },
  {
    name: 'a double: two requests, one delivery',
    plant: (history) => history.accepted.push({ key: 'key-4', answers: ['del_1'] }),
    kind: 'double',
    of: 'del_1',
    says: /the answer to key-del_1 and to key-4/,
  },
  {
    name: 'an orphan: a delivery that nobody was promised',
    plant: (history) =>
      history.deliveries.push({ ...delivery(history, 'del_1'), id: 'del_9' as never, external_id: null }),
    kind: 'orphan',
    of: 'del_9',
    says: /nobody got a 201/,
  },
  ...(['reservations', 'authorizations', 'packages'] as const).map((where): Plant => ({
    name: `an orphan among the ${where}`,
    plant: (history) => {
      const items = history[where] as { id: string; delivery_id: string; drone_id?: string }[];
      items.push({ ...items[0]!, id: 'orphan_1', delivery_id: 'del_9', drone_id: 'drn_9' });
    },
    kind: 'orphan',
    of: 'del_9',
    says: /orphan_1/,
  })),
  {
    name: 'an orphan: a workflow',
    plant: (history) =>
      history.workflows?.push({ workflowId: 'del_9', runId: 'r', deliveryId: 'del_9', status: 'RUNNING' }),
    kind: 'orphan',
    of: 'del_9',
    says: /workflow del_9/,
  },
  {
    name: 'a delivery that goes on',
    plant: (history) => {
      replace(history.deliveries, ({ id }) => id === 'del_1', {
        status: 'arrived_at_dropoff',
        complete: false,
      });
    },
    kind: 'unfinished',
    of: 'del_1',
    says: /has not ended/,
  },
  {
    name: 'a compensation that is not done',
    plant: (history) => replace(history.deliveries, ({ id }) => id === 'del_3', { compensation: 'pending' }),
    kind: 'unfinished',
    of: 'del_3',
    says: /compensation is pending/,
  },
  {
    name: 'two runs of a workflow',
    plant: (history) =>
      history.workflows?.push({ workflowId: 'del_1', runId: 'r2', deliveryId: 'del_1', status: 'COMPLETED' }),
    kind: 'workflow',
    of: 'del_1',
    says: /2 runs/,
  },
  {
    name: 'a workflow that failed',
    plant: (history) =>
      replace(history.workflows!, ({ workflowId }) => workflowId === 'del_1', { status: 'FAILED' }),
    kind: 'workflow',
    of: 'del_1',
    says: /is FAILED/,
  },
  {
    name: 'no workflow',
    plant: (history) => history.workflows!.splice(0, 1),
    kind: 'workflow',
    of: 'del_1',
    says: /no workflow/,
  },
  {
    name: 'a gap in the events',
    plant: (history) => {
      const isLeftOut = (one: { sequence: number }, id: string) => id === 'del_1' && one.sequence === 6;
      history.events = history.events.filter((one) => !isLeftOut(one, one.delivery_id));
      history.feed = history.feed!.filter((one) => !isLeftOut(one, one.deliveryId));
      inFeed(history);
      history.subscribers = [];
    },
    kind: 'events',
    of: 'del_1',
    says: /after event 5 comes 7/,
  },
  {
    name: 'an event number given twice',
    plant: (history) => history.events.push({ ...history.events[3]!, id: 'evt_other' as never }),
    kind: 'events',
    of: 'del_1',
    says: /number 4 is there twice/,
  },
  {
    name: 'a step that the state machine forbids',
    plant: (history) =>
      replace(history.events, ({ status }) => status === 'picked_up', { status: 'returned' }),
    kind: 'events',
    of: 'del_1',
    says: /goes from arrived_at_pickup to returned/,
  },
  {
    name: 'two final events',
    plant: (history) =>
      replace(history.events, ({ type }) => type === 'delivery.settled', { type: 'delivery.delivered' }),
    kind: 'events',
    of: 'del_1',
    says: /delivery.delivered happened 2 times/,
  },
  {
    name: 'a package that was handed over without the PIN that was asked for',
    plant: (history) =>
      replace(history.deliveries, ({ id }) => id === 'del_1', {
        confirmation: 'pin',
        confirmation_status: 'not_given',
      }),
    kind: 'proof',
    of: 'del_1',
    says: /handed over without its pin: not_given/,
  },
  {
    name: 'a double load, by the reservations',
    plant: (history) => {
      const first = history.reservations[0]!;
      const second = { ...first, id: 'res_second' as never, drone_id: 'drn_3' as never, token: 2 };
      history.reservations.push(second);
    },
    kind: 'double_load',
    of: 'del_1',
    says: /2 drones loaded for it: drn_1, drn_3/,
  },
  {
    name: 'a double load, by the milestones',
    plant: (history) => {
      const loaded = history.milestones.find(({ kind }) => kind === 'loaded')!;
      history.milestones.push({ ...loaded, droneId: 'drn_3', reservationId: 'res_second' });
    },
    kind: 'double_load',
    of: 'del_1',
    says: /loaded 2 times: drn_1, drn_3/,
  },
  {
    name: 'a double load that the drone service knows nothing of',
    plant: (history) => history.seenAboard.push({ droneId: 'drn_3', deliveryId: 'del_1' }),
    kind: 'double_load',
    of: 'del_1',
    says: /seen in 2 drones: drn_1, drn_3/,
  },
  {
    name: 'cargo in a drone that never loaded',
    plant: (history) => history.seenAboard.push({ droneId: 'drn_2', deliveryId: 'del_3' }),
    kind: 'double_load',
    of: 'del_3',
    says: /drn_2, which never loaded/,
  },
  {
    name: 'a drone promised to two at once',
    plant: (history) => replace(history.reservations, ({ id }) => id === 'res_del_2', { created_at: at(9) }),
    kind: 'double_flight',
    of: 'del_2',
    says: /drn_1 was promised to it while it was del_1's/,
  },
  {
    name: 'a drone promised again although it was never given back',
    plant: (history) => replace(history.reservations, ({ id }) => id === 'res_del_1', { ended_at: null }),
    kind: 'double_flight',
    of: 'del_2',
    says: /while it was del_1's/,
  },
  {
    name: 'a drone that flew for two in turns',
    plant: (history) =>
      replace(history.milestones, (one) => one.deliveryId === 'del_2' && one.kind === 'took_off', {
        occurredAt: at(1.5),
      }),
    kind: 'double_flight',
    of: 'del_1',
    says: /in turns/,
  },
  {
    name: 'delivered without a loaded drone',
    plant: (history) => replace(history.reservations, ({ id }) => id === 'res_del_1', { loading: 'granted' }),
    kind: 'flight',
    of: 'del_1',
    says: /no drone loaded/,
  },
  {
    name: 'cancelled with the package aboard',
    plant: (history) => replace(history.reservations, ({ id }) => id === 'res_del_2', { loading: 'loaded' }),
    kind: 'flight',
    of: 'del_2',
    says: /cancelled, and a drone loaded/,
  },
  {
    name: 'a token given twice',
    plant: (history) =>
      history.reservations.push({
        ...history.reservations[2]!,
        id: 'res_again' as never,
        drone_id: 'drn_7' as never,
      }),
    kind: 'flight',
    of: 'del_3',
    says: /token was given twice/,
  },
  {
    name: 'a wrong charge: the full price for a cancelled one',
    plant: (history) => {
      replace(history.authorizations, ({ id }) => id === 'auth_del_2', { captured: PRICE });
      replace(history.deliveries, ({ id }) => id === 'del_2', { charge: PRICE });
    },
    kind: 'charge',
    of: 'del_2',
    says: /charged 1000 of 1000; by the tariff it is 400, cancelled_after_dispatch/,
  },
  {
    name: 'a wrong charge: a fee though no drone was sent',
    plant: (history) => (history.dispatched as Set<string>).delete('res_del_2'),
    kind: 'charge',
    of: 'del_2',
    says: /charged 400 of 1000; by the tariff it is 0, cancelled_before_dispatch/,
  },
  {
    name: 'a wrong charge: our own failure',
    plant: (history) => {
      replace(history.authorizations, ({ id }) => id === 'auth_del_3', {
        captured: PRICE,
        state: 'captured',
      });
      replace(history.deliveries, ({ id }) => id === 'del_3', { charge: PRICE });
    },
    kind: 'charge',
    of: 'del_3',
    says: /by the tariff it is 0, our_failure/,
  },
  {
    name: 'charged twice',
    plant: (history) => history.authorizations.push({ ...history.authorizations[0]!, id: 'auth_2' as never }),
    kind: 'charge',
    of: 'del_1',
    says: /charged 2 times/,
  },
  {
    name: 'a raise that was captured although nothing more was due',
    plant: (history) =>
      history.authorizations.push({
        ...history.authorizations[0]!,
        id: 'auth_raised' as never,
        step_key: 'del_1/reauthorize/1',
      }),
    kind: 'charge',
    of: 'del_1',
    says: /2000 captured, and the delivery says 1000/,
  },
  {
    name: 'money that is still set aside',
    plant: (history) =>
      replace(history.authorizations, ({ id }) => id === 'auth_del_3', { state: 'authorized' }),
    kind: 'charge',
    of: 'del_3',
    says: /1000 still authorized/,
  },
  {
    name: 'a package that is not voided',
    plant: (history) =>
      replace(history.packages, ({ id }) => id === ('pkg_del_3' as never), { state: 'registered' }),
    kind: 'package',
    of: 'del_3',
    says: /is registered/,
  },
  {
    name: 'a gap in the feed',
    plant: (history) =>
      (history.feed = history.feed!.map((one) => ({
        ...one,
        position: one.position + (one.position > 5 ? 1 : 0),
      }))),
    kind: 'feed',
    of: null,
    says: /after position 5 comes 7/,
  },
  {
    name: 'an event that never came into the feed',
    plant: (history) => {
      history.feed!.pop();
    },
    kind: 'feed',
    of: 'del_3',
    says: /event 6 had no effect/,
  },
  {
    name: 'a subscriber that did something twice',
    plant: (history) => {
      const [all] = history.subscribers;
      history.subscribers[0] = { ...all!, effects: [...all!.effects, all!.effects[0]!] };
    },
    kind: 'subscriber',
    of: 'del_1',
    says: /all: event 1 took effect twice/,
  },
  {
    name: 'a subscriber that skipped an event',
    plant: (history) => {
      const [, one] = history.subscribers;
      history.subscribers[1] = { ...one!, effects: one!.effects.filter(({ sequence }) => sequence !== 4) };
    },
    kind: 'subscriber',
    of: 'del_1',
    says: /one: event 4 had no effect/,
  },
  {
    name: 'a subscriber that got events out of order',
    plant: (history) => {
      const [all] = history.subscribers;
      const [first, second, ...rest] = all!.effects;
      history.subscribers[0] = { ...all!, effects: [second!, first!, ...rest] };
    },
    kind: 'subscriber',
    of: 'del_1',
    says: /all: event 1 came after 2/,
  },
  {
    name: 'something that is held',
    plant: (history) => history.held.push('drone Kestrel-11 is not home: lost'),
    kind: 'held',
    of: null,
    says: /Kestrel-11/,
  },
];

test('A sound history has no fault', () => {
  expect(judge(sound()).map(describeFault)).toEqual([]);
});

for (const { name, plant, kind, of, says } of PLANTS) {
  test(`Planted: ${name}`, () => {
    const history = sound();
    plant(history);
    const named = judge(history).filter((fault) => fault.kind === kind && fault.deliveryId === of);
    expect(named.map(({ what }) => what)).toContainEqual(expect.stringMatching(says));
  });
}

test('Every kind of fault has been planted', () => {
  expect(new Set(PLANTS.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
});

test('A delivery cancelled before its start has no workflow, and that is right', () => {
  const history = sound();
  add(history, 'del_4', {
    statuses: ['created', 'cancelled'],
    drone: 'drn_4',
    beginsMin: 0,
    loading: 'none',
    charge: 0,
    changes: { sequence: 2, fulfilment: null },
  });
  history.events = history.events.filter(
    ({ delivery_id, type }) => delivery_id !== ('del_4' as never) || type !== 'delivery.settled',
  );
  history.reservations = history.reservations.filter(({ delivery_id }) => delivery_id !== ('del_4' as never));
  history.milestones = history.milestones.filter(({ deliveryId }) => deliveryId !== 'del_4');
  history.workflows!.pop();
  history.feed = undefined as never;
  history.subscribers = [];
  expect(judge(history).map(describeFault)).toEqual([]);
});

test('A price that was raised for another dropoff is captured in two pieces, and that is right', () => {
  const history = sound();
  const more = { ...PRICE, amount: PRICE.amount + 120 };
  replace(history.deliveries, ({ id }) => id === 'del_1', { price: more, charge: more });
  history.authorizations.push({
    ...history.authorizations[0]!,
    id: 'auth_raised' as never,
    step_key: 'del_1/reauthorize/1',
    amount: { ...PRICE, amount: 120 },
    captured: { ...PRICE, amount: 120 },
  });
  const named = judge(history).filter(({ kind }) => kind === 'charge');
  expect(named.map(describeFault)).toEqual([]);
});
