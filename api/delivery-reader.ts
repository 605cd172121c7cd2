/** Reads a delivery for a caller: from the read model, or, until that has heard of it, from ingestion's own row. */
import type { Principal } from '../services/account/contract/index.ts';
import type { Delivery } from '../services/delivery/contract/index.ts';
import { notFound, Problem } from '../shared/errors.ts';
import type { DeliveryId } from '../shared/ids.ts';
import { isOutage, type Services } from './services.ts';
import { assertMayRead } from './tenancy.ts';

export interface DeliveryReader {
  /**
   * The delivery, if this caller may see it.
   * @throws {Problem} `not-found` when there is none or it is another tenant's; `unavailable` when nobody can tell.
   */
  read(principal: Principal, deliveryId: DeliveryId): Promise<Delivery>;
}

export function createDeliveryReader({
  delivery,
  ingestion,
}: Pick<Services, 'delivery' | 'ingestion'>): DeliveryReader {
  async function find(deliveryId: DeliveryId): Promise<Delivery> {
    const params = { delivery_id: deliveryId };
    try {
      return await delivery.getDelivery({ params });
    } catch (error) {
      if (!isNotFound(error) && !isOutage(error)) throw error;
      const requested = await ingestion.getRequested({ params });
      // The row knows how it began. Where more may have happened since, an old status would be a lie.
      if (requested.projected && isOutage(error)) throw error;
      return requested.delivery;
    }
  }

  return {
    async read(principal, deliveryId) {
      const found = await find(deliveryId).catch((error: unknown) => {
        throw isNotFound(error) ? notFound('delivery', deliveryId) : error;
      });
      assertMayRead(principal, found, 'delivery', deliveryId);
      return found;
    },
  };
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Problem && error.status === 404;
}
