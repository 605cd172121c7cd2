/** The public door of a lab: the api and ingestion in front of its services and its Temporal. */
import { randomBytes } from 'node:crypto';
import { buildApi } from '../../api/app.ts';
import { publicContract } from '../../api/contract.ts';
import { buildIngestionService, type IngestionOptions } from '../../services/ingestion/service.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import { destination } from '../../shared/geodesy.ts';
import { createServiceDatabase } from '../support/postgres.ts';
import { silentLogger } from '../support/service.ts';
import { type Lab, LabDelivery, type Scene } from './lab.ts';

export interface FrontDoor {
  /** A caller with a key of the scene's account. */
  callerOf(scene: Scene): Promise<Client<typeof publicContract>>;
  /** Orders a short delivery as a caller does. */
  order(caller: Client<typeof publicContract>, scene: Scene): Promise<LabDelivery>;
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
  const api = await buildApi({
    services: {
      account: service('ACCOUNT'),
      drone: service('DRONE'),
      delivery: service('DELIVERY'),
      ingestion: await ingestion.listen(local),
    },
    logger: silentLogger,
    clock,
  });
  const baseUrl = await api.listen(local);
  const callers: Client<typeof publicContract>[] = [];

  return {
    async callerOf({ accountId }) {
      const key = `dd_test_lab_${randomBytes(16).toString('hex')}`;
      await lab.clients.account.ensureKey({
        body: { key, role: 'business', name: 'lab', account_id: accountId, drone_id: null, livemode: false },
      });
      const headers = { authorization: `Bearer ${key}` };
      const caller = createClient(publicContract, { baseUrl, headers });
      callers.push(caller);
      return caller;
    },
    async order(caller, scene) {
      const pickup = destination(scene.baseLocation, 90, 100);
      const { id, price } = await caller.createDelivery({
        body: {
          pickup: { location: pickup },
          dropoff: { location: destination(pickup, 0, 150) },
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
