/** Contract of ingestion: the durable accept, the start of workflows, and commands to them (cancel, reschedule, another dropoff). */
import { type Static, Type } from 'typebox';
import { defineContract } from '../../../shared/http/contract.ts';
import { idSchema } from '../../../shared/ids.ts';
import { Closed, Location, Nullable, OneOf, PickupWindow, Stop, Timestamp } from '../../../shared/schemas.ts';
import { CANCELLATION_REASONS, Delivery } from '../../delivery/contract/index.ts';
import { CreateDeliveryRequest } from './request.ts';

export * from './request.ts';

/** `accepted` → `starting` → `started`; or `accepted` → `cancelled` before the start. */
export const REQUEST_STATES = ['accepted', 'starting', 'started', 'cancelled'] as const;

const DeliveryParams = Closed({ delivery_id: idSchema('delivery') });

/** Who asked for a command. */
export const Actor = Closed({ role: OneOf(['business', 'operator'] as const), id: Type.String() });
export type Actor = Static<typeof Actor>;

export const ingestionContract = defineContract({
  accept: {
    method: 'POST',
    path: '/requests',
    summary:
      'Accepts a delivery request for good: one row is the request, its idempotency key and the order to start',
    description:
      'Same key and fingerprint: the first answer again. 409 `request-in-progress`; 422 `idempotency-key-reused`; 409 `external_id_taken`.',
    body: Closed({
      account_id: idSchema('account'),
      livemode: Type.Boolean(),
      /** The caller's `Idempotency-Key`, or null. */
      idempotency_key: Nullable(Type.String({ minLength: 1, maxLength: 255 })),
      /** SHA-256 of the canonical body, hex. */
      fingerprint: Type.String(),
      request: CreateDeliveryRequest,
    }),
    response: Closed({ delivery: Delivery, replayed: Type.Boolean() }),
    status: 201,
  },
  findReplay: {
    method: 'POST',
    path: '/requests/replay',
    summary: 'What an earlier accept with this key answered, or null. Accepts nothing',
    description:
      'For a repetition that the door would refuse today (its deadline has passed since) although the first was accepted. 422 `idempotency-key-reused` for another fingerprint.',
    body: Closed({
      account_id: idSchema('account'),
      livemode: Type.Boolean(),
      idempotency_key: Type.String({ minLength: 1, maxLength: 255 }),
      fingerprint: Type.String(),
    }),
    response: Closed({ delivery: Nullable(Delivery) }),
  },
  getRequested: {
    method: 'GET',
    path: '/requests/:delivery_id',
    summary:
      'An accepted request as the delivery it will be: what reads serve until the delivery service has it',
    params: DeliveryParams,
    response: Closed({
      delivery: Delivery,
      state: OneOf(REQUEST_STATES),
      projected: Type.Boolean(),
      accepted_at: Timestamp,
    }),
  },
  cancel: {
    method: 'POST',
    path: '/requests/:delivery_id/cancel',
    summary:
      'Cancels a delivery: before the start a compare-and-set on its row, afterwards the workflow’s `cancel` update',
    description:
      'The intent is stored first and re-sent until answered. `cancelled`: done (compensation may still be pending). `pending`: the aircraft has not answered; settled by event. `refused`: too late, with the reason. 503 when the workflow did not answer in time: safe to repeat.',
    params: DeliveryParams,
    body: Closed({
      account_id: Nullable(idSchema('account')),
      reason: OneOf(CANCELLATION_REASONS),
      why: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
      actor: Actor,
    }),
    response: Closed({
      outcome: OneOf(['cancelled', 'pending', 'refused'] as const),
      reason: Nullable(Type.String()),
      detail: Nullable(Type.String()),
    }),
  },
  reschedule: {
    method: 'POST',
    path: '/requests/:delivery_id/reschedule',
    summary: 'Moves a delivery’s pickup window: the workflow’s `reschedule` update',
    description:
      'Idempotent by key: the first answer again; 422 `idempotency-key-reused` for another window. `refused`: too late, or no longer the window it was to be moved from (`window_changed`), with the reason. 422 `unserviceable` for a window that cannot be served. 503 when the workflow did not answer in time: safe to repeat.',
    params: DeliveryParams,
    body: Closed({
      account_id: Nullable(idSchema('account')),
      pickup_window: PickupWindow,
      /** Move it only if it is still this one (null: none). */
      from: Type.Optional(Nullable(PickupWindow)),
      /** Only what an earlier request with this key was answered; `unknown` when there was none. */
      replay_only: Type.Optional(Type.Boolean()),
      why: Type.String({ minLength: 1, maxLength: 200 }),
      actor: Actor,
      /** The caller's `Idempotency-Key`, or null. */
      idempotency_key: Nullable(Type.String({ minLength: 1, maxLength: 255 })),
    }),
    response: Closed({
      outcome: OneOf(['rescheduled', 'refused', 'unknown'] as const),
      reason: Nullable(Type.String()),
      detail: Nullable(Type.String()),
      replayed: Type.Boolean(),
    }),
  },
  changeDropoff: {
    method: 'POST',
    path: '/requests/:delivery_id/dropoff',
    summary: 'Gives a delivery another dropoff: the workflow’s `changeDropoff` update',
    description:
      'Idempotent by key: the first answer again; 422 `idempotency-key-reused` for another one. `pending`: the aircraft has not said yet whether it flies there; settled by event. `refused`: the old dropoff stands, with the reason. 422 `unserviceable` for a place that cannot be this delivery’s dropoff. 503 when the workflow did not answer in time: safe to repeat.',
    params: DeliveryParams,
    body: Closed({
      account_id: Nullable(idSchema('account')),
      dropoff: Stop,
      /** Change it only if it is still there. */
      from: Type.Optional(Location),
      /** Only what an earlier request with this key was answered; `unknown` when there was none. */
      replay_only: Type.Optional(Type.Boolean()),
      why: Type.String({ minLength: 1, maxLength: 200 }),
      actor: Actor,
      /** The caller's `Idempotency-Key`, or null. */
      idempotency_key: Nullable(Type.String({ minLength: 1, maxLength: 255 })),
    }),
    response: Closed({
      outcome: OneOf(['changed', 'pending', 'refused', 'unknown'] as const),
      reason: Nullable(Type.String()),
      detail: Nullable(Type.String()),
      replayed: Type.Boolean(),
    }),
  },
  order: {
    method: 'POST',
    path: '/requests/:delivery_id/orders',
    summary: 'An operator’s order to a delivery: the workflow’s update of that name',
    description:
      'Idempotent by key: a repetition gets the first answer; with another body 422 `idempotency-key-reused`. 409 with the reason when the delivery does not allow it; 503 when the workflow did not answer in time: safe to repeat.',
    params: DeliveryParams,
    body: Closed({
      update: OneOf(['reassignDrone', 'abort', 'resolveIntervention', 'retryCompensation'] as const),
      actor: Actor,
      why: Type.String({ minLength: 1, maxLength: 500 }),
      exclude_present: Type.Optional(Type.Boolean()),
      intervention_id: Type.Optional(Type.String()),
      answer: Type.Optional(Type.String()),
    }),
    response: Closed({
      outcome: OneOf(['reassigning', 'cancelled', 'returning', 'accepted', 'pending'] as const),
      reason: Nullable(Type.String()),
      detail: Nullable(Type.String()),
    }),
    idempotent: true,
  },
  confirm: {
    method: 'POST',
    path: '/requests/:delivery_id/confirm',
    summary:
      'The recipient has confirmed it, or cannot any more: the workflow’s `confirm` update, which looks at what was given',
    description:
      'Safe to repeat: the first answer again. 409 with the reason when the drone does not (or no longer) wait for it: `not_awaited`, `too_late`, `attempts_exhausted`, `already_<status>`; `pending`: the drone has come down with the package, and what was given counts for the one that takes over. 503 when the workflow did not answer in time. What was given counts all the same: the workflow looks for it before the time is over.',
    params: DeliveryParams,
    body: Closed({ given: OneOf(['confirmed', 'exhausted'] as const) }),
    response: Closed({ outcome: OneOf(['accepted', 'pending'] as const), detail: Nullable(Type.String()) }),
  },
  startAgain: {
    method: 'POST',
    path: '/requests/:delivery_id/start',
    summary: 'Starts a delivery again whose workflow was lost before it did anything',
    description:
      'Harmless when it was not lost: a workflow that Temporal knows is not started twice. 409 `has_begun` when something was done for it, `already_cancelled`.',
    params: DeliveryParams,
    response: Closed({ state: OneOf(REQUEST_STATES) }),
  },
  backlog: {
    method: 'GET',
    path: '/backlog',
    summary: 'How many accepted requests wait for their start and their projection, and since when',
    response: Closed({
      unstarted: Type.Integer(),
      unprojected: Type.Integer(),
      unanswered_cancels: Type.Integer(),
      oldest_unstarted_at: Nullable(Timestamp),
    }),
  },
});
