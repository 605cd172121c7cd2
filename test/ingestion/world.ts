/** Ingestion, as one process or several, over the real delivery service behind a relay that a test can cut. */
import { createHash } from 'node:crypto';
import { deliveryContract } from '../../services/delivery/contract/index.ts';
import { buildDeliveryService } from '../../services/delivery/service.ts';
import { type CreateDeliveryRequest, ingestionContract } from '../../services/ingestion/contract/index.ts';
import { buildIngestionService, type IngestionOptions } from '../../services/ingestion/service.ts';
import { createClient } from '../../shared/http/client.ts';
import type { Input } from '../../shared/http/contract.ts';
import { newId } from '../../shared/ids.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { type ServedService, serve, silentLogger } from '../support/service.ts';
import { startTcpRelay } from '../support/tcp-relay.ts';
import { ScriptedWorkflows } from './scripted-workflows.ts';

export type Ingestion = ServedService<typeof ingestionContract>;
export type AcceptBody = Input<(typeof ingestionContract)['accept']>['body'];

export async function startWorld() {
  const database = await createTestDatabase();
  const delivery = await serve(
    await buildDeliveryService({
      databaseUrl: database.services.delivery.url,
      poolSize: 5,
      logger: silentLogger,
    }),
    deliveryContract,
  );
  const relay = await startTcpRelay(delivery.url);
  const throughRelay = createClient(deliveryContract, {
    baseUrl: relay.through(delivery.url).replace(/\/$/, ''),
  });
  const workflows = new ScriptedWorkflows();
  const processes: Ingestion[] = [];

  return {
    database,
    delivery: delivery.client,
    /** The delivery service goes away and comes back. */
    cutDelivery: () => relay.cut(),
    mendDelivery: () => relay.mend(),
    workflows,

    async ingestion(options: Partial<IngestionOptions> = {}): Promise<Ingestion> {
      const app = await buildIngestionService({
        databaseUrl: database.services.ingestion.url,
        poolSize: 5,
        logger: silentLogger,
        delivery: throughRelay,
        workflows,
        ...options,
      });
      const process = await serve(app, ingestionContract);
      processes.push(process);
      return process;
    },

    async close(): Promise<void> {
      for (const process of processes) await process.close();
      await throughRelay.close();
      await relay.close();
      await delivery.close();
      await database.drop();
    },
  };
}

export type World = Awaited<ReturnType<typeof startWorld>>;

export function anAccept(
  changes: Partial<Omit<AcceptBody, 'request'>> & { request?: Partial<CreateDeliveryRequest> } = {},
): AcceptBody {
  const request: CreateDeliveryRequest = {
    pickup: {
      location: { latitude: 47.6419, longitude: -122.1265 },
      contact: { name: 'Sam Sender', phone: '+14255550100' },
    },
    dropoff: { location: { latitude: 47.6205, longitude: -122.3493 }, address: '2 Recipient Road' },
    packages: [{ size: 'small', weight_kg: 1.2 }],
    ...changes.request,
  };
  return {
    account_id: newId('account'),
    livemode: true,
    idempotency_key: null,
    fingerprint: createHash('sha256').update(JSON.stringify(request)).digest('hex'),
    ...changes,
    request,
  };
}
