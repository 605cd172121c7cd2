/** The money of a delivery whose dropoff is changed: raised, given up, renewed, captured, for whatever ends it. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { priceOfReturn } from '../../services/account/contract/index.ts';
import { distanceM } from '../../shared/geodesy.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const CHANGED = { outcome: 'changed', reason: null, detail: null };
const DAY_S = 24 * 3600;
/** By the list: 4.99 and 0.60 for 1.2 kg, and 0.60 for each km. */
const priceCents = (km: number) => 559 + 60 * km;
const feeCents = (km: number) => Math.round(priceCents(km) * 0.4);
const NEAR: DeliveryOptions = { toDropoffM: 2_000, priceCents: priceCents(2) };

const authorizations = async ({ id }: LabDelivery) => {
  const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: id } });
  return data
    .map((one) => ({ ...one, step: one.step_key.slice(id.length + 1) }))
    .sort((a, b) => (a.step < b.step ? -1 : 1));
};
const inShort = async (delivery: LabDelivery) =>
  (await authorizations(delivery)).map(({ step, state, captured }) => [
    step,
    state,
    captured?.amount ?? null,
  ]);
const capturedCents = async (delivery: LabDelivery) =>
  (await authorizations(delivery)).reduce((sum, one) => sum + (one.captured?.amount ?? 0), 0);
const eventsOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((one) => one.type === `delivery.${type}`);

/** It has ended so, what it cost was captured, and nobody had to be asked. */
async function ends(delivery: LabDelivery, status: string, cents: number): Promise<void> {
  const { delivery: ended } = await delivery.untilComplete();
  expect(ended).toMatchObject({ status, charge: { amount: cents }, interventions: [] });
  expect(await capturedCents(delivery)).toBe(cents);
  await delivery.untilNothingHeld();
}

describe('a raise that was given up, and answers after it was voided', () => {
  /** Nothing is heard of its authorization in time; it had been made, and is voided. Its answer comes then. */
  async function givenUp(delivery: LabDelivery, giveUp: () => Promise<unknown>): Promise<void> {
    lab.faults.arm(
      // As a short step it does not get through; as a plain one it acts, and its answer is on its way for long.
      { activity: 'authorize', key: /reauthorize\/1/, how: 'down', times: 4 },
      { activity: 'authorize', key: /reauthorize\/1/, how: 'act_then_hang', times: 1 },
    );
    await giveUp();
    await lab.until('it is voided', async () =>
      (await authorizations(delivery)).some(
        ({ step, state }) => step === 'reauthorize/1' && state === 'voided',
      ),
    );
    lab.faults.clear();
    await lab.settle();
  }

  it('does not count: the next change authorizes anew, and the price is collected in full', async () => {
    const delivery = await lab.start({
      ...NEAR,
      toDropoffM: 4_000,
      priceCents: priceCents(4),
      policy: { rerouteAnswerS: 5 },
    });
    await delivery.untilStatus('enroute_to_dropoff');
    await givenUp(delivery, async () => {
      const answer = await delivery.changeDropoff(delivery.dropoffAt(5_000), { updateId: 'in-vain' });
      expect(answer).toMatchObject({ outcome: 'refused', reason: 'service_unavailable' });
    });
    expect(await delivery.changeDropoff(delivery.dropoffAt(5_000), { updateId: 'again' })).toEqual(CHANGED);
    await ends(delivery, 'delivered', priceCents(5));
    expect(await inShort(delivery)).toEqual([
      ['authorize/1', 'captured', priceCents(4)],
      ['reauthorize/1', 'voided', null],
      ['reauthorize/2', 'captured', priceCents(5) - priceCents(4)],
    ]);
  });

  it('does not count for a flight back either: that is authorized anew', async () => {
    const scene = await lab.prepare();
    for (const drone of scene.droneIds) lab.pilot.arm(drone, { failure: 'dropoff_blocked' });
    const delivery = await scene.order({
      ...NEAR,
      toDropoffM: 4_000,
      priceCents: priceCents(4),
      policy: { rerouteAnswerS: 5 },
    });
    await delivery.untilStatus('enroute_to_dropoff');
    await givenUp(delivery, () => delivery.changeDropoff(delivery.dropoffAt(5_000)));
    const back = priceOfReturn(4_000).amount;
    await ends(delivery, 'returned', priceCents(4) + back);
  });
});

