import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ClockSettings, isoTime } from '../../../shared/clock.ts';
import { destination, interpolate } from '../../../shared/geodesy.ts';
import { newId } from '../../../shared/ids.ts';
import { withClient } from '../../../prisma/provision.ts';
import { CITY, RecordedWorkflows, World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await World.open({ linkLoss: { silenceS: 60, telemetryIntervalMs: 5_000 } });
});
beforeEach(() => world.reset());
afterAll(() => world.close());

describe('milestones', () => {
  test('When a milestone is repeated, also at the same time, then it is recorded once', async () => {
    await world.addDrone();
    const other = await world.another();
    const delivery = await world.dispatched();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        delivery.tell(
          'took_off',
          { aircraft_sequence: 1 },
          index % 2 === 0 ? world.aircraft : other.aircraft,
        ),
      ),
    );
    expect(answers.map((one) => one.outcome).sort()).toEqual([
      ...Array.from({ length: 7 }, () => 'duplicate'),
      'recorded',
    ]);
    await world.runDue();
    await other.app.dronePumps.runDue();
    expect(delivery.signalled()).toEqual(['took_off']);
    expect(await delivery.tell('failed', { aircraft_sequence: 1 })).toEqual({
      outcome: 'refused',
      reason: 'sequence_reused',
    });
    await delivery.tell('arrived_at_pickup', { aircraft_sequence: 5 });
    expect(await delivery.tell('loaded', { aircraft_sequence: 4 })).toEqual({
      outcome: 'refused',
      reason: 'out_of_order',
    });
    expect((await delivery.mission()).told).toEqual([
      { aircraft_sequence: 1, kind: 'took_off', occurred_at: isoTime(world.nowMs) },
      { aircraft_sequence: 5, kind: 'arrived_at_pickup', occurred_at: isoTime(world.nowMs) },
    ]);
  });

  test('When the reservation is not the drone’s any more, then it is acknowledged and ignored', async () => {
    await world.addDrones(2);
    const delivery = await world.dispatched();
    const stale = { outcome: 'ignored', reason: 'stale_reservation' };
    expect(await delivery.tell('took_off', { reservation_token: 7 })).toEqual(stale);
    const another = world.job();
    await another.mustReserve();
    const body = {
      reservation_id: delivery.reservationId,
      reservation_token: 1,
      aircraft_sequence: 1,
      kind: 'took_off' as const,
      occurred_at: isoTime(world.nowMs),
      position: CITY,
    };
    expect(await world.aircraft.postMilestone({ params: { drone_id: another.droneId }, body })).toEqual(
      stale,
    );
    expect(await another.tell('took_off')).toEqual({ outcome: 'refused', reason: 'not_dispatched' });
    await delivery.recall();
    await delivery.tell('landed', { aircraft_sequence: 2 });
    expect(await delivery.tell('took_off', { aircraft_sequence: 3 })).toEqual({
      outcome: 'ignored',
      reason: 'reservation_over',
    });
    expect(await delivery.requestLoadToken()).toEqual({ outcome: 'refused', reason: 'stale_reservation' });
    await world.runDue();
    expect(delivery.signalled()).toEqual([]);
    await expect(
      world.aircraft.postMilestone({
        params: { drone_id: delivery.droneId },
        body: { ...body, reservation_id: newId('reservation') },
      }),
    ).rejects.toMatchObject({ status: 404 });
  });

  test('When the cluster is down, then milestones are signalled in order once it is back, by any process', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    world.workflows.down = true;
    await delivery.flyTo('departed_pickup');
    await expect.poll(() => world.workflows.attempts).toBeGreaterThan(0);
    expect(delivery.signalled()).toEqual([]);
    const other = await world.another();
    world.workflows.down = false;
    await expect.poll(() => delivery.signalled().length, { timeout: 20_000 }).toBe(4);
    expect(world.workflows.milestones(delivery.id).map((one) => one.sequence)).toEqual([1, 2, 3, 4]);
    await delivery.tell('arrived_at_dropoff', {}, other.aircraft);
    await delivery.tell('released');
    await expect.poll(() => delivery.signalled().length, { timeout: 20_000 }).toBe(6);
    expect(world.workflows.milestones(delivery.id).map((one) => one.sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('When signals are slow and milestones come through two processes, then the order is kept', async () => {
    await world.addDrones(4);
    const other = await world.another();
    world.workflows.delay = () => new Promise((resolve) => setTimeout(resolve, 15));
    const deliveries = await Promise.all(Array.from({ length: 4 }, () => world.dispatched()));
    await Promise.all(
      deliveries.map(async (delivery) => {
        await delivery.tell('took_off');
        await delivery.tell('arrived_at_pickup', {}, other.aircraft);
        await delivery.getLoadToken();
        await delivery.tell('loaded');
        await delivery.tell('departed_pickup', {}, other.aircraft);
        await delivery.tell('arrived_at_dropoff');
        await delivery.tell('released', {}, other.aircraft);
      }),
    );
    for (const delivery of deliveries) {
      await expect
        .poll(() => world.workflows.milestones(delivery.id).map((one) => one.sequence), { timeout: 20_000 })
        .toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  test('When the process dies between commit and signal, then another one signals', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    const unanswered = new RecordedWorkflows();
    unanswered.delay = () => new Promise(() => undefined);
    const dying = await world.another({ workflows: unanswered });
    await delivery.tell('took_off', {}, dying.aircraft);
    await world.runDue();
    expect(delivery.signalled()).toEqual([]);
    await world.pass(16_000);
    expect(delivery.signalled()).toEqual(['took_off']);
  });

  test('When a workflow has ended, then its signals are done with', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    world.workflows.gone.add(delivery.id);
    await delivery.flyTo('landed');
    await world.runDue();
    const before = world.workflows.attempts;
    await world.pass(60_000);
    expect(world.workflows.attempts).toBe(before);
  });
});

describe('drones that fail', () => {
  test('When it fails with nothing aboard, then it is grounded and a replacement may fly', async () => {
    const droneId = await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('took_off');
    await delivery.tell('failed', { detail: { cause: 'motor_failure', aboard: false } });
    expect(await delivery.droneState()).toMatchObject({
      state: 'grounded',
      state_reason: 'failed: motor_failure',
      reservation_id: null,
    });
    expect((await delivery.mission()).mission).toBeNull();
    await world.runDue();
    expect(world.workflows.milestones(delivery.id)).toMatchObject([
      { kind: 'took_off', sequence: 1 },
      { kind: 'failed', sequence: 2, detail: { cause: 'motor_failure', aboard: false } },
    ]);
    expect((await delivery.tell('landed')).outcome).toBe('ignored');
    const replacement = await world.addDrone();
    const second = await delivery.mustReserve(2);
    expect(second).toMatchObject({ drone_id: replacement, reservation_token: 2 });
    const cleared = await world.drone.setDroneState({
      params: { drone_id: droneId },
      body: { state: 'idle', reason: 'new motor', by: 'operator' },
    });
    expect(cleared).toMatchObject({ state: 'idle', state_reason: null });
  });

  test('When it fails but comes home, then it is usable again after it has landed', async () => {
    await world.addDrones(2);
    const delivery = await world.dispatched();
    const first = delivery.droneId;
    await delivery.flyTo('took_off');
    const lost = { cause: 'link_lost', aboard: false, coming_home: true };
    await delivery.tell('failed', { detail: lost });
    expect(await delivery.droneState()).toMatchObject({ state: 'returning' });
    await world.drone.listReservations({ query: { open: true } });
    const telling = delivery.tell('landed', { aircraft_sequence: 3 });
    expect((await telling).outcome).toBe('recorded');
    expect(await delivery.droneState()).toMatchObject({ id: first, state: 'idle' });
    await delivery.mustReserve(2);
  });

  test('When it fails with the package aboard, then it stays reserved until a person has it in hand', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('departed_pickup');
    await delivery.tell('failed', { detail: { cause: 'motor_failure', aboard: true } });
    await world.runDue();
    expect(world.workflows.milestones(delivery.id).at(-1)).toMatchObject({
      kind: 'failed',
      detail: { cause: 'motor_failure', aboard: true },
    });
    expect(await delivery.droneState()).toMatchObject({ state: 'grounded' });
    expect(await delivery.tell('landed')).toEqual({ outcome: 'refused', reason: 'package_aboard' });
    expect(await delivery.release()).toEqual({ outcome: 'loaded' });
    await world.addDrone();
    await expect(delivery.reserve(2)).rejects.toMatchObject({ reason: 'already_reserved' });
    const params = { drone_id: delivery.droneId };
    await expect(
      world.drone.setDroneState({ params, body: { state: 'idle', reason: 'x', by: 'operator' } }),
    ).rejects.toMatchObject({ status: 409, reason: 'package_aboard' });
    const body = { state: 'maintenance', reason: 'package recovered', by: 'operator' } as const;
    expect(await world.drone.setDroneState({ params, body })).toMatchObject({
      state: 'maintenance',
      reservation_id: null,
    });
    expect(await delivery.reservation()).toMatchObject({ state: 'ended' });
    expect(await delivery.release(1, 2)).toEqual({ outcome: 'already_released' });
  });

  describe('When it falls silent while it may load', () => {
    const fetched = { state: 'maintenance', reason: 'fetched', by: 'operator' } as const;

    async function silentWhileLoading() {
      await world.addDrone();
      const delivery = await world.dispatched();
      await delivery.flyTo('arrived_at_pickup');
      await delivery.getLoadToken();
      await delivery.tell('failed', { detail: { cause: 'motor_failure' } });
      return delivery;
    }

    test('then whoever fetches it has to say what is in it', async () => {
      const delivery = await silentWhileLoading();
      const params = { drone_id: delivery.droneId };
      await expect(world.drone.setDroneState({ params, body: fetched })).rejects.toMatchObject({
        status: 409,
        reason: 'package_unknown',
      });
      expect(await delivery.reservation()).toMatchObject({ state: 'committed', loading: 'granted' });
      expect(await delivery.recall()).toMatchObject({ outcome: 'pending' });
    });

    test.each([
      { package_aboard: true, loading: 'loaded', recall: 'loaded' },
      { package_aboard: false, loading: 'barred', recall: 'recalled' },
    ])('and found $package_aboard, it counts as $loading', async ({ package_aboard, loading, recall }) => {
      const delivery = await silentWhileLoading();
      const params = { drone_id: delivery.droneId };
      const { state } = await world.drone.setDroneState({ params, body: { ...fetched, package_aboard } });
      expect(state).toBe('maintenance');
      expect(await delivery.reservation()).toMatchObject({ state: 'ended', loading });
      expect(await delivery.recall()).toMatchObject({ outcome: recall });
      await world.runDue();
      const { detail } = world.workflows.milestones(delivery.id).at(-1)!;
      expect(detail).toEqual({ cause: 'operator', why: 'fetched', aboard: package_aboard });
    });
  });

  test('When it lands without having done the job, then the workflow is told', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('arrived_at_pickup');
    await delivery.tell('landed');
    await world.runDue();
    expect(world.workflows.milestones(delivery.id).at(-1)).toMatchObject({
      kind: 'failed',
      detail: { cause: 'other', aboard: false },
    });
    expect(await delivery.droneState()).toMatchObject({ state: 'idle' });
    expect(await delivery.reservation()).toMatchObject({ state: 'ended', loading: 'barred' });
  });

  test('When it lands away from its base, then somebody has to fetch it', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.recall();
    await delivery.tell('landed', { position: destination(CITY, 0, 2_000) });
    expect(await delivery.droneState()).toMatchObject({
      state: 'grounded',
      state_reason: 'landed 2000 m from its base',
    });
  });

  test('When an operator grounds it in flight, then it is called home and stays grounded', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('took_off');
    const params = { drone_id: delivery.droneId };
    await world.drone.setDroneState({ params, body: { state: 'grounded', reason: 'recall 12', by: 'op' } });
    await world.runDue();
    expect(world.workflows.milestones(delivery.id).at(-1)).toMatchObject({
      kind: 'failed',
      detail: { cause: 'operator', aboard: false, why: 'recall 12' },
    });
    expect((await delivery.mission()).mission).toMatchObject({ command: 'recall', version: 2 });
    await delivery.tell('landed');
    expect(await delivery.droneState()).toMatchObject({
      state: 'grounded',
      state_reason: 'recall 12',
      reservation_id: null,
    });
  });
});

