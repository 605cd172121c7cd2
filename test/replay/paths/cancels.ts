/** A cancel at every point, by the API and by the button of the Temporal UI. */
import type { ActivityName } from '../../workflows/faults.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import type { Path, Scenes } from './scenes.ts';

const STEPS = {
  authorizing: 'authorize',
  registering: 'registerPackages',
  reserving: 'reserveDrone',
  dispatching: 'dispatchDrone',
} satisfies Record<string, ActivityName>;
const STATUSES = ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup'] as const;

/** Where a delivery may be when it is cancelled. */
const POINTS: Readonly<Record<string, (scenes: Scenes) => Promise<LabDelivery>>> = {
  ...Object.fromEntries(
    Object.entries(STEPS).map(([name, step]) => [name, (scenes: Scenes) => scenes.stuckAt(step)]),
  ),
  ...Object.fromEntries(
    STATUSES.map((status) => [status.replaceAll('_', '-'), (scenes: Scenes) => scenes.at(status)]),
  ),
  scheduled: (scenes) => scenes.scheduled(24),
  'on-the-ground': async (scenes) => {
    const delivery = await scenes.scheduled(2);
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'waiting-for-a-drone': (scenes) => scenes.awaitingDrone(),
  'with-a-carrier': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_pickup');
    return delivery;
  },
  'booking-a-carrier': (scenes) =>
    scenes.stuckAt('bookCarrier', { drones: 0, account: { carrier: true, carrierCapCents: 10_000 } }),
};

const byApi =
  (point: (scenes: Scenes) => Promise<LabDelivery>): Path =>
  async (scenes) => {
    const delivery = await point(scenes);
    await delivery.cancel();
    return delivery;
  };

const natively =
  (point: (scenes: Scenes) => Promise<LabDelivery>): Path =>
  async (scenes) => {
    const delivery = await point(scenes);
    await delivery.handle.cancel();
    return delivery;
  };

/** The button takes the API's way; here is where its history differs: in a wait, in a short step, in a long one. */
const NATIVELY = ['authorizing', 'reserving', 'scheduled', 'enroute-to-pickup', 'with-a-carrier'];
const entries = Object.entries(POINTS);

export const CANCELS: Readonly<Record<string, Path>> = {
  ...Object.fromEntries(entries.map(([name, point]) => [`cancelled-${name}`, byApi(point)])),
  ...Object.fromEntries(
    entries
      .filter(([name]) => NATIVELY.includes(name))
      .map(([name, point]) => [`cancelled-natively-${name}`, natively(point)]),
  ),

  'cancelled-after-the-pickup-is-refused': byApi((scenes) => scenes.at('enroute_to_dropoff')),
  'cancelled-after-the-carriers-pickup-is-refused': byApi(async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_dropoff');
    return delivery;
  }),
  'cancelled-twice-at-once': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    await Promise.all([delivery.cancel('one'), delivery.cancel('two')]);
    return delivery;
  },
  'cancelled-while-compensating': async (scenes) => {
    const delivery = await scenes.compensating();
    await scenes.untilAsked(delivery);
    await delivery.cancel();
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
  // The aircraft may be loading and does not answer the recall: pending, until it is heard.
  'cancelled-while-loading-in-silence': byApi((scenes) => scenes.loadingInSilence(30)),
  'cancelled-while-loading-in-long-silence': byApi((scenes) => scenes.loadingInSilence(300)),
  // Heard by the aircraft while it loads: it answers that nothing is aboard.
  'cancelled-while-loading': byApi((scenes) => scenes.loading()),
  'cancelled-as-it-is-loaded': byApi((scenes) => scenes.loadedUnheard()),
  'cancelled-as-the-carrier-picks-up': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('arrived_at_pickup');
    await scenes.unheard(15 * 60);
    await delivery.cancel();
    return delivery;
  },
  'cancelled-and-aborted-at-once': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    await Promise.all([delivery.cancel(), scenes.abort(delivery)]);
    return delivery;
  },
  'cancelled-natively-after-the-pickup-carried-on': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    await delivery.handle.cancel();
    await scenes.resolve(delivery, 'carry_on');
    return delivery;
  },
  'cancelled-natively-after-the-pickup-aborted': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    await delivery.handle.cancel();
    await scenes.resolve(delivery, 'abort');
    return delivery;
  },
  'cancelled-natively-after-the-pickup-unanswered': natively((scenes) => scenes.at('enroute_to_dropoff')),
  // Who has pressed it is read from the history of the workflow.
  'cancelled-natively-by-somebody': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    await scenes.pressCancel(delivery);
    return delivery;
  },
  'cancelled-natively-by-somebody-unknown': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    scenes.lab.faults.arm({ activity: 'readCancelRequest', how: 'down' });
    await scenes.pressCancel(delivery);
    return delivery;
  },
  'cancelled-natively-by-somebody-after-the-pickup': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    await scenes.pressCancel(delivery);
    await scenes.resolve(delivery, 'carry_on');
    return delivery;
  },
  'cancelled-natively-by-somebody-after-another': async (scenes) => {
    const { lab } = scenes;
    const delivery = await scenes.at('enroute_to_pickup');
    lab.faults.arm({ activity: 'recallDrone', how: 'down', times: 3 });
    await scenes.orderAtOnce(delivery, 'cancel', { reason: 'requested_by_sender' });
    await scenes.pressCancel(delivery);
    return delivery;
  },
  // Told when the aircraft's word has settled both.
  'cancelled-natively-by-somebody-after-another-that-is-pending': async (scenes) => {
    const delivery = await scenes.loadingInSilence(30);
    await delivery.cancel();
    await scenes.pressCancel(delivery);
    return delivery;
  },
  'cancelled-natively-by-somebody-as-it-is-handed-over': async (scenes) => {
    const { lab } = scenes;
    const delivery = await scenes.at('enroute_to_dropoff');
    const [droneId] = delivery.scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_arrived_at_dropoff/ });
    await lab.until('it is handed over', () => lab.pilot.look(droneId).payloadKg === 0);
    await scenes.pressCancel(delivery);
    await lab.settle();
    lab.faults.clear();
    return delivery;
  },
  // What waits when the button is pressed is answered all the same.
  'cancelled-natively-while-an-abort-waits': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    scenes.lab.faults.arm({ activity: 'returnToSender', how: 'down' });
    await scenes.orderAtOnce(delivery, 'abort', {});
    await delivery.handle.cancel();
    await scenes.untilTried(delivery, 'returnToSender', 3);
    scenes.lab.faults.clear();
    return delivery;
  },
  'cancelled-natively-while-it-returns': natively(async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'dropoff_blocked' });
    await delivery.untilStatus('enroute_to_return');
    return delivery;
  }),
  'cancelled-natively-with-the-carrier-carried-on': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_dropoff');
    await delivery.handle.cancel();
    await scenes.resolve(delivery, 'carry_on');
    return delivery;
  },
};
