/** Public operations of aircraft and of fleet gateways that speak for many. Shapes are those of the drone service's aircraft contract. */
import { Type } from 'typebox';
import { Photo } from '../../services/delivery/contract/proof.ts';
import { aircraftContract, droneContract } from '../../services/drone/contract/index.ts';
import { idSchema } from '../../shared/ids.ts';
import { Closed, Location, Nullable, OneOf, Timestamp } from '../../shared/schemas.ts';
import { definePublicContract } from '../operation.ts';
import { EXAMPLE_IDS, PNG_EXAMPLE } from './examples.ts';

const { postTelemetry, getMission, requestLoadToken, postMilestone } = aircraftContract;
const { listDrones, getDrone, listModels, listBases } = droneContract;

const SPEAKS_FOR_ITSELF = 'A key that is bound to one drone may only speak for it.';
const sample = {
  recorded_at: '2026-03-01T12:06:30.000Z',
  position: { latitude: 47.6342, longitude: -122.1344 },
  altitude_m: 80,
  speed_mps: 15.8,
  battery: 0.71,
  flight_mode: 'cruise',
};

export const droneOperations = definePublicContract({
  postTelemetry: {
    method: 'POST',
    path: '/v1/telemetry',
    tag: 'Drones',
    summary: postTelemetry.summary,
    description: SPEAKS_FOR_ITSELF,
    access: ['drone', 'operator'],
    body: postTelemetry.body,
    response: postTelemetry.response,
    status: 202,
    limit: 'telemetry',
    examples: {
      body: { drones: [{ drone_id: EXAMPLE_IDS.drone, samples: [sample] }] },
      response: { accepted: 1, unknown: [], missions: [] },
    },
  },
  listDrones: {
    method: 'GET',
    path: '/v1/drones',
    tag: 'Drones',
    summary: 'The fleet',
    description: 'Not for a key that is bound to one drone.',
    access: ['drone', 'operator'],
    query: listDrones.query,
    response: listDrones.response,
  },
  listModels: {
    method: 'GET',
    path: '/v1/models',
    tag: 'Drones',
    summary: 'The aircraft types of the fleet',
    access: ['drone', 'operator'],
    response: listModels.response,
  },
  listBases: {
    method: 'GET',
    path: '/v1/bases',
    tag: 'Drones',
    summary: 'Where the fleet is at home',
    access: ['drone', 'operator'],
    response: listBases.response,
  },
  getDrone: {
    method: 'GET',
    path: '/v1/drones/:drone_id',
    tag: 'Drones',
    summary: 'One drone',
    description: SPEAKS_FOR_ITSELF,
    access: ['drone', 'operator'],
    params: getDrone.params,
    response: getDrone.response,
    problems: ['not-found'],
  },
  getMission: {
    method: 'GET',
    path: '/v1/drones/:drone_id/mission',
    tag: 'Drones',
    summary: getMission.summary,
    description: SPEAKS_FOR_ITSELF,
    access: ['drone', 'operator'],
    params: getMission.params,
    query: getMission.query,
    response: getMission.response,
    problems: ['not-found'],
  },
  requestLoadToken: {
    method: 'POST',
    path: '/v1/drones/:drone_id/load-token',
    tag: 'Drones',
    summary: requestLoadToken.summary,
    description: SPEAKS_FOR_ITSELF,
    access: ['drone', 'operator'],
    params: requestLoadToken.params,
    body: requestLoadToken.body,
    response: requestLoadToken.response,
    problems: ['not-found'],
    examples: { body: { reservation_id: EXAMPLE_IDS.reservation, reservation_token: 17 } },
  },
  postPhoto: {
    method: 'POST',
    path: '/v1/drones/:drone_id/photos',
    tag: 'Drones',
    summary: 'The photo of a delivery whose sender asked for one; the first one stays',
    description: `To be posted before the \`released\` milestone. \`ignored\`: another drone, or nobody any more, flies for this reservation. 409 \`not_required\` when no photo was asked for. ${SPEAKS_FOR_ITSELF}`,
    access: ['drone', 'operator'],
    params: postMilestone.params,
    body: Closed({
      reservation_id: idSchema('reservation'),
      reservation_token: Type.Integer(),
      taken_at: Timestamp,
      position: Location,
      photo: Photo,
    }),
    response: Closed({
      outcome: OneOf(['stored', 'duplicate', 'ignored'] as const),
      reason: Nullable(Type.String()),
    }),
    problems: ['not-found', 'conflict'],
    examples: {
      body: {
        reservation_id: EXAMPLE_IDS.reservation,
        reservation_token: 17,
        taken_at: '2026-03-01T12:09:10.000Z',
        position: { latitude: 47.6205, longitude: -122.1493 },
        photo: PNG_EXAMPLE,
      },
      response: { outcome: 'stored', reason: null },
    },
  },
  postMilestone: {
    method: 'POST',
    path: '/v1/drones/:drone_id/milestones',
    tag: 'Drones',
    summary: postMilestone.summary,
    description: SPEAKS_FOR_ITSELF,
    access: ['drone', 'operator'],
    params: postMilestone.params,
    body: postMilestone.body,
    response: postMilestone.response,
    problems: ['not-found', 'conflict'],
    examples: {
      body: {
        reservation_id: EXAMPLE_IDS.reservation,
        reservation_token: 17,
        aircraft_sequence: 2,
        kind: 'arrived_at_pickup',
        occurred_at: '2026-03-01T12:04:10.000Z',
        position: { latitude: 47.6419, longitude: -122.1265 },
      },
      response: { outcome: 'recorded', reason: null },
    },
  },
});
