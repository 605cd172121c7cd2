/** Another dropoff: at every point of a delivery, with every step of the change failing, racing with whatever else. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MilestoneKind } from '../../services/drone/contract/index.ts';
import type { Location } from '../../shared/schemas.ts';
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
/** By the list: 4.99 and 0.60 for 1.2 kg, and 0.60 for each km. */
const priceCents = (km: number) => 559 + 60 * km;
const NEAR = { toDropoffM: 2_000, priceCents: priceCents(2) };

const authorizations = async ({ id }: LabDelivery) => {
  const page = await lab.clients.account.listAuthorizations({ query: { delivery_id: id } });
  return page.data
    .map(({ step_key, state, captured }) => ({
      step: step_key.slice(id.length + 1),
      state,
      captured: captured?.amount ?? null,
    }))
    .sort((a, b) => (a.step < b.step ? -1 : 1));
};
const eventsOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((one) => one.type === `delivery.${type}`);
/** What its first drone has told of this kind. */
async function milestonesOf(delivery: LabDelivery, kind: MilestoneKind) {
  const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
  const [reservation] = data;
  if (!reservation) throw new Error('no reservation');
  const milestones = await lab.clients.drone.readMilestones({
    params: { reservation_id: reservation.id },
    query: { after_sequence: 0 },
  });
  return milestones.data.filter((one) => one.kind === kind);
}
/** Where the drone let go of the package. */
async function releasedAt(delivery: LabDelivery): Promise<Location> {
  const [released] = await milestonesOf(delivery, 'released');
  const position = released?.position;
  if (!position) throw new Error('nothing was released');
  return position;
}
async function endsWell(delivery: LabDelivery, place: Location, cents: number): Promise<void> {
  const { delivery: ended } = await delivery.untilComplete();
  expect(ended).toMatchObject({ status: 'delivered', complete: true });
  expect(distanceM(ended.dropoff.location, place)).toBeLessThan(1);
  expect(distanceM(await releasedAt(delivery), place)).toBeLessThan(5);
  expect({ price: ended.price.amount, charge: ended.charge?.amount }).toEqual({
    price: cents,
    charge: cents,
  });
  await delivery.untilNothingHeld();
}

describe('a change of the dropoff', () => {
  it.each(['enroute_to_pickup', 'arrived_at_pickup', 'enroute_to_dropoff'] as const)(
    'while it is %s: the drone flies there instead, for the new price, with a new ETA',
    async (status) => {
      const delivery = await lab.start(NEAR);
      await delivery.untilStatus(status);
      const before = await delivery.read();
      const there = delivery.dropoffAt(4_000);
      expect(await delivery.changeDropoff(there)).toEqual(CHANGED);
      const after = await delivery.read();
      expect(after).toMatchObject({ status, dropoff: { location: there, address: 'The other door' } });
      expect(Date.parse(after.eta.dropoff_at ?? '')).toBeGreaterThan(
        Date.parse(before.eta.dropoff_at ?? '') + 90_000,
      );
      const [event] = await eventsOf(delivery, 'dropoff_changed');
      expect(event?.data).toMatchObject({
        from: before.dropoff.location,
        to: there,
        price: { amount: priceCents(4) },
        price_before: { amount: priceCents(2) },
        by: `business:${delivery.scene.accountId}`,
        why: 'the test wants it',
      });
      expect(JSON.stringify(event)).not.toContain('The other door');
      await endsWell(delivery, there, priceCents(4));
      expect(await authorizations(delivery)).toEqual([
        { step: 'authorize/1', state: 'captured', captured: priceCents(2) },
        { step: 'reauthorize/1', state: 'captured', captured: priceCents(4) - priceCents(2) },
      ]);
    },
  );

  it('to a nearer place captures less, and gives back what it raised before', async () => {
    const delivery = await lab.start(NEAR);
    await delivery.untilStatus('enroute_to_pickup');
    expect(await delivery.changeDropoff(delivery.dropoffAt(5_000), { updateId: 'a' })).toEqual(CHANGED);
    expect(await delivery.changeDropoff(delivery.dropoffAt(3_000), { updateId: 'b' })).toEqual(CHANGED);
    expect(await delivery.changeDropoff(delivery.dropoffAt(1_000), { updateId: 'c' })).toEqual(CHANGED);
    expect(await eventsOf(delivery, 'dropoff_changed')).toHaveLength(3);
    await endsWell(delivery, delivery.dropoffAt(1_000), priceCents(1));
    expect(await authorizations(delivery)).toEqual([
      { step: 'authorize/1', state: 'captured', captured: priceCents(1) },
      { step: 'reauthorize/1', state: 'voided', captured: null },
    ]);
  });
});

