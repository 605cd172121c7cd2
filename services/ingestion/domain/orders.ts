/** An operator's order as ingestion is sent it, as the workflow's update takes it. Pure. */
import { hash } from 'node:crypto';
import type { BodyOf } from '../../../shared/http/contract.ts';
import { Problem } from '../../../shared/errors.ts';
import type { OperatorCommands } from '../../../workflows/messages.ts';
import type { ingestionContract } from '../contract/index.ts';

type Body = BodyOf<typeof ingestionContract, 'order'>;
export type NamedOrder = {
  [K in keyof OperatorCommands]: { update: K; command: OperatorCommands[K] };
}[keyof OperatorCommands];

/** @throws {Problem} 400 for an update without the fields it needs */
export function orderOf(body: Body): NamedOrder {
  const { update, actor, why, exclude_present, intervention_id, answer } = body;
  const order = { actor, why, request: fingerprintOf(body) };
  switch (update) {
    case 'abort':
      return { update, command: order };
    case 'reassignDrone':
      return {
        update,
        command: { ...order, ...(exclude_present !== undefined && { excludePresent: exclude_present }) },
      };
    case 'resolveIntervention':
      return {
        update,
        command: {
          ...order,
          interventionId: required('intervention_id', intervention_id),
          answer: required('answer', answer),
        },
      };
    case 'retryCompensation':
      return { update, command: { ...order, interventionId: required('intervention_id', intervention_id) } };
  }
}

/** The same order, whoever repeats it: the key is a caller's own already. */
function fingerprintOf({ update, why, exclude_present, intervention_id, answer }: Body): string {
  return hash('sha256', JSON.stringify([update, why, exclude_present, intervention_id, answer]), 'hex');
}

function required(field: string, value: string | undefined): string {
  if (value !== undefined) return value;
  throw new Problem('invalid-request', {
    detail: `${field} is missing`,
    errors: [{ field, message: 'must be given for this update' }],
  });
}
