/** `/v1/track/{tracking_token}`: for whoever has the link. */
import type { FastifyInstance } from 'fastify';
import type { Delivery, GivenConfirmation } from '../../services/delivery/contract/index.ts';
import type { Clock } from '../../shared/clock.ts';
import { conflict, Problem } from '../../shared/errors.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Location } from '../../shared/schemas.ts';
import { type Confirmed, recipientOperations, type RecipientTracking } from '../contract/recipients.ts';
import { implementPublic } from '../operation.ts';
import { isOutage, type Services } from '../services.ts';
import { etaWith, liveDroneOf } from '../tracking/live.ts';
import { positionOf } from '../tracking/positions.ts';

export interface RecipientRoutesOptions {
  services: Services;
  clock: Clock;
  logger: Logger;
}

export function recipientRoutes(
  app: FastifyInstance,
  { services, clock, logger }: RecipientRoutesOptions,
): void {
  const { delivery: readModel, ingestion, drone } = services;

  implementPublic(app, recipientOperations, {
    async getRecipientTracking({ params }) {
      const { delivery, attempts_left } = await readModel.track({ body: params });
      const live = await liveDroneOf(drone, delivery);
      const position = typeof live === 'string' ? null : positionOf(live, clock);
      const shown: RecipientTracking = {
        object: 'recipient_tracking',
        status: delivery.status,
        complete: delivery.complete,
        imminent: delivery.imminent,
        delayed: delivery.delayed,
        delay_reason: delivery.delay_reason,
        eta: etaWith(delivery, live),
        position_status: position ? 'live' : live === 'unavailable' ? 'unavailable' : 'none',
        position,
        confirmation: {
          kind: delivery.confirmation,
          status: delivery.confirmation_status,
          due_at: delivery.confirmation_due_at,
          attempts_left,
        },
        left_unattended: delivery.left_unattended,
        updated_at: delivery.updated_at,
      };
      return shown;
    },

    async confirmDelivery({ params: { tracking_token }, body }, { reply }) {
      const { delivery } = await readModel.track({ body: { tracking_token } });
      const answer = await readModel.giveConfirmation({
        body: { tracking_token, given: body, position: await dronePosition(delivery) },
      });
      if (answer.outcome === 'wrong') throw await refusal(answer, body);
      const { confirmed_at } = answer;
      const { outcome, detail } = await tell(answer.delivery_id, 'confirmed');
      if (outcome === 'pending') void reply.code(202);
      const confirmed: Confirmed = {
        object: 'confirmation',
        outcome: outcome === 'pending' ? 'pending' : 'confirmed',
        confirmed_at,
        detail,
      };
      return confirmed;
    },
  });

  /** What is wrong with it, and how often it may be tried yet. */
  async function refusal(
    { delivery_id, attempts_left }: { delivery_id: DeliveryId; attempts_left: number },
    given: GivenConfirmation,
  ): Promise<Problem> {
    if (attempts_left === 0) {
      // The drone need not wait any longer.
      await tell(delivery_id, 'exhausted').catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
      });
      return conflict(
        'attempts_exhausted',
        'It was tried wrongly too often: the package goes back to the sender.',
      );
    }
    const [field, what] =
      given.pin === undefined ? ['barcodes', 'the tags of the packages'] : ['pin', 'the PIN'];
    const left = `${attempts_left} ${attempts_left === 1 ? 'try' : 'tries'} left`;
    return new Problem('unserviceable', {
      reason: `wrong_${field}`,
      detail: `This is not ${what} of the delivery: ${left}.`,
      errors: [{ field, message: `must be ${what} of the delivery; ${left}` }],
    });
  }

  /**
   * Has the workflow look. `pending`: the drone is down, or the workflow cannot be reached now; what was given is kept, and it looks
   * before the time is over.
   */
  async function tell(
    delivery_id: DeliveryId,
    given: 'confirmed' | 'exhausted',
  ): Promise<{ outcome: 'accepted' | 'pending'; detail: string | null }> {
    try {
      return await ingestion.confirm({ params: { delivery_id }, body: { given } });
    } catch (error) {
      if (isAnswered(error)) return { outcome: 'accepted', detail: IT_IS_DELIVERED };
      if (!isOutage(error)) throw error;
      logger.warn({ err: error, delivery_id }, 'a confirmation was kept, but its workflow could not be told');
      return { outcome: 'pending', detail: IT_COUNTS };
    }
  }

  /** Where the proof was given; null while nobody knows. */
  async function dronePosition(delivery: Delivery): Promise<Location | null> {
    const live = await liveDroneOf(drone, delivery);
    return typeof live === 'string' ? null : live.position;
  }
}

const IT_IS_DELIVERED = 'It is confirmed, and the package has been delivered.';
const IT_COUNTS = 'It counts. The drone will be told as long as it waits.';

/** A repetition that comes when all is done. */
function isAnswered(error: unknown): boolean {
  return error instanceof Problem && error.reason === 'already_delivered';
}
