/**
 * Long life: a delivery goes on with a new history whenever the one it has is long, and nothing that it is told or asked meanwhile is
 * lost or doubled. In virtual time.
 */
import type { TypedSearchAttributes } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import {
  type DeliveryState,
  DRONE_MILESTONE_SIGNAL,
  type DroneMilestoneSignal,
} from '../../workflows/messages.ts';
import { Barrage, type Barraged, runsOf } from './barrage.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const LEAD_S = 600;
/** Of a package in the lab. */
const WEIGHT_KG = 1.2;
const RESCHEDULED = { outcome: 'rescheduled', reason: null, detail: null };
const CHANGED = { outcome: 'changed', reason: null, detail: null };
const CANCELLED = { outcome: 'cancelled', reason: null, detail: null };
const countOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((one) => one.type === type).length;
const waitingFor = async ({ handle }: LabDelivery) => (await handle.query<DeliveryState>('state')).waitingFor;
/**
 * A cancel that is sent when one run has ended, and reaches the next one during its first task. What that begins with is not done
 * before the cancel is answered: the time-skipping server never ends a task in which a step is called off that has just been done.
 */
const AS_A_RUN_BEGINS: Barraged = {
  orders: ['cancel'],
  after: () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'down' });
    return lab.handover.goOn();
  },
};

/** How long it took from each drone that failed to the next one that was sent, milliseconds of its clock. */
async function waitsForAnother(delivery: LabDelivery): Promise<number[]> {
  const timesOf = (events: DeliveryEvent[], type: string) =>
    events.filter((one) => one.type === type).map((one) => Date.parse(one.occurred_at));
  const events = await delivery.events();
  const [, ...next] = timesOf(events, 'delivery.confirmed');
  return timesOf(events, 'delivery.drone_failed').map((at, index) => (next[index] ?? Infinity) - at);
}

/** A drone may be free: it asks for one. */
async function wake(delivery: LabDelivery): Promise<void> {
  await delivery.handle.signal('droneAvailable');
  await lab.settle();
}

/** Wakes it until a new run goes on for it. */
async function untilNextRun(delivery: LabDelivery): Promise<void> {
  const { runId } = await delivery.handle.describe();
  while ((await delivery.handle.describe()).runId === runId) await wake(delivery);
}

/** Its history is long, and it goes on from what hangs. Its run has decided to end when this returns, and waits for `goOn`. */
async function untilItEnds(delivery: LabDelivery): Promise<void> {
  for (let n = 0; n < 30; n += 1) await delivery.handle.signal('droneAvailable');
  const ending = lab.handover.keepNext().then(() => true);
  lab.faults.mend(delivery.id);
  while (!(await Promise.race([ending, wake(delivery)])));
}

/** What every service is told of it. */
const idsOf = ({ id, scene: { accountId } }: LabDelivery) =>
  ({ account_id: accountId, delivery_id: id, livemode: false, clock: lab.server.clock }) as const;

/** A carrier is booked under the keys of its first steps to do that, which have not run yet. */
async function bookedBefore(delivery: LabDelivery): Promise<void> {
  const { pickup, dropoff } = await delivery.read();
  const job = {
    ...idsOf(delivery),
    pickup: { location: pickup.location },
    dropoff: { location: dropoff.location },
    weight_kg: WEIGHT_KG,
  };
  const key = (step: string) => ({ idempotencyKey: `${delivery.id}/${step}/1` });
  const { carrier } = lab.clients;
  const quote = await carrier.quote({ body: { ...job, deadline: null } }, key('quote'));
  if (quote.outcome !== 'quoted') throw new Error(`it is ${quote.outcome}`);
  const answer = await carrier.book({ body: { ...job, quote_id: quote.quote_id } }, key('book'));
  if (answer.outcome !== 'booked') throw new Error(`it is ${answer.outcome}`);
}

/** A drone is reserved under the key of its `nth` reserve step, which has not run yet. */
async function reservedBefore(delivery: LabDelivery, nth: number) {
  const answer = await lab.clients.drone.reserve(
    {
      body: {
        ...idsOf(delivery),
        pickup: delivery.pickup,
        dropoff: delivery.dropoffAt(2_000),
        payload_kg: WEIGHT_KG,
        package_sizes: ['small'],
        expedited: false,
        wait: false,
        exclude_drone_ids: [],
        lease_s: HOUR_S,
      },
    },
    { idempotencyKey: `${delivery.id}/reserve/${nth}` },
  );
  if (answer.outcome !== 'reserved') throw new Error(`it is ${answer.outcome}`);
  return answer;
}

