/** `/v1/ops`: what operators see and steer. */
import type { FastifyInstance } from 'fastify';
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
    listAllDeliveries: ({ query }) => delivery.listDeliveries({ query }),
    async explainAssignments({ params }, { principal }) {
      const explained = await drone.explainAssignment({ params });
      // Nothing to explain may mean that there is no such delivery.
      if (explained.data.length === 0) await reader.read(principal, params.delivery_id);
      return explained;
    },
    getBacklog: () => ingestion.backlog({}),
  });
}
