/**
 * A cancel while the package is being put aboard: the aircraft may have it before anybody hears of it, so the aircraft's word
 * decides. In virtual time; the same moment on the real server is in `races.test.ts`.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DroneId } from '../../shared/ids.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import { pickupRace } from './pickup-race.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const PENDING = { outcome: 'pending', reason: 'aircraft_unreachable' };
const ALREADY_PICKED_UP = { outcome: 'refused', reason: 'already_picked_up' };

/** A delivery whose one drone has its load token and is putting the package in; `offline`: nobody hears it for so long, seconds. */
async function whileLoading({ offlineS }: { offlineS?: number } = {}) {
  const scene = await lab.prepare();
  const [droneId] = scene.droneIds;
  if (!droneId) throw new Error('no drone');
  if (offlineS !== undefined) {
    lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_pickup', at: 0.2, forS: offlineS });
  }
  const delivery = await scene.order({ toPickupM: 200, toDropoffM: 1_500 });
  await lab.until('the drone is loading', () => {
    const { activity, linkLostUntilMs } = lab.pilot.look(droneId);
    return activity.kind === 'loading' && (offlineS === undefined || linkLostUntilMs !== null);
  });
  expect((await delivery.read()).status).toBe('arrived_at_pickup');
  return { delivery, droneId };
}

/** It ended as cancelled after the dispatch, and neither the drone service nor the aircraft ever had a package. */
async function expectCancelledEmpty(delivery: LabDelivery): Promise<void> {
  const { delivery: ended, outcome } = await delivery.untilComplete();
  expect(outcome).toMatchObject({
    status: 'cancelled',
    reason: 'requested_by_sender',
    compensation: 'complete',
  });
  expect(ended.charge?.amount).toBe(Math.round(delivery.price.amount * 0.4));
  expect(await pickupRace(delivery)).toEqual({
    loading: ['barred'],
    told: ['recalled_empty'],
    loadedBy: [],
    carriedBy: [],
  });
  expect((await delivery.statuses()).slice(-2)).toEqual(['arrived_at_pickup', 'cancelled']);
  const ends = (await delivery.events()).filter((event) => event.type === 'delivery.cancelled');
  expect(ends).toHaveLength(1);
  await delivery.untilNothingHeld();
}

/** It was delivered as if nobody had asked for anything else. */
async function expectDelivered(delivery: LabDelivery, droneId: DroneId): Promise<void> {
  const { delivery: ended, outcome } = await delivery.untilComplete();
  expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
  expect(ended.charge?.amount).toBe(delivery.price.amount);
  expect(ended.cancellation_reason).toBeNull();
  expect(await pickupRace(delivery)).toEqual({
    loading: ['loaded'],
    told: ['loaded'],
    loadedBy: [droneId],
    carriedBy: [droneId],
  });
  await delivery.untilNothingHeld();
}

describe('a cancel while the drone is loading', () => {
  it('is pending until the aircraft has said that it is empty; then it is cancelled, for the fee', async () => {
    const { delivery } = await whileLoading();
    expect(await delivery.cancel()).toMatchObject(PENDING);
    expect((await delivery.read()).status).toBe('arrived_at_pickup');
    await expectCancelledEmpty(delivery);
    // Who repeats it hears how it went.
    expect(await delivery.cancel('again')).toBe('gone');
  });

  it('is settled so too when the answer to the recall is lost: it is asked again', async () => {
    const { delivery } = await whileLoading();
    lab.faults.arm({ activity: 'recallDrone', how: 'lose_answer', times: 1 });
    expect(['pending', 'cancelled']).toContain(outcomeOf(await delivery.cancel()));
    const asked = lab.faults.callsOf(delivery.id).filter((call) => call.activity === 'recallDrone');
    expect(asked.map((call) => call.result).slice(0, 2)).toEqual(['failed', 'ok']);
    await expectCancelledEmpty(delivery);
  });

  it('is refused when the drone service has heard first that it is loaded, before the workflow has', async () => {
    const { delivery, droneId } = await whileLoading();
    // The recall does not get through until the aircraft has said so; its word waits while the cancel is being settled.
    lab.faults.arm({ activity: 'recallDrone', how: 'down' });
    const asking = delivery.askToCancel();
    await lab.until('it is loaded', async () => (await pickupRace(delivery)).loadedBy.length > 0);
    expect((await delivery.read()).status).toBe('arrived_at_pickup');
    lab.faults.clear();
    expect(await lab.untilSettled('it is answered', asking)).toMatchObject(ALREADY_PICKED_UP);
    await expectDelivered(delivery, droneId);
  });

  it('of a drone that nobody hears is pending; it had loaded by then, so it is refused, and the delivery goes on', async () => {
    const { delivery, droneId } = await whileLoading({ offlineS: 100 });
    await lab.until('it is aboard', () => lab.pilot.look(droneId).payloadKg > 0);
    expect(await pickupRace(delivery)).toMatchObject({
      loading: ['granted'],
      told: [],
      carriedBy: [droneId],
    });
    expect(await delivery.cancel()).toMatchObject(PENDING);
    // Another one shares the first one's answer: no second recall.
    expect(await delivery.cancel('second')).toMatchObject(PENDING);
    await lab.until('it is known to be aboard', async () =>
      (await delivery.statuses()).includes('picked_up'),
    );
    expect(await delivery.cancel('third')).toMatchObject(ALREADY_PICKED_UP);
    await expectDelivered(delivery, droneId);
  });

  it('of a drone that nobody hears for a moment is pending; back in time, it stops loading and comes home', async () => {
    const { delivery, droneId } = await whileLoading({ offlineS: 15 });
    expect(await delivery.cancel()).toMatchObject(PENDING);
    expect(lab.pilot.look(droneId).payloadKg).toBe(0);
    await expectCancelledEmpty(delivery);
  });
});

function outcomeOf(answer: Awaited<ReturnType<LabDelivery['cancel']>>): string | undefined {
  return typeof answer === 'object' ? answer.outcome : answer;
}
