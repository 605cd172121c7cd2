/** A drone that comes down with the package and sets it down, and what people decide then: another one takes it over. */
import { notSent } from './flights.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import type { DeliveryOptions } from '../../workflows/scene.ts';
import type { Path, Scenes } from './scenes.ts';

type Failure = Parameters<Scenes['withFailure']>[0];
const DOWN: Failure = { failure: 'motor_failure', stage: 'to_dropoff' };

/** Its first drone has set the package down, and a person has sent another one, of so many more that there are. */
async function handedOn(
  scenes: Scenes,
  { more = [{}], ...options }: DeliveryOptions & { more?: { failure?: Failure }[] } = {},
  beforeItIsSent: () => void = () => undefined,
): Promise<LabDelivery> {
  const { lab } = scenes;
  const delivery = await scenes.withFailure(DOWN, options);
  await delivery.untilStatus('enroute_to_dropoff');
  for (const { failure } of more) {
    const droneId = await delivery.scene.addDrone();
    if (failure) lab.pilot.arm(droneId, failure);
  }
  beforeItIsSent();
  // Asked first when it failed, and anew when it has set the package down.
  await answerNext(scenes, delivery, 'another_drone', 2);
  return delivery;
}

async function answerNext(
  scenes: Scenes,
  delivery: LabDelivery,
  answer: string,
  times: number,
): Promise<void> {
  const interventionId = await scenes.untilAsked(delivery, times);
  await scenes.order(delivery, 'resolveIntervention', { interventionId, answer });
}

const has = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).some((one) => one.type === `delivery.${type}`);

export const TAKEOVERS: Readonly<Record<string, Path>> = {
  'taken-over': (scenes) => handedOn(scenes),
  'taken-over-by-a-third-drone': async (scenes) => {
    const delivery = await handedOn(scenes, {
      more: [{ failure: { failure: 'motor_failure', stage: 'to_pickup' } }],
    });
    await scenes.lab.until('the second is down', () => has(delivery, 'redispatch_failed'));
    await delivery.scene.addDrone();
    return delivery;
  },
  'taken-over-twice': (scenes) =>
    handedOn(scenes, { more: [{ failure: DOWN }] }).then(async (delivery) => {
      await answerNext(scenes, delivery, 'another_drone', 4);
      await delivery.scene.addDrone();
      return delivery;
    }),
  'taken-over-until-the-limit': async (scenes) => {
    const delivery = await handedOn(scenes, {
      more: [{ failure: { failure: 'motor_failure', stage: 'to_pickup' } }],
      policy: { maxAttempts: 1 },
    });
    await answerNext(scenes, delivery, 'returned', 3);
    return delivery;
  },
  'taken-over-and-nobody-loads-it': async (scenes) => {
    const delivery = await handedOn(scenes, { more: [{ failure: { failure: 'sender_absent' } }] });
    await answerNext(scenes, delivery, 'lost', 3);
    return delivery;
  },
  'taken-over-and-brought-back': async (scenes) => {
    const delivery = await handedOn(scenes);
    await scenes.lab.until('it flies again', () => has(delivery, 'drone_departed_pickup'));
    await scenes.abort(delivery);
    return delivery;
  },
  'taken-over-on-the-way-back': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'dropoff_blocked' });
    await delivery.untilStatus('enroute_to_return');
    for (const droneId of delivery.scene.droneIds)
      scenes.lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_return' });
    await delivery.scene.addDrone();
    await answerNext(scenes, delivery, 'another_drone', 2);
    return delivery;
  },
  'taken-over-in-vain-as-it-cannot-be-dispatched': async (scenes) => {
    scenes.lab.faults.arm({ activity: 'dispatchDrone', key: /dispatch\/2/, how: 'refuse' });
    const delivery = await handedOn(scenes);
    await answerNext(scenes, delivery, 'another_drone', 3);
    return delivery;
  },
  'taken-over-though-it-was-not-sent-at-first': async (scenes) => {
    const delivery = await handedOn(scenes, {}, () => notSent(scenes, 'lease_expired'));
    return delivery;
  },
  'taken-over-by-none-that-is-sent': async (scenes) => {
    const delivery = await handedOn(scenes, {}, () => notSent(scenes, 'low_battery', 5));
    await answerNext(scenes, delivery, 'another_drone', 3);
    return delivery;
  },
  // Nobody had heard that it had loaded: whoever fetched it found the package, and took it out.
  'taken-over-from-the-hands-of-people': async (scenes) => {
    const { lab } = scenes;
    const delivery = await scenes.loadingInSilence(100_000);
    const [drone_id] = delivery.scene.droneIds;
    if (drone_id === undefined) throw new Error('no drone');
    await lab.until('it is given up for lost', async () => {
      return (await lab.clients.drone.getDrone({ params: { drone_id } })).state === 'lost';
    });
    await delivery.scene.addDrone();
    const fetched = { state: 'maintenance', reason: 'fetched', by: 'recorder' } as const;
    await lab.clients.drone.setDroneState({
      params: { drone_id },
      body: { ...fetched, package_aboard: true, package_at: delivery.pickup },
    });
    await answerNext(scenes, delivery, 'another_drone', 2);
    return delivery;
  },
  // Across a continue-as-new.
  'taken-over-after-waiting-for-a-drone': async (scenes) => {
    const { lab } = scenes;
    const delivery = await handedOn(scenes, { more: [], policy: { awaitDroneS: 600, historyEvents: 50 } });
    await lab.until('it waits', () => has(delivery, 'redispatch_waiting'));
    await scenes.abort(delivery);
    await answerNext(scenes, delivery, 'another_drone', 3);
    await delivery.scene.addDrone();
    return delivery;
  },
};