describe('link loss', () => {
  test('When it goes silent before it has loaded, then it is lost, barred and replaced; back home it is usable', async () => {
    const droneId = await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('took_off');
    world.nowMs += 60_000;
    await world.radio(droneId, { flight_mode: 'cruise', altitude_m: 70 });
    await world.pass(65_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'committed' });
    await world.pass(1_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'lost', state_reason: 'link lost' });
    await world.pass(600_000);
    expect(world.workflows.milestones(delivery.id)).toMatchObject([
      { kind: 'took_off' },
      { kind: 'failed', sequence: 2, detail: { cause: 'link_lost', aboard: false } },
    ]);

    const replacement = await world.addDrone();
    expect(await delivery.reserve(2)).toMatchObject({ drone_id: replacement, reservation_token: 2 });
    const lost = { drone_id: droneId };
    const { data } = await world.drone.listReservations({ query: { delivery_id: delivery.id, open: true } });
    expect(data.map((one) => [one.drone_id, one.state, one.loading])).toEqual([
      [replacement, 'held', 'none'],
      [droneId, 'committed', 'barred'],
    ]);
    // It comes back: it may not load any more, and is to fly home.
    await world.radio(droneId, { flight_mode: 'cruise', altitude_m: 70 });
    expect(await world.drone.getDrone({ params: lost })).toMatchObject({ state: 'lost' });
    const old = data[1]!;
    const token = await world.aircraft.requestLoadToken({
      params: lost,
      body: { reservation_id: old.id, reservation_token: old.token },
    });
    expect(token).toEqual({ outcome: 'refused', reason: 'recalled' });
    const { mission } = await world.aircraft.getMission({ params: lost, query: {} });
    expect(mission).toMatchObject({ command: 'recall', version: 2, reservation_id: old.id });
    await world.aircraft.postMilestone({
      params: lost,
      body: {
        reservation_id: old.id,
        reservation_token: old.token,
        aircraft_sequence: 2,
        kind: 'landed',
        occurred_at: isoTime(world.nowMs),
        position: CITY,
      },
    });
    expect(await world.drone.getDrone({ params: lost })).toMatchObject({
      state: 'idle',
      reservation_id: null,
    });
  });

  test('When it goes silent with the package aboard and comes back, then it goes on with its delivery', async () => {
    const droneId = await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('departed_pickup');
    await world.pass(66_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'lost' });
    expect(world.workflows.milestones(delivery.id).at(-1)).toMatchObject({
      kind: 'failed',
      detail: { cause: 'link_lost', aboard: true },
    });
    expect((await delivery.mission()).mission).toMatchObject({ command: 'fly', version: 1 });
    await world.radio(droneId, { flight_mode: 'cruise', altitude_m: 70 });
    expect(await delivery.droneState()).toMatchObject({ state: 'committed' });
    // Its timer runs anew.
    await world.pass(66_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'lost' });
    // The milestone itself is a sign of life.
    expect((await delivery.tell('arrived_at_dropoff')).outcome).toBe('recorded');
    expect(await delivery.droneState()).toMatchObject({ state: 'committed' });
    await delivery.tell('released');
    await delivery.tell('landed');
    expect(await delivery.droneState()).toMatchObject({ state: 'idle' });
  });

  test('When it goes silent with a load token in hand, then nobody may load in its place', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await delivery.flyTo('arrived_at_pickup');
    await delivery.getLoadToken();
    await world.pass(66_000);
    expect(world.workflows.milestones(delivery.id).at(-1)).toMatchObject({
      kind: 'failed',
      detail: { cause: 'link_lost', aboard: true, aboard_certain: false },
    });
    await world.addDrone();
    await expect(delivery.reserve(2)).rejects.toMatchObject({ reason: 'already_reserved' });
    expect(await delivery.recall()).toEqual({ outcome: 'pending' });
    expect((await delivery.tell('recalled_empty')).outcome).toBe('recorded');
    await world.runDue();
    expect(world.workflows.milestones(delivery.id).at(-1)).toMatchObject({ kind: 'recalled_empty' });
    await delivery.tell('landed');
    await delivery.mustReserve(2);
  });

  test('When the service was away itself, then it listens for a while before it gives a drone up', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    await world.restart(600_000);
    await world.runDue();
    expect(await delivery.droneState()).toMatchObject({ state: 'committed' });
    await world.pass(120_000);
    expect(await delivery.droneState()).toMatchObject({ state: 'lost' });
  });

  test('When the delivery follows a faster clock, then its timer does too', async () => {
    await world.addDrone();
    const clock: ClockSettings = { anchorWallMs: world.nowMs, anchorMs: world.nowMs, rate: 60 };
    const delivery = await world.dispatched({ clock });
    await world.pass(6_001);
    expect(await delivery.droneState()).toMatchObject({ state: 'lost' });
  });
});