describe('while no drone has been sent', () => {
  it('and none is assigned: the next one is reserved for the new dropoff', async () => {
    const delivery = await lab.start({ ...NEAR, pickup: { fromS: 7_200, toS: 10_800 } });
    await delivery.untilStatus('scheduled');
    expect(await delivery.changeDropoff(delivery.dropoffAt(3_000))).toEqual(CHANGED);
    expect((await delivery.read()).price.amount).toBe(priceCents(3));
    await lab.leapUntil(lab.wallNowMs + 6_400_000, delivery);
    await endsWell(delivery, delivery.dropoffAt(3_000), priceCents(3));
  });

  it('and its drone waits on the ground: that one flies there', async () => {
    const delivery = await lab.start({ ...NEAR, pickup: { fromS: 900, toS: 3_600 } });
    await delivery.untilStatus('confirmed');
    const before = await delivery.read();
    expect(await delivery.changeDropoff(delivery.dropoffAt(3_000))).toEqual(CHANGED);
    const after = await delivery.read();
    expect(after).toMatchObject({ status: 'confirmed', drone_id: before.drone_id });
    expect(after.eta.pickup_at).toBe(before.eta.pickup_at);
    expect(Date.parse(after.eta.dropoff_at ?? '')).toBeGreaterThan(Date.parse(before.eta.dropoff_at ?? ''));
    await endsWell(delivery, delivery.dropoffAt(3_000), priceCents(3));
    expect((await delivery.read()).attempt).toBe(1);
  });

  it('and its drone could not fly there, but another one: that one takes it over', async () => {
    const scene = await lab.prepare();
    const farther = await scene.addLongRangeDrone();
    const delivery = await scene.order({ ...NEAR, pickup: { fromS: 900, toS: 3_600 } });
    await delivery.untilStatus('confirmed');
    expect((await delivery.read()).drone_id).toBe(scene.droneIds[0]);
    const there = delivery.dropoffAt(11_000);
    expect(await delivery.changeDropoff(there)).toEqual(CHANGED);
    await lab.until('another one has it', async () => (await delivery.read()).drone_id === farther);
    // The one that was not sent does not count as tried.
    expect((await delivery.read()).attempt).toBe(1);
    expect(await delivery.statuses()).toEqual([
      'created',
      'scheduled',
      'confirmed',
      'awaiting_drone',
      'confirmed',
    ]);
    await endsWell(delivery, there, priceCents(11));
  });

  it('while it waits for a drone: its place in the line is for the new dropoff', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const waiting = await scene.order(NEAR);
    await waiting.untilStatus('awaiting_drone');
    expect(await waiting.changeDropoff(waiting.dropoffAt(3_000))).toEqual(CHANGED);
    expect((await waiting.read()).status).toBe('awaiting_drone');
    await endsWell(waiting, waiting.dropoffAt(3_000), priceCents(3));
    await flying.untilNothingHeld();
  });

  it('to where no drone can fly it is refused, and nothing has changed', async () => {
    const delivery = await lab.start({ ...NEAR, pickup: { fromS: 7_200, toS: 10_800 } });
    await delivery.untilStatus('scheduled');
    const before = await delivery.read();
    const answer = await delivery.changeDropoff(delivery.dropoffAt(40_000));
    expect(answer).toMatchObject({ outcome: 'refused', reason: 'out_of_range' });
    const after = await delivery.read();
    expect({ price: after.price, dropoff: after.dropoff }).toEqual({
      price: before.price,
      dropoff: before.dropoff,
    });
    expect(await authorizations(delivery)).toEqual([
      { step: 'authorize/1', state: 'authorized', captured: null },
      { step: 'reauthorize/1', state: 'voided', captured: null },
    ]);
    await delivery.cancel();
    await delivery.untilNothingHeld();
  });

  it('goes across a continue-as-new, and is done once however often it is sent', async () => {
    const delivery = await lab.start({
      ...NEAR,
      pickup: { fromS: 30 * 86_400 - 3_600, toS: 30 * 86_400 },
      policy: { historyEvents: 50 },
    });
    await delivery.untilStatus('scheduled');
    const firstRun = (await delivery.handle.describe()).runId;
    for (let turn = 1; turn <= 14; turn += 1) {
      const km = turn === 14 ? 4 : 2 + (turn % 3);
      const asked = [delivery.dropoffAt(km * 1_000), { updateId: `turn-${turn}` }] as const;
      expect(await delivery.changeDropoff(...asked)).toEqual(CHANGED);
    }
    expect((await delivery.handle.describe()).runId).not.toBe(firstRun);
    const repeated = await delivery.changeDropoff(delivery.dropoffAt(2_000), { updateId: 'turn-1' });
    expect(repeated).toEqual(CHANGED);
    expect((await delivery.read()).price.amount).toBe(priceCents(4));
    const { data } = await lab.clients.account.listAuthorizations({
      query: { delivery_id: delivery.id, state: 'authorized' },
    });
    expect(data.reduce((sum, one) => sum + one.amount.amount, 0)).toBe(priceCents(4));
    await delivery.cancel();
    await delivery.untilNothingHeld();
  });
});

