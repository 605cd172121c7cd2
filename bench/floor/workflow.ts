/** The floor: a workflow that does nothing, in six plain activities and two signals. */
import { condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';

const { nothing } = proxyActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '20s' });
const signal = defineSignal('signal');

export async function floor(): Promise<void> {
  let signals = 0;
  setHandler(signal, () => void (signals += 1));
  for (let i = 0; i < 3; i++) await nothing();
  await condition(() => signals >= 1);
  for (let i = 0; i < 3; i++) await nothing();
  await condition(() => signals >= 2);
}
