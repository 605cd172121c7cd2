/** Clients of every service of a stack, for the tools that look behind the API: checks, seeds, demos. */
import { accountContract } from '../services/account/contract/index.ts';
import { carrierContract } from '../services/carrier/contract/index.ts';
import { deliveryContract } from '../services/delivery/contract/index.ts';
import { droneContract } from '../services/drone/contract/index.ts';
import { ingestionContract } from '../services/ingestion/contract/index.ts';
import { packageContract } from '../services/package/contract/index.ts';
import { type Client, createClient } from '../shared/http/client.ts';
import type { StackDescription } from './stack-file.ts';

export interface ServiceClients {
  account: Client<typeof accountContract>;
  package: Client<typeof packageContract>;
  drone: Client<typeof droneContract>;
  carrier: Client<typeof carrierContract>;
  delivery: Client<typeof deliveryContract>;
  ingestion: Client<typeof ingestionContract>;
  close(): Promise<void>;
}

export function connectServices({ services }: Pick<StackDescription, 'services'>): ServiceClients {
  const clients = {
    account: createClient(accountContract, { baseUrl: services.account }),
    package: createClient(packageContract, { baseUrl: services.package }),
    drone: createClient(droneContract, { baseUrl: services.drone }),
    carrier: createClient(carrierContract, { baseUrl: services.carrier }),
    delivery: createClient(deliveryContract, { baseUrl: services.delivery }),
    ingestion: createClient(ingestionContract, { baseUrl: services.ingestion }),
  };
  return {
    ...clients,
    close: async () => {
      await Promise.all(Object.values(clients).map((client: { close(): Promise<void> }) => client.close()));
    },
  };
}

export { everyItem } from '../shared/every-item.ts';
