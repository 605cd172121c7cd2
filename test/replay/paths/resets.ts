/** Workflows that people have run again from an earlier point of their history. Only the real server can. */
import { reconciled } from './terminated.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import { type History, reset } from '../../workflows/reset-workflow.ts';
import type { Path, Scenes } from './scenes.ts';

/** Before anything was signalled. */
const beforeSignals = (events: History) =>
  Number(events.find((one) => one.workflowExecutionSignaledEventAttributes)?.eventId);

async function wasReset(
  { lab }: Scenes,
  delivery: LabDelivery,
  how: Parameters<typeof reset>[2] = {},
): Promise<LabDelivery> {
  await reset(lab, delivery, { why: 'recorded', ...how });
  return delivery;
}

const isTold = async (delivery: LabDelivery) =>
  (await delivery.events()).some(({ type }) => type === 'delivery.workflow_reset');

/** It has a drone after it had waited for one. */
async function afterWaiting(scenes: Scenes): Promise<LabDelivery> {
  const delivery = await scenes.awaitingDrone();
  await scenes.repair(delivery);
  await delivery.untilStatus('enroute_to_dropoff');
  return delivery;
}

/** Its drone has set the package down; another one is sent for it, when there is one. */
async function takenOver(scenes: Scenes): Promise<LabDelivery> {
  const delivery = await scenes.withFailure({ failure: 'motor_failure', stage: 'to_dropoff' });
  await scenes.untilAsked(delivery, 2);
  await scenes.resolve(delivery, 'another_drone');
  await scenes.lab.until('none is free', async () => (await delivery.read()).delay_reason === 'no_drone');
  const second = await delivery.scene.addDrone();
  await scenes.lab.until('the second drone has it', async () => {
    const { data } = await scenes.lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
    return data.some(({ drone_id, loading }) => drone_id === second && loading === 'loaded');
  });
  return delivery;
}

export const RESETS: Readonly<Record<string, Path>> = {
  'reset-to-its-beginning': async (scenes) => wasReset(scenes, await scenes.at('enroute_to_dropoff')),
  'reset-and-told': async (scenes) => wasReset(scenes, await scenes.at('enroute_to_dropoff')),
  'reset-while-it-waits-for-a-drone': async (scenes) => {
    const delivery = await wasReset(scenes, await scenes.awaitingDrone());
    await scenes.lab.until('it is told', () => isTold(delivery));
    await scenes.repair(delivery);
    return delivery;
  },
  'reset-after-it-waited-for-a-drone': async (scenes) => wasReset(scenes, await afterWaiting(scenes)),
  'reset-after-it-gave-a-drone-back': async (scenes) => {
    const delivery = await scenes.lab.start({ pickup: { fromS: 500, toS: 4_000 } });
    await delivery.untilStatus('confirmed');
    await delivery.reschedule(scenes.lab.windowIn({ fromS: 450, toS: 4_000 }));
    await delivery.untilStatus('enroute_to_pickup');
    return wasReset(scenes, delivery);
  },
  'reset-after-its-drone-was-replaced': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'motor_failure' });
    await delivery.untilStatus('enroute_to_pickup');
    await delivery.scene.addDrone();
    await scenes.lab.until('another one flies', async () => (await delivery.read()).attempt === 2);
    await delivery.untilStatus('enroute_to_dropoff');
    return wasReset(scenes, delivery);
  },
  'reset-after-a-cancel-was-refused': async (scenes) => {
    const delivery = await scenes.at('enroute_to_dropoff');
    await delivery.cancel();
    return wasReset(scenes, delivery);
  },
  'reset-with-another-dropoff': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup', { priceCents: 679 });
    await delivery.changeDropoff(delivery.dropoffAt(4_000));
    await delivery.untilStatus('enroute_to_dropoff');
    return wasReset(scenes, delivery);
  },
  'reset-while-a-person-is-asked': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'crash', stage: 'to_dropoff' });
    const id = await scenes.untilAsked(delivery);
    await wasReset(scenes, delivery);
    await scenes.lab.until('it is asked anew', async () => {
      const { openInterventions } = await delivery.handle.query<{ openInterventions: string[] }>('state');
      return openInterventions.includes(id);
    });
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  'reset-after-another-drone-took-over': async (scenes) => wasReset(scenes, await takenOver(scenes)),
  'reset-with-a-carrier': async (scenes) => {
    const account = { carrier: true, carrierCapCents: 10_000 };
    const delivery = await scenes.awaitingDrone({ account, policy: { awaitDroneS: 30 } });
    await delivery.untilStatus('enroute_to_pickup');
    return wasReset(scenes, delivery);
  },
  'reset-after-it-was-reconciled': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    await delivery.handle.terminate('recorded');
    await reconciled(scenes, delivery);
    return wasReset(scenes, delivery);
  },
  'reset-to-its-middle-after-it-was-reconciled': async (scenes) => {
    const delivery = await afterWaiting(scenes);
    await delivery.handle.terminate('recorded');
    await reconciled(scenes, delivery);
    return wasReset(scenes, delivery, { to: beforeSignals });
  },
  'reset-while-a-cancel-is-undone': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    scenes.lab.faults.arm({ activity: 'voidPackages', how: 'down' });
    await delivery.cancel();
    await scenes.untilTried(delivery, 'voidPackages');
    await wasReset(scenes, delivery);
    scenes.lab.faults.clear();
    return delivery;
  },
  'reset-to-its-middle-and-again': async (scenes) => {
    const delivery = await wasReset(scenes, await afterWaiting(scenes), { to: beforeSignals });
    await scenes.lab.until('it is told', () => isTold(delivery));
    return wasReset(scenes, delivery, { to: beforeSignals });
  },
  'reset-while-it-waits-for-its-recipient': async (scenes) => {
    const delivery = await scenes.at('arrived_at_dropoff', {
      confirmation: 'pin',
      policy: { confirmationS: 600 },
    });
    await delivery.tellConfirmed('too-early');
    await wasReset(scenes, delivery);
    await scenes.lab.until('it is told', () => isTold(delivery));
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    await delivery.tellConfirmed('in-time');
    return delivery;
  },
  'reset-while-a-cancel-waits-for-the-aircraft': async (scenes) => {
    const delivery = await scenes.loadingInSilence(120);
    await delivery.cancel();
    return wasReset(scenes, delivery);
  },
};
