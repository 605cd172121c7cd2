/** What may happen in the air and at both ends of it: drones that fail, senders and recipients that are not there. */
import type { DispatchRefusal } from '../../../services/drone/contract/index.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import { DAY_S, type Path, type Scenes } from './scenes.ts';

/** Its first drone fails like this; the second does not. */
async function replaced(scenes: Scenes, failure: Parameters<Scenes['withFailure']>[0]): Promise<LabDelivery> {
  const scene = await scenes.lab.prepare();
  const [first] = scene.droneIds;
  if (first === undefined) throw new Error('no drone');
  scenes.lab.pilot.arm(first, failure);
  const delivery = await scene.order();
  await scenes.lab.until('it has a drone', async () => (await delivery.read()).attempt === 1);
  await scene.addDrone();
  return delivery;
}

const down = (scenes: Scenes) => scenes.withFailure({ failure: 'motor_failure', stage: 'to_dropoff' });

/** At the dropoff and not heard for so long that a person is asked, but not so long that it counts as lost. */
const longOverdue = (scenes: Scenes) =>
  scenes.withFailure(
    { failure: 'lost_link', stage: 'at_dropoff', at: 0.05, forS: 100 },
    { policy: { releaseS: 3, dropoffArrivalSlackS: 5 } },
  );

/** Given up for lost while it might load, then fetched by people. */
async function fetched(scenes: Scenes, packageAboard: boolean): Promise<LabDelivery> {
  const { lab } = scenes;
  const delivery = await scenes.loadingInSilence(100_000);
  const [drone_id] = delivery.scene.droneIds;
  if (drone_id === undefined) throw new Error('no drone');
  await lab.until('it is given up for lost', async () => {
    return (await lab.clients.drone.getDrone({ params: { drone_id } })).state === 'lost';
  });
  await delivery.scene.addDrone();
  await lab.clients.drone.setDroneState({
    params: { drone_id },
    body: { state: 'maintenance', reason: 'fetched', by: 'recorder', package_aboard: packageAboard },
  });
  return delivery;
}

/** The drone service does not send its drone, so often, for this reason. */
export function notSent(scenes: Scenes, reason: DispatchRefusal, times = 1): void {
  const answer = { outcome: 'refused', reason, detail: 'says the recorder' };
  scenes.lab.faults.arm({ activity: 'dispatchDrone', how: 'lie', answer, times });
}

