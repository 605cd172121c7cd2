/** What the delivery service says of a delivery that ingestion has accepted. */
import { Problem } from '../../../shared/errors.ts';
import type { Client } from '../../../shared/http/client.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { Delivery, deliveryContract } from '../../delivery/contract/index.ts';

/**
 * Nothing while the accept is still on its way there: then it has no event either.
 * @throws {Problem} when the delivery service cannot be asked
 */
export async function readDelivery(
  delivery: Client<typeof deliveryContract>,
  deliveryId: DeliveryId,
): Promise<Delivery | undefined> {
  try {
    return await delivery.getDelivery({ params: { delivery_id: deliveryId } });
  } catch (error) {
    if (error instanceof Problem && error.slug === 'not-found') return undefined;
    throw error;
  }
}