/** Its own; not which patches the history of this run knows, of which Temporal keeps a list among them. */
const attributesOf = ({ typedSearchAttributes }: { typedSearchAttributes: TypedSearchAttributes }) =>
  Object.fromEntries(
    typedSearchAttributes
      .getAll()
      .filter(({ key }) => key.name !== 'TemporalChangeVersion')
      .map(({ key, value }) => [key.name, value]),
  );

describe('a delivery that lives long', () => {
  it('a month with 50 reschedules, 20 drones that fail, a month without one: no run grows long, and nothing is lost or doubled between two', async () => {
    const historyEvents = 60;
    const drones = 20;
    const scene = await lab.prepare({ drones });
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_pickup' });
    const delivery = await scene.order({
      pickup: { fromS: 30 * DAY_S, toS: 31 * DAY_S },
      policy: { historyEvents },
    });
    await delivery.untilStatus('scheduled');
    const barrage = new Barrage(delivery);
    const turn = (n: number) => delivery.dropoffAt(2_000, n % 2 === 0 ? 0 : 90);

    // The pickup is moved on every half day, in the end to one that takes a month.
    const orderedMs = lab.wallNowMs;
    for (let n = 1; n <= 50; n += 1) {
      await lab.leapUntil(orderedMs + n * 0.5 * DAY_S * 1000, delivery);
      const window = lab.windowIn({ fromS: 5 * DAY_S + n, toS: (n < 50 ? 6 : 45) * DAY_S });
      const change = n % 5 === 0 ? { place: turn(n / 5) } : {};
      const answers = await barrage.send('the pickup window', { window, ...change });
      expect(answers).toEqual([RESCHEDULED, ...(n % 5 === 0 ? [CHANGED] : []), 'signalled']);
      expect((await delivery.read()).pickup_window).toEqual(window);
    }
    expect(barrage.crossings('the pickup window')).toBeGreaterThan(5);
    // Nothing flies yet: a run has only what it is told and asked at once more than it may begin with.
    expect(Math.max(...(await runsOf(delivery)))).toBeLessThan(historyEvents + 60);
    const { start } = (await delivery.read()).pickup_window!;
    await lab.leapUntil(Date.parse(start) - LEAD_S * 1000, delivery);
    await delivery.untilStatus('confirmed');

    await lab.until('two have been replaced', async () => (await delivery.read()).attempt === 3);
    // Each of the others is given back, and the next one is looked for, while everything is on its way.
    for (let failed = 3; failed <= drones; failed += 1) {
      lab.faults.arm({ activity: 'releaseDrone', how: 'hang', times: 1, of: delivery.id });
      await lab.until(`drone ${failed} is given back`, () => lab.faults.isHanging(delivery.id));
      const answers = await barrage.send('the next drone', { place: turn(failed) }, () =>
        lab.faults.mend(delivery.id),
      );
      expect(answers).toEqual([CHANGED, 'signalled']);
    }
    expect(barrage.crossings('the next drone')).toBeGreaterThan(5);
    await delivery.untilStatus('awaiting_drone');
    expect(await countOf(delivery, 'delivery.drone_failed')).toBe(drones);

    const waitingMs = lab.wallNowMs;
    for (let week = 1; week <= 4; week += 1) {
      await lab.leapUntil(waitingMs + week * 7.5 * DAY_S * 1000, delivery);
      const window = lab.windowIn({ fromS: -week, toS: 30 * DAY_S });
      const answers = await barrage.send('a free drone', { window, place: turn(week) });
      expect(answers).toEqual([RESCHEDULED, CHANGED, 'signalled']);
    }
    expect(barrage.crossings('a free drone')).toBeGreaterThan(0);
    expect(barrage.answeredOtherwise).toEqual([]);

    await scene.addDrone();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: drones + 1 });
    const events = await delivery.events();
    const changesOf = (type: string) => events.filter((one) => one.type === `delivery.${type}`);
    expect(changesOf('rescheduled').map((one) => one.data['to'])).toEqual(barrage.windows);
    expect(changesOf('dropoff_changed').map((one) => one.data['to'])).toEqual(barrage.places);
    expect(changesOf('drone_failed')).toHaveLength(drones);
    expect(changesOf('picked_up')).toHaveLength(1);
    // The first ones at once, later ones less and less fast: a fleet that all fails is not used up in a moment.
    const waits = await waitsForAnother(delivery);
    expect(Math.max(...waits.slice(0, 2))).toBeLessThan(5_000);
    expect(Math.min(...waits.slice(8, drones - 1))).toBeGreaterThanOrEqual(60_000);
    const runs = await runsOf(delivery);
    expect(runs.length).toBeGreaterThan(30);
    // A flight is never left for a new history: the longest run has one drone more than it may begin with.
    expect(Math.max(...runs)).toBeLessThan(historyEvents + 120);
    await delivery.untilNothingHeld();
  }, 180_000);

  it('updates sent across every continue-as-new are neither lost nor doubled', async () => {
    const delivery = await lab.start({
      pickup: { fromS: DAY_S, toS: 2 * DAY_S },
      policy: { historyEvents: 50 },
    });
    await delivery.untilStatus('scheduled');
    const runs = new Set<string>();
    let sent = 0;
    for (let burst = 0; burst < 12; burst += 1) {
      // All at once, and not waited for: some reach the run that ends, some the next.
      const windows = [1, 2, 3, 4].map((n) =>
        lab.windowIn({ fromS: (24 + burst) * HOUR_S, toS: (40 + n) * HOUR_S }),
      );
      const asked = windows.map((window) => {
        sent += 1;
        return delivery.reschedule(window, { updateId: `at-once-${sent}` });
      });
      expect(await Promise.all(asked)).toEqual(windows.map(() => RESCHEDULED));
      runs.add((await delivery.handle.describe()).runId);
    }
    expect(runs.size).toBeGreaterThan(3);
    const moves = (await delivery.events()).filter((one) => one.type === 'delivery.rescheduled');
    expect(moves).toHaveLength(sent);
    // Each began where the one before ended: none was applied to what another run knew.
    moves.slice(1).forEach((event, index) => expect(event.data['from']).toEqual(moves[index]!.data['to']));
    expect(await delivery.cancel()).toMatchObject({ outcome: 'cancelled' });
    await delivery.untilComplete();
    expect(await delivery.held()).toEqual([]);
  });

  it('signals wake the run that goes on, which still undoes what the first one did', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const waiting = await scene.order({ policy: { historyEvents: 50, awaitDroneS: 2 * HOUR_S } });
    await waiting.untilStatus('awaiting_drone');
    const first = await waiting.handle.describe();
    const attributes = attributesOf(first);
    await untilNextRun(waiting);
    const next = await waiting.handle.describe();
    expect(next.runId).not.toBe(first.runId);
    expect(attributesOf(next)).toEqual(attributes);
    await flying.untilComplete();
    const { outcome } = await waiting.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    await waiting.untilNothingHeld();
  });

  it.each([
    { exit: 'the pickup window', pickup: { fromS: DAY_S, toS: 2 * DAY_S }, drones: 'idle' },
    { exit: 'a free drone', pickup: { fromS: 0, toS: DAY_S }, drones: 'maintenance' },
  ] as const)(
    'a cancel sent as a new run begins at $exit ends it once, and gives back what every run took',
    async ({ pickup, drones, exit }) => {
      const scene = await lab.prepare();
      if (drones !== 'idle') await scene.setDrones(drones);
      const delivery = await scene.order({ pickup, policy: { historyEvents: 50 } });
      await lab.settle();
      expect(await waitingFor(delivery)).toBe(exit);
      // It has something to write until its history is long.
      lab.faults.arm({ activity: 'appendEvents', key: /event_dropoff_changed/, how: 'hang', times: 1 });
      const changing = delivery.askToChangeDropoff(delivery.dropoffAt(2_000, 90));
      await lab.until('the change is being written', () => lab.faults.isHanging(delivery.id));
      await untilItEnds(delivery);
      const barrage = new Barrage(delivery);
      const answers = await barrage.send(exit, AS_A_RUN_BEGINS, () => lab.handover.letGo());
      expect(answers).toEqual([CANCELLED, 'signalled']);
      expect(barrage.crossings(exit)).toBe(1);
      expect(await changing).toEqual(CHANGED);
      lab.faults.clear();
      const { outcome } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'cancelled', compensation: 'complete' });
      expect(await countOf(delivery, 'delivery.cancelled')).toBe(1);
      expect(await delivery.held()).toEqual([]);
    },
  );

  it('a cancel sent as a new run begins after a drone that failed ends it once, and gives back what every run took', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_pickup' });
    const delivery = await scene.order({ policy: { historyEvents: 50 } });
    lab.faults.arm({ activity: 'releaseDrone', how: 'hang', times: 1 });
    await lab.until('it is given back', () => lab.faults.isHanging(delivery.id));
    await untilItEnds(delivery);
    const barrage = new Barrage(delivery);
    const answers = await barrage.send('the next drone', AS_A_RUN_BEGINS, () => lab.handover.letGo());
    expect(answers).toEqual([CANCELLED, 'signalled']);
    expect(barrage.crossings('the next drone')).toBe(1);
    lab.faults.clear();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'cancelled', compensation: 'complete' });
    expect(await countOf(delivery, 'delivery.drone_failed')).toBe(1);
    await delivery.untilNothingHeld();
  });

  it('a cancel in a run that has gone on gives back what the first one took', async () => {
    const scene = await lab.prepare();
    const flying = await scene.order();
    await flying.untilStatus('enroute_to_pickup');
    const waiting = await scene.order({ policy: { historyEvents: 50 } });
    await waiting.untilStatus('awaiting_drone');
    await untilNextRun(waiting);
    expect(await waiting.held()).not.toEqual([]);
    expect(await waiting.cancel()).toMatchObject({ outcome: 'cancelled' });
    const { outcome } = await waiting.untilComplete();
    expect(outcome.compensation).toBe('complete');
    expect(await waiting.held()).toEqual([]);
    await flying.untilComplete();
  });

  it('with its package on the ground: what can no longer be done is refused as often as it is sent, and what its drone told before changes nothing', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    const delivery = await scene.order({ policy: { awaitDroneS: 600, historyEvents: 50 } });
    const barrage = new Barrage(delivery);
    const place = delivery.dropoffAt(1_500);
    const sendAnother = async (about: string) => {
      await delivery.answer(about, 'another_drone');
      await lab.settle();
    };
    for (const [exit, about] of [
      ['another drone', 'package_set_down'],
      ['a person’s word on the package', 'package_on_ground'],
    ] as const) {
      await delivery.untilAsked(about);
      if (exit === 'another drone') await sendAnother(about);
      while (barrage.crossings(exit) === 0) {
        expect(await waitingFor(delivery)).toBe(exit);
        const answers = await barrage.send(exit, { orders: ['cancel', 'abort'], place });
        expect(answers).toMatchObject([
          { outcome: 'refused', reason: 'drone_down' },
          { outcome: 'refused', reason: 'already_picked_up' },
          { outcome: 'refused', reason: 'not_aboard' },
          'signalled',
        ]);
      }
    }
    expect(barrage.answeredOtherwise).toEqual([]);
    await sendAnother('package_on_ground');
    await scene.addDrone();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    expect(await countOf(delivery, 'delivery.package_set_down')).toBe(1);
    expect(await countOf(delivery, 'delivery.dropoff_changed')).toBe(0);
    await delivery.untilNothingHeld();
  });

  it('a signal that comes before it is known whose it is, is there in the run that learns it: a drone’s', async () => {
    const scene = await lab.prepare();
    await scene.setDrones('maintenance');
    const waiting = await scene.order({ policy: { historyEvents: 50 } });
    await waiting.untilStatus('awaiting_drone');
    await scene.setDrones('idle');
    // What one of its next steps will find under its key, once the run that hears the signal has ended.
    const { reservation_id, reservation_token, drone_id } = await reservedBefore(waiting, 12);
    const occurredAt = isoTime(lab.nowMs);
    const signal: DroneMilestoneSignal = {
      reservationId: reservation_id,
      reservationToken: reservation_token,
      sequence: 1,
      kind: 'took_off',
      droneId: drone_id,
      occurredAt,
      recordedAt: occurredAt,
      position: null,
      detail: {},
    };
    await lab.workflows.signal(waiting.id, DRONE_MILESTONE_SIGNAL, signal);
    await lab.workflows.signal(waiting.id, DRONE_MILESTONE_SIGNAL, signal);
    await untilNextRun(waiting);
    expect((await waiting.read()).status).toBe('awaiting_drone');
    while ((await waiting.read()).status === 'awaiting_drone') await wake(waiting);
    const { outcome } = await waiting.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    const tookOff = (await waiting.events()).filter((one) => one.type === 'delivery.enroute_to_pickup');
    expect(tookOff.map((one) => one.occurred_at)).toEqual([occurredAt]);
    await waiting.untilNothingHeld();
  });

  it('a signal that comes before it is known whose it is, is there in the run that learns it: a carrier’s', async () => {
    const scene = await lab.prepare({ account: { carrier: true, carrierCapCents: 10_000 } });
    await scene.setDrones('maintenance');
    const waiting = await scene.order({ policy: { historyEvents: 50 } });
    await waiting.untilStatus('awaiting_drone');
    await bookedBefore(waiting);
    await lab.until('the carrier has told that it is on its way', async () => {
      const { data } = await lab.clients.carrier.listBookings({ query: { delivery_id: waiting.id } });
      return data.some(({ state }) => state === 'enroute_to_pickup');
    });
    await untilNextRun(waiting);
    expect((await waiting.read()).status).toBe('awaiting_drone');
    const { outcome } = await waiting.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered' });
    // Nothing had to be asked for again.
    expect(lab.faults.callsOf(waiting.id).map(({ activity }) => activity)).not.toContain(
      'readCarrierMilestones',
    );
    await waiting.untilNothingHeld();
  });
});