describe('a change that cannot be', () => {
  it('is refused in flight for what is left of the battery, with the numbers', async () => {
    const delivery = await lab.start(NEAR);
    await delivery.untilStatus('enroute_to_dropoff');
    const answer = await delivery.changeDropoff(delivery.dropoffAt(12_000));
    expect(answer).toMatchObject({ outcome: 'refused', reason: 'out_of_range' });
    expect(typeof answer === 'object' && 'detail' in answer ? answer.detail : '').toMatch(
      /land with -?\d+ %; 30 % must be left/,
    );
    await endsWell(delivery, delivery.dropoffAt(2_000), priceCents(2));
    expect(await authorizations(delivery)).toContainEqual({
      step: 'reauthorize/1',
      state: 'voided',
      captured: null,
    });
  });

  it('is refused when the account has no credit for the difference', async () => {
    const delivery = await lab.start({ ...NEAR, account: { creditCents: priceCents(2) + 59 } });
    await delivery.untilStatus('enroute_to_dropoff');
    const answer = await delivery.changeDropoff(delivery.dropoffAt(3_000));
    expect(answer).toMatchObject({ outcome: 'refused', reason: 'credit_exceeded' });
    await endsWell(delivery, delivery.dropoffAt(2_000), priceCents(2));
  });

  it('is refused once the drone has arrived, is on its way back, or a carrier has it', async () => {
    const delivery = await lab.start(NEAR);
    await delivery.untilStatus('arrived_at_dropoff');
    expect(await delivery.changeDropoff(delivery.dropoffAt(3_000))).toMatchObject({
      outcome: 'refused',
      reason: 'arrived_at_dropoff',
    });
    await endsWell(delivery, delivery.dropoffAt(2_000), priceCents(2));
    const carried = await lab.start({
      ...NEAR,
      drones: 0,
      account: { carrier: true, carrierCapCents: 100_000 },
      policy: { awaitDroneS: 1 },
    });
    await lab.until('a carrier has it', async () => (await carried.read()).fulfilment === 'carrier');
    expect(await carried.changeDropoff(carried.dropoffAt(3_000))).toMatchObject({ reason: 'carrier_booked' });
    await carried.cancel();
    await carried.untilNothingHeld();
  });

  it('or is none: the same place again is no event, another door there is one without a flight', async () => {
    const delivery = await lab.start(NEAR);
    await delivery.untilStatus('enroute_to_pickup');
    const seen = (await delivery.read()).dropoff.location;
    expect(await delivery.changeDropoff(seen, { updateId: 'door' })).toEqual(CHANGED);
    expect(await delivery.changeDropoff(seen, { updateId: 'again' })).toEqual(CHANGED);
    expect(await eventsOf(delivery, 'dropoff_changed')).toHaveLength(1);
    const elsewhere = delivery.dropoffAt(500);
    expect(await delivery.changeDropoff(elsewhere, { updateId: 'late', from: elsewhere })).toMatchObject({
      outcome: 'refused',
      reason: 'dropoff_changed',
    });
    expect(await delivery.changeDropoff(delivery.dropoffAt(0), { updateId: 'pickup' })).toMatchObject({
      outcome: 'impossible',
      errors: [{ field: 'dropoff.location' }],
    });
    await endsWell(delivery, seen, priceCents(2));
  });
});

