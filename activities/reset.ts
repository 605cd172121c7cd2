/** The activity of a delivery whose workflow was reset: tells of it, and learns how far the delivery had come. */
import { activityInfo, ApplicationFailure } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { Delivery } from '../services/delivery/contract/index.ts';
import { Problem } from '../shared/errors.ts';
import { everyItem } from '../shared/every-item.ts';
import type { CallOptions } from '../shared/http/client.ts';
import type { DeliveryId } from '../shared/ids.ts';
import type { Money } from '../shared/schemas.ts';
import { RESOLVE_INTERVENTION_UPDATE, RETRY_COMPENSATION_UPDATE } from '../workflows/messages.ts';
import type { ResolveInterventionCommand, RetryCompensationCommand } from '../workflows/messages.ts';
import { callService } from './call.ts';
import type { ServiceClients } from './index.ts';
import { toldBy, type ToldByTimeline } from './told-by-timeline.ts';
import { type PastRuns, type PastUpdate, readPastRuns } from './past-runs.ts';

/** How far a delivery had come when its workflow was reset. */
export interface ToldReset extends ToldByTimeline {
  /** The run that the reset began. */
  runId: string;
  /** As whoever reset it gave it. */
  reason: string;
  delivery: Pick<
    Delivery,
    | 'status'
    | 'cancellation_reason'
    | 'failure_reason'
    | 'compensation'
    | 'attempt'
    | 'drone_id'
    | 'booking_id'
    | 'dropoff'
    | 'price'
    | 'pickup_window'
    | 'return_price'
  >;
  /** Ids of the interventions that are open now: none but those that the run has open too. */
  interventions: string[];
  /** The reserve steps that got a drone, and when (RFC 3339, by the delivery's clock). */
  reserved: Record<string, string>;
  /** It has been given to a carrier. */
  isByCarrier: boolean;
  /** What is authorized beyond the first price, the oldest first. */
  raises: { key: string; amount: Money; expiresAt: string | null }[];
  /** What its updates were answered in the runs before, by name and id. */
  answers: [update: string, answer: unknown][];
  /** People's answers that were taken, which the run has not taken itself. */
  resolved: ResolveInterventionCommand[];
}

export function resetActivities({ services, temporal }: { services: ServiceClients; temporal: Client }) {
  return {
    /**
     * Called by the run that the reset began. What it writes it writes once for each run.
     * @param input.open ids of the interventions that the run has open itself
     */
    tellOfReset: ({ deliveryId, open }: { deliveryId: DeliveryId; open: string[] }): Promise<ToldReset> =>
      untilAnswered(async (options) => {
        const { workflowExecution } = activityInfo();
        const runId = workflowExecution?.runId ?? '';
        const past = await readPastRuns(temporal, workflowExecution?.workflowId ?? deliveryId, runId);
        const reason = past?.reason ?? '';
        // Told before it is looked: whoever decides on the delivery without having seen this is refused, or is seen.
        await tell(services, { deliveryId, runId, reason, open }, options);
        const known = await learn(services, deliveryId);
        return { runId, reason, ...known, ...answersOf(past) };
      }),
  };
}

/** The run can do nothing before it knows: what is refused is asked again too, until somebody has seen to it. */
async function untilAnswered<T>(call: (options: CallOptions) => Promise<T>): Promise<T> {
  try {
    return await callService(undefined, call);
  } catch (error) {
    if (!(error instanceof ApplicationFailure) || error.nonRetryable !== true) throw error;
    const { message, type } = error;
    throw ApplicationFailure.create({ message, type: type ?? 'refused', nonRetryable: false });
  }
}

export type ResetActivities = ReturnType<typeof resetActivities>;

