/** What operators order, at every wait. */
import { type Path } from './scenes.ts';

const BEFORE_PICKUP = ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup'] as const;
const AFTER_PICKUP = ['enroute_to_dropoff', 'arrived_at_dropoff'] as const;
const dashed = (status: string) => status.replaceAll('_', '-');

export const ORDERS: Readonly<Record<string, Path>> = {
  ...Object.fromEntries(
    BEFORE_PICKUP.flatMap((status): [string, Path][] => [
      [
        `reassigned-when-${dashed(status)}`,
        async (scenes) => {
          const delivery = await scenes.at(status);
          await delivery.scene.addDrone();
          await scenes.reassign(delivery);
          return delivery;
        },
      ],
      [
        `aborted-when-${dashed(status)}`,
        async (scenes) => {
          const delivery = await scenes.at(status);
          await scenes.abort(delivery);
          return delivery;
        },
      ],
    ]),
  ),
  ...Object.fromEntries(
    AFTER_PICKUP.map((status): [string, Path] => [
      `aborted-when-${dashed(status)}`,
      async (scenes) => {
        const delivery = await scenes.at(status);
        await scenes.abort(delivery);
        return delivery;
      },
    ]),
  ),
  'reassigned-to-the-same-drone': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    await scenes.reassign(delivery, false);
    return delivery;
  },
  'reassigned-while-dispatching': async (scenes) => {
    const delivery = await scenes.stuckAt('dispatchDrone', { drones: 2 });
    await scenes.reassign(delivery);
    scenes.lab.faults.clear();
    return delivery;
  },
  // The next one flies meanwhile, and the end waits for the person.
  'reassigned-and-the-release-is-stuck': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    await delivery.scene.addDrone();
    scenes.lab.faults.arm({ activity: 'releaseDrone', how: 'refuse', key: /release\/1$/ });
    await scenes.reassign(delivery);
    await delivery.untilStatus('delivered');
    scenes.lab.faults.clear();
    await scenes.resolve(delivery, 'retry');
    return delivery;
  },
  // With a long history, which it would give up if nothing were being undone; the person's retry comes to nothing.
  'reassigned-and-the-release-is-stuck-while-it-waits': async (scenes) => {
    const policy = { awaitDroneS: 60, compensationStuckS: 120, historyEvents: 50 };
    const delivery = await scenes.at('enroute_to_pickup', { policy });
    scenes.lab.faults.arm({ activity: 'releaseDrone', how: 'down', key: /release\/[12]$/ });
    await scenes.reassign(delivery);
    await scenes.resolve(delivery, 'retry');
    await delivery.handle.signal('droneAvailable');
    await delivery.untilStatus('failed');
    scenes.lab.faults.clear();
    return delivery;
  },
  'reassigned-on-the-ground': async (scenes) => {
    const delivery = await scenes.scheduled(2);
    await scenes.untilPlanned(delivery);
    await delivery.scene.addDrone();
    await scenes.reassign(delivery);
    return delivery;
  },
  'reassigned-while-loading-in-silence': async (scenes) => {
    const delivery = await scenes.loadingInSilence(30);
    await scenes.reassign(delivery);
    return delivery;
  },
  'reassigned-while-loading': async (scenes) => {
    const delivery = await scenes.loading();
    await delivery.scene.addDrone();
    await scenes.reassign(delivery);
    return delivery;
  },
  // The cancel is taken first, and waits for the aircraft's word.
  'reassigned-and-cancelled-while-loading-in-silence': async (scenes) => {
    scenes.lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_arrived_at_pickup/ });
    const delivery = await scenes.loadingInSilence(300);
    await scenes.orderAtOnce(delivery, 'reassignDrone', {});
    await scenes.orderAtOnce(delivery, 'cancel', { reason: 'requested_by_sender' });
    scenes.lab.faults.clear();
    return delivery;
  },
  'reassigned-as-it-is-loaded': async (scenes) => {
    const delivery = await scenes.loadedUnheard();
    await scenes.reassign(delivery);
    return delivery;
  },
  'reassigned-in-vain': async (scenes) => {
    const delivery = await scenes.stuckAt('authorize');
    await scenes.reassign(delivery);
    scenes.lab.faults.clear();
    await delivery.untilStatus('enroute_to_dropoff');
    await scenes.reassign(delivery);
    return delivery;
  },
  'reassigned-in-vain-with-a-carrier': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_pickup');
    await scenes.reassign(delivery);
    return delivery;
  },
  'aborted-while-reserving': async (scenes) => {
    const delivery = await scenes.stuckAt('reserveDrone');
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-with-a-carrier-before-its-pickup': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_pickup');
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-in-vain-with-a-carrier': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_dropoff');
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-while-loading-in-silence': async (scenes) => {
    const delivery = await scenes.loadingInSilence(30);
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-while-loading': async (scenes) => {
    const delivery = await scenes.loading();
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-as-it-is-released': async (scenes) => {
    const delivery = await scenes.at('arrived_at_dropoff');
    const { drone } = scenes.lab.clients;
    await scenes.withoutSignals('it is released', async () => {
      const { data } = await drone.listReservations({ query: { delivery_id: delivery.id } });
      return data[0]?.homeward === true;
    });
    await scenes.abort(delivery);
    return delivery;
  },
  // An aircraft that does not hear of it at once may go on as it was.
  'aborted-out-of-reach-and-turned-back': async (scenes) => {
    const delivery = await scenes.lab.startUnheard({ stage: 'to_dropoff', at: 0.5, forS: 20 });
    await scenes.abort(delivery);
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-out-of-reach-and-delivered': async (scenes) => {
    const delivery = await scenes.lab.startUnheard({ stage: 'at_dropoff', at: 0.2, forS: 30 });
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-too-late-for-the-release': async (scenes) => {
    const delivery = await scenes.lab.startUnheard({ stage: 'at_dropoff', at: 0.8, forS: 4 });
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-as-it-comes-down': async (scenes) => {
    const delivery = await scenes.lab.startUnheard(
      { stage: 'to_dropoff', at: 0.5, forS: 4 },
      { failure: 'motor_failure', stage: 'to_dropoff', at: 0.51 },
    );
    await scenes.abort(delivery);
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  'aborted-while-it-returns': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'dropoff_blocked' });
    await delivery.untilStatus('enroute_to_return');
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-and-the-drone-service-refuses': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    scenes.lab.faults.arm({ activity: 'returnToSender', how: 'refuse' });
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-and-the-drone-service-is-away': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    scenes.lab.faults.arm({ activity: 'returnToSender', how: 'down', times: 2 });
    await scenes.abort(delivery);
    return delivery;
  },
  'aborted-in-vain-as-its-drone-is-down': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'motor_failure', stage: 'to_dropoff' });
    await scenes.untilAsked(delivery);
    await scenes.abort(delivery);
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  // Two operators, who share what the first one's order causes.
  'aborted-twice-at-once': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    scenes.lab.faults.arm({ activity: 'returnToSender', how: 'down' });
    await scenes.orderAtOnce(delivery, 'abort', {});
    await scenes.orderAtOnce(delivery, 'abort', {});
    scenes.lab.faults.clear();
    return delivery;
  },
  // The news that it is loaded settles what was answered pending.
  'cancelled-by-an-operator-while-loading-in-silence': async (scenes) => {
    const delivery = await scenes.loadingInSilence(30);
    await scenes.orderAtOnce(delivery, 'cancel', { reason: 'requested_by_operator' });
    return delivery;
  },
  'orders-while-compensating-are-refused': async (scenes) => {
    const delivery = await scenes.compensating();
    await scenes.untilAsked(delivery);
    await scenes.reassign(delivery);
    await scenes.abort(delivery);
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
};