it('a difference is renewed before it runs out, like the first price', async () => {
  const delivery = await lab.start({ ...NEAR, pickup: { fromS: 20 * DAY_S, toS: 20 * DAY_S + 3_600 } });
  await delivery.untilStatus('scheduled');
  // Not on the same day as the first: each has its own end.
  await lab.leapUntil(lab.wallNowMs + 2 * DAY_S * 1000, delivery);
  expect(await delivery.changeDropoff(delivery.dropoffAt(4_000))).toEqual(CHANGED);
  const [, raised] = await authorizations(delivery);
  const firstEndMs = Date.parse(raised?.expires_at ?? '');
  await lab.leapUntil(firstEndMs, delivery);
  const renewed = await authorizations(delivery);
  expect(renewed.map(({ state }) => state)).toEqual(['authorized', 'authorized']);
  for (const one of renewed) expect(Date.parse(one.expires_at ?? '')).toBeGreaterThan(firstEndMs);
  await lab.leapUntil(Date.parse((await delivery.read()).pickup_window?.start ?? '') - 600_000, delivery);
  await ends(delivery, 'delivered', priceCents(4));
  expect(await inShort(delivery)).toEqual([
    ['authorize/1', 'captured', priceCents(2)],
    ['reauthorize/1', 'captured', priceCents(4) - priceCents(2)],
  ]);
});

describe('after a change of the dropoff', () => {
  it('a cancel after the dispatch costs the fee of the new price', async () => {
    const delivery = await lab.start(NEAR);
    await delivery.untilStatus('enroute_to_pickup');
    expect(await delivery.changeDropoff(delivery.dropoffAt(5_000))).toEqual(CHANGED);
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    await ends(delivery, 'cancelled', feeCents(5));
    expect(await inShort(delivery)).toEqual([
      ['authorize/1', 'captured', feeCents(5)],
      ['reauthorize/1', 'voided', null],
    ]);
  });

  it('to so far a place that the fee is more than the first price, it takes of both', async () => {
    const delivery = await lab.start({ ...NEAR, priceCents: 200 });
    await delivery.untilStatus('enroute_to_pickup');
    expect(await delivery.changeDropoff(delivery.dropoffAt(5_000))).toEqual(CHANGED);
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    await ends(delivery, 'cancelled', feeCents(5));
    expect(await inShort(delivery)).toEqual([
      ['authorize/1', 'captured', 200],
      ['reauthorize/1', 'captured', feeCents(5) - 200],
    ]);
  });

  it('a return costs the new price and the flight back from there', async () => {
    const scene = await lab.prepare();
    for (const drone of scene.droneIds) lab.pilot.arm(drone, { failure: 'dropoff_blocked' });
    const delivery = await scene.order(NEAR);
    await delivery.untilStatus('enroute_to_dropoff');
    const there = delivery.dropoffAt(4_000);
    expect(await delivery.changeDropoff(there)).toEqual(CHANGED);
    const back = priceOfReturn(distanceM(there, delivery.pickup)).amount;
    expect(back).toBe(240);
    await ends(delivery, 'returned', priceCents(4) + back);
    expect(await inShort(delivery)).toEqual([
      ['authorize/1', 'captured', priceCents(2)],
      ['reauthorize/1', 'captured', priceCents(4) - priceCents(2)],
      ['reauthorize/2', 'captured', back],
    ]);
  });

  it.each([
    { before: 'it was sent', order: { ...NEAR, pickup: { fromS: 900, toS: 3_600 } }, status: 'confirmed' },
    { before: 'it was there', order: NEAR, status: 'enroute_to_pickup' },
  ] as const)(
    'a drone that fails, when the change was taken before $before, is replaced; a cancel then costs the fee of the new price',
    async ({ order, status }) => {
      const scene = await lab.prepare();
      const [first] = scene.droneIds;
      if (!first) throw new Error('no drone');
      const delivery = await scene.order(order);
      await delivery.untilStatus(status);
      expect(await delivery.changeDropoff(delivery.dropoffAt(4_000))).toEqual(CHANGED);
      await delivery.untilStatus('enroute_to_pickup');
      lab.pilot.arm(first, { failure: 'motor_failure', stage: 'to_pickup', at: 0 });
      await scene.addDrone();
      await lab.until('another one is on its way', async () => {
        const { attempt, status: now } = await delivery.read();
        return attempt === 2 && now === 'enroute_to_pickup';
      });
      const { data } = await lab.clients.drone.listReservations({
        query: { delivery_id: delivery.id, open: true },
      });
      expect(data.map((one) => one.drone_id)).not.toContain(first);
      expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
      await ends(delivery, 'cancelled', feeCents(4));
      expect(await eventsOf(delivery, 'dropoff_changed')).toHaveLength(1);
    },
  );
});
