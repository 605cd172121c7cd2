/** A delivery in a carrier's hands: what its statuses mean, what it cannot do, and what becomes of it when it gives up. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { temporalCarriers } from '../../audit/carriers.ts';
import { orphansOf } from '../../audit/orphans.ts';
import type { BookingState } from '../../services/carrier/contract/index.ts';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import { CARRIER_MILESTONE_SIGNAL, type CarrierMilestoneSignal } from '../../workflows/messages.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
let signal: Lab['workflows']['signal'];
beforeAll(async () => {
  lab = await Lab.shared();
  signal = lab.workflows.signal.bind(lab.workflows);
});
afterEach(() => {
  lab.workflows.signal = signal;
  lab.rest();
});
afterAll(() => lab.close());

/** A courier takes half an hour, and nothing flies meanwhile: time may make longer steps than the lab's. */
const STEP_MS = 110_000;
async function until(done: () => Promise<boolean>): Promise<void> {
  const giveUpAtMs = lab.wallNowMs + 6 * 60 * 60 * 1000;
  for (;;) {
    await lab.settle();
    if (await done()) return;
    if (lab.wallNowMs > giveUpAtMs) throw new Error('The carrier does not get there.');
    await lab.passUntil(lab.wallNowMs + STEP_MS);
  }
}
async function completed(delivery: LabDelivery) {
  await until(async () => (await delivery.read()).complete);
  return delivery.untilComplete();
}

async function ordered(options: DeliveryOptions = {}): Promise<LabDelivery> {
  const scene = await lab.prepare({ drones: 0, account: { carrier: true, carrierCapCents: 10_000 } });
  return scene.order(options);
}

async function byCarrier(status: Delivery['status'], options: DeliveryOptions = {}): Promise<LabDelivery> {
  const delivery = await ordered(options);
  await until(async () => (await delivery.read()).status === status);
  return delivery;
}

/** The carrier is not heard: its news do not arrive, and cannot be asked for. */
function unheard(): void {
  loseNews();
  lab.faults.arm({ activity: 'readCarrierMilestones', how: 'refuse' });
}

/** The carrier's news of a delivery do not arrive, except those that are let through. */
function loseNews(letThrough: (news: CarrierMilestoneSignal) => boolean = () => false) {
  lab.workflows.signal = async (deliveryId, name, payload) => {
    const isLost = name === CARRIER_MILESTONE_SIGNAL && !letThrough(payload as CarrierMilestoneSignal);
    return isLost ? 'signalled' : signal(deliveryId, name, payload);
  };
}

describe('What a carrier tells', () => {
  it('counts as far as it leads on: steps left out are walked, repeated and late ones change nothing', async () => {
    loseNews();
    const delivery = await byCarrier('confirmed');
    const { booking_id: bookingId } = await delivery.read();
    if (bookingId === null) throw new Error('not booked');
    const told: BookingState[] = [
      'arrived_at_pickup',
      'enroute_to_pickup',
      'enroute_to_dropoff',
      'picked_up',
      'enroute_to_dropoff',
      'delivered',
    ];
    for (const [index, state] of told.entries()) {
      const at = isoTime(lab.nowMs);
      const news = { bookingId, sequence: index + 1, state, occurredAt: at, recordedAt: at };
      await signal(delivery.id, CARRIER_MILESTONE_SIGNAL, news satisfies CarrierMilestoneSignal);
    }
    const { delivery: ended, outcome } = await completed(delivery);
    expect(outcome).toMatchObject({ status: 'delivered' });
    expect(ended.charge).toEqual(delivery.price);
    const statuses = (await delivery.events()).map((event) => event.status);
    expect(statuses.slice(statuses.indexOf('confirmed'))).toEqual([
      'confirmed',
      'enroute_to_pickup',
      'arrived_at_pickup',
      'picked_up',
      'enroute_to_dropoff',
      'arrived_at_dropoff',
      'delivered',
      'delivered',
    ]);
  });

  it('and does not arrive is asked for when a later word does, or nothing is heard for long', async () => {
    loseNews(({ sequence }) => sequence === 4);
    const gap = await byCarrier('enroute_to_dropoff');
    expect((await gap.statuses()).slice(-4)).toEqual([
      'enroute_to_pickup',
      'arrived_at_pickup',
      'picked_up',
      'enroute_to_dropoff',
    ]);
    loseNews();
    const silent = await ordered({ policy: { carrierSlackS: 600 } });
    const { outcome } = await completed(silent);
    expect(outcome.status).toBe('delivered');
    expect((await silent.events()).map((event) => event.type)).not.toContain('delivery.overdue');
  });
});

