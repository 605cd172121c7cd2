import { ApplicationFailure } from '@temporalio/common';
import type { deliveryContract, NewDeliveryEvent } from '../services/delivery/contract/index.ts';
import { type DeliveryStatus, statusesBetween } from '../services/delivery/contract/status.ts';
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

    /** `catchUpTo`: the record may lag behind this status, because a person has let go what could not be recorded. */
    appendEvents: async ({
      key,
      deliveryId,
      events,
      catchUpTo,
    }: Keyed & {
      deliveryId: DeliveryId;
      events: NewDeliveryEvent[];
      catchUpTo?: DeliveryStatus;
    }): Promise<Output<Contract['appendEvents']>> => {
      const append = (all: NewDeliveryEvent[]) =>
        callService(key, (options) =>
          delivery.appendEvents({ params: { delivery_id: deliveryId }, body: { events: all } }, options),
        );
      try {
        const [first] = events;
        if (catchUpTo === undefined || !first) return await append(events);
        const lacking = await statusesLacking(delivery, deliveryId, catchUpTo);
        const bare = lacking.map((status): NewDeliveryEvent => ({
          type: `delivery.${status}`,
          status,
          occurred_at: first.occurred_at,
          data: { unrecorded: true },
        }));
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
        // Its workflow was terminated, the reconciler closed it, and then the workflow was reset: the end stands.
        if (error instanceof ApplicationFailure && error.type === 'conflict:already_complete') {
          const { sequence, status } = await callService(undefined, (options) =>
            delivery.getDelivery({ params: { delivery_id: deliveryId } }, options),
          );
          return { first_sequence: sequence, last_sequence: sequence, status };
        }
        throw error;
      }
    },
  };
}

/** The statuses between what is recorded and where the delivery is; none where no legal way leads there. */
async function statusesLacking(
  delivery: Client<Contract>,
  deliveryId: DeliveryId,
  to: DeliveryStatus,
): Promise<DeliveryStatus[]> {
  const { status } = await callService(undefined, (options) =>
    delivery.getDelivery({ params: { delivery_id: deliveryId } }, options),
  );
  return statusesBetween(status, to) ?? [];
}
