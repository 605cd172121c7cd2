/** The public door of a lab: the api and ingestion in front of its services and its Temporal. */
import { randomBytes } from 'node:crypto';
import { buildApi } from '../../api/app.ts';
import { publicContract } from '../../api/contract.ts';
import { buildIngestionService, type IngestionOptions } from '../../services/ingestion/service.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import { destination } from '../../shared/geodesy.ts';
import type { AccountId } from '../../shared/ids.ts';
import { createServiceDatabase } from '../support/postgres.ts';
import { silentLogger } from '../support/service.ts';
import type { Lab } from './lab.ts';
import { LabDelivery } from './lab-delivery.ts';
import type { Scene } from './scene.ts';

export interface FrontDoor {
  /** Where its ingestion listens. */
  ingestionUrl: string;
  /** A caller with a key of the scene's account. */
  callerOf(scene: Scene): Promise<Client<typeof publicContract>>;
  /** Somebody with an operator's key. */
  operator(): Promise<Client<typeof publicContract>>;
  /** Orders a delivery as a caller does, a short one unless told. */
  order(
    caller: Client<typeof publicContract>,
    scene: Scene,
    options?: { toDropoffM?: number },
  ): Promise<LabDelivery>;
  close(): Promise<void>;
}

export async function openFrontDoor(
  lab: Lab,
  options: Pick<IngestionOptions, 'policy' | 'tuning'>,
): Promise<FrontDoor> {
  const service = (name: string) => lab.environment[`${name}_URL`] ?? '';
  const { clock } = lab.server;
  const database = await createServiceDatabase('ingestion');
  const ingestion = await buildIngestionService({
    ...options,
    databaseUrl: database.url,
    poolSize: 4,
    logger: silentLogger,
    clock,
    delivery: lab.clients.delivery,
    workflows: lab.workflows,
  });
  const local = { host: '127.0.0.1', port: 0 };
  const ingestionUrl = await ingestion.listen(local);
  const api = await buildApi({
    services: {
      account: service('ACCOUNT'),
      drone: service('DRONE'),
      delivery: service('DELIVERY'),
      ingestion: ingestionUrl,
    },
    logger: silentLogger,
    clock,
  });
  const baseUrl = await api.listen(local);
  const callers: Client<typeof publicContract>[] = [];

  const withKey = async (
    of: { role: 'business'; account_id: AccountId } | { role: 'operator'; account_id: null },
  ) => {
    const key = `dd_test_lab_${randomBytes(16).toString('hex')}`;
    await lab.clients.account.ensureKey({
      body: { key, ...of, name: 'lab', drone_id: null, livemode: false },
    });
    const headers = { authorization: `Bearer ${key}` };
    const caller = createClient(publicContract, { baseUrl, headers });
    callers.push(caller);
    return caller;
  };

  return {
    ingestionUrl,
    callerOf: ({ accountId }) => withKey({ role: 'business', account_id: accountId }),
    operator: () => withKey({ role: 'operator', account_id: null }),
    async order(caller, scene, { toDropoffM = 150 } = {}) {
      const pickup = destination(scene.baseLocation, 90, 100);
      const { id, price } = await caller.createDelivery({
        body: {
          pickup: { location: pickup },
          dropoff: { location: destination(pickup, 0, toDropoffM) },
          packages: [{ size: 'small', weight_kg: 1.2 }],
        },
      });
      return new LabDelivery(scene, id, price, pickup);
    },
    async close() {
      await Promise.all(callers.map((caller) => caller.close()));
      await api.close();
      await ingestion.close();
      await database.drop();
    },
  };
}
