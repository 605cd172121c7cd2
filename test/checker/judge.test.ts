// The checker checked: a sound history has no fault, and each planted one is named, with its kind and its delivery.
import { expect, test } from 'vitest';
import { FAULT_KINDS } from './history.ts';
import { describeFault, judge } from './judge.ts';
import { asked, charge, delivery, inFeed, type Plant, replace, told } from './planting.ts';
import { FAILURE_PLANTS, RIGHT_FAILURES } from './plants/failures.ts';
import { KEPT_ORDERS, ORDER_PLANTS } from './plants/orders.ts';
import { photographed, RETURN_PLANTS } from './plants/returns.ts';
import {
  add,
  at,
  BACK,
  DROPOFF,
  FARTHER,
  FLOWN,
  PICKUP,
  type Planted,
  PRICE,
  window,
} from './kept-delivery.ts';
import { CANCELLED, sound } from './sound-history.ts';

/** The first drone lands with it on the way, and another one brings it to the dropoff. */
function setDownAndLoadedAgain(
  history: Planted,
  { setDownMin, loadedMin }: { setDownMin: number; loadedMin: number },
): void {
  const [first] = history.reservations;
  history.milestones = history.milestones.filter(
    ({ kind, deliveryId }) => deliveryId !== 'del_1' || (kind !== 'released' && kind !== 'landed'),
  );
  const second = { ...first!, id: 'res_second' as never, drone_id: 'drn_8' as never, token: 2 };
  history.reservations.push({ ...second, created_at: at(4), ended_at: at(12) });
  const flown = { deliveryId: 'del_1', position: DROPOFF, detail: {}, byAircraft: true };
  const byFirst = { ...flown, droneId: 'drn_1', reservationId: first!.id };
  const bySecond = { ...flown, droneId: 'drn_8', reservationId: second.id };
  history.milestones.push(
    { ...byFirst, kind: 'set_down', occurredAt: at(setDownMin) },
    { ...bySecond, kind: 'loaded', occurredAt: at(loadedMin) },
    { ...bySecond, kind: 'released', occurredAt: at(10) },
  );
  history.seenAboard.push({ droneId: 'drn_8', deliveryId: 'del_1' });
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
  ...(['reservations', 'authorizations', 'creditNotes', 'packages', 'bookings'] as const).map(
    (where): Plant => ({
      name: `an orphan among the ${where}`,
      plant: (history) => {
        const items = history[where] as { id: string; delivery_id: string; drone_id?: string }[];
        items.push({ ...items[0]!, id: 'orphan_1', delivery_id: 'del_9', drone_id: 'drn_9' });
      },
      kind: 'orphan',
      of: 'del_9',
      says: /orphan_1/,
    }),
  ),
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
      replace(history.deliveries, ({ id }) => id === 'del_pin', { confirmation_status: 'not_given' }),
    kind: 'proof',
    of: 'del_pin',
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
    name: 'a double load: taken by a second one before the first had set it down',
    plant: (history) => {
      setDownAndLoadedAgain(history, { setDownMin: 7, loadedMin: 6 });
    },
    kind: 'double_load',
    of: 'del_1',
    says: /drn_8 loaded it while it was aboard drn_1/,
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
    name: 'a package that was let go elsewhere',
    plant: (history) => replace(history.milestones, ({ kind }) => kind === 'released', { position: FARTHER }),
    kind: 'flight',
    of: 'del_1',
    says: /let go 1001 m from the dropoff/,
  },
  {
    name: 'a return that was let go at the dropoff',
    plant: (history) =>
      replace(history.milestones, (one) => one.kind === 'released' && one.deliveryId === 'del_back', {
        position: DROPOFF,
      }),
    kind: 'flight',
    of: 'del_back',
    says: /let go 1001 m from the sender/,
  },
  {
    name: 'delivered by a drone that never let it go, and by nobody else',
    plant: (history) =>
      (history.milestones = history.milestones.filter(
        ({ kind, deliveryId }) => deliveryId !== 'del_1' || kind !== 'released',
      )),
    kind: 'flight',
    of: 'del_1',
    says: /no drone let it go/,
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
    plant: (history) => charge(history, 'del_2', PRICE.amount),
    kind: 'charge',
    of: 'del_2',
    says: /charged 609; by the tariff it is 244: cancelled_after_dispatch, price 609/,
  },
  {
    name: 'a wrong charge: a fee though no drone was sent',
    plant: (history) => (history.dispatched as Set<string>).delete('res_del_2'),
    kind: 'charge',
    of: 'del_2',
    says: /charged 244; by the tariff it is 0: cancelled_before_dispatch/,
  },
  {
    name: 'a wrong charge: our own failure',
    plant: (history) => charge(history, 'del_3', PRICE.amount),
    kind: 'charge',
    of: 'del_3',
    says: /by the tariff it is 0: our_failure/,
  },
  {
    name: 'a wrong charge: a return without the flight back, which nobody wrote down',
    plant: (history) => charge(history, 'del_back', PRICE.amount, { return_price: null }),
    kind: 'charge',
    of: 'del_back',
    says: /charged 609; by the tariff it is 669: returned, price 609, the flight back 60/,
  },
  {
    name: 'a wrong charge: a return for more than the flight back cost, as it was written down',
    plant: (history) =>
      charge(history, 'del_back', PRICE.amount + 90, { return_price: { ...PRICE, amount: 90 } }),
    kind: 'charge',
    of: 'del_back',
    says: /charged 699; by the tariff it is 669/,
  },
  {
    name: 'a wrong charge: the flight back from the dropoff of a drone that turned round half-way',
    plant: (history) =>
      replace(history.milestones, ({ kind }) => kind === 'turned_back', {
        position: { ...PICKUP, latitude: 47.6045 },
      }),
    kind: 'charge',
    of: 'del_back',
    says: /charged 669; by the tariff it is 639: returned, price 609, the flight back 30/,
  },
  {
    name: 'a wrong charge: a flight back for one that a person brought back',
    plant: (history) =>
      (history.milestones = history.milestones.filter(
        ({ kind, deliveryId }) => deliveryId !== 'del_back' || kind !== 'turned_back',
      )),
    kind: 'charge',
    of: 'del_back',
    says: /charged 669; by the tariff it is 609: returned/,
  },
  {
    name: 'a flight back that is said to be beyond a credit that was there',
    plant: (history) => {
      charge(history, 'del_back', PRICE.amount, { return_price: null });
      replace(
        history.events,
        ({ delivery_id, type }) => delivery_id === ('del_back' as never) && type === 'delivery.settled',
        {
          type: 'delivery.return_not_authorized',
          data: { amount: { ...PRICE, amount: BACK }, reason: 'credit_exceeded' },
        },
      );
    },
    kind: 'charge',
    of: 'del_back',
    says: /uncharged for want of credit: \d+ of 1000000 was ever used/,
  },
  {
    name: 'a wrong charge: one that was lost',
    plant: (history) => charge(history, 'del_lost', PRICE.amount),
    kind: 'charge',
    of: 'del_lost',
    says: /charged 609; by the tariff it is 0: lost/,
  },
  {
    name: 'a loss that is not credited',
    plant: (history) => (history.creditNotes = []),
    kind: 'charge',
    of: 'del_lost',
    says: /credited nothing; due is 609/,
  },
  {
    name: 'a loss that is credited twice',
    plant: (history) => history.creditNotes.push({ ...history.creditNotes[0]!, id: 'crn_2' as never }),
    kind: 'charge',
    of: 'del_lost',
    says: /credited 609 and 609; due is 609/,
  },
  {
    name: 'a loss that is credited with less than was declared',
    plant: (history) => {
      const { packages } = delivery(history, 'del_lost');
      replace(history.deliveries, ({ id }) => id === 'del_lost', {
        packages: packages.map((one) => ({ ...one, declared_value: { amount: 5_000, currency: 'USD' } })),
      });
    },
    kind: 'charge',
    of: 'del_lost',
    says: /credited 609; due is 5000/,
  },
  {
    name: 'a credit for what was delivered',
    plant: (history) => replace(history.creditNotes, () => true, { delivery_id: 'del_1' as never }),
    kind: 'charge',
    of: 'del_1',
    says: /credited 609; due is nothing/,
  },
  {
    name: 'a wrong charge: the full price for a sender who was absent',
    plant: (history) => charge(history, 'del_absent', PRICE.amount),
    kind: 'charge',
    of: 'del_absent',
    says: /charged 609; by the tariff it is 244: sender_absent/,
  },
  {
    name: 'a wrong charge: nothing of a sender who was absent',
    plant: (history) => charge(history, 'del_absent', 0),
    kind: 'charge',
    of: 'del_absent',
    says: /charged 0; by the tariff it is 244: sender_absent/,
  },
  {
    name: 'a fee of a sender for whom no drone had come',
    plant: (history) =>
      (history.milestones = history.milestones.filter(
        ({ kind, deliveryId }) => deliveryId !== 'del_absent' || kind !== 'arrived_at_pickup',
      )),
    kind: 'charge',
    of: 'del_absent',
    says: /no drone had come/,
  },
  {
    name: 'a fee of a sender to whom the drone came after the pickup window',
    plant: (history) => {
      told(history, 'del_absent', { kind: 'reschedule', answer: 'done', window: window(-90) });
      replace(history.deliveries, ({ id }) => id === 'del_absent', { pickup_window: window(-90) });
    },
    kind: 'charge',
    of: 'del_absent',
    says: /absent, and the drone came after the pickup window/,
  },
  {
    name: 'a missed pickup window, to which the drone came in time',
    plant: (history) => charge(history, 'del_absent', 0, { failure_reason: 'pickup_window_missed' }),
    kind: 'charge',
    of: 'del_absent',
    says: /missed, and the drone came before the end of the pickup window/,
  },
  {
    name: 'a wrong price, charged as it was written down',
    plant: (history) => charge(history, 'del_1', 500, { price: { ...PRICE, amount: 500 } }),
    kind: 'charge',
    of: 'del_1',
    says: /its price is 500; by the tariff it is 609/,
  },
  {
    name: 'an expedited delivery for the price of another',
    plant: (history) => {
      const { requested } = history.accepted[0]!;
      asked(history, 'del_1', { requested: { ...requested!, expedited: true } });
    },
    kind: 'charge',
    of: 'del_1',
    says: /charged 609; by the tariff it is 914: delivered/,
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
    says: /1218 captured, and the delivery says 609/,
  },
  {
    name: 'money that is still set aside',
    plant: (history) =>
      replace(history.authorizations, ({ id }) => id === 'auth_del_3', { state: 'authorized' }),
    kind: 'charge',
    of: 'del_3',
    says: /609 still authorized/,
  },
  {
    name: 'two carriers booked for one delivery at once',
    plant: (history) =>
      history.bookings.push({ ...history.bookings[0]!, id: 'bkg_2' as never, created_at: at(5) }),
    kind: 'booking',
    of: 'del_carrier',
    says: /two carriers were booked for it at once: bkg_del_carrier and bkg_2/,
  },
  {
    name: 'a second booking beside one that was never ended',
    plant: (history) => {
      replace(history.bookings, () => true, { state: 'booked', ended_at: null });
      history.bookings.push({
        ...history.bookings[0]!,
        id: 'bkg_2' as never,
        state: 'delivered',
        created_at: at(30),
        ended_at: at(50),
      });
    },
    kind: 'booking',
    of: 'del_carrier',
    says: /two carriers were booked for it at once/,
  },
  {
    name: 'a booking that is open',
    plant: (history) => replace(history.bookings, () => true, { state: 'picked_up', ended_at: null }),
    kind: 'booking',
    of: 'del_carrier',
    says: /bkg_del_carrier is still picked_up/,
  },
  {
    name: 'a carrier that the account does not want',
    plant: (history) =>
      replace(history.accounts, () => true, {
        preferences: { carrier_fallback: false, carrier_price_cap: null },
      }),
    kind: 'booking',
    of: 'del_carrier',
    says: /its account does not want/,
  },
  {
    name: 'a carrier above the cap',
    plant: (history) => replace(history.bookings, () => true, { price: { amount: 610, currency: 'USD' } }),
    kind: 'booking',
    of: 'del_carrier',
    says: /booked for 610, above the cap of 609/,
  },
  {
    name: 'a carrier that nobody booked',
    plant: (history) => history.bookings.pop(),
    kind: 'booking',
    of: 'del_carrier',
    says: /none is booked/,
  },
  {
    name: 'delivered by a carrier that gave it up',
    plant: (history) => replace(history.bookings, () => true, { state: 'failed' }),
    kind: 'booking',
    of: 'del_carrier',
    says: /is said to have delivered it/,
  },
  {
    name: 'cancelled, and delivered by a carrier all the same',
    plant: (history) =>
      history.bookings.push({
        ...history.bookings[0]!,
        id: 'bkg_2' as never,
        delivery_id: 'del_2' as never,
      }),
    kind: 'booking',
    of: 'del_2',
    says: /cancelled, and a carrier delivered it/,
  },
  {
    name: 'delivered by a carrier and loaded by a drone',
    plant: (history) =>
      history.bookings.push({
        ...history.bookings[0]!,
        id: 'bkg_2' as never,
        delivery_id: 'del_1' as never,
      }),
    kind: 'booking',
    of: 'del_1',
    says: /a carrier delivered it, and a drone loaded it/,
  },
  {
    name: 'a cancel that was granted and not kept',
    plant: (history) => told(history, 'del_1', ...CANCELLED),
    kind: 'order',
    of: 'del_1',
    says: /told that it is cancelled/,
  },
  {
    name: 'a cancel that was refused and carried out',
    plant: (history) => told(history, 'del_2', { kind: 'cancel', answer: 'refused' }),
    kind: 'order',
    of: 'del_2',
    says: /can not be cancelled/,
  },
  {
    name: 'a cancel that nobody asked for',
    plant: (history) => told(history, 'del_2'),
    kind: 'order',
    of: 'del_2',
    says: /nobody asked for it/,
  },
  {
    name: 'an abort that was granted and not kept',
    plant: (history) => told(history, 'del_1', { kind: 'abort', answer: 'done', returning: false }),
    kind: 'order',
    of: 'del_1',
    says: /operator was told that it is cancelled/,
  },
  {
    name: 'a drone that was to turn round and delivered',
    plant: (history) => told(history, 'del_1', { kind: 'abort', answer: 'done', returning: true }),
    kind: 'order',
    of: 'del_1',
    says: /operator was told that it flies back/,
  },
  {
    name: 'a drone that was to be replaced and flew',
    plant: (history) => told(history, 'del_1', { kind: 'reassign', answer: 'done' }),
    kind: 'order',
    of: 'del_1',
    says: /drn_1 loaded it, which was to be replaced/,
  },
  {
    name: 'a dropoff that nobody asked for',
    plant: (history) =>
      replace(history.deliveries, ({ id }) => id === 'del_1', { dropoff: { location: FARTHER } }),
    kind: 'order',
    of: 'del_1',
    says: /it goes to 47.618, -122.3; its sender was told 47.609, -122.3/,
  },
  {
    name: 'another dropoff that was promised and forgotten',
    plant: (history) => told(history, 'del_1', { kind: 'change_dropoff', answer: 'done', dropoff: FARTHER }),
    kind: 'order',
    of: 'del_1',
    says: /it goes to 47.609, -122.3; its sender was told 47.618, -122.3 \(/,
  },
  {
    name: 'a pickup window that was promised and forgotten',
    plant: (history) => told(history, 'del_1', { kind: 'reschedule', answer: 'done', window: window(0) }),
    kind: 'order',
    of: 'del_1',
    says: /its pickup window is none; its sender was told 2026-03-01T12:00:00.000Z to/,
  },
  {
    name: 'a drone that loaded before the pickup window',
    plant: (history) => {
      told(history, 'del_1', { kind: 'reschedule', answer: 'done', window: window(20) });
      replace(history.deliveries, ({ id }) => id === 'del_1', { pickup_window: window(20) });
    },
    kind: 'order',
    of: 'del_1',
    says: /loaded it 1020 s before its pickup window/,
  },
  {
    name: 'a workflow that is terminated although nobody did that',
    plant: (history) =>
      replace(history.workflows!, ({ workflowId }) => workflowId === 'del_3', { status: 'TERMINATED' }),
    kind: 'workflow',
    of: 'del_3',
    says: /is TERMINATED/,
  },
  {
    name: 'given up for terminated, while its workflow completed',
    plant: (history) =>
      replace(history.deliveries, ({ id }) => id === 'del_3', { failure_reason: 'workflow_terminated' }),
    kind: 'workflow',
    of: 'del_3',
    says: /said to have been terminated, and was not/,
  },
  {
    name: 'something that the audit finds',
    plant: (history) =>
      history.audit!.push({
        kind: 'authorization',
        id: 'auth_del_3',
        what: '609 USD authorized',
        workflow: 'completed',
        deliveryId: 'del_3',
      }),
    kind: 'audit',
    of: 'del_3',
    says: /authorization auth_del_3: 609 USD authorized; its workflow is completed/,
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
    of: 'del_carrier',
    says: /event 9 had no effect/,
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
  ...FAILURE_PLANTS,
  ...RETURN_PLANTS,
  ...ORDER_PLANTS,
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

for (const { name, change } of [...RIGHT_FAILURES, ...KEPT_ORDERS]) {
  test(`As it may be: ${name}`, () => {
    const history = sound();
    change(history);
    expect(judge(history).map(describeFault)).toEqual([]);
  });
}

test('A photo that was looked at after the package had been let go is right', () => {
  const history = sound();
  photographed(history);
  expect(judge(history).map(describeFault)).toEqual([]);
});

test('A stream that ended with its delivery need not have seen what was written later; whoever follows the feed has', () => {
  const history = sound();
  const last = history.events.findLast((one) => one.delivery_id === ('del_1' as never))!;
  const sequence = last.sequence + 1;
  history.events.push({ ...last, id: 'evt_later' as never, sequence, type: 'delivery.cancel_requested' });
  replace(history.deliveries, ({ id }) => id === ('del_1' as never), { sequence });
  history.feed!.push({ position: history.feed!.length + 1, deliveryId: 'del_1', sequence });
  const [all, one] = history.subscribers;
  history.subscribers = [
    { ...all!, effects: [...all!.effects, { deliveryId: 'del_1', sequence }] },
    { ...one!, endsWithDelivery: true },
    { ...one!, endsWithDelivery: true, effects: [...one!.effects, { deliveryId: 'del_1', sequence }] },
  ];
  expect(judge(history).map(describeFault)).toEqual([]);
  history.subscribers = [all!, { ...one!, endsWithDelivery: true, effects: one!.effects.slice(0, -1) }];
  expect(judge(history).map(({ kind, what }) => `${kind} ${what}`)).toEqual([
    `subscriber all: event ${sequence} had no effect`,
    `subscriber one: event ${last.sequence} had no effect`,
  ]);
});

test('A delivery cancelled before its start has no workflow, and that is right', () => {
  const history = sound();
  add(history, 'del_4', {
    statuses: ['created', 'cancelled'],
    drone: 'drn_7',
    beginsMin: 0,
    loading: 'none',
    charge: 0,
    orders: CANCELLED,
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

test.each(['done', 'unknown', 'pending'] as const)(
  'A price that was raised for another dropoff is captured in two pieces, and that is right (answer: %s)',
  (answer) => {
    const history = sound();
    const more = { ...PRICE, amount: PRICE.amount + BACK };
    told(history, 'del_1', { kind: 'change_dropoff', answer, dropoff: FARTHER });
    replace(history.deliveries, ({ id }) => id === 'del_1', {
      price: more,
      charge: more,
      dropoff: { location: FARTHER },
    });
    replace(history.milestones, ({ kind }) => kind === 'released', { position: FARTHER });
    history.authorizations.push({
      ...history.authorizations[0]!,
      id: 'auth_raised' as never,
      step_key: 'del_1/reauthorize/1',
      amount: { ...PRICE, amount: BACK },
      captured: { ...PRICE, amount: BACK },
    });
    expect(judge(history).map(describeFault)).toEqual([]);
  },
);

test('A flight back that no service could authorize in time is not charged, and that is right', () => {
  const history = sound();
  charge(history, 'del_back', PRICE.amount, { return_price: null });
  replace(
    history.events,
    ({ delivery_id, type }) => delivery_id === ('del_back' as never) && type === 'delivery.settled',
    {
      type: 'delivery.return_not_authorized',
      data: { amount: { ...PRICE, amount: BACK }, reason: 'service_unavailable' },
    },
  );
  expect(judge(history).map(describeFault)).toEqual([]);
});

test('A flight back that was authorized after all is charged, and that is right', () => {
  const history = sound();
  const ofIt = (type: string) => (one: { delivery_id: string; type: string }) =>
    one.delivery_id === 'del_back' && one.type === type;
  const amount = { ...PRICE, amount: BACK };
  replace(history.events, ofIt('delivery.arrived_at_return'), {
    type: 'delivery.return_not_authorized',
    data: { amount, reason: 'service_unavailable' },
  });
  replace(history.events, ofIt('delivery.settled'), { type: 'delivery.return_authorized', data: { amount } });
  expect(judge(history).map(describeFault)).toEqual([]);
});

test('Another drone takes up what the first one has set down, and that is right', () => {
  const history = sound();
  setDownAndLoadedAgain(history, { setDownMin: 5, loadedMin: 7 });
  expect(judge(history).map(describeFault)).toEqual([]);
});

test('What somebody terminated has failed, and that is right', () => {
  const history = sound();
  told(history, 'del_3', { kind: 'terminate', answer: 'done' });
  replace(history.workflows!, ({ workflowId }) => workflowId === 'del_3', { status: 'TERMINATED' });
  replace(history.deliveries, ({ id }) => id === 'del_3', { failure_reason: 'workflow_terminated' });
  expect(judge(history).map(describeFault)).toEqual([]);
});

test('What callers asked for need not be known: then what the delivery service says of it is believed', () => {
  const history = sound();
  history.accepted = history.accepted.map(({ key, answers }) => ({ key, answers }));
  expect(judge(history).map(describeFault)).toEqual([]);
  charge(history, 'del_1', 500, { price: { ...PRICE, amount: 500 } });
  expect(judge(history).map(({ kind }) => kind)).toContain('charge');
});

test('The time it takes grows with the deliveries and followers, not with their square', () => {
  const history = sound();
  const known = new Set(history.deliveries.map(({ id }): string => id));
  for (let number = 0; number < 3_000; number += 1) {
    const flown = { statuses: FLOWN, beginsMin: 10 * Math.floor(number / 30), loading: 'loaded' } as const;
    add(history, `del_n${number}`, { ...flown, drone: `drn_n${number % 30}`, charge: PRICE.amount });
  }
  const added = history.events.filter(({ delivery_id }) => !known.has(delivery_id));
  const effects = added.map((one) => ({ deliveryId: one.delivery_id, sequence: one.sequence }));
  history.feed!.push(
    ...effects.map((one, index) => ({ ...one, position: history.feed!.length + index + 1 })),
  );
  history.subscribers = Array.from({ length: 300 }, (_, index) => {
    const id = `del_n${index * 10}`;
    const perDelivery = FLOWN.length + 1;
    return { name: id, of: [id], effects: effects.slice(index * 10 * perDelivery).slice(0, perDelivery) };
  });
  // The last of them all: one event that took effect twice.
  const last = history.subscribers.at(-1)!;
  history.subscribers.push({ ...last, effects: [...last.effects, last.effects[0]!] });
  const begunMs = performance.now();
  const faults = judge(history);
  const tookMs = performance.now() - begunMs;
  expect(faults.map(describeFault)).toEqual(['subscriber: del_n2990: del_n2990: event 1 took effect twice']);
  // Under two seconds is usual, also on a busy machine; what grows with the square took a minute.
  expect(tookMs).toBeLessThan(20_000);
});
