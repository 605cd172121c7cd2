import { ApplicationFailure } from '@temporalio/common';
import type { deliveryContract, NewDeliveryEvent } from '../services/delivery/contract/index.ts';
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

    appendEvents: async ({
      key,
      deliveryId,
      events,
    }: Keyed & { deliveryId: DeliveryId; events: NewDeliveryEvent[] }): Promise<
      Output<Contract['appendEvents']>
    > => {
      try {
        return await callService(key, (options) =>
          delivery.appendEvents({ params: { delivery_id: deliveryId }, body: { events } }, options),
        );
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
