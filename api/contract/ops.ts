/** Public operations of operators: the whole fleet and every tenant's deliveries. */
import { Type } from 'typebox';
import { Delivery } from '../../services/delivery/contract/index.ts';
import { droneContract } from '../../services/drone/contract/index.ts';
import { ingestionContract } from '../../services/ingestion/contract/index.ts';
import { idSchema } from '../../shared/ids.ts';
import { Closed, OneOf, Page } from '../../shared/schemas.ts';
import { definePublicContract } from '../operation.ts';
import { DeliveryFilters, DeliveryParams } from './deliveries.ts';
import { DELIVERY_EXAMPLE } from './examples.ts';

const { listDrones, setDroneState, explainAssignment } = droneContract;

export const opsOperations = definePublicContract({
  listFleet: {
    method: 'GET',
    path: '/v1/ops/drones',
    tag: 'Operations',
    summary: 'The fleet with its states, positions and reservations',
    access: ['operator'],
    query: listDrones.query,
    response: listDrones.response,
  },
  setDroneState: {
    method: 'POST',
    path: '/v1/ops/drones/:drone_id/state',
    tag: 'Operations',
    summary: 'Grounds a drone, sends it to maintenance, or clears it (back to idle)',
    access: ['operator'],
    params: setDroneState.params,
    body: Closed({
      state: OneOf(['idle', 'maintenance', 'grounded'] as const),
      reason: Type.String({ minLength: 1, maxLength: 500 }),
    }),
    response: setDroneState.response,
    problems: ['not-found', 'conflict'],
    examples: { body: { state: 'maintenance', reason: 'Propeller check' } },
  },
  listAllDeliveries: {
    method: 'GET',
    path: '/v1/ops/deliveries',
    tag: 'Operations',
    summary: 'Deliveries of all accounts, newest first',
    access: ['operator'],
    query: Closed({
      ...DeliveryFilters,
      account_id: Type.Optional(idSchema('account')),
      drone_id: Type.Optional(idSchema('drone')),
      livemode: Type.Optional(Type.Boolean()),
      has_intervention: Type.Optional(
        Type.Boolean({ description: 'Whether a case waits for a person to settle it' }),
      ),
    }),
    response: Page(Delivery),
    examples: { response: { data: [DELIVERY_EXAMPLE], next_cursor: null } },
  },
  explainAssignments: {
    method: 'GET',
    path: '/v1/ops/deliveries/:delivery_id/assignments',
    tag: 'Operations',
    summary: explainAssignment.summary,
    access: ['operator'],
    params: DeliveryParams,
    response: explainAssignment.response,
    problems: ['not-found'],
  },
  getBacklog: {
    method: 'GET',
    path: '/v1/ops/backlog',
    tag: 'Operations',
    summary: ingestionContract.backlog.summary,
    access: ['operator'],
    response: ingestionContract.backlog.response,
    examples: {
      response: { unstarted: 0, unprojected: 0, unanswered_cancels: 0, oldest_unstarted_at: null },
    },
  },
});
