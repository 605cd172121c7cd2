/** How long the delivery waits for what. Fabrikam's operating rules; a delivery's input may override any of them. */
import type { DeliveryPolicy } from '../messages.ts';

export const DEFAULT_POLICY: DeliveryPolicy = {
  awaitDroneS: 60 * 60,
  carrierLeadS: 45 * 60,
  pickupArrivalSlackS: 5 * 60,
  loadingS: 10 * 60,
  dropoffArrivalSlackS: 5 * 60,
  dropoffHoverS: 2 * 60,
  releaseS: 6 * 60,
  recallAnswerS: 2 * 60,
  returnSlackS: 10 * 60,
  carrierSlackS: 30 * 60,
  compensationStuckS: 10 * 60,
  maxAttempts: 5,
};
