import { ApplicationFailure } from '@temporalio/common';
import type { deliveryContract, NewDeliveryEvent } from '../services/delivery/contract/index.ts';
import { type DeliveryStatus, isFinal, statusesBetween } from '../services/delivery/contract/status.ts';
import type { Client } from '../shared/http/client.ts';
import type { Output } from '../shared/http/contract.ts';
import type { DeliveryId } from '../shared/ids.ts';
import { callService, type Keyed } from './call.ts';

type Contract = typeof deliveryContract;

/** Steps at the delivery service: every change of state is one idempotent write. */
export function deliveryActivities(delivery: Client<Contract>) {
  return {
    readConfirmation: ({
      deliveryId,
    }: {
      deliveryId: DeliveryId;
    }): Promise<Output<Contract['getConfirmation']>> =>
      callService(undefined, (options) =>
        delivery.getConfirmation({ params: { delivery_id: deliveryId } }, options),
      ),

    /**
     * `catchUpTo`: the record may lag behind this status, because a person has let go what could not be recorded.
     * `afterSequence`: only if no other event has come since this one. `afterReset`: by a run that was reset, and may have come another
     * way: the record is led to the status as the state machine allows; an end that stands there is answered.
     */
    appendEvents: async ({
      key,
      deliveryId,
      events,
      catchUpTo,
      afterSequence,
      afterReset = false,
    }: Keyed & {
      deliveryId: DeliveryId;
      events: NewDeliveryEvent[];
      catchUpTo?: DeliveryStatus;
      afterSequence?: number;
      afterReset?: boolean;
    }): Promise<Output<Contract['appendEvents']>> => {
      const append = (all: NewDeliveryEvent[]) =>
        callService(key, (options) =>
          delivery.appendEvents(
            {
              params: { delivery_id: deliveryId },
              body: { events: all, ...(afterSequence !== undefined && { after_sequence: afterSequence }) },
            },
            options,
          ),
        );
      try {
        const [first] = events;
        if (catchUpTo === undefined || !first) return await append(events);
        const bare = (await statusesLacking(delivery, deliveryId, catchUpTo)).map(unrecorded(first));
        try {
          return await append([...bare, ...events]);
        } catch (error) {
          // What is lacking is refused even bare: that must not keep out what comes after it.
          if (bare.length === 0 || !(error instanceof ApplicationFailure) || !error.nonRetryable) throw error;
          return await append(events);
        }
      } catch (error) {
        // The accept is projected without Temporal and may be a moment behind the workflow: that is not final.
        if (error instanceof ApplicationFailure && error.type === 'not-found') {
          throw ApplicationFailure.create({
            message: error.message,
            type: 'not_yet_projected',
            nonRetryable: false,
          });
        }
        const [first] = events;
        if (afterReset && first && isIllegal(error)) {
          const status = await statusOf(delivery, deliveryId);
          const way = statusesBetween(status, first.status ?? status);
          // What has ended stays so; what the record has already, or has left behind, is no news but for its details.
          if (isFinal(status)) return await answerAsItIs(delivery, deliveryId);
          const bare = (way ?? []).slice(0, -1).map(unrecorded(first));
          const { status: _none, ...details } = first;
          return await append(way && way.length > 0 ? [...bare, ...events] : [details]);
        }
        // Its workflow was terminated, the reconciler closed it, and then the workflow was reset: the end stands.
        if (error instanceof ApplicationFailure && error.type === 'conflict:already_complete') {
          return answerAsItIs(delivery, deliveryId);
        }
        throw error;
      }
    },
  };
}

/** A status that the record lacks, without what was known of it. */
const unrecorded =
  ({ occurred_at }: NewDeliveryEvent) =>
  (status: DeliveryStatus): NewDeliveryEvent => ({
    type: `delivery.${status}`,
    status,
    occurred_at,
    data: { unrecorded: true },
  });

const isIllegal = (error: unknown): boolean =>
  error instanceof ApplicationFailure && error.type === 'conflict:illegal_transition';

function read(delivery: Client<Contract>, deliveryId: DeliveryId): Promise<Output<Contract['getDelivery']>> {
  return callService(undefined, (options) =>
    delivery.getDelivery({ params: { delivery_id: deliveryId } }, options),
  );
}

const statusOf = async (delivery: Client<Contract>, deliveryId: DeliveryId) =>
  (await read(delivery, deliveryId)).status;

/** Where the record is, for a write that changes nothing. */
async function answerAsItIs(
  delivery: Client<Contract>,
  deliveryId: DeliveryId,
): Promise<Output<Contract['appendEvents']>> {
  const { sequence, status } = await read(delivery, deliveryId);
  return { first_sequence: sequence, last_sequence: sequence, status };
}

/** The statuses between what is recorded and where the delivery is; none where no legal way leads there. */
async function statusesLacking(
  delivery: Client<Contract>,
  deliveryId: DeliveryId,
  to: DeliveryStatus,
): Promise<DeliveryStatus[]> {
  return statusesBetween(await statusOf(delivery, deliveryId), to) ?? [];
}
