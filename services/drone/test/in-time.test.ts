import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ClockSettings, isoTime } from '../../../shared/clock.ts';
import { destination } from '../../../shared/geodesy.ts';
import type { DroneId } from '../../../shared/ids.ts';
import { DRONE_AVAILABLE_SIGNAL } from '../../../workflows/messages.ts';
import { CITY, type TestDelivery, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open();
});
beforeEach(() => world.reset());
afterAll(() => world.close());

const inS = (seconds: number) => isoTime(world.nowMs + seconds * 1000);
const woken = () => world.workflows.named(DRONE_AVAILABLE_SIGNAL);
const candidates = async (delivery: TestDelivery) => {
  const { data } = await world.drone.explainAssignment({ params: { delivery_id: delivery.id } });
  return data.at(-1)?.candidates ?? [];
};
/** As far as 10 km from the pickup: about ten minutes. */
const far = () => world.addDrone({ at: destination(CITY, 270, 8_500) });
const setState = (drone_id: DroneId, state: 'idle' | 'maintenance') =>
  world.drone.setDroneState({ params: { drone_id }, body: { state, reason: 'inspection', by: 'jo' } });

describe('reserving a drone that has to be there in time', () => {
  test('When the only free one would be at the pickup after the window, then it is unavailable, and both times are said', async () => {
    const drone = await far();
    const delivery = world.job({ pickup_by: inS(300) });
    const answer = await delivery.reserve();
    const [candidate] = await candidates(delivery);
    expect(candidate).toMatchObject({ drone_id: drone, verdict: 'too_late' });
    expect(Date.parse(candidate?.arrival_at ?? '')).toBeGreaterThan(world.nowMs + 300_000);
    expect(answer).toMatchObject({ outcome: 'unavailable' });
    expect(JSON.stringify(answer)).toContain(
      `would be too late: at the pickup the first at ${candidate?.arrival_at}, where the window ends at ${inS(300)}.`,
    );
    // With time enough it is the one.
    expect((await world.job({ pickup_by: inS(1_200) }).mustReserve()).drone_id).toBe(drone);
  });

  test('When it would be at the dropoff after the deadline, then it is no candidate either', async () => {
    await world.addDrone();
    const plain = world.job();
    const { eta } = await plain.mustReserve();
    await plain.release();
    const deadline = isoTime(Date.parse(eta.dropoff_at) - 1_000);
    const delivery = world.job({ deliver_by: deadline });
    const answer = await delivery.reserve();
    expect(answer).toMatchObject({ outcome: 'unavailable' });
    expect(JSON.stringify(answer)).toContain(
      `at the dropoff the first at ${eta.dropoff_at}, where the deadline is ${deadline}`,
    );
    expect(await candidates(delivery)).toMatchObject([{ verdict: 'too_late', dropoff_at: eta.dropoff_at }]);
    await world.job({ deliver_by: eta.dropoff_at }).mustReserve();
  });

  test('When it is sent later, for a window that begins later, then its arrival at the dropoff is later too', async () => {
    await world.addDrone();
    const first = world.job();
    const { eta } = await first.mustReserve();
    await first.release();
    const onTheWayMs = Date.parse(eta.dropoff_at) - Date.parse(eta.pickup_at);
    const window = { pickup_from: inS(1_800), pickup_by: inS(3_600) };
    const arrivalMs = world.nowMs + 1_800_000 + onTheWayMs;
    const tooLate = world.job({ ...window, deliver_by: isoTime(arrivalMs - 1_000) });
    expect(await tooLate.reserve()).toMatchObject({ outcome: 'unavailable' });
    // Both arrivals were rounded to the millisecond.
    const inTime = world.job({ ...window, deliver_by: isoTime(arrivalMs + 2) });
    await inTime.mustReserve();
    const [candidate] = await candidates(inTime);
    expect(Math.abs(Date.parse(candidate?.dropoff_at ?? '') - arrivalMs)).toBeLessThanOrEqual(2);
  });

  test('When the window is over, then nothing is reserved, however near a drone is', async () => {
    await world.addDrone({ at: destination(CITY, 90, 1_500) });
    const pickup_by = inS(-1);
    const answer = await world.job({ pickup_by }).reserve();
    expect(answer).toMatchObject({ outcome: 'unavailable' });
    expect(JSON.stringify(answer)).toContain(`The pickup window ended at ${pickup_by}.`);
  });

  test('When the delivery follows a faster clock, then its times do too', async () => {
    await world.addDrone();
    const clock: ClockSettings = { anchorWallMs: world.nowMs, anchorMs: world.nowMs, rate: 10 };
    const delivery = world.job({ clock, pickup_by: inS(600) });
    world.nowMs += 59_000;
    expect(await delivery.reserve()).toMatchObject({ outcome: 'unavailable' });
  });
});

describe('waiting for a drone that is there in time', () => {
  test('When one frees itself that would be too late, then who waits is not woken for it, and the next one is', async () => {
    const near = await world.addDrone();
    await setState(near, 'maintenance');
    await far();
    const delivery = world.job({ pickup_by: inS(300) });
    expect(await delivery.reserve()).toMatchObject({ outcome: 'unavailable' });
    const patient = world.job();
    await world.runDue();
    expect(woken()).toEqual([]);
    // It is kept for nobody.
    await patient.mustReserve();
    await setState(near, 'idle');
    await world.runDue();
    expect(woken()).toEqual([delivery.id]);
    expect((await delivery.mustReserve(2)).drone_id).toBe(near);
  });

  test('When it is asked for again with other times, then those count', async () => {
    const drone = await far();
    const delivery = world.job();
    await setState(drone, 'maintenance');
    expect(await delivery.reserve(1, world.drone, { pickup_by: inS(300) })).toMatchObject({
      outcome: 'unavailable',
    });
    expect(await delivery.reserve(2, world.drone, { pickup_by: inS(1_200) })).toMatchObject({
      outcome: 'unavailable',
    });
    await setState(drone, 'idle');
    await world.runDue();
    expect(woken()).toEqual([delivery.id]);
  });
});