/** It is in the timeline, and what people were asked is asked anew by the run where it still has to be. */
async function tell(
  { delivery }: ServiceClients,
  {
    deliveryId,
    runId,
    reason,
    open,
  }: { deliveryId: DeliveryId; runId: string; reason: string; open: string[] },
  options: CallOptions,
): Promise<void> {
  const params = { delivery_id: deliveryId };
  const { interventions, compensation, updated_at: occurred_at } = await existing(delivery, deliveryId);
  await delivery.appendEvents(
    {
      params,
      body: { events: [{ type: 'delivery.workflow_reset', occurred_at, data: { why: reason } }] },
    },
    { ...options, idempotencyKey: `${deliveryId}/event_workflow_reset/${runId}` },
  );
  for (const { id, kind, resolved_at } of interventions) {
    if (resolved_at !== null || open.includes(id)) continue;
    const resolution = {
      answer: 'asked_anew',
      by: 'system',
      why: 'its workflow was reset: what still needs an answer is asked anew',
    };
    const event = {
      type: 'delivery.intervention_resolved',
      occurred_at,
      data: { kind, ...resolution },
      // Whether something cannot be undone turns out anew.
      ...(compensation === 'needs_intervention' && { patch: { compensation: 'pending' as const } }),
      resolve_intervention: { id, ...resolution },
    };
    try {
      await delivery.appendEvents(
        { params, body: { events: [event] } },
        { ...options, idempotencyKey: `${deliveryId}/event_asked_anew_${id}/${runId}` },
      );
    } catch (error) {
      // Somebody else has closed it meanwhile.
      if (!(error instanceof Problem && error.reason === 'intervention_not_open')) throw error;
    }
  }
}

async function learn(
  services: ServiceClients,
  deliveryId: DeliveryId,
): Promise<Omit<ToldReset, 'runId' | 'reason' | 'answers' | 'resolved'>> {
  const { delivery, drone, carrier, account } = services;
  const of = { delivery_id: deliveryId };
  const [now, events, reservations, bookings, authorizations] = await Promise.all([
    existing(delivery, deliveryId),
    everyItem((page) => delivery.listEvents({ params: of, query: page })),
    everyItem((page) => drone.listReservations({ query: { ...page, ...of } })),
    everyItem((page) => carrier.listBookings({ query: { ...page, ...of } })),
    everyItem((page) => account.listAuthorizations({ query: { ...page, ...of, state: 'authorized' } })),
  ]);
  return {
    delivery: {
      status: now.status,
      cancellation_reason: now.cancellation_reason,
      failure_reason: now.failure_reason,
      compensation: now.compensation,
      attempt: now.attempt,
      drone_id: now.drone_id,
      booking_id: now.booking_id,
      dropoff: now.dropoff,
      price: now.price,
      pickup_window: now.pickup_window,
      return_price: now.return_price,
    },
    interventions: now.interventions.filter((one) => one.resolved_at === null).map(({ id }) => id),
    reserved: Object.fromEntries(reservations.map(({ step_key, created_at }) => [step_key, created_at])),
    isByCarrier: now.fulfilment === 'carrier' || bookings.some(({ state }) => state !== 'cancelled'),
    raises: authorizations
      .filter(({ step_key }) => step_key.startsWith(`${deliveryId}/reauthorize/`))
      .map(({ step_key: key, amount, expires_at: expiresAt }) => ({ key, amount, expiresAt }))
      .reverse(),
    ...toldBy(events),
  };
}

/** @throws {Error} retryable, while the accept has not been projected */
async function existing(
  { getDelivery }: ServiceClients['delivery'],
  deliveryId: DeliveryId,
): Promise<Delivery> {
  try {
    return await getDelivery({ params: { delivery_id: deliveryId } });
  } catch (error) {
    if (error instanceof Problem && error.status === 404)
      throw new Error(`${deliveryId} is not projected yet`, { cause: error });
    throw error;
  }
}

function answersOf(past: PastRuns | undefined): Pick<ToldReset, 'answers' | 'resolved'> {
  const { updates = [], inItsHistory = [] } = past ?? {};
  const before = updates.filter(({ id }) => !inItsHistory.includes(id));
  return {
    answers: before.flatMap(({ name, id, answer }) =>
      answer === undefined ? [] : [[`${name}/${id}`, answer] satisfies [string, unknown]],
    ),
    resolved: before.flatMap(resolvedBy),
  };
}

/** The answer of a person that an update was, if it was taken. What it is was checked when the update was accepted. */
function resolvedBy({ name, command, answer }: PastUpdate): ResolveInterventionCommand[] {
  if ((answer as { outcome?: string } | undefined)?.outcome !== 'accepted') return [];
  if (name === RESOLVE_INTERVENTION_UPDATE) return [command as ResolveInterventionCommand];
  if (name === RETRY_COMPENSATION_UPDATE) {
    return [{ ...(command as RetryCompensationCommand), answer: 'retry' }];
  }
  return [];
}
