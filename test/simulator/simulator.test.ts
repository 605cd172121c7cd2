/** The simulator on the wall's time, through drone endpoints that come and go, with the real drone service behind them. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseEnv } from '../../shared/config.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import { controlContract, type OrderFailure } from '../../simulator/contract.ts';
import { SimulatorEnvironment } from '../../simulator/environment.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { silentLogger } from '../support/service.ts';
import { City, HAPPY, TEST_TIMEOUT_MS, WITHIN } from './city.ts';

let city: City;
let simulator: Awaited<ReturnType<typeof startSimulator>> | undefined;
let control: Client<typeof controlContract>;

beforeAll(async () => {
  // A flight of eight minutes takes four seconds.
  city = await City.open(120);
});
afterEach(async () => {
  await simulator?.close();
  simulator = undefined;
  await control.close();
  await city.reopen();
});
afterAll(() => city.close());

async function start(): Promise<string> {
  simulator = await startSimulator(parseEnv(SimulatorEnvironment, city.environment()), silentLogger);
  control = createClient(controlContract, { baseUrl: simulator.url });
  return simulator.url;
}

const readiness = async (url: string) => (await fetch(`${url}/health/ready`)).status;

async function startReady(): Promise<void> {
  const url = await start();
  await expect.poll(() => readiness(url), WITHIN).toBe(200);
}

const truth = async (droneId: string) =>
  (await control.listAircraft({})).data.find((one) => one.drone_id === droneId);

describe('the simulator', { timeout: TEST_TIMEOUT_MS }, () => {
  it('flies a delivery through the public endpoints', async () => {
    const { dispatch, droneId } = await city.droneAlone();
    await startReady();
    const delivery = await dispatch();
    await city.untilEnded(delivery);
    expect(await city.told(delivery)).toEqual(HAPPY);
    await expect
      .poll(() => truth(droneId), WITHIN)
      .toMatchObject({ activity: 'parked', payload_kg: 0, delivery_id: null, unsaid: 0 });
  });

  it('keeps what it has to say while the endpoints are down, and says it in order afterwards', async () => {
    const { dispatch, droneId } = await city.droneAlone();
    await startReady();
    const delivery = await dispatch();
    await city.untilTold(delivery, 'departed_pickup');
    await city.shut();
    // It flies on, delivers and comes home, and nobody knows.
    await expect.poll(async () => (await truth(droneId))?.activity, WITHIN).toBe('parked');
    expect(await city.told(delivery)).toEqual(HAPPY.slice(0, 4));
    // The answer to the fourth may have been cut off: then it says that once more.
    expect((await truth(droneId))?.unsaid).toBeOneOf([3, 4]);
    await city.reopen();
    await city.untilEnded(delivery);
    expect(await city.told(delivery)).toEqual(HAPPY);
  });

  it('starts before the endpoints are there, and is ready when they are', async () => {
    await city.droneAlone();
    await city.shut();
    const url = await start();
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect(await readiness(url)).toBe(503);
    await city.reopen();
    await expect.poll(() => readiness(url), WITHIN).toBe(200);
  });

  it('fails as it is ordered, for one mission', async () => {
    const { dispatch, droneId } = await city.droneAlone();
    await startReady();
    const delivery = await dispatch();
    const command = await control.orderFailure({
      body: { delivery_id: delivery.id, failure: 'motor_failure', stage: 'to_dropoff' },
    });
    await city.untilTold(delivery, 'failed');
    expect(await city.told(delivery)).toEqual([...HAPPY.slice(0, 4), 'failed']);
    const { data } = await control.listCommands({});
    expect(data).toEqual([
      expect.objectContaining({ id: command.id, state: 'happened', assigned_to: droneId }),
    ]);
    await expect(control.clearCommand({ params: { command_id: command.id } })).rejects.toMatchObject({
      status: 409,
    });
    expect(await control.clearCommands({})).toEqual({ cleared: 1 });
  });

  it('keeps an order for a delivery that no drone flies yet', async () => {
    const { dispatch } = await city.droneAlone();
    await startReady();
    await control.orderFailure({ body: { next: true, failure: 'sender_absent' } });
    const delivery = await dispatch();
    await city.untilTold(delivery, 'arrived_at_pickup');
    await expect.poll(async () => (await control.listCommands({})).data[0]?.state, WITHIN).toBe('happened');
    expect((await delivery.reservation()).loading).toBe('none');
    expect(await delivery.recall()).toEqual({ outcome: 'recalled' });
    await city.untilEnded(delivery);
  });

  it('refuses an order for no target, for two, or at a stage where it cannot happen', async () => {
    const { droneId } = await city.droneAlone();
    await startReady();
    const refused = { status: 400, slug: 'invalid-request' };
    const order = (body: OrderFailure) => control.orderFailure({ body });
    await expect(order({ failure: 'lost_link' })).rejects.toMatchObject(refused);
    await expect(order({ failure: 'lost_link', next: true, drone_id: droneId })).rejects.toMatchObject(
      refused,
    );
    await expect(order({ failure: 'sender_absent', next: true, stage: 'home' })).rejects.toMatchObject(
      refused,
    );
    const { id } = await order({ failure: 'lost_link', drone_id: droneId });
    expect(await control.clearCommand({ params: { command_id: id } })).toMatchObject({ id, state: 'armed' });
    expect(await control.listCommands({})).toEqual({ data: [] });
  });

  it('brings back a drone that an operator has cleared', async () => {
    const { dispatch, droneId } = await city.droneAlone();
    await startReady();
    await control.orderFailure({ body: { drone_id: droneId, failure: 'motor_failure' } });
    const delivery = await dispatch();
    await city.untilEnded(delivery);
    await expect.poll(async () => (await truth(droneId))?.activity, WITHIN).toBe('down');
    await city.world.drone.setDroneState({
      params: { drone_id: droneId },
      body: { state: 'idle', reason: 'repaired', by: 'test' },
    });
    await expect
      .poll(() => truth(droneId), WITHIN)
      .toMatchObject({ activity: 'parked', battery: 1, delivery_id: null });
  });

  it('flies hundreds of drones in one process, with few calls', async () => {
    const droneIds = await city.world.addDrones(250);
    await startReady();
    const unheard = async () => {
      const drones = await Promise.all(
        droneIds.map((drone_id) => city.world.drone.getDrone({ params: { drone_id } })),
      );
      return drones.filter((drone) => drone.last_seen_at === null);
    };
    await expect.poll(unheard, WITHIN).toEqual([]);
    const known = (await control.listAircraft({})).data.length;
    city.batchSizes.length = 0;
    await expect.poll(() => city.batchSizes.length, WITHIN).toBeGreaterThan(6);
    // Every round is a full message and the rest.
    expect(new Set(city.batchSizes)).toEqual(new Set([200, known - 200]));
  });
});
