/**
 * The public API as data: `createClient(publicContract, { baseUrl, headers: { authorization: 'Bearer …' } })` is its typed
 * client. The reference at `/docs` and `/openapi.json` is made from the same.
 */
import { accountOperations } from './contract/accounts.ts';
import { deliveryOperations } from './contract/deliveries.ts';
import { droneOperations } from './contract/drones.ts';
import { opsOperations } from './contract/ops.ts';
import { proofOperations } from './contract/proof.ts';
import { recipientOperations } from './contract/recipients.ts';
import { trackingOperations } from './contract/tracking.ts';

export { RegisteredAccount } from './contract/accounts.ts';
export { CancelledDelivery } from './contract/deliveries.ts';
export { droneOperations } from './contract/drones.ts';
export { LivePosition, PositionUpdate, StatusUpdate, Tracking, trackingStream } from './contract/tracking.ts';

export { proofImage } from './contract/proof.ts';

export const publicContract = {
  ...deliveryOperations,
  ...trackingOperations,
  ...proofOperations,
  ...recipientOperations,
  ...accountOperations,
  ...droneOperations,
  ...opsOperations,
};