describe('telemetry', () => {
  test('When a batch comes, then positions move, samples are kept, and unknown drones are named', async () => {
    const [first, second] = await world.addDrones(2);
    const unknown = newId('drone');
    await world.dispatched();
    const sample = (offsetMs: number, battery: number) => ({
      recorded_at: isoTime(world.nowMs + offsetMs),
      position: destination(CITY, 0, 100 + offsetMs / 100),
      altitude_m: 70,
      speed_mps: 18,
      battery,
      flight_mode: 'cruise' as const,
    });
    const body = {
      drones: [
        { drone_id: first!, samples: [sample(2_000, 0.8), sample(1_000, 0.81)] },
        { drone_id: unknown, samples: [sample(0, 0.5)] },
        { drone_id: second!, samples: [sample(0, 0.7)] },
        { drone_id: first!, samples: [sample(0, 0.82)] },
      ],
    };
    const answer = await world.aircraft.postTelemetry({ body });
    expect(answer).toMatchObject({ accepted: 4, unknown: [unknown] });
    expect(answer.missions).toHaveLength(1);
    expect(answer.missions[0]).toMatchObject({ version: 1 });
    const read = (id: typeof first) => world.drone.getDrone({ params: { drone_id: id! } });
    expect(await read(first)).toMatchObject({
      battery: 0.8,
      flight_mode: 'cruise',
      last_seen_at: isoTime(world.nowMs + 2_000),
    });
    // Again, and late: nothing is doubled and nothing goes back.
    await world.aircraft.postTelemetry({ body });
    await world.radio(first!, { recorded_at: isoTime(world.nowMs - 60_000), battery: 0.99 });
    expect(await read(first)).toMatchObject({ battery: 0.8 });
    const { rows } = await withClient(world.database.ownerUrl, (owner) =>
      owner.query('SELECT count(*)::int AS samples FROM drone.telemetry WHERE drone_id = $1', [first]),
    );
    expect(rows).toEqual([{ samples: 4 }]);
    // A sample from the far future does not freeze the drone there.
    await world.radio(first!, { recorded_at: '2099-01-01T00:00:00Z', battery: 0.1 });
    await world.radio(first!, { recorded_at: isoTime(world.nowMs + 3_000), battery: 0.79 });
    expect(await read(first)).toMatchObject({ battery: 0.79 });
  });

  test('When gateways overlap, then every batch is taken', async () => {
    const drones = await world.addDrones(30);
    const batch = (ids: typeof drones, index: number) =>
      world.aircraft.postTelemetry({
        body: {
          drones: ids.map((drone_id) => ({
            drone_id,
            samples: [
              {
                recorded_at: isoTime(world.nowMs + index * 1000),
                position: CITY,
                altitude_m: 0,
                speed_mps: 0,
                battery: 1,
                flight_mode: 'parked',
              },
            ],
          })),
        },
      });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        batch(index % 2 === 0 ? drones : [...drones].reverse(), index),
      ),
    );
    expect(answers.map((one) => one.accepted)).toEqual(Array.from({ length: 20 }, () => 30));
  });

  test('When somebody follows the delivery, then position and ETA are those of the flight', async () => {
    await world.addDrone();
    const delivery = await world.dispatched();
    const query = { delivery_id: [delivery.id, newId('delivery')] };
    const parked = await world.drone.live({ query });
    expect(parked.data).toHaveLength(1);
    expect(parked.data[0]).toMatchObject({ recorded_at: null, eta_pickup_at: delivery.held.eta.pickup_at });

    await delivery.flyTo('took_off');
    world.nowMs += 60_000;
    const halfway = interpolate(CITY, delivery.body.pickup, 0.5);
    await world.radio(delivery.droneId, {
      position: halfway,
      altitude_m: 70,
      speed_mps: 18,
      flight_mode: 'cruise',
    });
    world.nowMs += 2_000;
    const [flying] = (await world.drone.live({ query })).data;
    // 750 m at 18 m/s and 70 m down at 3 m/s, from when it was there.
    const expectedMs = world.nowMs - 2_000 + (750 / 18 + 70 / 3) * 1000;
    expect(Math.abs(Date.parse(flying?.eta_pickup_at ?? '') - expectedMs)).toBeLessThan(50);
    expect(flying).toMatchObject({ position: halfway, flight_mode: 'cruise' });
    expect(Date.parse(flying?.eta_dropoff_at ?? '')).toBeGreaterThan(expectedMs);

    await delivery.flyTo('departed_pickup');
    const [loaded] = (await world.drone.live({ query })).data;
    expect(loaded?.eta_pickup_at).toBeNull();
    expect(loaded?.eta_dropoff_at).not.toBeNull();
    await delivery.flyTo('released');
    expect((await world.drone.live({ query })).data[0]).toMatchObject({
      eta_pickup_at: null,
      eta_dropoff_at: null,
    });
    await delivery.flyTo('landed');
    expect((await world.drone.live({ query })).data).toEqual([]);
  });
});

