/** All activities of the delivery workflow, made over typed clients. Thin: one file per service called, and one for Temporal. */
import type { Client as TemporalClient } from '@temporalio/client';
import { accountContract } from '../services/account/contract/index.ts';
import { carrierContract } from '../services/carrier/contract/index.ts';
import { deliveryContract } from '../services/delivery/contract/index.ts';
import { droneContract } from '../services/drone/contract/index.ts';
import { packageContract } from '../services/package/contract/index.ts';
import { type Client, createClient } from '../shared/http/client.ts';
import { accountActivities } from './account.ts';
import { carrierActivities } from './carrier.ts';
import { deliveryActivities } from './delivery.ts';
import { droneActivities } from './drone.ts';
import { packageActivities } from './package.ts';
import { temporalActivities } from './temporal.ts';

export interface ServiceClients {
  account: Client<typeof accountContract>;
  package: Client<typeof packageContract>;
  drone: Client<typeof droneContract>;
  carrier: Client<typeof carrierContract>;
  delivery: Client<typeof deliveryContract>;
}

export interface ServiceUrls {
  account: string;
  package: string;
  drone: string;
  carrier: string;
  delivery: string;
}

export function createServiceClients(urls: ServiceUrls): ServiceClients {
  return {
    account: createClient(accountContract, { baseUrl: urls.account }),
    package: createClient(packageContract, { baseUrl: urls.package }),
    drone: createClient(droneContract, { baseUrl: urls.drone }),
    carrier: createClient(carrierContract, { baseUrl: urls.carrier }),
    delivery: createClient(deliveryContract, { baseUrl: urls.delivery }),
  };
}

/** @param temporal what its own workflow is looked up with */
export function createActivities(clients: ServiceClients, temporal: TemporalClient) {
  return {
    ...accountActivities(clients.account),
    ...packageActivities(clients.package),
    ...droneActivities(clients.drone),
    ...carrierActivities(clients.carrier),
    ...deliveryActivities(clients.delivery),
    ...temporalActivities(temporal),
  };
}

export type DeliveryActivities = ReturnType<typeof createActivities>;
