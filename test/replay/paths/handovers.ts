/** What has to be confirmed at the dropoff: given, not given, given wrongly, given too late. */
import { simulatedSignature } from '../../../simulator/pictures.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import type { DeliveryOptions } from '../../workflows/scene.ts';
import type { Path, Scenes } from './scenes.ts';

/** Its drone hovers at the dropoff and waits for the recipient. */
async function awaited(
  scenes: Scenes,
  options: DeliveryOptions = {},
  failure?: Parameters<Scenes['withFailure']>[0],
): Promise<LabDelivery> {
  const withPin = { confirmation: 'pin', ...options } as const;
  const delivery = failure ? await scenes.withFailure(failure, withPin) : await scenes.lab.start(withPin);
  await delivery.untilStatus('arrived_at_dropoff');
  return delivery;
}

const DOWN = { failure: 'motor_failure', stage: 'at_dropoff', at: 0.5 } as const;

/** The recipient gives the right PIN, and the workflow is told. */
async function confirm(delivery: LabDelivery): Promise<void> {
  const { pin } = await delivery.recipient();
  await delivery.give({ pin });
  await delivery.tellConfirmed();
}

export const HANDOVERS: Readonly<Record<string, Path>> = {
  'confirmed-by-pin': async (scenes) => {
    const delivery = await awaited(scenes);
    // Told before anything is given.
    await delivery.tellConfirmed('too-early');
    await confirm(delivery);
    return delivery;
  },
  'confirmed-by-signature': async (scenes) => {
    const delivery = await awaited(scenes, { confirmation: 'signature' });
    await delivery.give({ signature: { ...simulatedSignature('R'), signed_by: 'R. Recipient' } });
    await delivery.tellConfirmed();
    return delivery;
  },
  'confirmed-by-photo': ({ lab }) => lab.start({ confirmation: 'photo' }),
  'confirmed-unheard': async (scenes) => {
    const delivery = await awaited(scenes, { policy: { confirmationS: 60 } });
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    return delivery;
  },
  'confirmed-by-nobody': (scenes) => awaited(scenes),
  'confirmed-by-nobody-and-the-workflow-unheard': (scenes) =>
    awaited(scenes, { policy: { dropoffHoverS: 60, confirmationS: 300 } }),
  'confirmed-wrongly-too-often': async (scenes) => {
    const delivery = await awaited(scenes);
    const { pin } = await delivery.recipient();
    for (let n = 1; n <= 5; n += 1) {
      await delivery.give({ pin: String((Number(pin) + n) % 1_000_000).padStart(6, '0') });
    }
    await delivery.tellConfirmed();
    return delivery;
  },
  'confirmed-too-late': async (scenes) => {
    const delivery = await awaited(scenes, { policy: { dropoffHoverS: 20, confirmationS: 15 } });
    scenes.lab.faults.arm({ activity: 'lowerPackage', how: 'down', times: 6 });
    await confirm(delivery);
    return delivery;
  },
  'confirmed-and-the-drone-service-refuses': async (scenes) => {
    const delivery = await awaited(scenes);
    scenes.lab.faults.arm({ activity: 'lowerPackage', how: 'refuse' });
    await confirm(delivery);
    return delivery;
  },
  'confirmed-and-its-answer-is-lost': async (scenes) => {
    const delivery = await awaited(scenes);
    scenes.lab.faults.arm({ activity: 'lowerPackage', how: 'lose_answer', times: 2 });
    await confirm(delivery);
    return delivery;
  },
  'confirmed-and-blocked': async (scenes) => {
    const delivery = await awaited(scenes, {}, { failure: 'dropoff_blocked' });
    await confirm(delivery);
    return delivery;
  },
  'confirmed-out-of-reach': async (scenes) => {
    const delivery = await awaited(
      scenes,
      {},
      { failure: 'lost_link', stage: 'at_dropoff', at: 0.2, forS: 180 },
    );
    const [droneId] = delivery.scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    const { pilot } = scenes.lab;
    await scenes.lab.until('the link is lost', () => pilot.look(droneId).linkLostUntilMs !== null);
    await confirm(delivery);
    return delivery;
  },
  'confirmed-to-the-carrier': async (scenes) => {
    const delivery = await scenes.byCarrier({ confirmation: 'pin' });
    await delivery.untilStatus('arrived_at_dropoff');
    await confirm(delivery);
    return delivery;
  },
  'confirmed-while-its-drone-is-down-and-taken-over': async (scenes) => {
    const delivery = await awaited(scenes, {}, DOWN);
    await scenes.untilAsked(delivery, 2);
    await confirm(delivery);
    await scenes.resolve(delivery, 'another_drone');
    await delivery.tellConfirmed('on-the-ground');
    await delivery.scene.addDrone();
    return delivery;
  },
  // The order to let go does not get through until it is down.
  'confirmed-as-its-drone-comes-down': async (scenes) => {
    const { lab } = scenes;
    const delivery = await awaited(scenes, {}, DOWN);
    const [droneId] = delivery.scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    lab.faults.arm({ activity: 'lowerPackage', how: 'down' });
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    await scenes.orderAtOnce(delivery, 'confirm', { actor: { role: 'recipient', id: 'recorder' } });
    await lab.until('it is down', () => lab.pilot.look(droneId).activity.kind === 'down');
    lab.faults.clear();
    await delivery.scene.addDrone();
    await lab.until('a person is asked', async () =>
      (await delivery.read()).interventions.some((one) => one.id.includes('package_set_down')),
    );
    await scenes.resolve(delivery, 'another_drone');
    return delivery;
  },
  'confirmed-by-nobody-as-its-drone-falls-silent': async (scenes) => {
    const delivery = await awaited(
      scenes,
      { policy: { confirmationS: 200, dropoffHoverS: 300 } },
      { failure: 'lost_link', stage: 'at_dropoff', at: 0.2, forS: 600 },
    );
    await scenes.untilAsked(delivery);
    return delivery;
  },
  'confirmation-awaited-and-aborted': async (scenes) => {
    const delivery = await awaited(scenes);
    await scenes.abort(delivery);
    return delivery;
  },
};