describe('a deadline', () => {
  /** Nothing of the change is left: not in the delivery, not in the account, not in the flight. */
  async function unchanged(delivery: LabDelivery, before: Awaited<ReturnType<LabDelivery['read']>>) {
    const { price, dropoff, eta, status } = await delivery.read();
    expect({ price, dropoff, eta, status }).toEqual({
      price: before.price,
      dropoff: before.dropoff,
      eta: before.eta,
      status: before.status,
    });
    await lab.until('the difference is given back', async () =>
      (await authorizations(delivery)).every((one) => !one.step.startsWith('re') || one.state === 'voided'),
    );
    expect(lab.faults.callsOf(delivery.id).map((call) => call.activity)).not.toContain('undoReroute');
  }

  it.each([
    { status: 'enroute_to_dropoff', pickup: undefined, deadlineInS: 460 },
    // Its drone waits on the ground, and would take off in time for the window.
    { status: 'confirmed', pickup: { fromS: 900, toS: 3_600 }, deadlineInS: 1_150 },
  ] as const)(
    'that the drone would miss there refuses the change while it is $status, and nothing has changed',
    async ({ status, deadlineInS, pickup }) => {
      const delivery = await lab.start({ ...NEAR, deadlineInS, ...(pickup && { pickup }) });
      await delivery.untilStatus(status);
      const before = await delivery.read();
      expect(Date.parse(before.eta.dropoff_at ?? '')).toBeLessThan(Date.parse(before.deadline ?? ''));
      const answer = await delivery.changeDropoff(delivery.dropoffAt(5_000), { updateId: 'too-late' });
      expect(answer).toMatchObject({ outcome: 'refused', reason: 'after_deadline' });
      expect(JSON.stringify(answer)).toContain(`the deadline is ${before.deadline}`);
      await unchanged(delivery, before);
      // One that it makes is taken.
      const there = delivery.dropoffAt(2_200);
      expect(await delivery.changeDropoff(there, { updateId: 'in-time' })).toEqual(CHANGED);
      await endsWell(delivery, there, priceCents(2.2));
      expect((await authorizations(delivery)).filter((one) => one.state !== 'captured')).toHaveLength(1);
    },
  );

  it('is not judged while no drone is assigned: it is the end of the wait for one, as before', async () => {
    const scene = await lab.prepare();
    for (const drone_id of scene.droneIds) {
      const body = { state: 'maintenance', reason: 'inspection', by: 'test' } as const;
      await lab.clients.drone.setDroneState({ params: { drone_id }, body });
    }
    const waiting = await scene.order({ ...NEAR, deadlineInS: 60 });
    await waiting.untilStatus('awaiting_drone');
    expect(await waiting.changeDropoff(waiting.dropoffAt(5_000))).toEqual(CHANGED);
    const { delivery: ended } = await waiting.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'no_drone_available' });
    await waiting.untilNothingHeld();
  });
});

