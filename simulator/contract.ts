/** Contract of the simulator's control port: what testers and the demo may do to the simulated world. */
import { type Static, Type } from 'typebox';
import { defineContract } from '../shared/http/contract.ts';
import { idSchema } from '../shared/ids.ts';
import { Closed, Location, Nullable, OneOf, Timestamp } from '../shared/schemas.ts';
import { Failure, STAGES } from './aircraft/faults.ts';

export const COMMAND_STATES = ['armed', 'assigned', 'happened'] as const;

/** A failure that was ordered. It strikes one mission, then it is used up. */
export const FailureCommand = Closed({
  id: Type.String(),
  failure: Failure,
  /** Which mission: of this drone, of this delivery, or (`next`) the next that any drone takes on. */
  drone_id: Nullable(idSchema('drone')),
  delivery_id: Nullable(idSchema('delivery')),
  next: Type.Boolean(),
  stage: OneOf(STAGES),
  at: Type.Number(),
  for_s: Type.Number(),
  /** `armed`: waits for its mission · `assigned`: an aircraft has it · `happened`. */
  state: OneOf(COMMAND_STATES),
  assigned_to: Nullable(idSchema('drone')),
  created_at: Timestamp,
});
export type FailureCommand = Static<typeof FailureCommand>;

export const OrderFailure = Closed({
  failure: Failure,
  drone_id: Type.Optional(idSchema('drone')),
  delivery_id: Type.Optional(idSchema('delivery')),
  next: Type.Optional(Type.Boolean()),
  stage: Type.Optional(
    OneOf(STAGES, {
      description:
        'When a motor fails or the link is lost; `to_pickup` unless told. The other failures have their own',
    }),
  ),
  at: Type.Optional(
    Type.Number({ minimum: 0, maximum: 1, default: 0.5, description: 'How far into the stage' }),
  ),
  for_s: Type.Optional(
    Type.Number({ exclusiveMinimum: 0, description: 'How long the link is lost, seconds of the clock' }),
  ),
});
export type OrderFailure = Static<typeof OrderFailure>;

export const controlContract = defineContract({
  orderFailure: {
    method: 'POST',
    path: '/commands',
    summary: 'Orders a failure for one mission, flown now or later',
    body: OrderFailure,
    response: FailureCommand,
    status: 201,
  },
  listCommands: {
    method: 'GET',
    path: '/commands',
    summary: 'The failures that were ordered, and what has become of them',
    response: Closed({ data: Type.Array(FailureCommand) }),
  },
  clearCommand: {
    method: 'DELETE',
    path: '/commands/:command_id',
    summary: 'Takes an ordered failure back, unless it has happened',
    params: Closed({ command_id: Type.String() }),
    response: FailureCommand,
  },
  clearCommands: {
    method: 'DELETE',
    path: '/commands',
    summary: 'Takes all ordered failures back, and forgets those that have happened',
    response: Closed({ cleared: Type.Integer() }),
  },
  listAircraft: {
    method: 'GET',
    path: '/aircraft',
    summary: 'The aircraft as they really are, whatever the drone service has heard',
    response: Closed({
      data: Type.Array(
        Closed({
          drone_id: idSchema('drone'),
          activity: Type.String(),
          position: Location,
          altitude_m: Type.Number(),
          speed_mps: Type.Number(),
          battery: Type.Number(),
          payload_kg: Type.Number(),
          delivery_id: Nullable(idSchema('delivery')),
          has_link: Type.Boolean(),
          /** Messages that the drone service has not acknowledged. */
          unsaid: Type.Integer(),
        }),
      ),
    }),
  },
});
