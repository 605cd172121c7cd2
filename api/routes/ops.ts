/** `/v1/ops`: what operators see and steer. */
import { hash } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Principal } from '../../services/account/contract/index.ts';
import { deliveryOfIntervention } from '../../services/delivery/contract/interventions.ts';
import type { ingestionContract } from '../../services/ingestion/contract/index.ts';
import type { BodyOf } from '../../shared/http/contract.ts';
import { notFound, Problem } from '../../shared/errors.ts';
import { type DeliveryId, isId } from '../../shared/ids.ts';
import { opsOperations } from '../contract/ops.ts';
import type { DeliveryReader } from '../delivery-reader.ts';
import { implementPublic } from '../operation.ts';
import type { Services } from '../services.ts';

export interface OpsRoutesOptions {
  services: Services;
  reader: DeliveryReader;
}

export function opsRoutes(app: FastifyInstance, { services, reader }: OpsRoutesOptions): void {
  const { drone, delivery, ingestion } = services;
  implementPublic(app, opsOperations, {
    listFleet: ({ query }) => drone.listDrones({ query }),
    setDroneState: ({ params, body }, { principal }) =>
      drone.setDroneState({ params, body: { ...body, by: principal.key_id } }),
    listInterventions: ({ query }) => delivery.listInterventions({ query }),
    listAllDeliveries: ({ query }) => delivery.listDeliveries({ query }),
    async explainAssignments({ params }, { principal }) {
      const explained = await drone.explainAssignment({ params });
      // Nothing to explain may mean that there is no such delivery.
      if (explained.data.length === 0) await reader.read(principal, params.delivery_id);
      return explained;
    },
    getBacklog: () => ingestion.backlog({}),
    async reassignDrone({ params, body }, context) {
      const { outcome, detail } = await order(
        params.delivery_id,
        { update: 'reassignDrone', ...body },
        context,
      );
      return { delivery_id: params.delivery_id, outcome: oneOf(['reassigning', 'pending'], outcome), detail };
    },
    async abortDelivery({ params, body }, context) {
      const { outcome, detail } = await order(params.delivery_id, { update: 'abort', ...body }, context);
      return {
        delivery_id: params.delivery_id,
        outcome: oneOf(['cancelled', 'returning', 'pending'], outcome),
        detail,
      };
    },
    async resolveIntervention({ params: { intervention_id }, body }, context) {
      const deliveryId = deliveryOf(intervention_id);
      const answer = await order(
        deliveryId,
        { update: 'resolveIntervention', intervention_id, ...body },
        context,
      );
      return { delivery_id: deliveryId, outcome: oneOf(['accepted'], answer.outcome), detail: null };
    },
    async retryCompensation({ params: { intervention_id }, body }, context) {
      const deliveryId = deliveryOf(intervention_id);
      const answer = await order(
        deliveryId,
        { update: 'retryCompensation', intervention_id, ...body },
        context,
      );
      return { delivery_id: deliveryId, outcome: oneOf(['accepted'], answer.outcome), detail: null };
    },
  });

  async function order(
    deliveryId: DeliveryId,
    body: Omit<OrderBody, 'actor'>,
    { principal, idempotencyKey, reply }: OrderContext,
  ) {
    // The schema requires the key.
    if (idempotencyKey === null) throw new Problem('invalid-request');
    const answer = await ingestion.order(
      {
        params: { delivery_id: deliveryId },
        body: { ...body, actor: { role: 'operator', id: principal.key_id } },
      },
      { idempotencyKey: hash('sha256', `${principal.key_id}/${idempotencyKey}`, 'hex') },
    );
    if (answer.outcome === 'pending') void reply.code(202);
    return answer;
  }
}

type OrderBody = BodyOf<typeof ingestionContract, 'order'>;
interface OrderContext {
  principal: Principal;
  idempotencyKey: string | null;
  reply: FastifyReply;
}

function deliveryOf(interventionId: string): DeliveryId {
  const deliveryId = deliveryOfIntervention(interventionId);
  if (!isId('delivery', deliveryId)) throw notFound('intervention', interventionId);
  return deliveryId;
}

/** The outcome as one of those that this order can have. */
function oneOf<const O extends string>(outcomes: readonly O[], outcome: string): O {
  const found = outcomes.find((one) => one === outcome);
  if (found === undefined) throw new Error(`${outcome} is no answer to this order`);
  return found;
}