describe('when a step of the change fails, the old dropoff stands and nothing is left', () => {
  const steps = [
    { activity: 'authorize', key: /reauthorize/ },
    { activity: 'rerouteDrone', key: /reroute/ },
  ] as const;
  it.each([
    { ...steps[0], how: 'hang' as const, status: 'enroute_to_dropoff' as const },
    ...steps.flatMap((step) => [
      { ...step, how: 'act_then_refuse' as const, status: 'enroute_to_dropoff' as const },
      { ...step, how: 'act_then_refuse' as const, status: 'confirmed' as const },
    ]),
  ])('$activity ($how) while it is $status', async ({ activity, key, how, status }) => {
    const delivery = await lab.start({
      ...NEAR,
      ...(status === 'confirmed' && { pickup: { fromS: 900, toS: 3_600 } }),
      policy: { rerouteAnswerS: 1 },
    });
    await delivery.untilStatus(status);
    lab.faults.arm({ activity, key, how });
    const answer = await delivery.changeDropoff(delivery.dropoffAt(4_000));
    expect(answer).toMatchObject({
      outcome: 'refused',
      reason: how === 'hang' ? 'service_unavailable' : 'step_failed',
    });
    // What hung is done now, too late.
    lab.faults.clear();
    await endsWell(delivery, delivery.dropoffAt(2_000), priceCents(2));
    expect((await authorizations(delivery)).filter((one) => one.state === 'captured')).toHaveLength(1);
  });

  it.each(steps)(
    'but an answer that is lost on its way is asked for again ($activity)',
    async ({ activity, key }) => {
      const delivery = await lab.start(NEAR);
      await delivery.untilStatus('enroute_to_dropoff');
      lab.faults.arm({ activity, key, how: 'lose_answer', times: 2 });
      expect(await delivery.changeDropoff(delivery.dropoffAt(4_000))).toEqual(CHANGED);
      await endsWell(delivery, delivery.dropoffAt(4_000), priceCents(4));
    },
  );
});

