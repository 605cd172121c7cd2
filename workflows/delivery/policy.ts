/** How long the delivery waits for what. Fabrikam's operating rules; a delivery's input may override any of them. */
import { SCHEDULE_AHEAD_S } from '../../services/delivery/contract/schedule.ts';
import type { DeliveryPolicy } from '../messages.ts';

export const DEFAULT_POLICY: DeliveryPolicy = {
  awaitDroneS: 60 * 60,
  carrierLeadS: 45 * 60,
  carrierPickupLeadS: 15 * 60,
  pickupArrivalSlackS: 5 * 60,
  loadingS: 10 * 60,
  dropoffArrivalSlackS: 5 * 60,
  dropoffHoverS: 2 * 60,
  confirmationS: 105,
  releaseS: 6 * 60,
  recallAnswerS: 2 * 60,
  rerouteAnswerS: 30,
  returnSlackS: 10 * 60,
  carrierSlackS: 30 * 60,
  compensationStuckS: 10 * 60,
  scheduleAheadS: SCHEDULE_AHEAD_S,
  pickupLeadS: 10 * 60,
  renewAheadS: 24 * 60 * 60,
  historyEvents: 1_000,
};
