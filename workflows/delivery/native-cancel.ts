/** *Cancel* in the Temporal UI once the package is aboard: too late for a cancel, so a person says what was meant. */
import type { Answer } from './orders.ts';
import type { DeliveryRecord } from './record.ts';

/** The answer that aborts the delivery: the package is flown back to the sender. */
export const TURN_ROUND = 'abort';

export const RETURNING: Answer = {
  outcome: 'returning',
  reason: null,
  detail: 'The drone brings the package back to the sender.',
};

/** Whether it is the question that the button opened: there is one of it. */
export const isCancelQuestion = (record: DeliveryRecord, interventionId: string): boolean =>
  interventionId === record.interventionId(CANCEL_REQUESTED);

const CANCEL_REQUESTED = 'cancel_requested';

/** Opens the question, unless the package is on its way back already. Answers its id. */
export async function cancelQuestion(
  record: DeliveryRecord,
  carriedBy: 'drone' | 'carrier',
): Promise<string | undefined> {
  if (record.status === 'enroute_to_return' || record.status === 'arrived_at_return') {
    await record.note('cancel_requested', {
      data: { by: 'operator:temporal-ui', why: 'Cancel in the Temporal UI; it is being returned already' },
    });
    return undefined;
  }
  const id = record.interventionId(CANCEL_REQUESTED);
  const carryOn = { answer: 'carry_on', effect: 'lets the delivery go on as if nothing had been asked' };
  await record.openIntervention({
    id,
    kind: 'cancel_requested',
    reason:
      carriedBy === 'drone'
        ? 'The workflow was cancelled in the Temporal UI with the package aboard the drone. The delivery goes on meanwhile.'
        : 'The workflow was cancelled in the Temporal UI with the package in the carrier’s hands, who takes no order to bring it back. The delivery goes on meanwhile.',
    answers: [
      ...(carriedBy === 'drone'
        ? [{ answer: TURN_ROUND, effect: 'turns the drone round: the package is flown back to the sender' }]
        : []),
      carryOn,
    ],
  });
  return id;
}