describe('a drone service that does not answer while the drone flies', () => {
  const PENDING = { outcome: 'pending', reason: 'service_unavailable' };
  const KM = 3;
  const FAR: DeliveryOptions = { toDropoffM: KM * 1_000, priceCents: priceCents(KM) };
  const undone = (delivery: LabDelivery) =>
    lab.faults.callsOf(delivery.id).filter((call) => call.activity === 'undoReroute');
  const isRefused = async (delivery: LabDelivery) =>
    (await eventsOf(delivery, 'dropoff_change_refused')).length > 0;

  async function unanswered(): Promise<LabDelivery> {
    const delivery = await lab.start(FAR);
    await delivery.untilStatus('enroute_to_dropoff');
    lab.faults.arm(
      { activity: 'rerouteDrone', how: 'down' },
      { activity: 'readDroneMilestones', how: 'down' },
    );
    const there = delivery.dropoffAt((KM + 1) * 1_000);
    expect(await delivery.changeDropoff(there)).toMatchObject(PENDING);
    const [requested] = await eventsOf(delivery, 'dropoff_change_requested');
    expect(requested?.data).toMatchObject({ dropoff: there });
    const other = await delivery.changeDropoff(delivery.dropoffAt(1_500), { updateId: 'other' });
    expect(other).toMatchObject({ outcome: 'refused', reason: 'change_pending' });
    return delivery;
  }

  it('and has told the drone: that says that it flies there, and nothing is undone', async () => {
    const delivery = await lab.start(FAR);
    await delivery.untilStatus('enroute_to_dropoff');
    const { eta } = await delivery.read();
    lab.faults.arm({ activity: 'rerouteDrone', how: 'lose_answer' });
    const there = delivery.dropoffAt((KM + 1) * 1_000);
    expect(await delivery.changeDropoff(there)).toEqual(CHANGED);
    expect(await eventsOf(delivery, 'dropoff_changed')).toHaveLength(1);
    // When it will be there is for the drone service to say.
    expect((await delivery.read()).eta).toEqual(eta);
    await endsWell(delivery, there, priceCents(KM + 1));
    expect(undone(delivery)).toEqual([]);
  });

  it('until later: it flies there, and its new arrival is known', async () => {
    const delivery = await unanswered();
    const before = await delivery.read();
    lab.faults.clear();
    await lab.until(
      'the change stands',
      async () => (await eventsOf(delivery, 'dropoff_changed')).length > 0,
    );
    const after = await delivery.read();
    expect(Date.parse(after.eta.dropoff_at ?? '')).toBeGreaterThan(Date.parse(before.eta.dropoff_at ?? ''));
    await endsWell(delivery, delivery.dropoffAt((KM + 1) * 1_000), priceCents(KM + 1));
    expect(await isRefused(delivery)).toBe(false);
    expect(undone(delivery)).toEqual([]);
  });

  it('until the drone is at the old dropoff: that stands, and what was authorized is given back', async () => {
    const delivery = await unanswered();
    await delivery.untilStatus('arrived_at_dropoff');
    lab.faults.clear();
    const [refused, ...more] = await eventsOf(delivery, 'dropoff_change_refused');
    expect(more).toEqual([]);
    expect(refused?.data).toMatchObject({ reason: 'arrived_at_dropoff' });
    await endsWell(delivery, delivery.dropoffAt(KM * 1_000), priceCents(KM));
    expect(await authorizations(delivery)).toContainEqual({
      step: 'reauthorize/1',
      state: 'voided',
      captured: null,
    });
  });

  it.each(['refuse', 'act_then_refuse'] as const)(
    'and then fails for good (%s): what it may have done is undone, and an event says so',
    async (how) => {
      const delivery = await unanswered();
      lab.faults.clear();
      lab.faults.arm({ activity: 'rerouteDrone', how });
      await lab.until('the change is refused', () => isRefused(delivery));
      const [refused] = await eventsOf(delivery, 'dropoff_change_refused');
      expect(refused?.data).toMatchObject({ reason: 'step_failed' });
      await endsWell(delivery, delivery.dropoffAt(KM * 1_000), priceCents(KM));
      expect(undone(delivery)).toHaveLength(1);
    },
  );

  it('while the package is ordered back: it is brought back, and is not asked to fly there any more', async () => {
    const delivery = await unanswered();
    const by = { actor: { role: 'operator', id: 'jo' }, why: 'the test wants it' } as const;
    expect(await delivery.order('abort', by, 'abort-1')).toMatchObject({ outcome: 'returning' });
    const asked = () =>
      lab.faults.callsOf(delivery.id).filter((call) => call.activity === 'rerouteDrone').length;
    await lab.until('the change is refused', () => isRefused(delivery));
    const [refused] = await eventsOf(delivery, 'dropoff_change_refused');
    expect(refused?.data).toMatchObject({ reason: 'returning' });
    const times = asked();
    lab.faults.clear();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'returned', compensation: 'none' });
    await delivery.untilNothingHeld();
    expect(asked()).toBe(times);
  });

  it('and which the drone answers for a change before: that is not taken for this one', async () => {
    const delivery = await lab.start({ ...FAR, toDropoffM: 5_000, priceCents: priceCents(5) });
    const [drone] = delivery.scene.droneIds;
    if (!drone) throw new Error('no drone');
    await delivery.untilStatus('enroute_to_dropoff');
    lab.faults.arm(
      { activity: 'rerouteDrone', how: 'act_then_refuse', times: 1 },
      { activity: 'undoReroute', how: 'down' },
    );
    const failed = await delivery.changeDropoff(delivery.dropoffAt(5_500), { updateId: 'before' });
    expect(failed).toMatchObject({ outcome: 'refused', reason: 'step_failed' });
    await lab.settle();
    // It flies there, and cannot be heard when it is told to fly back to where it was to go.
    lab.pilot.arm(drone, { failure: 'lost_link', stage: 'to_dropoff', at: 0, forS: 60 });
    await lab.passUntil(lab.wallNowMs + 1_000);
    await lab.settle();
    lab.faults.clear();
    await lab.until('it is undone', async () => (await eventsOf(delivery, 'compensated')).length > 0);
    lab.faults.arm({ activity: 'rerouteDrone', how: 'down' });
    const there = delivery.dropoffAt(4_000);
    expect(await delivery.changeDropoff(there)).toMatchObject(PENDING);
    const answers = () => milestonesOf(delivery, 'rerouted');
    await lab.until('it is heard again', async () => (await answers()).length > 1);
    // Longer than the arrival would be waited for, were it taken.
    await lab.passUntil(lab.wallNowMs + 40_000);
    await lab.settle();
    expect((await answers()).at(-1)?.detail).toMatchObject({ dropoff: delivery.dropoffAt(5_000) });
    expect(await eventsOf(delivery, 'dropoff_changed')).toEqual([]);
    lab.faults.clear();
    await endsWell(delivery, there, priceCents(4));
  });

  it('until another drone is needed: that one flies there', async () => {
    const scene = await lab.prepare({ drones: 1 });
    const [first] = scene.droneIds;
    if (!first) throw new Error('no drone');
    const delivery = await scene.order(FAR);
    await delivery.untilStatus('enroute_to_pickup');
    lab.faults.arm({ activity: 'rerouteDrone', how: 'down' });
    const there = delivery.dropoffAt((KM + 1) * 1_000);
    expect(await delivery.changeDropoff(there)).toMatchObject(PENDING);
    lab.pilot.arm(first, { failure: 'motor_failure', stage: 'to_pickup', at: 0 });
    await scene.addDrone();
    await lab.until('another one has it', async () => (await delivery.read()).attempt === 2);
    lab.faults.clear();
    await endsWell(delivery, there, priceCents(KM + 1));
  });
});