describe('A carrier that gives up', () => {
  it('before the pickup: the delivery fails, for nothing, and nothing is left', async () => {
    await lab.clients.carrier.setSimulation({ body: { fail_next_bookings: 1 } });
    const delivery = await ordered();
    const { delivery: ended } = await completed(delivery);
    expect(ended).toMatchObject({
      status: 'failed',
      failure_reason: 'carrier_failed',
      charge: { amount: 0 },
    });
    await delivery.untilNothingHeld();
  });

  it.each([
    { answer: 'lost', status: 'failed', reason: 'package_lost', charged: 0 },
    { answer: 'delivered', status: 'delivered', reason: null, charged: 1 },
    { answer: 'returned', status: 'returned', reason: null, charged: 1 },
  ] as const)(
    'with the package in its hands: a person says $answer',
    async ({ answer, status, reason, charged }) => {
      await lab.clients.carrier.setSimulation({ body: { fail_next_after_pickup: 1 } });
      const delivery = await ordered();
      const asked = await delivery.untilAsked('carrier_failed');
      expect(await delivery.read()).toMatchObject({
        status: 'enroute_to_dropoff',
        delayed: true,
        delay_reason: 'carrier_failed',
      });
      expect(asked.answers.map((one) => one.answer)).toEqual(['lost', 'delivered', 'returned']);
      expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });
      await delivery.answer('carrier_failed', answer);
      const { delivery: ended } = await completed(delivery);
      expect(ended).toMatchObject({ status, failure_reason: reason });
      expect(ended.charge?.amount).toBe(charged * delivery.price.amount);
      const credited = reason === 'package_lost' ? [{ amount: delivery.price }] : [];
      expect(await creditNotesOf(delivery)).toMatchObject(credited);
      await delivery.untilNothingHeld();
    },
  );
});

describe('A quote that expires before it is booked, the carrier service being away', () => {
  const QUOTE_VALID_MS = 1_800_000;
  const triesOf = (delivery: LabDelivery, step: string) =>
    lab.faults.callsOf(delivery.id).filter((call) => call.key.endsWith(`/${step}`)).length;
  const stepsOf = (delivery: LabDelivery) => [
    ...new Set(
      lab.faults
        .callsOf(delivery.id)
        .map((call) => call.key.slice(delivery.id.length + 1))
        .filter((step) => /^(quote|book|cancel_booking)\//.test(step)),
    ),
  ];

  /** Books of this ordinal are tried in vain until its quote has expired. */
  async function expire(delivery: LabDelivery, ordinal: number): Promise<void> {
    await until(async () => triesOf(delivery, `book/${ordinal}`) > 0);
    await lab.passUntil(lab.wallNowMs + QUOTE_VALID_MS);
    await lab.settle();
  }

  /** Ordered, and its first quote has expired. The first booking is answered when the faults are cleared. */
  async function expired(): Promise<LabDelivery> {
    lab.faults.arm({ activity: 'bookCarrier', key: /book\/1$/, how: 'down' });
    const delivery = await ordered();
    await expire(delivery, 1);
    return delivery;
  }

  it('is asked for anew, and that one is booked', async () => {
    const delivery = await expired();
    // What it asks now is what is compared with the cap, and what it is booked for.
    await lab.clients.carrier.setSimulation({ body: { price_percent: 150 } });
    lab.faults.clear();
    await until(async () => (await delivery.read()).status === 'confirmed');
    await lab.clients.carrier.setSimulation({ body: { price_percent: 100 } });
    expect(stepsOf(delivery)).toEqual(['quote/1', 'book/1', 'quote/2', 'book/2']);
    const { data: bookings } = await lab.clients.carrier.listBookings({
      query: { delivery_id: delivery.id },
    });
    expect(bookings).toMatchObject([{ step_key: `${delivery.id}/book/2`, state: 'booked' }]);
    const confirmed = (await delivery.events()).find((event) => event.type === 'delivery.confirmed');
    expect(confirmed?.data).toMatchObject({ carrier_price: bookings[0]?.price });
    // By its tariff it would be 541.
    expect(bookings[0]?.price.amount).toBe(812);
    // Undone like the first: by its own key.
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    await completed(delivery);
    expect(stepsOf(delivery).slice(4)).toEqual(['cancel_booking/1']);
    await delivery.untilNothingHeld();
  });

  it('and comes back above the cap: the delivery fails as without a carrier, and nothing is left', async () => {
    const delivery = await expired();
    await lab.clients.carrier.setSimulation({ body: { price_percent: 10_000 } });
    lab.faults.clear();
    const { delivery: ended } = await completed(delivery);
    await lab.clients.carrier.setSimulation({ body: { price_percent: 100 } });
    expect(ended).toMatchObject({
      status: 'failed',
      failure_reason: 'carrier_unavailable',
      charge: { amount: 0 },
    });
    const failed = (await delivery.events()).find((event) => event.type === 'delivery.failed');
    expect(JSON.stringify(failed?.data)).toContain('above the cap of 10000 USD');
    expect(stepsOf(delivery)).toEqual(['quote/1', 'book/1', 'quote/2']);
    await delivery.untilNothingHeld();
  });

  it('and so do two more: then it is enough', async () => {
    const delivery = await expired();
    for (const ordinal of [2, 3]) {
      lab.faults.clear();
      lab.faults.arm({ activity: 'bookCarrier', key: new RegExp(`book/${ordinal}$`), how: 'down' });
      await expire(delivery, ordinal);
    }
    lab.faults.clear();
    const { delivery: ended } = await completed(delivery);
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'carrier_unavailable' });
    const failed = (await delivery.events()).find((event) => event.type === 'delivery.failed');
    expect(JSON.stringify(failed?.data)).toContain('The quote expired at');
    expect(stepsOf(delivery).filter((step) => step.startsWith('quote/'))).toHaveLength(3);
    await delivery.untilNothingHeld();
  });

  it('while a cancel comes: it is cancelled, and no other quote is asked for', async () => {
    const delivery = await expired();
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    lab.faults.clear();
    await completed(delivery);
    expect(stepsOf(delivery)).toEqual(['quote/1', 'book/1', 'cancel_booking/1']);
    await delivery.untilNothingHeld();
  });
});