export const FLIGHTS: Readonly<Record<string, Path>> = {
  'not-sent-as-its-lease-ran-out': async (scenes) => {
    notSent(scenes, 'lease_expired');
    return scenes.lab.start();
  },
  'not-sent-as-it-is-unfit': async (scenes) => {
    notSent(scenes, 'drone_unfit');
    return scenes.lab.start({ drones: 2 });
  },
  // With pauses, and across a continue-as-new.
  'not-sent-time-and-again': async (scenes) => {
    notSent(scenes, 'low_battery', 5);
    return scenes.lab.start({ policy: { historyEvents: 50 } });
  },
  'not-sent-and-cancelled': async (scenes) => {
    notSent(scenes, 'released', 4);
    const delivery = await scenes.lab.start();
    await scenes.untilTried(delivery, 'dispatchDrone', 4);
    await delivery.cancel();
    return delivery;
  },
  'late-for-the-window-and-nobody-loads': async (scenes) => {
    const scene = await scenes.lab.prepare();
    for (const droneId of scene.droneIds) scenes.lab.pilot.arm(droneId, { failure: 'sender_absent' });
    scenes.lab.faults.arm({ activity: 'dispatchDrone', how: 'down', times: 11 });
    return scene.order({ pickup: { fromS: 0, toS: 132 }, policy: { loadingS: 300 } });
  },
  'replaced-after-a-motor-failure': (scenes) =>
    replaced(scenes, { failure: 'motor_failure', stage: 'to_pickup' }),
  'replaced-after-a-motor-failure-at-the-pickup': (scenes) =>
    replaced(scenes, { failure: 'motor_failure', stage: 'at_pickup' }),
  'replaced-after-a-lost-link': (scenes) => replaced(scenes, { failure: 'lost_link', stage: 'to_pickup' }),
  'replaced-as-it-never-took-off': async (scenes) => {
    const scene = await scenes.lab.prepare({ drones: 0 });
    await scene.addDrone({ pilot: false });
    const delivery = await scene.order();
    await delivery.untilStatus('confirmed');
    await scene.addDrone();
    return delivery;
  },
  'replaced-as-it-is-late': async (scenes) => {
    const delivery = await scenes.at('confirmed', { policy: { pickupArrivalSlackS: 10 } });
    await delivery.scene.addDrone();
    return delivery;
  },
  'late-for-the-pickup-and-loading-meanwhile': (scenes) =>
    scenes.withFailure(
      { failure: 'lost_link', stage: 'at_pickup', at: 0.5, forS: 60 },
      { policy: { pickupArrivalSlackS: -60 } },
    ),
  'replaced-until-the-limit': async (scenes) => {
    const scene = await scenes.lab.prepare({ drones: 2 });
    for (const droneId of scene.droneIds) scenes.lab.pilot.arm(droneId, { failure: 'motor_failure' });
    return scene.order({ policy: { maxAttempts: 2 } });
  },
  'replaced-until-the-deadline': async (scenes) => {
    const scene = await scenes.lab.prepare({ drones: 9 });
    for (const droneId of scene.droneIds) scenes.lab.pilot.arm(droneId, { failure: 'motor_failure' });
    return scene.order({ deadlineInS: 500 });
  },
  'replaced-by-a-carrier-at-the-limit': async (scenes) => {
    const scene = await scenes.lab.prepare({ account: { carrier: true, carrierCapCents: 10_000 } });
    for (const droneId of scene.droneIds) scenes.lab.pilot.arm(droneId, { failure: 'motor_failure' });
    return scene.order({ policy: { maxAttempts: 1 } });
  },
  'replaced-as-it-failed-on-the-ground': async (scenes) => {
    const delivery = await scenes.scheduled(2);
    await scenes.untilPlanned(delivery);
    const { drone_id } = await delivery.read();
    if (drone_id === null) throw new Error('no drone');
    await delivery.scene.addDrone();
    await scenes.lab.clients.drone.setDroneState({
      params: { drone_id },
      body: { state: 'maintenance', reason: 'a crack in a rotor', by: 'recorder' },
    });
    return delivery;
  },

  'lost-link-that-comes-back': (scenes) =>
    scenes.withFailure({ failure: 'lost_link', stage: 'to_pickup', at: 0.1, forS: 45 }),
  'drone-down-lost': async (scenes) => {
    const delivery = await down(scenes);
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  'drone-down-delivered-by-hand': async (scenes) => {
    const delivery = await down(scenes);
    await scenes.resolve(delivery, 'delivered');
    return delivery;
  },
  'drone-down-returned-by-hand': async (scenes) => {
    const delivery = await down(scenes);
    await scenes.resolve(delivery, 'returned');
    return delivery;
  },
  'drone-down-for-days': async (scenes) => {
    const delivery = await down(scenes);
    await scenes.untilAsked(delivery);
    await scenes.lab.leapUntil(scenes.lab.wallNowMs + DAY_S * 1000, delivery);
    await scenes.resolve(delivery, 'returned');
    return delivery;
  },
  'drone-down-and-heard-again': (scenes) =>
    scenes.withFailure({ failure: 'lost_link', stage: 'to_dropoff', at: 0.1, forS: 240 }),
  'overdue-with-the-package-and-heard-again': (scenes) =>
    scenes.withFailure(
      { failure: 'lost_link', stage: 'at_dropoff', at: 0.05, forS: 45 },
      { policy: { releaseS: 3 } },
    ),
  'overdue-with-the-package-and-waited-for': async (scenes) => {
    const delivery = await longOverdue(scenes);
    await scenes.resolve(delivery, 'wait');
    return delivery;
  },
  'overdue-with-the-package-and-given-up': async (scenes) => {
    const delivery = await longOverdue(scenes);
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  'overdue-with-the-package-then-down': async (scenes) => {
    const delivery = await scenes.withFailure(
      { failure: 'lost_link', stage: 'at_dropoff', at: 0.05, forS: 100_000 },
      { policy: { releaseS: 3, dropoffArrivalSlackS: 5 } },
    );
    await scenes.untilAsked(delivery, 2);
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  'drone-down-answered-twice-at-once': async (scenes) => {
    const { faults } = scenes.lab;
    faults.arm({ activity: 'appendEvents', how: 'down', key: /event_intervention_opened/ });
    const delivery = await down(scenes);
    await scenes.answersAtOnce(delivery, ['returned', 'lost']);
    return delivery;
  },
  'overdue-at-the-pickup-and-loading-in-silence': (scenes) =>
    scenes.withFailure(
      { failure: 'lost_link', stage: 'at_pickup', at: 0.5, forS: 100 },
      { policy: { loadingS: 15 } },
    ),

  'sender-slow-and-loading': (scenes) => scenes.lab.start({ policy: { loadingS: 8 } }),
  'sender-absent': (scenes) => scenes.withFailure({ failure: 'sender_absent' }),
  'blocked-and-returned': (scenes) =>
    scenes.withFailure({ failure: 'dropoff_blocked' }, { undeliverableAction: 'return' }),
  'blocked-and-returned-for-nothing': (scenes) => {
    scenes.lab.faults.arm({ activity: 'authorize', key: /reauthorize/, how: 'down' });
    return scenes.withFailure({ failure: 'dropoff_blocked' }, { undeliverableAction: 'return' });
  },
  'blocked-and-the-drone-service-refuses': async (scenes) => {
    scenes.lab.faults.arm({ activity: 'returnToSender', how: 'refuse' });
    const delivery = await scenes.withFailure({ failure: 'dropoff_blocked' });
    await scenes.resolve(delivery, 'returned');
    return delivery;
  },
  'blocked-and-left-unattended': (scenes) =>
    scenes.withFailure({ failure: 'dropoff_blocked' }, { undeliverableAction: 'leave' }),

  'fetched-with-the-package': async (scenes) => {
    const delivery = await fetched(scenes, true);
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  'fetched-empty': (scenes) => fetched(scenes, false),

  'signals-lost': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    await scenes.withoutSignals('it has asked', async () => {
      return (await delivery.read()).status !== 'enroute_to_pickup';
    });
    return delivery;
  },
  // A later milestone is there before an earlier one: that is asked for, and theirs is the order of their numbers.
  'milestones-out-of-order': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    const { drone } = scenes.lab.clients;
    const [reservation] = (await drone.listReservations({ query: { delivery_id: delivery.id } })).data;
    if (!reservation) throw new Error('no reservation');
    const { data } = await drone.readMilestones({
      params: { reservation_id: reservation.id },
      query: { after_sequence: 0 },
    });
    const last = data.at(-1);
    if (!last) throw new Error('no milestone');
    await delivery.handle.signal('droneMilestone', {
      reservationId: reservation.id,
      reservationToken: reservation.token,
      sequence: last.sequence + 2,
      kind: 'loaded',
      droneId: reservation.drone_id,
      occurredAt: last.occurred_at,
      recordedAt: last.recorded_at,
      position: null,
      detail: {},
    });
    // The real one of that number comes later, and changes nothing any more.
    await scenes.lab.settle();
    return delivery;
  },
};