describe('waiting for a mission', () => {
  test('When one is issued by this process or another, then the waiting aircraft hears it at once', async () => {
    const droneId = await world.addDrone();
    const other = await world.another();
    const params = { drone_id: droneId };
    const wait_ms = 20_000;
    const waiting = [world, other].map((one) => one.aircraft.getMission({ params, query: { wait_ms } }));
    const delivery = await world.dispatched();
    const [here, there] = await Promise.all(waiting);
    expect(here?.mission).toMatchObject({ delivery_id: delivery.id, version: 1 });
    expect(there).toEqual(here);

    const known = { mission_id: here!.mission!.id, after_version: 1 };
    const newer = [world, other].map((one) =>
      one.aircraft.getMission({ params, query: { ...known, wait_ms } }),
    );
    await delivery.recall();
    expect((await Promise.all(newer)).map((one) => one.mission?.version)).toEqual([2, 2]);
  });

  test('When there is none, then the answer comes after the wait, and says so', async () => {
    const droneId = await world.addDrone();
    const params = { drone_id: droneId };
    expect(await world.aircraft.getMission({ params, query: { wait_ms: 50 } })).toEqual({
      mission: null,
      told: [],
    });
    await expect(
      world.aircraft.getMission({ params: { drone_id: newId('drone') }, query: {} }),
    ).rejects.toMatchObject({ status: 404 });
  });

  test('When the service closes, then nobody who waits holds it up', async () => {
    const droneId = await world.addDrone();
    const other = await world.another();
    const waiting = other.aircraft.getMission({ params: { drone_id: droneId }, query: { wait_ms: 30_000 } });
    const settled = waiting.then(
      () => 'answered',
      () => 'hung up',
    );
    await other.aircraft.getMission({ params: { drone_id: droneId }, query: {} });
    const closing = other.app.close();
    expect(await settled).toBe('answered');
    await closing;
  });
});