const bookingsOf = async (delivery: LabDelivery) =>
  (await lab.clients.carrier.listBookings({ query: { delivery_id: delivery.id } })).data;

const creditNotesOf = async (delivery: LabDelivery) =>
  (await lab.clients.account.listCreditNotes({ query: { delivery_id: delivery.id } })).data;

/** Late for so long that a person is asked, while the carrier is there and has not gone on. */
async function overdue(delivery: LabDelivery, where: BookingState): Promise<void> {
  await until(async () => (await bookingsOf(delivery))[0]?.state === where);
  const asked = async () =>
    (await delivery.read()).interventions.find((one) => one.kind === 'overdue' && one.resolved_at === null);
  for (let looks = 0; !(await asked()); looks += 1) {
    if (looks > 30) throw new Error('Nobody is asked about the carrier.');
    await lab.passUntil(lab.wallNowMs + 20_000);
    await lab.settle();
  }
  expect(await bookingsOf(delivery)).toMatchObject([{ state: where }]);
}

/** What the audit calls orphaned of it. */
const orphans = async (delivery: LabDelivery) =>
  orphansOf(lab.clients, temporalCarriers(lab.temporal), delivery.id);

describe('A carrier that is overdue', () => {
  // It hands over three minutes after it arrives.
  const WITH_PACKAGE = { policy: { carrierSlackS: 1 } };

  it.each(['arrived_at_dropoff', 'confirmed'] as const)(
    'with the package in its hands, given up (known here as %s): lost, and its booking is closed with it',
    async (known) => {
      // In the second case only the carrier knows that it has picked up.
      if (known === 'confirmed') unheard();
      const delivery = await byCarrier('confirmed', WITH_PACKAGE);
      await overdue(delivery, 'arrived_at_dropoff');
      expect((await delivery.read()).status).toBe(known);
      await delivery.answer('overdue', 'lost');
      const { delivery: ended, outcome } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'failed', reason: 'package_lost', compensation: 'complete' });
      expect(ended.charge?.amount).toBe(0);
      expect(await creditNotesOf(delivery)).toMatchObject([{ amount: delivery.price }]);
      // At once, not when the carrier ends it.
      expect(await delivery.held()).toEqual([]);
      expect(await orphans(delivery)).toEqual([]);
      expect(await bookingsOf(delivery)).toMatchObject([{ state: 'lost' }]);
      // What the carrier does later is its own.
      await lab.passUntil(lab.wallNowMs + 60 * 60 * 1000);
      await lab.settle();
      expect(await bookingsOf(delivery)).toMatchObject([{ state: 'lost' }]);
    },
  );

  it('before its pickup, given up: the booking is cancelled, and it is our failure', async () => {
    const delivery = await byCarrier('confirmed', { policy: { carrierSlackS: -60 * 60 } });
    await overdue(delivery, 'booked');
    await delivery.answer('overdue', 'lost');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'failed',
      failure_reason: 'carrier_failed',
      charge: { amount: 0 },
    });
    expect(await bookingsOf(delivery)).toMatchObject([{ state: 'cancelled' }]);
    expect(await delivery.held()).toEqual([]);
  });

  it('delivered by hand, says a person: charged, and its booking is closed with it', async () => {
    const delivery = await byCarrier('confirmed', WITH_PACKAGE);
    await overdue(delivery, 'arrived_at_dropoff');
    await delivery.answer('overdue', 'delivered');
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered' });
    expect(ended).toMatchObject({ charge: delivery.price, compensation: 'none' });
    // At once, not when the carrier ends it.
    expect(await delivery.held()).toEqual([]);
    expect(await orphans(delivery)).toEqual([]);
    expect(await bookingsOf(delivery)).toMatchObject([{ state: 'lost' }]);
  });

  it('given up when it had delivered, unheard of: what it tells counts', async () => {
    unheard();
    const delivery = await byCarrier('confirmed', WITH_PACKAGE);
    await overdue(delivery, 'delivered');
    lab.faults.clear();
    await delivery.answer('overdue', 'lost');
    const { delivery: ended } = await completed(delivery);
    expect(ended).toMatchObject({ status: 'delivered', charge: delivery.price });
  });
});

