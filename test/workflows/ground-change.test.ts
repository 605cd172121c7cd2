/** A change of the dropoff before the drone is sent, while a service that it needs does not answer: it waits a bounded time. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { distanceM } from '../../shared/geodesy.ts';
import type { ActivityName } from './faults.ts';
import { EXACT_MS, Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

/** As the policy has it: so long a service may take. */
const ANSWER_MS = 30_000;
const NOT_IN_TIME = { outcome: 'refused', reason: 'service_unavailable' };
/** By the list: 4.99 and 0.60 for 1.2 kg, and 0.60 for each km. */
const NEAR: DeliveryOptions = { toDropoffM: 2_000, priceCents: 679 };

const POINTS = {
  'waits on the ground': {
    status: 'confirmed',
    make: () => lab.start({ ...NEAR, pickup: { fromS: 900, toS: 3_600 } }),
  },
  'is not assigned, as the pickup is ahead': {
    status: 'scheduled',
    make: () => lab.start({ ...NEAR, pickup: { fromS: 7_200, toS: 10_800 } }),
  },
  'is not free': {
    status: 'awaiting_drone',
    make: async () => {
      const scene = await lab.prepare();
      await scene.setDrones('maintenance');
      return scene.order(NEAR);
    },
  },
} as const;
const STEPS: readonly { activity: ActivityName; key?: RegExp; of: readonly (keyof typeof POINTS)[] }[] = [
  {
    activity: 'authorize',
    key: /reauthorize/,
    of: ['waits on the ground', 'is not assigned, as the pickup is ahead', 'is not free'],
  },
  { activity: 'rerouteDrone', of: ['waits on the ground'] },
  { activity: 'assessJob', of: ['is not assigned, as the pickup is ahead', 'is not free'] },
];
const CASES = STEPS.flatMap(({ of, ...step }) => of.map((drone) => ({ ...step, drone })));

async function at(drone: keyof typeof POINTS): Promise<LabDelivery> {
  const { make, status } = POINTS[drone];
  const delivery = await make();
  await delivery.untilStatus(status);
  return delivery;
}

/** Of what was raised for it, nothing is left. */
async function raisesAreVoided({ id }: LabDelivery): Promise<void> {
  await lab.until('the difference is given back', async () => {
    const { data } = await lab.clients.account.listAuthorizations({ query: { delivery_id: id } });
    return data.every(({ step_key, state }) => !step_key.includes('reauthorize') || state === 'voided');
  });
}

describe('a change of the dropoff while its drone', () => {
  it.each(CASES)(
    '$drone, and $activity is not answered, is given up after a while and refused; the delivery goes on as it was',
    async ({ drone, activity, key }) => {
      const delivery = await at(drone);
      const place = (await delivery.read()).dropoff.location;
      const askedMs = await lab.server.wallMs();
      lab.faults.arm({ activity, how: 'down', ...(key && { key }) });
      const answer = await delivery.changeDropoff(delivery.dropoffAt(4_000));
      expect(answer).toMatchObject(NOT_IN_TIME);
      const tookMs = (await lab.server.wallMs()) - askedMs;
      expect(tookMs).toBeGreaterThanOrEqual(ANSWER_MS);
      expect(tookMs).toBeLessThan(ANSWER_MS + EXACT_MS);
      lab.faults.clear();
      await raisesAreVoided(delivery);
      if (drone === 'is not free') await delivery.scene.setDrones('idle');
      const { start } = (await delivery.read()).pickup_window ?? {};
      if (start !== undefined) await lab.leapUntil(Date.parse(start) - 600_000, delivery);
      const { delivery: ended } = await delivery.untilComplete();
      expect(ended).toMatchObject({ status: 'delivered', attempt: 1, charge: { amount: 679 } });
      expect(distanceM(ended.dropoff.location, place)).toBeLessThan(1);
      await delivery.untilNothingHeld();
    },
  );

  it.each(CASES)(
    '$drone, and $activity is not answered, is interrupted by a cancel, which is free',
    async ({ drone, activity, key }) => {
      const delivery = await at(drone);
      lab.faults.arm({ activity, how: 'down', ...(key && { key }) });
      const asking = delivery.askToChangeDropoff(delivery.dropoffAt(4_000));
      await lab.until('it is being tried', () =>
        lab.faults.callsOf(delivery.id).some((one) => one.activity === activity && one.hit),
      );
      expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
      expect(await asking).toMatchObject({ outcome: 'refused', reason: 'already_cancelled' });
      lab.faults.clear();
      const { delivery: ended } = await delivery.untilComplete();
      expect(ended).toMatchObject({ status: 'cancelled', charge: { amount: 0 }, compensation: 'complete' });
      await delivery.untilNothingHeld();
    },
  );

  it('waits on the ground may have been given it when nobody answered in time: it is given back, and another reservation is made', async () => {
    const delivery = await at('waits on the ground');
    const place = (await delivery.read()).dropoff.location;
    // It acts, and what it answers is lost every time.
    lab.faults.arm({ activity: 'rerouteDrone', how: 'lose_answer' });
    expect(await delivery.changeDropoff(delivery.dropoffAt(4_000))).toMatchObject(NOT_IN_TIME);
    lab.faults.clear();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', attempt: 1, charge: { amount: 679 } });
    const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
    const [last] = data;
    if (!last) throw new Error('no reservation');
    const milestones = await lab.clients.drone.readMilestones({
      params: { reservation_id: last.id },
      query: { after_sequence: 0 },
    });
    const released = milestones.data.find((one) => one.kind === 'released')?.position;
    expect(released && distanceM(released, place)).toBeLessThan(5);
    expect(data).toHaveLength(2);
    await delivery.untilNothingHeld();
  });
});