describe('racing with', () => {
  it('a cancel, which interrupts it on the ground', async () => {
    const delivery = await lab.start({ ...NEAR, pickup: { fromS: 900, toS: 3_600 } });
    await delivery.untilStatus('confirmed');
    lab.faults.arm({ activity: 'rerouteDrone', how: 'hang', times: 1 });
    const asking = delivery.askToChangeDropoff(delivery.dropoffAt(4_000));
    await lab.settle();
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    expect(await asking).toMatchObject({ outcome: 'refused', reason: 'already_cancelled' });
    lab.faults.clear();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'cancelled', charge: { amount: 0 } });
    await delivery.untilNothingHeld();
  });

  it('the failure of its drone: the one that replaces it flies there', async () => {
    const scene = await lab.prepare({ drones: 1 });
    const [first] = scene.droneIds;
    if (!first) throw new Error('no drone');
    const delivery = await scene.order(NEAR);
    await delivery.untilStatus('enroute_to_pickup');
    lab.pilot.arm(first, { failure: 'lost_link', stage: 'to_pickup', at: 0 });
    await lab.passUntil(lab.wallNowMs + 1_000);
    await lab.settle();
    const answer = await delivery.changeDropoff(delivery.dropoffAt(3_000));
    expect(answer).toMatchObject({ outcome: 'pending', reason: 'aircraft_unreachable' });
    expect((await delivery.read()).price.amount).toBe(priceCents(2));
    await scene.addDrone();
    await endsWell(delivery, delivery.dropoffAt(3_000), priceCents(3));
    expect((await delivery.read()).attempt).toBe(2);
  });

  it.each([
    { what: 'back in time: it flies there', forS: 60, km: 3 },
    { what: 'not before it has arrived: the old dropoff stands', forS: 600, km: 5 },
  ])('a lost link that comes $what', async ({ forS, km }) => {
    const scene = await lab.prepare();
    const [drone] = scene.droneIds;
    if (!drone) throw new Error('no drone');
    const delivery = await scene.order({ ...NEAR, toDropoffM: km * 1_000, priceCents: priceCents(km) });
    await delivery.untilStatus('enroute_to_dropoff');
    lab.pilot.arm(drone, { failure: 'lost_link', stage: 'to_dropoff', at: 0, forS });
    await lab.passUntil(lab.wallNowMs + 1_000);
    await lab.settle();
    const there = delivery.dropoffAt(km * 1_000 + 500, 10);
    const askedMs = await lab.server.wallMs();
    expect(await delivery.changeDropoff(there)).toMatchObject({ outcome: 'pending' });
    // While whoever asked through the API still waits; a timer is late by what its workflow task took, on a busy machine seconds.
    const tookMs = (await lab.server.wallMs()) - askedMs;
    expect(tookMs).toBeGreaterThanOrEqual(5_000);
    expect(tookMs).toBeLessThan(25_000);
    expect(await delivery.changeDropoff(delivery.dropoffAt(1_500), { updateId: 'other' })).toMatchObject({
      outcome: 'refused',
      reason: 'change_pending',
    });
    if (forS < 100) {
      await endsWell(delivery, there, priceCents(km + 0.5));
      expect(await eventsOf(delivery, 'dropoff_changed')).toHaveLength(1);
      return;
    }
    await endsWell(delivery, delivery.dropoffAt(km * 1_000), priceCents(km));
    const [event] = await eventsOf(delivery, 'dropoff_change_refused');
    expect(event?.data).toMatchObject({ reason: 'arrived_at_dropoff' });
  });
});
