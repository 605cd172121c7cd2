/** Public operations of operators: the whole fleet and every tenant's deliveries. */
import { Type } from 'typebox';
import { Delivery, deliveryContract } from '../../services/delivery/contract/index.ts';
import { droneContract, PackageAboard, PackageAt } from '../../services/drone/contract/index.ts';
import { ingestionContract } from '../../services/ingestion/contract/index.ts';
import { idSchema } from '../../shared/ids.ts';
import { Closed, Nullable, OneOf, Page } from '../../shared/schemas.ts';
import { INTERVENTION_ID_PATTERN } from '../../services/delivery/contract/interventions.ts';
import { definePublicContract } from '../operation.ts';
import { DeliveryFilters, DeliveryParams } from './deliveries.ts';
import { DELIVERY_EXAMPLE } from './examples.ts';

const { listDrones, setDroneState, explainAssignment } = droneContract;

const Why = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '\\S',
  description: 'Kept with the event in the timeline, which the sender reads too. No personal data',
});

/** What became of an operator's order. */
const Ordered = <const O extends readonly string[]>(outcomes: O) =>
  Closed({
    delivery_id: idSchema('delivery'),
    outcome: OneOf(outcomes),
    detail: Nullable(Type.String()),
  });

const InterventionParams = Closed({
  intervention_id: Type.String({
    pattern: INTERVENTION_ID_PATTERN,
    description: 'Id of an intervention: `int_…`',
    examples: ['int_01h455vb4pex5vsknk084sn02q_void_authorization'],
  }),
});

const PENDING = 'The aircraft may be loading and has not answered; an event will tell how it went';
const DELIVERY_ID = DELIVERY_EXAMPLE.id;

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
      package_aboard: Type.Optional(PackageAboard),
      package_at: Type.Optional(PackageAt),
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
  reassignDrone: {
    method: 'POST',
    path: '/v1/ops/deliveries/:delivery_id/reassign',
    tag: 'Operations',
    summary: 'Takes another drone for it, before the pickup',
    description:
      'The present drone is recalled and released, and another one is reserved; until one is free the delivery is `awaiting_drone`. 409 with the reason when there is no drone to replace (`no_drone`, `by_carrier`), when the package is aboard (`already_picked_up`: the aircraft has the last word) or when the delivery has ended.',
    access: ['operator'],
    params: DeliveryParams,
    body: Closed({
      why: Why,
      exclude_present: Type.Optional(
        Type.Boolean({
          default: true,
          description: 'The present drone is not asked again for this delivery',
        }),
      ),
    }),
    response: Ordered(['reassigning', 'pending']),
    idempotencyKey: 'required',
    alsoAnswers: { 202: PENDING },
    problems: ['not-found', 'conflict', 'idempotency-key-reused'],
    examples: {
      body: { why: 'Its left rotor sounds rough' },
      response: {
        delivery_id: DELIVERY_ID,
        outcome: 'reassigning',
        detail: 'The drone is recalled and released; another one is being reserved.',
      },
    },
  },
  abortDelivery: {
    method: 'POST',
    path: '/v1/ops/deliveries/:delivery_id/abort',
    tag: 'Operations',
    summary: 'Ends it: before the pickup by a cancel, after it by flying the package back to the sender',
    description:
      '`cancelled`: it never left. `returning`: the drone has turned round, and the delivery will be `returned`. 409 with the reason when it has ended, when the drone is down (`drone_down`: its intervention asks what to do) when it has just let go of the package (`already_released`), or when a carrier has it (`carrier_has_package`).',
    access: ['operator'],
    params: DeliveryParams,
    body: Closed({ why: Why }),
    response: Ordered(['cancelled', 'returning', 'pending']),
    idempotencyKey: 'required',
    alsoAnswers: {
      202: 'The aircraft has not answered: it may be loading, and is turned round if it turns out to be loaded; or it has not said that it turns round, and may let go of the package before it hears of it. An event will tell how it went',
    },
    problems: ['not-found', 'conflict', 'idempotency-key-reused'],
    examples: {
      body: { why: 'The street at the dropoff is closed' },
      response: {
        delivery_id: DELIVERY_ID,
        outcome: 'returning',
        detail: 'The drone brings the package back to the sender.',
      },
    },
  },
  listInterventions: {
    method: 'GET',
    path: '/v1/ops/interventions',
    tag: 'Operations',
    summary: 'Cases that only a person can settle, of all deliveries, newest first',
    access: ['operator'],
    query: deliveryContract.listInterventions.query,
    response: deliveryContract.listInterventions.response,
    examples: {
      response: {
        data: [
          {
            object: 'intervention',
            delivery_id: DELIVERY_ID,
            account_id: DELIVERY_EXAMPLE.account_id,
            livemode: true,
            id: `int_${DELIVERY_ID.slice(4)}_void_authorization`,
            kind: 'compensation:void_authorization',
            reason:
              'Undoing void_authorization has not succeeded so far; it is still being retried. The price of 899 USD may still be authorized.',
            answers: [
              { answer: 'retry', effect: 'tries again at once' },
              { answer: 'done', effect: 'closes it as done by hand' },
            ],
            opened_at: '2026-03-14T09:41:12.000Z',
            resolved_at: null,
            resolution: null,
          },
        ],
        next_cursor: null,
      },
    },
  },
  resolveIntervention: {
    method: 'POST',
    path: '/v1/ops/interventions/:intervention_id/resolve',
    tag: 'Operations',
    summary: 'Answers an intervention with one of the answers that it offers',
    description:
      '400 for an answer that it does not offer. 409 `intervention_not_open` when it has been answered, or has settled itself.',
    access: ['operator'],
    params: InterventionParams,
    body: Closed({ answer: Type.String({ minLength: 1, maxLength: 100 }), why: Why }),
    response: Ordered(['accepted']),
    idempotencyKey: 'required',
    problems: ['not-found', 'conflict', 'idempotency-key-reused'],
    examples: {
      body: { answer: 'done', why: 'Voided by phone with the payment provider' },
      response: { delivery_id: DELIVERY_ID, outcome: 'accepted', detail: null },
    },
  },
  retryCompensation: {
    method: 'POST',
    path: '/v1/ops/interventions/:intervention_id/retry',
    tag: 'Operations',
    summary: 'Tries the compensation that an intervention is about again, at once',
    description:
      'Should it fail again, the intervention comes up anew. 409 `intervention_not_open` when it is not open, or not about a compensation.',
    access: ['operator'],
    params: InterventionParams,
    body: Closed({ why: Why }),
    response: Ordered(['accepted']),
    idempotencyKey: 'required',
    problems: ['not-found', 'conflict', 'idempotency-key-reused'],
    examples: {
      body: { why: 'The account service is up again' },
      response: { delivery_id: DELIVERY_ID, outcome: 'accepted', detail: null },
    },
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
