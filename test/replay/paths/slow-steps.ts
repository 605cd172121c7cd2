/** Short steps that outlive the workflow task that began them. On the real server: the time-skipping one lets no time pass meanwhile. */
import type { ActivityName } from '../../workflows/faults.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import type { Path, Scenes } from './scenes.ts';

/** A delivery that is at a short step which does not answer. Milliseconds: its tasks go on in others after 80 % of it. */
async function at(step: ActivityName, { lab }: Scenes, taskTimeoutMs = 2_000): Promise<LabDelivery> {
  lab.faults.arm({ activity: step, how: 'act_then_hang', times: 1 });
  const delivery = await lab.start({ taskTimeoutMs });
  await lab.until('it does not answer', () => lab.faults.isHanging(delivery.id));
  return delivery;
}

/** What comes meanwhile comes with the next task, and the step's end in a turn of its own after it. */
export const SLOW_STEPS: Readonly<Record<string, Path>> = {
  'slow-to-authorize-and-cancelled': async (scenes) => {
    const delivery = await at('authorize', scenes);
    await delivery.askToCancel();
    return delivery;
  },
  'slow-to-authorize-and-cancelled-natively': async (scenes) => {
    const delivery = await at('authorize', scenes);
    await delivery.handle.cancel();
    return delivery;
  },
  'slow-to-dispatch-and-cancelled-natively': async (scenes) => {
    const delivery = await at('dispatchDrone', scenes);
    await delivery.handle.cancel();
    return delivery;
  },
  'slow-to-record-and-aborted': async (scenes) => {
    const delivery = await at('appendEvents', scenes);
    await scenes.orderAtOnce(delivery, 'abort', {});
    return delivery;
  },
};