describe('A cancel that comes too late for the carrier', () => {
  it('is not done: a person hears what is held, and it is over when the carrier has ended it', async () => {
    lab.faults.arm(
      { activity: 'bookCarrier', how: 'act_then_refuse' },
      { activity: 'cancelBooking', how: 'down' },
    );
    const delivery = await ordered({ policy: { compensationStuckS: 2 * 60 * 60 } });
    await until(async () => (await bookingsOf(delivery))[0]?.state === 'enroute_to_dropoff');
    lab.faults.clear();
    const asked = async () =>
      (await delivery.read()).interventions.find((one) => one.kind === 'compensation:cancel_booking');
    await until(async () => (await asked()) !== undefined);
    expect(await asked()).toMatchObject({
      reason: expect.stringContaining('still held (already_picked_up)') as string,
      resolved_at: null,
    });
    expect(await delivery.read()).toMatchObject({ complete: false, compensation: 'needs_intervention' });
    const { outcome } = await completed(delivery);
    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    expect((await asked())?.resolved_at).not.toBeNull();
    await delivery.untilNothingHeld();
  });
});

describe('A cancel', () => {
  it('once the carrier has the package is refused, and the delivery goes on', async () => {
    const delivery = await byCarrier('enroute_to_dropoff');
    expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });
    expect((await completed(delivery)).outcome.status).toBe('delivered');
  });

  it('of a booking that ended unheard of hears how it ended', async () => {
    loseNews();
    await lab.clients.carrier.setSimulation({ body: { fail_next_bookings: 1 } });
    const delivery = await byCarrier('confirmed');
    await until(async () => {
      const { data } = await lab.clients.carrier.listBookings({ query: { delivery_id: delivery.id } });
      return data[0]?.state === 'failed';
    });
    expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_failed' });
    const { delivery: ended } = await completed(delivery);
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'carrier_failed' });
    await delivery.untilNothingHeld();
  });
});

describe('A carrier and the proof of delivery', () => {
  it('what the recipient gives by the link counts; the carrier hands it over by itself', async () => {
    const delivery = await byCarrier('arrived_at_dropoff', { confirmation: 'pin' });
    expect((await delivery.read()).confirmation_status).toBe('awaited');
    const { pin } = await delivery.recipient();
    expect(await delivery.tellConfirmed('confirm-0')).toMatchObject({ reason: 'not_given' });
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    const { delivery: ended } = await completed(delivery);
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
  });

  it.each([
    { kind: 'pin', becomes: 'not_given' },
    { kind: 'barcode', becomes: 'confirmed' },
  ] as const)('of a $kind that nobody gives by the link: $becomes', async ({ kind, becomes }) => {
    const delivery = await ordered({ confirmation: kind });
    const { delivery: ended } = await completed(delivery);
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: becomes });
  });
});
