/** Steps and compensations that fail: for good, for a while, after they have acted, or by hanging. */
import type { ActivityName } from '../../workflows/faults.ts';
import { HOUR_S, type Path } from './scenes.ts';

/** The steps of a delivery by drone, in order. */
const STEPS: ActivityName[] = ['authorize', 'registerPackages', 'reserveDrone', 'dispatchDrone'];
/** Every compensation, with the step whose failure makes it needed. */
const COMPENSATIONS: Partial<Record<ActivityName, ActivityName>> = {
  voidAuthorization: 'registerPackages',
  voidPackages: 'reserveDrone',
  releaseDrone: 'dispatchDrone',
  recallDrone: 'dispatchDrone',
};
const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export const FAILURES: Readonly<Record<string, Path>> = {
  ...Object.fromEntries(
    STEPS.map((step): [string, Path] => [
      `${dashed(step)}-fails-for-good`,
      async ({ lab }) => {
        lab.faults.arm({ activity: step, how: 'act_then_refuse' });
        return lab.start();
      },
    ]),
  ),
  ...Object.fromEntries(
    [...STEPS, 'appendEvents', 'capture'].flatMap((name): [string, Path][] => {
      const step = name as ActivityName;
      return [
        [
          `${dashed(step)}-loses-its-answer`,
          async ({ lab }) => {
            lab.faults.arm({ activity: step, how: 'lose_answer', times: 1 });
            return lab.start();
          },
        ],
        // The short step becomes a durable one.
        [
          `${dashed(step)}-is-away-for-a-while`,
          async ({ lab }) => {
            lab.faults.arm({ activity: step, how: 'down', times: 8 });
            return lab.start();
          },
        ],
      ];
    }),
  ),
  ...Object.fromEntries(
    Object.entries(COMPENSATIONS).map(([compensation, cause]): [string, Path] => [
      `${dashed(compensation)}-fails-and-is-retried-by-a-person`,
      async (scenes) => {
        scenes.lab.faults.arm(
          { activity: cause, how: 'act_then_refuse' },
          { activity: compensation as ActivityName, how: 'refuse' },
        );
        const delivery = await scenes.lab.start();
        const interventionId = await scenes.untilAsked(delivery);
        scenes.lab.faults.clear();
        await scenes.order(delivery, 'retryCompensation', { interventionId });
        return delivery;
      },
    ]),
  ),
  'append-events-fails-for-good': async ({ lab }) => {
    lab.faults.arm({ activity: 'appendEvents', how: 'refuse', times: 1 });
    return lab.start();
  },
  'append-events-fails-for-good-after-the-pickup': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    scenes.lab.faults.arm({ activity: 'appendEvents', how: 'refuse', times: 1 });
    await scenes.resolve(delivery, 'retry');
    return delivery;
  },
  'append-events-fails-for-good-and-is-let-go': async (scenes) => {
    scenes.lab.faults.arm({ activity: 'appendEvents', key: /event_picked_up/, how: 'refuse', times: 1 });
    const delivery = await scenes.lab.start();
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
  'capture-fails-and-is-retried-by-a-person': async (scenes) => {
    scenes.lab.faults.arm({ activity: 'capture', how: 'refuse' });
    const delivery = await scenes.lab.start();
    await scenes.untilAsked(delivery);
    scenes.lab.faults.clear();
    await scenes.resolve(delivery, 'retry');
    return delivery;
  },
  'cancel-booking-fails-and-is-done-by-hand': async (scenes) => {
    const delivery = await scenes.stuckAt('bookCarrier', {
      drones: 0,
      account: { carrier: true, carrierCapCents: 10_000 },
    });
    scenes.lab.faults.arm({ activity: 'cancelBooking', how: 'refuse' });
    await delivery.cancel();
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
  'cancel-booking-comes-too-late': async (scenes) => {
    scenes.lab.faults.arm({ activity: 'bookCarrier', how: 'act_then_refuse' });
    scenes.lab.faults.arm({ activity: 'cancelBooking', how: 'down' });
    const delivery = await scenes.byCarrier({ policy: { compensationStuckS: 2 * HOUR_S } });
    await scenes.lab.until('the carrier has picked up', async () => {
      const { data } = await scenes.lab.clients.carrier.listBookings({ query: { delivery_id: delivery.id } });
      return data[0]?.state === 'enroute_to_dropoff';
    });
    scenes.lab.faults.clear();
    return delivery;
  },
  'issue-credit-note-fails-and-is-retried-by-a-person': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'motor_failure', stage: 'to_dropoff' });
    scenes.lab.faults.arm({ activity: 'issueCreditNote', how: 'refuse', times: 1 });
    await scenes.resolve(delivery, 'lost');
    await scenes.untilAsked(delivery, 2);
    await scenes.resolve(delivery, 'retry');
    return delivery;
  },
  'compensation-fails-three-times': async ({ lab }) => {
    lab.faults.arm(
      { activity: 'reserveDrone', how: 'refuse' },
      { activity: 'voidPackages', how: 'down', times: 3 },
    );
    return lab.start();
  },
  'compensation-is-stuck-and-succeeds': async (scenes) => {
    const delivery = await scenes.compensating('down');
    await scenes.untilAsked(delivery);
    scenes.lab.faults.clear();
    return delivery;
  },
  'compensation-is-stuck-and-done-by-hand': async (scenes) => {
    const delivery = await scenes.compensating('down');
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
  'compensation-is-stuck-and-retried-in-vain': async (scenes) => {
    const delivery = await scenes.compensating('down', { policy: { compensationStuckS: 60 } });
    await scenes.resolve(delivery, 'retry');
    await scenes.untilAsked(delivery, 2);
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
  // The aircraft does not say whether it has loaded.
  'compensation-is-pending-and-retried-in-vain': async (scenes) => {
    scenes.lab.faults.arm(
      { activity: 'appendEvents', how: 'refuse', key: /event_arrived_at_pickup/, times: 1 },
      { activity: 'recallDrone', how: 'lie', answer: { outcome: 'pending' } },
    );
    const delivery = await scenes.withFailure(
      { failure: 'sender_absent' },
      { policy: { compensationStuckS: 60 } },
    );
    await scenes.resolve(delivery, 'retry');
    await scenes.untilAsked(delivery, 2);
    scenes.lab.faults.clear();
    return delivery;
  },
  'compensation-fails-again-when-retried': async (scenes) => {
    const delivery = await scenes.compensating();
    await scenes.resolve(delivery, 'retry');
    await scenes.untilAsked(delivery, 2);
    scenes.lab.faults.clear();
    await scenes.resolve(delivery, 'retry');
    return delivery;
  },
};
