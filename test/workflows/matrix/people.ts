/** What people do to a delivery. Each waits for no more than that the delivery has it: time may have to pass for its answer. */
import type { CancelAnswer, OperatorAnswer } from '../../../workflows/messages.ts';
import type { LabDelivery } from '../lab-delivery.ts';

export type OrderAnswer = CancelAnswer | OperatorAnswer;

/** An order that the delivery has. */
export interface Ordered {
  answer: () => Promise<OrderAnswer>;
}

const OPERATOR = { role: 'operator', id: 'test' } as const;
const WHY = 'the test wants it';

export async function askTo(what: 'cancel' | 'abort', delivery: LabDelivery): Promise<Ordered> {
  const command = { actor: OPERATOR, why: WHY };
  const handle = await delivery.handle.startUpdate<OrderAnswer, [unknown]>(what, {
    args: [what === 'cancel' ? { ...command, reason: 'requested_by_operator' } : command],
    updateId: `${what}-1`,
    waitForStage: 'ACCEPTED',
  });
  return { answer: () => handle.result() };
}

/** Asks for a dropoff so far from the pickup; `nth`: which change it is. */
export async function changeDropoff(delivery: LabDelivery, metres: number, nth: number): Promise<void> {
  const dropoff = { location: delivery.dropoffAt(metres), address: 'The other door' };
  await delivery.handle.startUpdate<unknown, [unknown]>('changeDropoff', {
    args: [{ dropoff, why: WHY, actor: OPERATOR }],
    updateId: `dropoff-${nth}`,
    waitForStage: 'ACCEPTED',
  });
}

/** The recipient gives the right PIN, and the delivery is told to look. */
export async function confirmByPin(delivery: LabDelivery): Promise<void> {
  const { pin } = await delivery.recipient();
  await delivery.give({ pin });
  await delivery.handle.startUpdate<unknown, [unknown]>('confirm', {
    args: [{ actor: { role: 'recipient', id: 'test' } }],
    updateId: 'confirm-1',
    waitForStage: 'ACCEPTED',
  });
}
